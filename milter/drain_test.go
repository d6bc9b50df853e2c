package milter

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

func TestDrain(t *testing.T) {
	f, reached, open := gate()
	r := serve(t, Settings{Filter: f}, func(o *Options, _ *ListenOptions) {
		o.DrainSoft, o.DrainHard = 100*time.Millisecond, time.Minute
	})
	idle, busy := r.wire(), r.wire()
	idle.hello()
	busy.hello()
	busy.envelope()
	busy.content()
	busy.send(guard.EndOfBody, "")
	busy.flush()
	<-reached
	r.stop()
	eventually(t, "no new connection", func() bool {
		nc, err := net.Dial("unix", r.path)
		if err == nil {
			nc.Close()
		}
		return err != nil
	})
	idle.tell(guard.Mail, "<a@example.net>\x00") // still served
	idle.send(guard.Abort, "")
	idle.wantClosed()
	if err := <-endedYet(r, 50*time.Millisecond); err != errNotYet {
		t.Fatalf("the server ended with a message in progress: %v", err)
	}
	close(open)
	if p := busy.next(); p.Code != guard.Accept {
		t.Errorf("the message in progress got %v", p.Code)
	}
	busy.wantClosed()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	r.ended <- nil
	if _, err := os.Lstat(r.path); err == nil {
		t.Error("the socket was left")
	}
}

// Where no one listens while the daemon restarts, each second of draining defers new sessions.
func TestSoftTime(t *testing.T) {
	own, systemd := &Listener{address: Address{"unix", "/s"}},
		&Listener{address: Address{"fd", "mailseal"}}
	for _, c := range []struct {
		name   string
		set    time.Duration
		closed []*Listener
		want   time.Duration
	}{
		{"our own socket", 10 * time.Second, []*Listener{own}, time.Second},
		{"our own socket, less by setting", 300 * time.Millisecond, []*Listener{own}, 300 * time.Millisecond},
		{"systemd's", 10 * time.Second, []*Listener{systemd}, 10 * time.Second},
		{"one of each", 10 * time.Second, []*Listener{own, systemd}, 10 * time.Second},
	} {
		o := New(Options{DrainSoft: c.set}, Settings{}).options.Load()
		if got := o.softTime(c.closed); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

var errNotYet = errors.New("not yet")

func endedYet(r *rig, wait time.Duration) <-chan error {
	out := make(chan error, 1)
	select {
	case err := <-r.ended:
		r.ended <- err
		out <- err
	case <-time.After(wait):
		out <- errNotYet
	}
	return out
}

// After the hard limit a message in progress ends with its connection, and its judge is told.
func TestDrainHard(t *testing.T) {
	reached, told := make(chan struct{}), make(chan struct{})
	f := &filter{decide: func(ctx context.Context, _ Mail, _ *message.Message, _ []byte) Outcome {
		close(reached)
		<-ctx.Done()
		close(told)
		return Outcome{Action: action.Accept}
	}}
	r := serve(t, Settings{Filter: f, Deadline: time.Hour},
		func(o *Options, _ *ListenOptions) { o.DrainSoft, o.DrainHard = 1, 50*time.Millisecond })
	w := r.wire()
	w.tell(guard.Connect, connectData)
	w.send(guard.Macro, "Mi\x00Q1\x00")
	w.envelope()
	w.content()
	w.send(guard.EndOfBody, "")
	w.flush()
	<-reached
	r.stop()
	w.wantClosed()
	<-told
	eventually(t, "the message is said to be lost", func() bool {
		return r.counts.event(Lost) == 1 && len(r.log.with("queue=Q1", "before the verdict")) == 1
	})
	if got := r.log.with("msg=message"); len(got) > 0 {
		t.Errorf("a verdict is claimed: %q", got)
	}
}

// An idle connection may be in the handshake when the time to go comes.
func TestDrainInHandshake(t *testing.T) {
	r := serve(t, Settings{Filter: &filter{}}, func(o *Options, _ *ListenOptions) {
		o.DrainSoft, o.DrainHard = 1, time.Hour
	})
	nc, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	eventually(t, "accepted", func() bool { return r.server.places.inUse() == 1 })
	r.stop()
	eventually(t, "draining", func() bool {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		return r.server.phase == draining
	})
	if _, err := nc.Write(guard.AppendPacket(nil, guard.Negotiate,
		[]byte(everything))); err != nil {
		t.Fatal(err)
	}
	nc.SetReadDeadline(time.Now().Add(patience)) // long before the hard limit
	if _, err := io.Copy(io.Discard, nc); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

// A judge that ends for nothing must not keep the daemon from ending.
func TestDrainGivesUp(t *testing.T) {
	f, reached, open := gate()
	r := serve(t, Settings{Filter: f}, func(o *Options, _ *ListenOptions) {
		o.DrainSoft, o.DrainHard = 1, 1
	})
	r.server.grace = time.Millisecond
	w := r.wire()
	w.tell(guard.Connect, connectData)
	w.send(guard.Macro, "Mi\x00Q1\x00")
	w.envelope()
	w.content()
	w.send(guard.EndOfBody, "")
	w.flush()
	<-reached
	r.stop()
	if err := <-r.ended; !errors.Is(err, ErrDrain) {
		t.Errorf("got %v, want ErrDrain", err)
	}
	r.ended <- nil
	close(open)
}

// TestAddBeforeServe adds listeners before Serve has begun, as a reload does that comes at once:
// they are served, but for one that was removed again, which is closed.
func TestAddBeforeServe(t *testing.T) {
	dir := t.TempDir()
	open := func(name string) *Listener {
		l, err := Listen(t.Context(), ListenOptions{Address: "unix:" + dir + "/" + name,
			Role: action.RoleAuto})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	s := New(Options{}, Settings{})
	kept, removed := open("kept"), open("removed")
	s.Add(kept)
	s.Add(removed)
	s.Remove(removed)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	c, err := miltertest.Dial(ctx, "unix:"+dir+"/kept", miltertest.Options{})
	if err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, name := range []string{"kept", "removed"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("the socket %s was left", name)
		}
	}
}
