package shadow_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
	"mailseal/milter/shadow"
)

// How connections end: half, with the daemon, and with an upstream that comes back.

// TestHalfClosed holds that an MTA which has said all that it has to say still gets the answer, and
// that the upstream learns of it: this one does not answer before.
func TestHalfClosed(t *testing.T) {
	old := &standIn{path: filepath.Join(t.TempDir(), "old")}
	l, err := net.Listen("unix", old.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		f := guard.NewFramer(nc, guard.Limits{})
		for {
			p, err := f.ReadPacket()
			if err != nil {
				break
			}
			if p.Code == guard.Negotiate {
				f.WritePacket(guard.Negotiate, modern.Data())
				f.Flush()
			}
		}
		f.WritePacket(guard.Reject)
		f.Flush()
	}()
	r := start(t, old, ours(nil))
	nc, f := negotiated(t, r.path)
	f.WritePacket(guard.Mail, []byte("<a@example.com>\x00"))
	f.Flush()
	nc.CloseWrite()
	if p, err := f.ReadPacket(); err != nil || p.Code != guard.Reject {
		t.Errorf("the answer is %v, %v, want the upstream's", p.Code, err)
	}
	if _, err := f.ReadPacket(); err != io.EOF {
		t.Errorf("after it came %v, want the end", err)
	}
}

// negotiated is an MTA that has said no more than what it can do.
func negotiated(t *testing.T, path string) (*net.UnixConn, *guard.Framer) {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	f := guard.NewFramer(nc, guard.Limits{})
	f.WritePacket(guard.Negotiate, guard.Agreement{Version: 6, Actions: 0x1ff,
		Protocol: 0x1fffff}.Data())
	if _, err := f.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	return nc.(*net.UnixConn), f
}

// TestDrain holds that a message in progress when the proxy is told to stop gets its verdict, and
// that connections end without one and after it.
func TestDrain(t *testing.T) {
	old := &standIn{asks: modern, says: atEnd(oldSignature, accept)}
	old.listen(t)
	r := start(t, old, ours(nil), func(o *shadow.Options) {
		o.DrainSoft, o.DrainHard = time.Millisecond, time.Hour
	})
	_, idle := negotiated(t, r.path)
	busy := dial(t, r.path, miltertest.Postfix, miltertest.Options{})
	m := miltertest.Message{From: "a@example.com", To: []string{"x@example.net"},
		Raw: []byte(simple)}
	begun, err := busy.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		r.stop()
		close(stopped)
	}()
	if _, err := idle.ReadPacket(); err != io.EOF {
		t.Errorf("the connection without a message: %v, want the end", err)
	}
	if o, err := busy.Finish(begun); err != nil || o.Refused() || len(o.Edits) != 1 {
		t.Errorf("the message in progress: %v, %v, %d edits", err, o.Reply, len(o.Edits))
	}
	<-stopped
	if s := r.recorder.Summary(); s.Messages != 1 {
		t.Errorf("%+v, want one message", s)
	}
}

// TestClose holds that Close ends what does not end by itself.
func TestClose(t *testing.T) {
	old := &standIn{asks: modern}
	old.listen(t)
	proxy := shadow.New(shadow.Options{Upstream: old.dial, Recorder: shadow.NewRecorder(nil, nil),
		DrainSoft: time.Hour,
		Judge:     func(context.Context) (net.Conn, error) { return nil, errors.New("nobody") }})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "new"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- proxy.Serve(ctx, l) }()
	c := dial(t, l.Addr().String(), miltertest.Postfix, miltertest.Options{})
	if _, err := c.Begin(miltertest.Message{From: "a@example.com",
		To: []string{"x@example.net"}}); err != nil {
		t.Fatal(err)
	}
	stop()
	proxy.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestUpstreamRestarted holds that MTAs which come after the upstream has come back find it, and
// that each absence is told.
func TestUpstreamRestarted(t *testing.T) {
	old := &standIn{asks: modern, path: filepath.Join(t.TempDir(), "old")}
	r := start(t, old, ours(nil))
	if _, err := miltertest.Dial(t.Context(), "unix:"+r.path, miltertest.Options{}); err == nil {
		t.Error("an MTA is served though the upstream is away")
	}
	old.listen(t)
	c := dial(t, r.path, miltertest.Sendmail, miltertest.Options{})
	o, err := c.Send(miltertest.Message{From: "a@example.com", To: []string{"x@example.net"},
		Raw: []byte(simple)})
	if err != nil || o.Refused() {
		t.Errorf("%v, %v", o.Reply, err)
	}
	c.Quit()
	lines := r.lines()
	if len(lines) != 2 || lines[0]["msg"] != "old milter unreached" || lines[1]["msg"] != "same" {
		t.Errorf("the log has %v", lines)
	}
}

// TestUpstreamDies holds that a message that dies with the upstream is told as such, and not as one
// that the client gave up.
func TestUpstreamDies(t *testing.T) {
	old := &standIn{asks: modern, says: atEnd(hangUp)}
	old.listen(t)
	r := start(t, old, ours(nil))
	c := dial(t, r.path, miltertest.Postfix, miltertest.Options{})
	o, err := c.Send(miltertest.Message{From: "a@example.com", To: []string{"x@example.net"},
		Raw: []byte(simple)})
	if err == nil || !o.Refused() {
		t.Errorf("%v, %v, want a broken connection", o.Reply, err)
	}
	c.Close()
	lines := r.lines()
	if len(lines) != 2 || lines[0]["msg"] != "connection ended by the old milter" ||
		lines[1]["why"] != "the upstream ended the connection" {
		t.Errorf("the log has %v", lines)
	}
	if s := r.recorder.Summary(); s.Broken != 1 || s.Messages != 1 || s.Aborted != 0 {
		t.Errorf("%+v", s)
	}
}

// TestLeaving holds that no end of an MTA's is one of the upstream's.
func TestLeaving(t *testing.T) {
	old := &standIn{asks: modern}
	old.listen(t)
	r := start(t, old, ours(nil))
	for _, as := range []miltertest.MTA{miltertest.Postfix, miltertest.Sendmail} {
		for _, leave := range []func(*miltertest.Conn) error{(*miltertest.Conn).Quit,
			(*miltertest.Conn).Drop, (*miltertest.Conn).Close} {
			if err := leave(dial(t, r.path, as, miltertest.Options{})); err != nil {
				t.Error(err)
			}
		}
	}
	if lines := r.lines(); len(lines) != 0 {
		t.Errorf("the log has %v", lines)
	}
}
