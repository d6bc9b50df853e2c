package rig

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of this package: generous, since nothing waits that long unless it is
// broken, and since a machine may have ten times as much to do as it can.
const patience = 3 * time.Minute

// kindness is how long a process may take to end after each SIGTERM.
const kindness = 30 * time.Second

// Await waits until a condition holds that another goroutine or process brings about, and reports
// whether it did within the time after which it never will. A test that waits for an event in this
// way depends neither on how fast the machine is nor on what else it does.
func Await(holds func() bool) bool {
	for limit := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			return holds()
		}
	}
	return true
}

// Process is a server at work.
type Process struct {
	cmd   *exec.Cmd
	group cgroup
	log   *os.File      // where the output goes
	done  chan struct{} // closed when it has ended
	err   error         // how it ended
}

// StartOptions say how Start starts a process. The zero value suits a server that stays in the
// foreground.
type StartOptions struct {
	// Log is a file for what the process writes; "" for a file that has no name any more. What the
	// process has written can be read at once, which a pipe would not promise: a test that has seen
	// the answer to a message also sees its line in the log.
	Log string
	// OwnSession leaves it to the process to lead a process group: setsid(2), which Postfix's
	// master calls, fails for one that leads a group already.
	OwnSession bool
	// MemoryLimit, in bytes, puts the process and its children into a control group with no more
	// memory than that. Where none can be made, the error is ErrNoMemoryLimit.
	MemoryLimit int64
}

// Start starts a process that stays in the foreground, alone in its process group. It gets SIGTERM
// when the process that started it dies; Stop ends it before.
func Start(cmd *exec.Cmd, o StartOptions) (*Process, error) {
	log, err := createLog(o.Log)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, log: log, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	cmd.SysProcAttr.Setpgid = !o.OwnSession
	group, err := newCgroup(o.MemoryLimit)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		group.remove()
		log.Close()
		return nil, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	p.group = group
	go func() {
		p.err = cmd.Wait()
		group.remove()
		close(p.done)
	}()
	if err := group.add(p.PID()); err != nil {
		_ = p.Stop() // the error before is the one that counts
		return nil, fmt.Errorf("%w: %w", ErrNoMemoryLimit, err)
	}
	return p, nil
}

// MemoryPeak returns how much memory the process and its children, which were started with a
// MemoryLimit, have had at most: as the kernel counts against the limit, in bytes.
func (p *Process) MemoryPeak() (int64, error) { return p.group.peak() }

// createLog makes a file for output that is only ever added to, by all that write there.
func createLog(path string) (*os.File, error) {
	if path != "" {
		return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_RDWR, 0o600)
	}
	f, err := os.CreateTemp("", "mailseal-output-")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := os.OpenFile(f.Name(), os.O_APPEND|os.O_RDWR, 0)
	return file, errors.Join(err, os.Remove(f.Name()))
}

// Stop ends the process and everything that it started, and waits until it is gone: SIGTERM, once
// more for those that then stop at once, and SIGKILL. It returns how the process ended, and
// ErrKilled if it took the last.
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
	// Children that outlived it: a delivery in progress, a daemon that ignores its master's end.
	// Mostly there are none.
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

// await waits until a condition holds that news tell of. It reports false when the process ends
// before, or the time runs out.
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

// awaitOutput is await for what the process writes, of which there is no signal.
func (p *Process) awaitOutput(holds func(output string) bool) bool {
	limit := time.After(patience)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for seen := int64(-1); ; {
		if size := p.written(); size != seen {
			if seen = size; holds(p.Output()) {
				return true
			}
		}
		select {
		case <-look.C:
		case <-p.done:
			return holds(p.Output())
		case <-limit:
			return false
		}
	}
}

// written returns how many bytes the process has written.
func (p *Process) written() int64 {
	info, err := p.log.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// AwaitOutput waits until the process has written a text to standard output or error. The test ends
// when it does not, or the process ends before.
func (p *Process) AwaitOutput(t testing.TB, text string) {
	t.Helper()
	p.AwaitOutputs(t, text, 1)
}

// AwaitOutputs waits until the process has written a text so many times since it started.
func (p *Process) AwaitOutputs(t testing.TB, text string, times int) {
	t.Helper()
	if !p.awaitOutput(func(output string) bool { return strings.Count(output, text) >= times }) {
		err, _ := p.Wait(0)
		t.Fatalf("%s did not write %q %d times (its end: %v):\n%s", p.cmd.Path, text, times, err,
			p.Output())
	}
}

// AwaitSocket waits until the process accepts connections at an address, "tcp" or "unix".
func (p *Process) AwaitSocket(network, address string) error {
	// there is no signal when another process listens
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.DialTimeout(network, address, patience)
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
	text, err := io.ReadAll(io.NewSectionReader(p.log, 0, p.written()))
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
