package reporting

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/report/evidence"
)

// TestTestRole runs the role on a unix socket: the daemon's writer sees that pages are served, a
// mail that it keeps is on its page, the store of reports is not touched, and when the role ends
// there are no pages any more.
func TestTestRole(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "test.sock")
	cfg := &config.Config{Test: config.Test{Address: "test@example.net",
		PageURL: "https://mx.example.net/", PageAddress: "unix:" + socket, Days: 7}}
	cfg.Reports.Directory, cfg.Reports.Store = dir, "sqlite:"+filepath.Join(dir, "reports.db")
	cfg.Reports.SpoolDirectory = filepath.Join(dir, "spool")
	ctx, cancel := context.WithCancel(context.Background())
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now, Version: "test"}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.Serve(ctx, []Role{testRole()}, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := TestAddress(&out, cfg, true); err != nil {
		t.Fatal(err)
	}
	var made struct{ Address, Page string }
	if err := json.Unmarshal(out.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	token := evidence.TokenOf(made.Address)
	if path, ok := strings.CutPrefix(made.Page, "https://mx.example.net/t/"); !ok ||
		path != token || token == "" {
		t.Fatalf("%+v", made)
	}
	mail := evidence.Mail{Token: token, Time: time.Now(),
		Client: netip.MustParseAddr("198.51.100.7"), Sender: "a@good.example",
		Recipient: made.Address, DMARC: evidence.DMARC{Value: "pass", Author: "good.example"},
		Code: 550}
	daemon, stop := context.WithCancel(ctx)
	w := evidence.NewWriter(cfg.Reports.SpoolDirectory, p.Log, time.Now)
	if !w.Keep(mail) {
		t.Fatal("no page is served")
	}
	stop()
	w.Run(daemon) // writes what waits
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _,
		_ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	for path, want := range map[string]string{"/t/" + token: "dmarc=pass", "/": "Send a mail to",
		"/out": "nothing under this address"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://test"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(a.Body)
		_ = a.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: %d without %q: %s", path, a.StatusCode, want, body)
		}
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("end: %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "reports.db*")); len(found) > 0 {
		t.Errorf("the store of reports was opened: %v", found)
	}
	if evidence.NewWriter(cfg.Reports.SpoolDirectory, p.Log, time.Now).Keep(mail) {
		t.Error("a page is promised though none is served")
	}
}

// TestTestRoleIsOff holds that without pages nothing is opened.
func TestTestRoleIsOff(t *testing.T) {
	cfg := &config.Config{Test: config.Test{Address: "test@example.net"}}
	part, err := testRole().Build(t.Context(),
		&Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil || part.Serve != nil || part.Jobs != nil {
		t.Errorf("%+v, %v", part, err)
	}
	if err := TestAddress(io.Discard, cfg, false); err == nil ||
		!strings.Contains(err.Error(), "test.page_url") {
		t.Errorf("%v", err)
	}
}

// stuckServer is a Transport of a mail server that does not answer.
type stuckServer struct{ asked chan struct{} }

func (s stuckServer) Hand(ctx context.Context, _, _ string, _ []byte) error {
	close(s.asked)
	<-ctx.Done()
	return ctx.Err()
}

// TestCollectDoesNotWait holds that test mails are collected while an answer is with a mail server
// that does not take it.
func TestCollectDoesNotWait(t *testing.T) {
	dir := t.TempDir()
	cfg := &config.Config{Test: config.Test{Address: "test@example.net", Days: 7}}
	cfg.Reports.Directory, cfg.Reports.SpoolDirectory = dir, filepath.Join(dir, "spool")
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	tests, err := p.openTests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tests.store.Close()
	if err := evidence.Sign(tests.spool, time.Now()); err != nil {
		t.Fatal(err)
	}
	server := stuckServer{make(chan struct{})}
	tests.answers(server)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { tests.answerer.Run(ctx); close(ended) }()
	for _, name := range []string{"a", "b"} {
		token := evidence.NewToken()
		w := evidence.NewWriter(tests.spool, p.Log, time.Now)
		if !w.Keep(evidence.Mail{Token: token, Time: time.Now(),
			Client: netip.MustParseAddr("198.51.100.7"),
			Sender: name + "@" + name + ".example",
			DMARC:  evidence.DMARC{Value: "pass", Author: name + ".example"}}) {
			t.Fatal("no page is served")
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		w.Run(done)
		if err := tests.collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list, err := tests.store.Mails(t.Context(), token, time.Now()); err != nil ||
			len(list) != 1 {
			t.Errorf("mail %s: %d, %v", name, len(list), err)
		}
		if name == "a" {
			<-server.asked // from now on the mail server has it
		}
	}
	stop()
	<-ended
}
