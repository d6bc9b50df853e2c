package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv("MAILSEAL_RIG_STARTER") != "" {
		starter()
	}
	Main(m)
}

// shell is a script that says when it is ready.
func shell(script string) *exec.Cmd { return exec.Command("sh", "-c", script) }

func TestStop(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		isKilled     bool
		code         int
	}{
		{"ends well", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", false, 0},
		{"ends with an error", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", false, 3},
		{"had ended", "echo ready; exit 4", false, 4},
		{"with a child that holds the output",
			"trap 'exit 0' TERM; sleep 1000 & echo ready; while :; do sleep 0.01; done", false, 0},
		{"does not listen", "trap '' TERM; echo ready; while :; do sleep 0.01; done", true, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Start(shell(tt.script), StartOptions{})
			if err != nil {
				t.Fatal(err)
			}
			p.AwaitOutput(t, "ready")
			if tt.name == "had ended" {
				p.Wait(patience)
			}
			kindness := patience
			if tt.isKilled {
				kindness = 50 * time.Millisecond
			}
			err = p.stop(kindness)
			if errors.Is(err, ErrKilled) != tt.isKilled ||
				p.cmd.ProcessState.ExitCode() != tt.code {
				t.Errorf("ended with %v, exit status %d; want %d", err,
					p.cmd.ProcessState.ExitCode(), tt.code)
			}
			if err := syscall.Kill(-p.PID(), 0); err == nil && !isZombie(p.PID()) {
				t.Error("something of it is left")
			}
		})
	}
}

// isZombie reports whether all that is left of a process group waits for init.
func isZombie(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(after); len(f) > 2 && f[2] == fmt.Sprint(group) && f[0] != "Z" {
			return false
		}
	}
	return true
}

// TestLog keeps the output in a file, from the first byte on.
func TestLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	p, err := Start(shell("echo one; echo two >&2"), StartOptions{Log: file})
	if err != nil {
		t.Fatal(err)
	}
	if err, ended := p.Wait(patience); err != nil || !ended {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "one\ntwo\n" ||
		p.Output() != "one\ntwo\n" {
		t.Errorf("the file has %q, %v; Output returns %q", text, err, p.Output())
	}
}

// starter is a process that starts another, says which, and dies.
func starter() {
	p, err := Start(exec.Command("sleep", "1000"), StartOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	os.Exit(0)
}

// TestDiesWithItsStarter ends a process whose starter had no time to stop it.
func TestDiesWithItsStarter(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MAILSEAL_RIG_STARTER=yes")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(out), &pid); err != nil {
		t.Fatal(err)
	}
	if !Await(func() bool { return isZombie(pid) }) {
		t.Fatalf("process %d lives on", pid)
	}
}

func TestMemoryLimit(t *testing.T) {
	const limit = 64 << 20
	p, err := Start(shell("sleep 0.1; x=$(head -c 3000000 /dev/zero | tr '\\0' a); echo ready; exec sleep 1000"),
		StartOptions{MemoryLimit: limit})
	if errors.Is(err, ErrNoMemoryLimit) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Stop() }() // a shell ends by the signal
	_, file, err := memoryGroup()
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(list), "/mailseal-test-")
	name, _, _ := strings.Cut(after, "\n")
	parent, _, _ := memoryGroup()
	dir := filepath.Join(parent, "mailseal-test-"+name)
	if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil ||
		strings.TrimSpace(string(text)) != fmt.Sprint(limit) {
		t.Errorf("the limit is %q, %v; want %d", text, err, limit)
	}
	p.AwaitOutput(t, "ready")
	if peak, err := p.MemoryPeak(); err != nil || peak <= 0 || peak > limit {
		t.Errorf("at most %d bytes, %v", peak, err)
	}
	_ = p.Stop()
	if _, err := os.Stat(dir); err == nil {
		t.Error("the group is still there")
	}
}
