package shadow_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"mailseal/milter/guard"
	"mailseal/milter/shadow"
)

// counted is a connection that is waited for until it is closed.
type counted struct {
	net.Conn
	closed func()
}

func (c counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

// SyscallConn gives what the connection itself has.
func (c counted) SyscallConn() (syscall.RawConn,
	error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

// hungHost is a proxy before an upstream that hangs at some point of each connection, and the
// descriptors that it has open.
type hungHost struct {
	net.Listener               // of the proxy
	reached      chan struct{} // the upstream hangs in one more connection

	mu     sync.Mutex
	change *sync.Cond
	open   int
}

func (h *hungHost) counted(nc net.Conn) net.Conn {
	h.count(1)
	return counted{nc, sync.OnceFunc(func() { h.count(-1) })}
}

func (h *hungHost) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open += n
	h.change.Broadcast()
}

// awaitClosed waits until no descriptor is open.
func (h *hungHost) awaitClosed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.open > 0 {
		h.change.Wait()
	}
}

func (h *hungHost) Accept() (net.Conn, error) {
	nc, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return h.counted(nc), nil
}

// newHungHost starts a proxy before an upstream that reads so many packets of a connection, and no
// more; with less than none it cannot even be connected to.
func newHungHost(t *testing.T, network string, reads int) *hungHost {
	t.Helper()
	listen := func(name string) net.Listener {
		at := "127.0.0.1:0"
		if network == "unix" {
			at = filepath.Join(t.TempDir(), name)
		}
		l, err := net.Listen(network, at)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	old := listen("old")
	h := &hungHost{Listener: listen("new"), reached: make(chan struct{})}
	h.change = sync.NewCond(&h.mu)
	go h.hang(old, reads)
	proxy := shadow.New(shadow.Options{
		Recorder: shadow.NewRecorder(nil, nil),
		Judge:    deaf(t),
		Upstream: func(ctx context.Context) (net.Conn, error) {
			if reads < 0 {
				h.reached <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			nc, err := new(net.Dialer).DialContext(ctx, network, old.Addr().String())
			if err != nil {
				return nil, err
			}
			return h.counted(nc), nil
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- proxy.Serve(ctx, h) }()
	t.Cleanup(func() {
		stop()
		proxy.Close()
		<-ended
		old.Close()
	})
	return h
}

func (h *hungHost) hang(old net.Listener, reads int) {
	var kept []net.Conn
	for {
		nc, err := old.Accept()
		if err != nil {
			break
		}
		kept = append(kept, nc)
		go func() {
			f := guard.NewFramer(nc, guard.Limits{})
			for range reads {
				p, err := f.ReadPacket()
				if err != nil {
					break
				}
				if p.Code == guard.Negotiate {
					f.WritePacket(guard.Negotiate,
						asking(0xff000|guard.NoReplyHeader|guard.LeadingSpace).Data())
					f.Flush()
				}
			}
			h.reached <- struct{}{}
		}()
	}
	for _, nc := range kept {
		nc.Close()
	}
}

// TestClientsLeaveWhileUpstreamHangs holds that no descriptor is kept for clients that have left,
// wherever the upstream hangs: it cannot be connected to, it does not negotiate, it does not answer
// in a message, or it takes no more of a body.
func TestClientsLeaveWhileUpstreamHangs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says of a connection that is not read from that the peer has closed it")
	}
	mail := guard.AppendPacket(nil, guard.Mail, []byte("<a@example.com>\x00"))
	for _, tc := range []struct {
		name  string
		reads int
		sends []byte // after the negotiation
	}{
		{"when it is connected to", -1, nil},
		{"at the negotiation", 0, nil},
		{"in a message", 2, mail},
		{"in a body", 2, append(bytes.Clone(mail), bytes.Repeat(body, 40)...)},
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(fmt.Sprint(tc.name, ", ", network), func(t *testing.T) {
				t.Parallel()
				h := newHungHost(t, network, tc.reads)
				for range 30 {
					leaveHung(t, h, tc.reads, tc.sends)
				}
				h.awaitClosed()
			})
		}
	}
}

// leaveHung is a client that closes its connection once the upstream hangs.
func leaveHung(t *testing.T, h *hungHost, reads int, sends []byte) {
	t.Helper()
	nc, err := net.Dial(h.Addr().Network(), h.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	offer := guard.Agreement{Version: 6, Actions: 0x1ff, Protocol: 0x1fffff}
	if _, err := nc.Write(guard.AppendPacket(nil, guard.Negotiate, offer.Data())); err != nil {
		t.Fatal(err)
	}
	if reads > 0 {
		if _, err := guard.NewFramer(nc, guard.Limits{}).ReadPacket(); err != nil {
			t.Fatal(err)
		}
	}
	sent := make(chan struct{})
	go func() {
		_, _ = nc.Write(sends) // which is not taken to its end
		close(sent)
	}()
	<-h.reached
	nc.Close()
	<-sent
}
