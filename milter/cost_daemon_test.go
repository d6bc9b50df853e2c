package milter

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailseal/contrib/test/allocations"
	"mailseal/milter/action"
	"mailseal/milter/guard"
)

// The tests here count what a message costs the whole of the server with the filter of the daemon:
// allocations, reads and writes, memory. Bounds leave a fifth of room.

// calls counts the reads and writes of a server's connections, each of which is a system call.
type calls struct{ reads, writes atomic.Int64 }

type countedListener struct {
	net.Listener
	calls *calls
}

func (l countedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return countedConn{nc, l.calls}, err
}

type countedConn struct {
	net.Conn
	calls *calls
}

func (c countedConn) Read(p []byte) (int, error) {
	c.calls.reads.Add(1)
	return c.Conn.Read(p)
}

func (c countedConn) Write(p []byte) (int, error) {
	c.calls.writes.Add(1)
	return c.Conn.Write(p)
}

// serveCounted serves a filter with a log that goes nowhere.
func serveCounted(t *testing.T, f Filter) (*rig, *calls) {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "s"), log: &lines{},
		ended: make(chan error, 1)}
	l, err := Listen(t.Context(), ListenOptions{Address: "unix:" + r.path, Role: action.RoleAuto})
	if err != nil {
		t.Fatal(err)
	}
	var count calls
	l.Listener = countedListener{l.Listener, &count}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	r.start(Options{Log: log, DrainSoft: time.Millisecond, DrainHard: 5 * time.Second},
		Settings{Filter: f, Roles: ours}, l)
	return r, &count
}

// costMail is a message of ours of 20 fields and 4 KB, and the same signed by both keys.
func costMail(r *rig) (plain, signed []byte) {
	m := typical()
	m.Raw = bytes.Replace(m.Raw, []byte("a@example.net"), []byte("a@example.com"), 1)
	m.Auth = "alice"
	plain = m.Raw
	out := r.dial(postfix).deliver(m)
	signed = bytes.ReplaceAll(out.Delivered(), []byte("\r\n"), []byte("\n"))
	m.Raw, m.Auth = signed, ""
	out = r.dial(postfix).deliver(m)
	if n := strings.Count(fmt.Sprint(out.Edits), "dkim=pass"); n != 2 {
		r.t.Fatalf("%d signatures pass, want 2: %v", n, out.Edits)
	}
	return plain, signed
}

// stages is a message as packets: what is answered, one by one, and then all else in one piece.
func stages(raw []byte, macros string) (asked [][]byte, rest []byte) {
	asked = append(asked, guard.AppendPacket(guard.AppendPacket(nil, guard.Macro,
		[]byte("Mi\x00Q1\x00"+macros)), guard.Mail, []byte("<a@example.com>\x00")))
	asked = append(asked, guard.AppendPacket(nil, guard.Rcpt, []byte("<b@example.org>\x00")))
	head, body, _ := strings.Cut(string(raw), "\n\n")
	for f := range strings.SplitSeq(strings.ReplaceAll(head, "\n\t", "\r\t"), "\n") {
		rest = guard.AppendPacket(rest, guard.Header,
			[]byte(strings.ReplaceAll(strings.Replace(f, ":", "\x00", 1), "\r\t", "\n\t")+"\x00"))
	}
	rest = guard.AppendPacket(rest, guard.EndOfHeader)
	for c := range chunks(strings.ReplaceAll(body, "\n", "\r\n"), 65535) {
		rest = guard.AppendPacket(rest, guard.Body, []byte(c))
	}
	return asked, guard.AppendPacket(rest, guard.EndOfBody)
}

// authenticated are the macros of a message of ours.
const authenticated = "{auth_type}\x00PLAIN\x00{auth_authen}\x00alice\x00"

// play sends a message in its stages and returns how many octets the answers have.
func (w *wire) play(asked [][]byte, rest []byte) (answers int) {
	w.t.Helper()
	for _, packet := range append(asked, rest) {
		if _, err := w.nc.Write(packet); err != nil {
			w.t.Fatal(err)
		}
		p := w.next()
		for ; p.Code == guard.InsertHeader; p = w.next() {
			answers += 5 + len(p.Data)
		}
		if answers += 5 + len(p.Data); p.Code != guard.Continue && p.Code != guard.Accept {
			w.t.Fatalf("answered with %v %q", p.Code, p.Data)
		}
	}
	return answers
}

// cost is one of the two ways of a message, with the most that it may allocate.
type cost struct {
	name   string
	raw    []byte
	macros string
}

func costs(r *rig) []cost {
	plain, signed := costMail(r)
	return []cost{
		{name: "signing with RSA and Ed25519", raw: plain, macros: authenticated},
		{name: "judging two signatures, SPF and DMARC", raw: signed},
	}
}

// TestAllocationsOfDaemon counts what the daemon allocates for a message from MAIL to the verdict.
func TestAllocationsOfDaemon(t *testing.T) {
	r, _ := serveCounted(t, DaemonFilter(t))
	for _, c := range costs(r) {
		t.Run(c.name, func(t *testing.T) {
			w := r.wire()
			w.hello()
			asked, rest := stages(c.raw, c.macros)
			in := make([]byte, w.play(asked, rest)) // fills caches and pools, too
			w.raw()
			out := slices.Concat(append(asked, rest)...)
			allocations.Hold(t, "milter: "+c.name, 50, func() { exchange(t, w.nc, out, in) })
		})
	}
}

// TestSystemCallsOfDaemon counts reads and writes: an answer is one write, the edits and the
// verdict together are one, and header and body are read in large pieces.
func TestSystemCallsOfDaemon(t *testing.T) {
	r, count := serveCounted(t, DaemonFilter(t))
	for _, c := range costs(r) {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{4 << 10, 5 << 20} {
				w := r.wire()
				w.hello()
				body := bytes.Repeat([]byte(strings.Repeat("x", 76)+"\n"), size/77)
				head, _, _ := bytes.Cut(c.raw, []byte("\n\n"))
				asked, rest := stages(slices.Concat(head, []byte("\n\n"), body), c.macros)
				reads, writes := count.reads.Load(), count.writes.Load()
				w.play(asked, rest)
				reads, writes = count.reads.Load()-reads, count.writes.Load()-writes
				t.Logf("%d octets: %d reads, %d writes", len(rest), reads, writes)
				if writes != 3 {
					t.Errorf("%d octets: %d writes, want one after MAIL, one after RCPT and one at the end",
						len(rest), writes)
				}
				// A socket may hand out less than there is room for, but not by much when the other
				// side writes all at once.
				if most := int64(8 + 3*len(rest)/(64<<10)); reads > most {
					t.Errorf("%d octets: %d reads, want at most %d", len(rest), reads, most)
				}
			}
		})
	}
}

// TestMemoryOfConnections counts what a connection holds that is idle after a message, and one in
// the middle of a large one: 1,000 of these are to fit into 150 MB. Both ends are counted here.
func TestMemoryOfConnections(t *testing.T) {
	const n, idleOctets, busyOctets = 100, 32 << 10, 120 << 10
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r, _ := serveCounted(t, DaemonFilter(t))
	plain, _ := costMail(r)
	asked, rest := stages(plain, authenticated)
	all := make([]*wire, n)
	before := heap()
	for i := range all {
		all[i] = r.wire()
		all[i].hello()
		all[i].play(asked, rest)
	}
	idle := (heap() - before) / n
	piece := guard.AppendPacket(nil, guard.Body,
		bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 65535/78))
	for _, w := range all {
		w.envelope()
		w.content()
		for range 16 {
			if _, err := w.nc.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
	}
	busy := (heap() - before) / n
	t.Logf("idle %d octets, in the middle of a body %d octets, the sending end included", idle,
		busy)
	if idle > idleOctets || busy > busyOctets {
		t.Errorf("idle %d octets, in the middle of a body %d octets, at most %d and %d are meant",
			idle, busy, idleOctets, busyOctets)
	}
	runtime.KeepAlive(all)
}
