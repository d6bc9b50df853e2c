package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// Every thread of the daemon has its timers put off, the runtime's own among them, and the process is the one that was
// started.
func TestTimerSlack(t *testing.T) {
	const config = "authserv_id = \"mx.example.com\"\nmode = \"verify\"\nlisten = [{ address = \"inet:%s@127.0.0.1\" }]\n"
	_, port, _ := net.SplitHostPort(rig.FreePort(t, local))
	pid := rig.Mailseal(t, fmt.Sprintf(config, port), rig.DaemonOptions{}).PID()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) < 3 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, thread := range threads {
		slack, err := os.ReadFile("/proc/" + thread.Name() + "/timerslack_ns")
		if errors.Is(err, fs.ErrPermission) {
			t.Skip("only root sees the slack of others:", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(slack)); got != "2000000" {
			t.Errorf("thread %s: a slack of %s ns", thread.Name(), got)
		}
	}
}
