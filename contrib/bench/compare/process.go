package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a server may take to start or to end.
const patience = 60 * time.Second

// process is a milter at work.
type process struct {
	cmd      *exec.Cmd
	socket   string
	profiles string // where a mailseal serves its profiles
	ended    chan struct{}
}

// start runs a milter that listens on socket, on the cores of the servers, and waits until it accepts connections. It
// returns how long that took. What it logs goes to a file.
func start(cmd *exec.Cmd, socket, log string) (*process, time.Duration, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := onCores(serverCores(), cmd.Start); err != nil {
		return nil, 0, err
	}
	p := &process{cmd: cmd, socket: socket, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // why it ended is in its log
		close(p.ended)
	}()
	if err := p.awaitSocket(); err != nil {
		p.stop()
		text, _ := os.ReadFile(log)
		return nil, 0, fmt.Errorf("%s: %w\n%s", cmd.Path, err, tail(text))
	}
	return p, time.Since(began), nil
}

func (p *process) awaitSocket() error {
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		if c, err := net.Dial("unix", p.socket); err == nil {
			return c.Close()
		}
		select {
		case <-p.ended:
			return errors.New("ended at once")
		default:
		}
	}
	return errors.New("does not listen")
}

// stop ends the milter, kindly at first.
func (p *process) stop() {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL} {
		_ = p.cmd.Process.Signal(s) // it may have ended
		select {
		case <-p.ended:
			return
		case <-time.After(2 * time.Second):
		}
	}
	<-p.ended
}

// cpu is all the processor time that the process has used, threads that have ended included.
func (p *process) cpu() (time.Duration, error) {
	// The clock of another process by its number, as clock_getcpuclockid(3) makes it; /proc counts in steps of 10 ms.
	clock := int32(^p.cmd.Process.Pid<<3 | 2)
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.cmd.Path, err)
	}
	return time.Duration(now.Nano()), nil
}

// resident is the process' resident memory in octets.
func (p *process) resident() (int64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmRSS in /proc")
}

// serverCores are the two cores that servers run on, or what there is.
func serverCores() unix.CPUSet { return cores(0, min(2, runtime.NumCPU())) }

// driverCores are the other ones. On a machine of two cores they are the same: the driver then takes time from the
// server, which changes rates and latency, but hardly the server's processor time.
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

// tail is the end of a log.
func tail(text []byte) []byte { return text[max(0, len(text)-2000):] }
