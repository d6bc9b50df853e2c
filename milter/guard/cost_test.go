package guard_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
)

// conversation returns the octets of one message with so many fields and pieces of body.
func conversation(fields, pieces int) []byte {
	b := guard.AppendPacket(nil, guard.Mail, []byte("<a@example.com>\x00"))
	b = guard.AppendPacket(b, guard.Rcpt, []byte("<b@example.com>\x00"))
	field := []byte("X-Field\x00 " + strings.Repeat("value ", 20) + "\x00")
	for range fields {
		b = guard.AppendPacket(b, guard.Macro, []byte("Li\x00QUEUE\x00"))
		b = guard.AppendPacket(b, guard.Header, field)
	}
	b = guard.AppendPacket(b, guard.EndOfHeader)
	piece := make([]byte, 65535)
	for range pieces {
		b = guard.AppendPacket(b, guard.Body, piece)
	}
	return guard.AppendPacket(b, guard.EndOfBody)
}

// silent makes a connection after CONNECT whose next packets are what the test puts into the input,
// with sinks that count.
func silent(t testing.TB, nc *scriptedConn, octets *int) *guard.Conn {
	t.Helper()
	nc.input = append([]byte("\x00\x00\x00\x0dO"), offer(6, allActions, allProtocol)...)
	nc.input = guard.AppendPacket(nc.input, guard.Connect, []byte(connectData))
	c, err := guard.Handshake(nc, defaults)
	if err != nil {
		t.Fatal(err)
	}
	c.OnHeader(func(name, value []byte) error { *octets += len(name) + len(value); return nil })
	c.OnBody(func(p []byte) error { *octets += len(p); return nil })
	if code := libraryReads(t, c); code != guard.Connect {
		t.Fatalf("got %v", code)
	}
	return c
}

var continued = guard.AppendPacket(nil, guard.Continue)

// libraryReads reads and answers one packet as go-milter does, without allocating.
func libraryReads(t testing.TB, c *guard.Conn) guard.Code {
	var buf [256]byte
	if _, err := io.ReadFull(c, buf[:5]); err != nil {
		t.Fatal(err, c.Err())
	}
	size := binary.BigEndian.Uint32(buf[:]) - 1
	if _, err := io.ReadFull(c, buf[5:5+size]); err != nil {
		t.Fatal(err)
	}
	code := guard.Code(buf[4])
	if code != guard.Abort {
		if _, err := c.Write(continued); err != nil {
			t.Fatal(err)
		}
	}
	return code
}

// What a message costs in allocations does not depend on how long it is.
func TestNoAllocationPerFieldOrPiece(t *testing.T) {
	allocs := func(fields, pieces int) float64 {
		nc, octets := &scriptedConn{}, 0
		c := silent(t, nc, &octets)
		message := conversation(fields, pieces)
		n := testing.AllocsPerRun(20, func() {
			nc.input, nc.written, nc.deadlines = message, nc.written[:0], nc.deadlines[:0]
			for libraryReads(t, c) != guard.EndOfBody {
			}
		})
		if octets == 0 {
			t.Fatal("the sinks saw nothing")
		}
		return n
	}
	short, long := allocs(1, 1), allocs(1000, 100)
	if long > short+1 { // the pool of buffers may be emptied by the collector
		t.Errorf("%v allocations for a short message, %v for a long one", short, long)
	}
	if short > 20 {
		t.Errorf("%v allocations for a short message", short)
	}
	t.Logf("%v allocations for a message", short)
}

// heap returns what is reachable.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// A connection that waits holds little, also after it has seen a large header, body and answer.
func TestIdleConnectionIsSmall(t *testing.T) {
	const conns = 200
	rigs := make([]*rig, conns)
	before := heap()
	for i := range rigs {
		rigs[i] = open(t, defaults, func(r *rig) {
			r.onBody = func([]byte) error { return nil }
			r.filter.eom = func(m *gomilter.Modifier, _ *guard.Conn) (gomilter.Response, error) {
				return verdictContinue, m.InsertHeader(0, "X", " "+strings.Repeat("y", 8000))
			}
		})
		rigs[i].hello()
		rigs[i].message(strings.Repeat("x", 65535))
		rigs[i].want(guard.InsertHeader)
		rigs[i].want(guard.Continue)
		rigs[i].ask(guard.Mail, "<>\x00") // the guard has come back to read
		rigs[i].send(guard.Abort, "")
		rigs[i].ask(guard.Helo, "h\x00")
		rigs[i].Framer = nil // the test's end of the connection is not what is measured
	}
	each := int64(heap()-before) / conns
	t.Logf("%d octets for each idle connection, go-milter's goroutine and the test's end included",
		each)
	if each > 30<<10 {
		t.Errorf("%d octets for each idle connection, want at most 30 KB", each)
	}
	for _, r := range rigs {
		r.nc.Close()
		if err := r.end(); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, c := range []struct {
		name           string
		fields, pieces int
	}{{"fields=10/pieces=0", 10, 0}, {"fields=10/pieces=1", 10, 1}, {"fields=10/pieces=80", 10, 80},
		{"fields=1000/pieces=0", 1000, 0}} {
		b.Run(c.name, func(b *testing.B) {
			nc, octets := &scriptedConn{}, 0
			conn := silent(b, nc, &octets)
			message := conversation(c.fields, c.pieces)
			b.ReportAllocs()
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				nc.input, nc.written, nc.deadlines = message, nc.written[:0], nc.deadlines[:0]
				for libraryReads(b, conn) != guard.EndOfBody {
				}
			}
		})
	}
}

// BenchmarkSocket has go-milter serve messages on a unix socket; what it costs is the guard's, the
// library's, the kernel's and the sending side's together.
func BenchmarkSocket(b *testing.B) {
	for _, size := range []int{2 << 10, 100 << 10, 5 << 20} {
		for _, sinks := range []bool{false, true} {
			b.Run(fmt.Sprintf("size=%d/sinks=%v", size, sinks), func(b *testing.B) {
				r := open(b, defaults, func(r *rig) {
					r.filter.mute = true
					if sinks {
						r.sinks = true
						r.onBody = func([]byte) error { return nil }
					}
				})
				r.hello()
				body := make([]byte, min(size, 65535))
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					r.ask(guard.Mail, "<a@example.com>\x00")
					r.ask(guard.Rcpt, "<b@example.com>\x00")
					for range 10 {
						r.send(guard.Header, "X-Field\x00 some value of common length, more or less\x00")
					}
					r.send(guard.EndOfHeader, "")
					for left := size; left > 0; left -= len(body) {
						if err := r.WritePacket(guard.Body,
							body[:min(left, len(body))]); err != nil {
							b.Fatal(err)
						}
					}
					r.send(guard.EndOfBody, "")
					r.want(guard.Accept)
				}
			})
		}
	}
}
