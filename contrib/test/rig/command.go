package rig

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Command prepares a program of the root, with the root as its "/" and a small environment.
func (r *Root) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	if options := os.Getenv(raceOptions); Race && options != "" {
		cmd.Env = append(cmd.Env, raceOptions+"="+options)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir}
	return cmd
}

// Run runs a program of the root to its end and returns its standard output; a failure ends the
// test.
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

// Start starts a program of the root that stays in the foreground, until the test ends.
func (r *Root) Start(name string, args ...string) *Process {
	r.t.Helper()
	return start(r.t, r.Command(name, args...), StartOptions{})
}
