package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"mailseal/config"
)

// TestSyslogAway logs where there is no syslog: to standard error, which is said once.
func TestSyslogAway(t *testing.T) {
	if _, err := os.Stat("/dev/log"); err == nil {
		t.Skip("this host has a syslog")
	}
	var stderr bytes.Buffer
	log, err := newLog(config.Log{Level: "info", Format: "text", Syslog: "mail"},
		new(slog.LevelVar), &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("signed", "queue", "4XyZ")
	log.Error("not signed", "queue", "4XyA")
	got := stderr.String()
	if n := strings.Count(got, "the log goes to standard error"); n != 1 {
		t.Errorf("said %d times that the syslog is away: %s", n, got)
	}
	for _, want := range []string{"msg=signed queue=4XyZ", `msg="not signed" queue=4XyA`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
