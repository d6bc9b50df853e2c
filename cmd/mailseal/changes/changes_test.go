package changes

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
	"mailseal/milter/report/web"
)

func newServer(t *testing.T) *Server {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Driver: database.SQLite,
		DSN: storetest.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &Server{Intake: &intake.Intake{Store: s}, Log: slog.New(slog.DiscardHandler),
		Now: time.Now}
}

// served runs a server until the test ends.
func served(t *testing.T, s *Server) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return NewClient(path)
}

// TestServerChecks holds that the intake believes no more than it must, whatever a page sends.
func TestServerChecks(t *testing.T) {
	s := newServer(t)
	c := served(t, s)
	rule := web.Rule{Domain: "a.example", Source: "192.0.2.1", Class: advice.Ours}
	many := web.Rule{Source: "x.example", Class: advice.Ours,
		Addresses: make([]netip.Addr, maxSources+5)}
	for i := range many.Addresses {
		many.Addresses[i] = netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
	}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"good":             {c.Judge(t.Context(), "anna", rule), ""},
		"many addresses":   {c.Judge(t.Context(), "anna", many), ""},
		"nobody":           {c.Judge(t.Context(), "", rule), "does not name the account"},
		"no such class":    {c.Judge(t.Context(), "anna", web.Rule{Source: "192.0.2.1", Class: "spoof"}), "no class"},
		"no source":        {c.Judge(t.Context(), "anna", web.Rule{Class: advice.Ours}), "no source"},
		"long name":        {c.Judge(t.Context(), strings.Repeat("a", maxWords+1), rule), "the account is longer than"},
		"a line too many":  {c.Judge(t.Context(), "anna\nben", rule), "the account must be one line"},
		"large":            {c.Judge(t.Context(), strings.Repeat("a", maxChange), rule), "larger than"},
		"unknown rule":     {c.Undo(t.Context(), "anna", 99), "does not exist"},
		"who writes":       {c.Use(t.Context(), "anna", "a.example", "machines"), ""},
		"taken back":       {c.Use(t.Context(), "anna", "a.example", ""), ""},
		"no such answer":   {c.Use(t.Context(), "anna", "a.example", "dogs"), "no answer"},
		"of no domain":     {c.Use(t.Context(), "anna", "", "people"), "no domain"},
		"refused reporter": {c.Refuse(t.Context(), "anna", "nobody.test"), "nobody.test"},
		"proven reporter":  {c.Prove(t.Context(), "anna", "nobody.test"), "nobody.test"},
		"unknown reporter": {c.Trust(t.Context(), "anna", "nobody.test"), "nobody.test"},
	} {
		switch {
		case tt.want == "" && tt.err != nil:
			t.Errorf("%s: %v", name, tt.err)
		case tt.want != "" && (!errors.Is(tt.err, web.ErrRefused) ||
			!strings.Contains(tt.err.Error(), tt.want)):
			t.Errorf("%s: %v, want a refusal with %q", name, tt.err, tt.want)
		}
	}
	if _, err := c.Upload(t.Context(), "anna", "x.xml",
		bytes.NewReader(make([]byte, maxUpload+1))); err == nil {
		t.Error("an upload above the bound was taken")
	}
	text, err := c.Upload(t.Context(), "anna", strings.Repeat("é", maxWords)+"\n.xml",
		strings.NewReader("no report"))
	if err != nil || !strings.Contains(text, "1 contains no report.") {
		t.Errorf("a long name: %q, %v", text, err)
	}
	if err := s.Intake.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(t.Context(), "anna", 1); !errors.Is(err, web.ErrRefused) ||
		!strings.Contains(err.Error(), "cannot accept the change now") ||
		strings.Contains(err.Error(), "sql") {
		t.Errorf("a store that is closed: %v", err)
	}
}

// TestSlowClient holds that a client that sends nothing is cut off, and keeps no other out.
func TestSlowClient(t *testing.T) {
	s := newServer(t)
	s.wait = 200 * time.Millisecond
	c := served(t, s)
	slow, err := new(net.Dialer).DialContext(t.Context(), "unix", c.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := slow.Write([]byte("POST /upload?by=a HTTP/1.1\r\nHost: x\r\nContent-Length: " +
		"100\r\n\r\nabc")); err != nil {
		t.Fatal(err)
	}
	if err := c.Judge(t.Context(), "anna",
		web.Rule{Source: "192.0.2.1", Class: advice.Ours}); err != nil {
		t.Errorf("beside a slow client: %v", err)
	}
	if _, err := c.Upload(t.Context(), "anna", "x", strings.NewReader("no report")); err != nil {
		t.Errorf("after a slow client: %v", err)
	}
}

// TestAway tells no intake from one that does not answer in time.
func TestAway(t *testing.T) {
	c := NewClient(filepath.Join(t.TempDir(), "none"))
	if err := c.Ready(t.Context()); !errors.Is(err, web.ErrAway) {
		t.Errorf("no socket: %v", err)
	}
	path := filepath.Join(t.TempDir(), "mute")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		if nc, err := l.Accept(); err == nil {
			defer nc.Close()
			_, _ = nc.Read(make([]byte, 1)) // it has begun to ask
		}
		cancel()
	}()
	if err := NewClient(path).Undo(ctx, "anna", 1); err == nil || errors.Is(err, web.ErrAway) ||
		errors.Is(err, web.ErrRefused) {
		t.Errorf("a mute intake: %v, want neither away nor refused", err)
	}
}

// TestStrangersGetNothing holds that another user gets no answer but 403.
func TestStrangersGetNothing(t *testing.T) {
	s := newServer(t)
	r, err := http.NewRequestWithContext(context.WithValue(t.Context(), refused{}, true),
		http.MethodPost, pathUndo, strings.NewReader(`{"by":"x","rule":1}`))
	if err != nil {
		t.Fatal(err)
	}
	w := &recorder{header: http.Header{}}
	s.handler().ServeHTTP(w, r)
	if w.status != http.StatusForbidden || !strings.Contains(w.text.String(), "only root") {
		t.Errorf("status %d: %s", w.status, &w.text)
	}
}

type recorder struct {
	header http.Header
	status int
	text   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.text.Write(b) }
