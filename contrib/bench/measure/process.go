package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mailseal/contrib/test/rig"
)

// Process is a milter at work, with the processes that it has started.
type Process struct {
	*rig.Process
	Socket   string
	profiles string // where a mailseal serves its profiles
}

// Start runs a milter that listens on socket, on the cores of the servers, and waits until it
// accepts connections. It returns how long that took. What it logs goes to a file.
func Start(cmd *exec.Cmd, socket, log string) (*Process, time.Duration, error) {
	p := &Process{Socket: socket}
	began := time.Now()
	err := onCores(serverCores(), func() (err error) {
		defer slackenTimers()()
		p.Process, err = rig.Start(cmd, rig.StartOptions{Log: log})
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if err := p.AwaitSocket("unix", socket); err != nil {
		p.Stop()
		return nil, 0, err
	}
	return p, time.Since(began), nil
}

// Stop ends the milter. How it ends does not matter to what was measured.
func (p *Process) Stop() { _ = p.Process.Stop() }

// CPU is all the processor time that the processes have used, threads that have ended included.
func (p *Process) CPU() (sum time.Duration, err error) {
	for _, pid := range p.family() {
		// The clock of another process by its number, as clock_getcpuclockid(3) makes it; /proc
		// counts in steps of 10 ms.
		var now unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &now); err != nil {
			return 0, fmt.Errorf("processor time of %s: %w", p.Path(), err)
		}
		sum += time.Duration(now.Nano())
	}
	return sum, nil
}

// Resident is the processes' resident memory in octets. What they share counts for each.
func (p *Process) Resident() (int64, error) { return p.sum("VmRSS:") }

// Own is the part of Resident that is not of files: heap, stacks, and what was written of the
// program's data.
func (p *Process) Own() (int64, error) { return p.sum("RssAnon:") }

// sum adds a line of /proc/PID/status up for all processes, in octets.
func (p *Process) sum(line string) (sum int64, err error) {
	for _, pid := range p.family() {
		one, err := status(pid, line)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

func status(pid int, name string) (int64, error) {
	all, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(all) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == name {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/%d/status", name, pid)
}

// family is the numbers of the process and of all that it has started, and they.
func (p *Process) family() []int {
	all := []int{p.PID()}
	for i := 0; i < len(all); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, list := range lists {
			text, _ := os.ReadFile(list) // a thread that has just ended has no children
			for _, f := range strings.Fields(string(text)) {
				if pid, err := strconv.Atoi(f); err == nil {
					all = append(all, pid)
				}
			}
		}
	}
	return all
}

// Settle waits until the process has nothing to do: until it has used hardly any processor time for
// a while.
func (p *Process) Settle() error {
	const step, idle, enough, limit = 50 * time.Millisecond, time.Millisecond, 4, 5 * time.Minute
	before, err := p.CPU()
	calm := 0
	for began := time.Now(); err == nil && calm < enough; calm++ {
		if time.Since(began) > limit {
			return fmt.Errorf("%s does not come to rest", p.Path())
		}
		time.Sleep(step)
		var now time.Duration
		if now, err = p.CPU(); now-before > idle {
			calm = -1
		}
		before = now
	}
	return err
}

// Profile returns what a mailseal answers to a query for a profile, such as "profile?seconds=2" or
// "heap?gc=1".
func (p *Process) Profile(query string) ([]byte, error) { return p.get("debug/pprof/" + query) }

// Metric returns a mailseal's metric, which has no labels.
func (p *Process) Metric(name string) (float64, error) {
	all, err := p.get("metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(all)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}

// get returns what a mailseal answers at the address of its metrics.
func (p *Process) get(path string) ([]byte, error) {
	url := fmt.Sprintf("http://%s/%s", p.profiles, path)
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, errors.New(url + ": " + r.Status)
	}
	return io.ReadAll(r.Body)
}

// serverCores are the two cores that servers run on, or what there is.
func serverCores() unix.CPUSet { return cores(0, min(2, runtime.NumCPU())) }

// driverCores are the other ones. On a machine of two cores they are the same: the driver then
// takes time from the server, which changes rates and latency, but hardly the server's processor
// time.
func driverCores() unix.CPUSet {
	if runtime.NumCPU() <= 2 {
		return serverCores()
	}
	return cores(2, runtime.NumCPU())
}

func cores(from, to int) (set unix.CPUSet) {
	for c := from; c < to; c++ {
		set.Set(c)
	}
	return set
}

// onCores calls f, whose child processes run on the given cores alone.
func onCores(set unix.CPUSet, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return f() // a container may forbid it, or have other cores: the scheduler decides
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return f()
}

// slackenTimers gives what the calling thread starts the timer slack that our units set
// (TimerSlackNSec=): every server here has it. It returns what ends that. The thread must be
// locked.
func slackenTimers() (restore func()) {
	const slack = 2_000_000 // nanoseconds
	before, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0) != nil {
		return func() {}
	}
	return func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(before), 0, 0, 0) }
}
