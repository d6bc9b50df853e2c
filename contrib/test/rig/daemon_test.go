package rig

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

const verifies = "authserv_id = \"mx.example.com\"\nmode = \"verify\"\nlisten = [{ address = \"inet:%s@127.0.0.1\" }]\n"

// TestDaemon starts mailseal as a user of its own, with an environment and little memory.
func TestDaemon(t *testing.T) {
	listen := port(FreePort(t, Host))
	config := fmt.Sprintf(verifies, listen)
	d := Mailseal(t, config, DaemonOptions{User: "mailseal", Env: []string{"GOMEMLIMIT=100MiB"}})
	info, err := os.Stat(fmt.Sprint("/proc/", d.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if user := int(info.Sys().(*syscall.Stat_t).Uid); user != uid(t, "mailseal") {
		t.Errorf("it runs as user %d", user)
	}
	if got := d.Addr(t); got != "inet:"+listen+"@127.0.0.1" {
		t.Errorf("it listens on %s", got)
	}
	if got := d.Metrics(t)["mailseal_connections"]; got != 0 {
		t.Errorf("%v connections", got)
	}
	if limit := d.Metrics(t)["go_gc_gomemlimit_bytes"]; limit != 100<<20 {
		t.Errorf("GOMEMLIMIT is %v", limit)
	}
	if !d.Reload(t) || len(d.Logs(t, "reloaded")) != 1 {
		t.Errorf("not reloaded:\n%s", d.Output())
	}
	d.Configure("a mistake\n")
	if d.Reload(t) || !strings.Contains(d.Output(), "not reloaded") {
		t.Errorf("a mistake was loaded:\n%s", d.Output())
	}
	d.Configure(config)
	if !d.Reload(t) {
		t.Errorf("not reloaded, though it is good again:\n%s", d.Output())
	}
	d.Stop(t)
}

func TestDaemonWithLittleMemory(t *testing.T) {
	d := Mailseal(t, fmt.Sprintf(verifies, port(FreePort(t, Host))), DaemonOptions{User: "mailseal",
		MemoryLimit: 256 << 20})
	if list, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", d.PID())); err != nil ||
		!strings.Contains(string(list), "/mailseal-test-") {
		t.Errorf("it is in no group of its own: %s, %v", list, err)
	}
}

// TestKill ends a daemon as the kernel does. No one is to blame for that.
func TestKill(t *testing.T) {
	d := Mailseal(t, fmt.Sprintf(verifies, port(FreePort(t, Host))), DaemonOptions{})
	d.Kill()
	if err, ended := d.Wait(0); !ended || err == nil {
		t.Errorf("killed, and ended with %v", err)
	}
}

func TestCrash(t *testing.T) {
	for _, tt := range []struct {
		name, output string
		want         bool
	}{
		{"nothing", "", false},
		{"a log", "{\"msg\":\"message\",\"action\":\"accept\"}\ntime=1 level=INFO msg=reloaded\n", false},
		{"a word of a sender", "{\"msg\":\"message\",\"queue\":\"panic: x\"}\ntime=1 msg=message from=\"panic: x\"\n",
			false},
		{"a data race", "==================\nWARNING: DATA RACE\nRead at 0x1\n", true},
		{"a panic", "time=1 msg=x\npanic: runtime error: index out of range\n\ngoroutine 1 [running]:\n", true},
		{"out of memory", "fatal error: out of memory\n", true},
		{"survived, as text", "time=1 level=ERROR msg=\"panic: a bug\" in=connection panic=x\n", true},
		{"survived, as JSON", "{\"level\":\"ERROR\",\"msg\":\"panic: a bug\",\"in\":\"connection\"}\n", true},
	} {
		if got := crash.MatchString(tt.output); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestRun(t *testing.T) {
	if r := Run(t, "version"); r.Code != 0 || !strings.Contains(r.Stdout, "mailseal") {
		t.Errorf("version: %+v", r)
	}
	if r := RunWith(t, []byte("From: a@example.com\n\n"), "no-such-command"); r.Code == 0 ||
		r.Stderr == "" {
		t.Errorf("no such command: %+v", r)
	}
}
