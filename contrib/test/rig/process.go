package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of this package: generous, since nothing waits that long unless it is broken.
const patience = 60 * time.Second

// kindness is how long a process may take to end after each SIGTERM.
const kindness = 10 * time.Second

// Process is a server at work.
type Process struct {
	cmd  *exec.Cmd
	log  *os.File // where the output goes; nil: to out
	out  *output
	done chan struct{} // closed when it has ended and its output has been read
	err  error         // how it ended
}

// StartOptions say how Start starts a process. The zero value suits a server that stays in the foreground.
type StartOptions struct {
	// Log is a file for what the process writes. Without it the output is kept in memory, which costs this process
	// time for each line.
	Log string
	// OwnSession leaves it to the process to lead a process group: setsid(2), which Postfix's master calls, fails for
	// one that leads a group already.
	OwnSession bool
	// MemoryLimit, in bytes, puts the process and its children into a control group with no more memory than that.
	// Where none can be made, the error is ErrNoMemoryLimit.
	MemoryLimit int64
}

// Start starts a process that stays in the foreground, alone in its process group. It gets SIGTERM when the process that
// started it dies; Stop ends it before.
func Start(cmd *exec.Cmd, o StartOptions) (*Process, error) {
	p := &Process{cmd: cmd, out: &output{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if o.Log != "" {
		var err error
		if p.log, err = os.Create(o.Log); err != nil {
			return nil, err
		}
		cmd.Stdout, cmd.Stderr = p.log, p.log
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.WaitDelay = time.Second // children that hold its output open do not count
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	cmd.SysProcAttr.Setpgid = !o.OwnSession
	group, err := newCgroup(o.MemoryLimit)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		group.remove()
		return nil, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	go func() {
		if p.err = cmd.Wait(); errors.Is(p.err, exec.ErrWaitDelay) {
			p.err = nil
		}
		group.remove()
		close(p.done)
	}()
	if err := group.add(p.PID()); err != nil {
		_ = p.Stop() // the error before is the one that counts
		return nil, fmt.Errorf("%w: %w", ErrNoMemoryLimit, err)
	}
	return p, nil
}

// Stop ends the process and everything that it started, and waits until it is gone: SIGTERM, once more for those that
// then stop at once, and SIGKILL. It returns how the process ended, and ErrKilled if it took the last.
func (p *Process) Stop() error { return p.stop(kindness) }

func (p *Process) stop(kindness time.Duration) error {
	group := -p.PID()
	err := ErrKilled
	for range 2 {
		p.Signal(syscall.SIGTERM)
		if how, ended := p.Wait(kindness); ended {
			err = how
			break
		}
	}
	// Children that outlived it: a delivery in progress, a daemon that ignores its master's end. Mostly there are none.
	_ = syscall.Kill(group, syscall.SIGKILL)
	p.Signal(syscall.SIGKILL)
	<-p.done
	return err
}

// ErrKilled reports a process that had to be killed.
var ErrKilled = errors.New("rig: killed, since it did not end after SIGTERM")

// Signal sends a signal to the process itself; nothing happens when it is gone.
func (p *Process) Signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = p.cmd.Process.Signal(s) // it may end right now
	}
}

// Wait waits for the process's own end: its error, and false when the time ran out first.
func (p *Process) Wait(limit time.Duration) (err error, ended bool) {
	select {
	case <-p.done:
		return p.err, true
	default:
	}
	select {
	case <-p.done:
		return p.err, true
	case <-time.After(limit):
		return nil, false
	}
}

// await waits until a condition holds that depends on what the process has written or said. It reports false when the
// process ends before, or the time runs out.
func (p *Process) await(news *news, holds func() bool) bool {
	limit := time.After(patience)
	for {
		next := news.next()
		if holds() {
			return true
		}
		select {
		case <-next:
		case <-p.done:
			return holds()
		case <-limit:
			return false
		}
	}
}

// AwaitOutput waits until the process has written a text to standard output or error. The test ends when it does not, or
// the process ends before.
func (p *Process) AwaitOutput(t testing.TB, text string) {
	t.Helper()
	p.AwaitOutputs(t, text, 1)
}

// AwaitOutputs waits until the process has written a text so many times since it started.
func (p *Process) AwaitOutputs(t testing.TB, text string, times int) {
	t.Helper()
	if !p.await(&p.out.news, func() bool { return strings.Count(p.Output(), text) >= times }) {
		err, _ := p.Wait(0)
		t.Fatalf("%s did not write %q %d times (its end: %v):\n%s", p.cmd.Path, text, times, err, p.Output())
	}
}

// AwaitSocket waits until the process accepts connections at an address, "tcp" or "unix".
func (p *Process) AwaitSocket(network, address string) error {
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // nobody tells when another process listens
		conn, err := net.DialTimeout(network, address, time.Second)
		if err == nil {
			return conn.Close()
		}
		if how, ended := p.Wait(0); ended {
			return fmt.Errorf("%s ended: %v\n%s", p.cmd.Path, how, tail(p.Output()))
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s does not listen: %w\n%s", p.cmd.Path, err, tail(p.Output()))
		}
	}
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Path returns the program's file.
func (p *Process) Path() string { return p.cmd.Path }

// Output returns what the process wrote to standard output and error so far.
func (p *Process) Output() string {
	if p.log == nil {
		return p.out.String()
	}
	text, err := io.ReadAll(io.NewSectionReader(p.log, 0, 1<<30))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// tail is the end of a log.
func tail(text string) string { return text[max(0, len(text)-2000):] }

// start is Start for the length of a test, which shows what the process wrote if it fails.
func start(t testing.TB, cmd *exec.Cmd, o StartOptions) *Process {
	t.Helper()
	p, err := Start(cmd, o)
	if errors.Is(err, ErrNoMemoryLimit) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Stop() // MTAs and databases end as they like; Daemon looks at how it ends
		if t.Failed() && p.Output() != "" {
			t.Logf("%s wrote:\n%s", cmd.Path, p.Output())
		}
	})
	return p
}

// news lets others wait for the next change of something.
type news struct {
	mu sync.Mutex
	ch chan struct{}
}

// next returns a channel that is closed at the next change.
func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *news) changed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
	}
	n.ch = nil
}

// output is a buffer that a process writes while a test reads.
type output struct {
	news news
	mu   sync.Mutex
	b    bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	n, err := o.b.Write(p)
	o.mu.Unlock()
	o.news.changed()
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
