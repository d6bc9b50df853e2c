package mtatest

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Service is a daemon that tells systemd how it is (sd_notify, Type=notify).
type Service struct {
	*Process
	mu     sync.Mutex
	states []string
}

// notifySocket is NOTIFY_SOCKET as the daemons of a root see it.
const notifySocket = "/run/notify.sock"

// startService starts a daemon as systemd does, with a watchdog that wants to hear of it every two seconds, and waits
// until it says that it is ready.
func (r *Root) startService(cmd *exec.Cmd) *Service {
	r.t.Helper()
	s := &Service{}
	s.listen(r)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+notifySocket, "WATCHDOG_USEC=2000000")
	cmd.SysProcAttr.Setpgid = true
	s.Process = r.start(cmd)
	s.Await(r.t, "READY=1", 1)
	return s
}

func (s *Service) listen(r *Root) {
	r.t.Helper()
	address := &net.UnixAddr{Net: "unixgram", Name: shortPath(r.t, r.Path(notifySocket))}
	os.Remove(address.Name) // of an earlier service in the same root
	conn, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if err := os.Chmod(address.Name, 0o666); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.states = append(s.states, strings.Split(strings.TrimSpace(string(b[:n])), "\n")...)
			s.mu.Unlock()
		}
	}()
}

// Await waits until the daemon has said a thing ("READY=1", "WATCHDOG=1") so many times since it started. The test ends
// when it does not, or the daemon ends before.
func (s *Service) Await(t testing.TB, state string, times int) {
	t.Helper()
	limit := time.Now().Add(patience)
	for ; s.said(state) < times; time.Sleep(5 * time.Millisecond) {
		if err, ended := s.Wait(0); ended && time.Until(limit) > time.Second {
			limit = time.Now().Add(time.Second) // its last words may still be on their way
		} else if time.Now().After(limit) {
			t.Fatalf("%s did not say %s (its end: %v)\n%s", s.cmd.Path, state, err, s.Output())
		}
	}
}

func (s *Service) said(state string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, have := range s.states {
		if have == state {
			n++
		}
	}
	return n
}
