package shadow_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
	"mailseal/milter/shadow"
)

// What our side of it may cost: no time of the MTA's, and a bounded part of the host's memory.

// TestNotDelayed holds that MTAs have their answers though our filter takes nothing at all, and
// that no message is forgotten for that.
func TestNotDelayed(t *testing.T) {
	old := &standIn{asks: modern, says: atEnd(oldSignature, accept)}
	old.listen(t)
	r := start(t, old, ours(nil), func(o *shadow.Options) {
		o.Judge, o.Patience = deaf(t), time.Hour
		o.DrainSoft, o.DrainHard = time.Millisecond, time.Millisecond
	})
	m := miltertest.Message{From: "a@example.com", To: []string{"x@example.net"},
		Raw: []byte(simple)}
	large := m
	large.Raw = []byte(simple + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef\n",
		25<<20/49))
	for _, as := range []miltertest.MTA{miltertest.Postfix, miltertest.Sendmail} {
		c := dial(t, r.path, as, miltertest.Options{})
		for _, m := range []miltertest.Message{m, large, m} {
			if o, err := c.Send(m); err != nil || o.Refused() || len(o.Edits) != 1 {
				t.Errorf("%v: %v, %v, %d edits", as, err, o.Reply, len(o.Edits))
			}
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
	}
	r.stop()
	if s := r.recorder.Summary(); s.Messages != 6 || s.Same+s.Differing > 0 {
		t.Errorf("%+v, want 6 messages, none of them judged", s)
	}
}

// deaf is a filter of ours that reads nothing.
func deaf(t *testing.T) shadow.Dial {
	return func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		return near, nil
	}
}

// held is what a Proxy holds in memory, with everything silent: no answers, so that a client need
// not read.
type held struct {
	t    *testing.T
	mtas *shadow.Pipe
	wg   sync.WaitGroup
}

// hold starts a Proxy before an upstream that reads and never answers, with a filter of ours that
// does not read.
func hold(t *testing.T) *held {
	t.Helper()
	h := &held{t: t, mtas: shadow.NewPipe()}
	upstream := func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		h.wg.Go(func() { swallow(far) })
		return near, nil
	}
	proxy := shadow.New(shadow.Options{Upstream: upstream, Judge: deaf(t),
		Recorder: shadow.NewRecorder(nil, nil)})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- proxy.Serve(ctx, h.mtas) }()
	t.Cleanup(func() {
		stop()
		proxy.Close()
		<-ended
		h.wg.Wait()
	})
	return h
}

// swallow is the upstream.
func swallow(nc net.Conn) {
	defer nc.Close()
	// a busy host is no reason
	f := guard.NewFramer(nc, guard.Limits{Handshake: time.Hour, Write: time.Hour})
	if _, err := f.ReadPacket(); err != nil {
		return
	}
	_ = f.WritePacket(guard.Negotiate,
		asking(0xff000|guard.NoReplyHeader|guard.LeadingSpace).Data())
	_ = f.Flush()
	_ = nc.SetDeadline(time.Time{}) // the framer's
	_, _ = io.Copy(io.Discard, nc)
}

// begin opens a connection and sends so much of a body, without an end.
func (h *held) begin(size int) {
	nc, err := h.mtas.Dial(h.t.Context())
	if err != nil {
		h.t.Error(err)
		return
	}
	h.t.Cleanup(func() { nc.Close() })
	start := guard.AppendPacket(nil, guard.Negotiate, guard.Agreement{Version: 6, Actions: 0x1ff,
		Protocol: 0x1fffff}.Data())
	if _, err := nc.Write(start); err != nil {
		h.t.Error(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(nc, head[:]); err != nil {
		h.t.Error(err)
	}
	if _, err := io.CopyN(io.Discard, nc, int64(binary.BigEndian.Uint32(head[:]))); err != nil {
		h.t.Error(err)
	}
	mail := guard.AppendPacket(nil, guard.Mail, []byte("<a@example.com>\x00"))
	mail = guard.AppendPacket(mail, guard.Header, []byte("From\x00 a@example.com\x00"))
	if _, err := nc.Write(guard.AppendPacket(mail, guard.EndOfHeader)); err != nil {
		h.t.Error(err)
	}
	for ; size > 0; size -= len(piece) {
		if _, err := nc.Write(body); err != nil {
			h.t.Error(err)
			return
		}
	}
}

var (
	piece [65535]byte
	body  = guard.AppendPacket(nil, guard.Body, piece[:])
)

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// TestMemory holds what waits for a filter of ours that takes nothing: 8 MiB for a connection, 64
// MiB for all, and beside that, for each connection in the middle of a message, 128 KiB at most:
// the buffer of one packet, and stacks.
func TestMemory(t *testing.T) {
	t.Run("a message of 25 MB", func(t *testing.T) {
		h, before := hold(t), heap()
		h.begin(25 << 20)
		if more := heap() - before; more > 10<<20 {
			t.Errorf("%d KiB", more>>10)
		}
	})
	t.Run("1,000 connections", func(t *testing.T) {
		h, before := hold(t), heap()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { h.begin(384 << 10) })
		}
		wg.Wait()
		more := heap() - before
		t.Logf("%d MiB", more>>20)
		most := 64<<20 + 1000*(128<<10)
		if raceDetector {
			most += most / 10
		}
		if more > most {
			t.Errorf("%d MiB, at most %d MiB are allowed", more>>20, most>>20)
		}
		if more < 64<<20 {
			t.Errorf("%d MiB: the test has not filled what may be filled", more>>20)
		}
	})
}

// faulty is a log that panics.
type faulty struct{ slog.Handler }

func (faulty) Handle(context.Context, slog.Record) error { panic("on purpose") }

// TestLogPanics holds that a bug in telling costs the lines and no mail.
func TestLogPanics(t *testing.T) {
	old := &standIn{asks: modern, says: atEnd(oldSignature, accept)}
	old.listen(t)
	var trouble bytes.Buffer
	recorder := shadow.NewRecorder(slog.New(faulty{slog.NewTextHandler(io.Discard, nil)}),
		slog.New(slog.NewTextHandler(&trouble, nil)))
	r := start(t, old, ours(nil), func(o *shadow.Options) { o.Recorder = recorder })
	c := dial(t, r.path, miltertest.Postfix, miltertest.Options{})
	m := miltertest.Message{From: "a@example.com", To: []string{"x@example.net"},
		Raw: []byte(simple)}
	for range 3 {
		if o, err := c.Send(m); err != nil || len(o.Edits) != 1 {
			t.Errorf("%v, %v, %d edits", err, o.Reply, len(o.Edits))
		}
	}
	c.Quit()
	r.stop()
	if err := recorder.Close(time.Minute); err != nil {
		t.Error(err)
	}
	if n := strings.Count(trouble.String(), "on purpose"); n != 3 {
		t.Errorf("said %d times, want 3:\n%s", n, trouble.String())
	}
	if s := recorder.Summary(); s.Messages != 3 || s.Differing != 3 {
		t.Errorf("%+v, want 3 messages that differ", s)
	}
}

// TestLogStuck holds that a log that takes nothing costs the lines, no mail, no more than 16 MiB,
// and no more than a time at the end.
func TestLogStuck(t *testing.T) {
	big := inserted("X-Big", " "+strings.Repeat("x", 60000))
	old := &standIn{asks: modern, says: atEnd(big, big, big, big, accept)}
	old.listen(t)
	reader, writer := io.Pipe()
	defer reader.Close()
	recorder := shadow.NewRecorder(slog.New(slog.NewTextHandler(writer, nil)), nil)
	r := start(t, old, ours(nil), func(o *shadow.Options) { o.Recorder = recorder })
	c := dial(t, r.path, miltertest.Postfix, miltertest.Options{})
	before := heap()
	for range 200 { // 48 MB of edits
		if o, err := c.Send(miltertest.Message{From: "a@example.com", To: []string{"x@example.net"},
			Raw: []byte(simple)}); err != nil || len(o.Edits) != 4 {
			t.Fatalf("%v, %v, %d edits", err, o.Reply, len(o.Edits))
		}
	}
	c.Quit()
	r.stop()
	if more := heap() - before; more > 24<<20 {
		t.Errorf("%d KiB wait for the log", more>>10)
	}
	if err := recorder.Close(time.Millisecond); !errors.Is(err, shadow.ErrStuck) {
		t.Errorf("Close: %v, want %v", err, shadow.ErrStuck)
	}
}
