package milter

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
	"mailseal/milter/miltertest"
)

// plain is a Filter that wants one hash, adds one field, and keeps nothing.
type plain struct{}

var (
	wantOne  = []message.BodyHash{{Canonicalization: message.Relaxed, Limit: message.Whole}}
	oneField = messagetest.Header("DKIM-Signature: v=1; a=rsa-sha256; d=example.com;\n\tbh=x; b=y")
)

func (plain) Begin(context.Context, Mail) Judge { return plain{} }
func (plain) Wants() Wants                      { return Wants{Hashes: wantOne} }
func (plain) Decide(context.Context, *message.Message, []byte) Outcome {
	return Outcome{Action: action.Accept, Author: "example.com",
		Edits: message.Edits{Insert: oneField}}
}

// heap returns what is in use once all garbage is gone, stacks included.
func heap() int64 {
	var m runtime.MemStats
	for range 2 { // the first puts pools aside, the second empties them
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// allocated returns all octets that were ever allocated.
func allocated() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

// packets is a message as octets, built once so that the sending side costs nothing.
func packets(m miltertest.Message) []byte {
	var b []byte
	add := func(code guard.Code, data string) { b = guard.AppendPacket(b, code, []byte(data)) }
	add(guard.Macro, "Mi\x00"+m.Queue+"\x00{auth_type}\x00PLAIN\x00{auth_authen}\x00alice\x00")
	add(guard.Mail, "<"+m.From+">\x00")
	add(guard.Macro, "R")
	add(guard.Rcpt, "<"+m.To[0]+">\x00")
	head, body, _ := strings.Cut(string(m.Raw), "\n\n")
	for f := range strings.SplitSeq(head, "\n") {
		add(guard.Header, strings.Replace(f, ":", "\x00", 1)+"\x00")
	}
	add(guard.EndOfHeader, "")
	for c := range chunks(body, 65535) {
		add(guard.Body, string(c))
	}
	add(guard.EndOfBody, "")
	return b
}

// exchange sends prebuilt packets and reads as many octets as the answers have.
func exchange(t testing.TB, nc net.Conn, out, in []byte) {
	if _, err := nc.Write(out); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, in); err != nil {
		t.Fatal(err)
	}
	if in[len(in)-1] != byte(guard.Accept) {
		t.Fatalf("got %q", in)
	}
}

// answers is the room for the answers to one message: to MAIL and RCPT, one insertion, the verdict.
func answers() []byte {
	f := oneField[0]
	edit := guard.AppendPacket(nil, guard.InsertHeader, make([]byte, 4), []byte(f.Name()),
		[]byte{0}, bytes.ReplaceAll(f.Value(), []byte("\r\n"), []byte("\n")), []byte{0})
	return make([]byte, 5+5+len(edit)+5)
}

func bigHeader(octets int) miltertest.Message {
	return letter("Q1", slices.Repeat([]string{"X-Long: " + strings.Repeat("x", 92)},
		octets/100)...)
}

// Sendmail sends no ABORT between messages, and the library would keep every header that it ever
// saw.
func TestManyMessagesKeepNothing(t *testing.T) {
	r := serve(t, Settings{Filter: plain{}}, func(o *Options, _ *ListenOptions) { o.Log = nil })
	w := r.wire()
	w.hello()
	w.raw()
	out, in := packets(bigHeader(30_000)), answers()
	var before int64
	for i := range 1000 {
		if i == 20 {
			before = heap()
		}
		exchange(t, w.nc, out, in)
	}
	if grown := heap() - before; grown > 100_000 {
		t.Errorf("980 messages of 30 KB left %d octets behind", grown)
	}
}

// What a connection holds in the middle of a message is bounded by the header, and passing the body
// on costs nothing.
func TestLargeMessageIsNotKept(t *testing.T) {
	w := serve(t, Settings{Filter: plain{}}).wire()
	w.hello()
	w.envelope()
	w.content()
	w.raw()
	chunk := guard.AppendPacket(nil, guard.Body,
		bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 65535/78))
	send := func(n int) {
		for range n {
			if _, err := w.nc.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(10)
	before, ever := heap(), allocated()
	send(25 << 20 / len(chunk))
	if n := allocated() - ever; n > 1<<20 {
		t.Errorf("a body of 25 MB made it allocate %d octets", n)
	}
	if grown := heap() - before; grown > 200_000 {
		t.Errorf("in the middle of a message of 25 MB it holds %d octets more than at the start",
			grown)
	}
	if p := w.ask(guard.EndOfBody, ""); p.Code != guard.InsertHeader {
		t.Errorf("got %v", p.Code)
	}
}

// A header over the limit must not be held, however long it goes on.
func TestOverflowIsNotKept(t *testing.T) {
	const limit = 1 << 20
	r := serve(t, Settings{Filter: plain{}, HeaderLimit: limit})
	r.dial(sendmail).deliver(letter("Q1"))
	w := r.wire()
	w.hello()
	before := heap()
	w.envelope()
	field := guard.AppendPacket(nil, guard.Header,
		[]byte("X\x00"+strings.Repeat("x", 60000)+"\x00"))
	w.raw()
	for i := range 120 {
		if _, err := w.nc.Write(field); err != nil {
			t.Fatal(err)
		}
		if i%40 != 39 {
			continue
		}
		if grown := heap() - before; grown > 2*limit {
			t.Fatalf("after %d fields of 60 KB it holds %d octets more; the limit is %d", i+1,
				grown, limit)
		}
	}
	eventually(t, "what was held is let go", func() bool { return heap()-before < 300_000 })
}

// Thousands of connections are idle at a busy host. Both ends are counted here.
func TestIdleConnection(t *testing.T) {
	const n = 200
	r := serve(t, Settings{Filter: plain{}})
	conns := make([]caller, n)
	before := heap()
	for i := range conns {
		conns[i] = r.dial(postfix)
		conns[i].deliver(letter("Q1"))
	}
	each := (heap() - before) / n
	t.Logf("%d octets for each idle connection, the sending end included", each)
	if each > 40_000 {
		t.Errorf("%d octets for each idle connection", each)
	}
	runtime.KeepAlive(conns)
}

// TestAllocationsPerMessage counts what a message of 20 fields allocates in the whole server, guard
// and library included.
func TestAllocationsPerMessage(t *testing.T) {
	out, in := packets(typical()), answers()
	nc := quietWire(t).nc
	exchange(t, nc, out, in)
	allocations.Hold(t, "milter: a message of 20 fields, guard and library included", 100,
		func() { exchange(t, nc, out, in) })
}

// typical is a message of 20 fields and 4 KB.
func typical() miltertest.Message {
	return with(bigHeader(1700), strings.Repeat(strings.Repeat("x", 76)+"\r\n", 4096/78))
}

// quietWire is a connection to a server that logs as the daemon does, but nowhere.
func quietWire(t testing.TB) *wire {
	r := serve(t, Settings{Filter: plain{}, Roles: ours}, func(o *Options, _ *ListenOptions) {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		o.Metrics = nil
	})
	w := r.wire()
	w.hello()
	w.raw()
	return w
}

func BenchmarkMessage(b *testing.B) {
	out, in := packets(typical()), answers()
	nc := quietWire(b).nc
	b.ReportAllocs()
	for b.Loop() {
		exchange(b, nc, out, in)
	}
}

func BenchmarkMessage5MB(b *testing.B) {
	out, in := packets(with(typical(), strings.Repeat(strings.Repeat("x", 76)+"\r\n", 5<<20/78))),
		answers()
	nc := quietWire(b).nc
	b.ReportAllocs()
	b.SetBytes(int64(len(out)))
	for b.Loop() {
		exchange(b, nc, out, in)
	}
}
