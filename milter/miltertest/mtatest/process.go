package mtatest

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of this package: generous, since nothing waits that long unless it is broken.
const patience = 30 * time.Second

// Command prepares a program of the root, with the root as its "/" and an environment of two lines.
func (r *Root) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir}
	return cmd
}

// Run runs a program of the root to its end and returns its standard output; a failure ends the test.
func (r *Root) Run(stdin []byte, name string, args ...string) string {
	r.t.Helper()
	return r.run(r.t, stdin, name, args...)
}

func (r *Root) run(t testing.TB, stdin []byte, name string, args ...string) string {
	t.Helper()
	cmd := r.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &complaints)
	}
	return string(out)
}

// Process is a daemon of a root, alone in its process group.
type Process struct {
	cmd  *exec.Cmd
	out  *buffer
	done chan struct{}
	err  error
}

// Start starts a daemon that stays in the foreground. It gets SIGTERM when the test ends, or the test's process does.
func (r *Root) Start(name string, args ...string) *Process {
	r.t.Helper()
	cmd := r.Command(name, args...)
	cmd.SysProcAttr.Setpgid = true
	return r.start(cmd)
}

// start starts a daemon that leads a process group, or will at once make one of its own.
func (r *Root) start(cmd *exec.Cmd) *Process {
	r.t.Helper()
	p := &Process{cmd: cmd, out: &buffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("%s: %v", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	r.t.Cleanup(func() {
		p.Stop()
		if r.t.Failed() && p.Output() != "" {
			r.t.Logf("%s wrote:\n%s", cmd.Path, p.Output())
		}
	})
	return p
}

// Stop ends the daemon and everything it started, and waits until it is gone.
func (p *Process) Stop() {
	group := -p.cmd.Process.Pid
	p.Signal(syscall.SIGTERM)
	if _, ok := p.Wait(10 * time.Second); !ok {
		syscall.Kill(group, syscall.SIGKILL)
		<-p.done
	}
	// Children that outlived it: a delivery in progress, a daemon that ignores its master's end. Mostly there are none.
	_ = syscall.Kill(group, syscall.SIGKILL)
}

// Signal sends a signal to the daemon itself; nothing happens when it is gone.
func (p *Process) Signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		p.cmd.Process.Signal(s)
	}
}

// Wait waits for the daemon's own end: its error, and false when the time ran out first.
func (p *Process) Wait(limit time.Duration) (err error, ended bool) {
	select {
	case <-p.done:
		return p.err, true
	case <-time.After(limit):
		return nil, false
	}
}

// AwaitOutput waits until the daemon has written a text to standard output or error. The test ends when it does not, or
// the daemon ends before.
func (p *Process) AwaitOutput(t testing.TB, text string) {
	t.Helper()
	for limit := time.Now().Add(patience); !strings.Contains(p.Output(), text); time.Sleep(5 * time.Millisecond) {
		if err, ended := p.Wait(0); ended {
			t.Fatalf("%s ended: %v\n%s", p.cmd.Path, err, p.Output())
		}
		if time.Now().After(limit) {
			t.Fatalf("%s did not write %q:\n%s", p.cmd.Path, text, p.Output())
		}
	}
}

// PID returns the daemon's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns what the daemon wrote to standard output and error so far.
func (p *Process) Output() string { return p.out.String() }

// buffer is a bytes.Buffer that a process writes while a test reads.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
