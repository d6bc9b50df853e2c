package reporting

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/report/store"
)

// mailServer takes mail on loopback, and returns its address and what each session sent.
func mailServer(t *testing.T) (string, <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	sessions := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sessions <- session(c)
		}
	}()
	return l.Addr().String(), sessions
}

// session answers every command and returns what was sent.
func session(c net.Conn) string {
	defer c.Close()
	var all strings.Builder
	fmt.Fprint(c, "220 here\r\n")
	isData := false
	for s := bufio.NewScanner(c); s.Scan(); {
		line := s.Text()
		all.WriteString(line + "\n")
		switch {
		case isData && line != ".":
			continue
		case line == "DATA":
			isData = true
			fmt.Fprint(c, "354 go on\r\n")
		case line == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return all.String()
		default:
			isData = false
			fmt.Fprint(c, "250 yes\r\n")
		}
	}
	return all.String()
}

// An alert goes to the mail server of reports.smtp once, without an envelope sender.
func TestAlert(t *testing.T) {
	address, sessions := mailServer(t)
	dir := t.TempDir()
	cfg, err := config.Parse("mailseal.toml", []byte(`
[reports]
from = "dmarc@reports.example.com"
smtp = "`+address+`"
directory = "`+dir+`"
[reports.alerts]
to = ["postmaster@example.com"]
`))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return now }}
	s, err := p.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if jobs := alertJobs(p, s); len(jobs) != 1 {
		t.Fatalf("got %d jobs, want one", len(jobs))
	}
	if _, err := s.Raise(t.Context(), now, time.Hour,
		store.Alert{Code: "test-mail", Text: "It says so."}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := p.Alert(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	got := <-sessions
	for _, want := range []string{
		"MAIL FROM:<>", "RCPT TO:<postmaster@example.com>", "From: <dmarc@reports.example.com>",
		"Auto-Submitted: auto-generated", "test-mail: It says so.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if len(sessions) > 0 {
		t.Errorf("the alert was mailed again:\n%s", <-sessions)
	}
	var list bytes.Buffer
	out := &Out{Config: cfg, Now: now, Output: &list}
	if err := out.Alerts(context.Background()); err != nil ||
		!strings.Contains(list.String(), "mailed 2026-11-30") {
		t.Errorf("the list: %v\n%s", err, &list)
	}
	if err := out.AlertTest(t.Context()); err != nil ||
		!strings.Contains(<-sessions, "This is a test:") {
		t.Errorf("the test: %v", err)
	}
}

func TestNoAlertsWithoutAddress(t *testing.T) {
	cfg, err := config.Parse("mailseal.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if jobs := alertJobs(&Process{Config: cfg}, nil); len(jobs) > 0 {
		t.Errorf("got %d jobs, want none", len(jobs))
	}
}
