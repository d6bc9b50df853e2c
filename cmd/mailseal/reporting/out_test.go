package reporting

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/control"
	"mailseal/config"
	"mailseal/contrib/test/rig"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// sink is a mail server on loopback that keeps mail.
type sink struct {
	address string
	mu      sync.Mutex
	mails   []string
	away    bool // it answers 451 to every mail
	asked   int  // how often it did

	holdAfter int           // it answers no more once it has so many mails, 0: it always does
	holdAt    string        // the command that it does not answer then; "." is the end of a mail
	held      chan struct{} // is closed then
}

func newSink(t *testing.T) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{address: l.Addr().String()}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(nc) })
		}
	})
	return s
}

func (s *sink) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	fmt.Fprint(nc, "220 sink\r\n")
	var mail strings.Builder
	for inData := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		mail.WriteString(line)
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if s.holds(word) {
			_, _ = io.Copy(io.Discard, r)
			return
		}
		switch {
		case inData && line == ".\r\n":
			inData = false
			s.mu.Lock()
			s.mails = append(s.mails, mail.String())
			s.mu.Unlock()
			mail.Reset()
			fmt.Fprint(nc, "250 taken\r\n")
		case inData:
		case strings.EqualFold(word, "MAIL") && s.defers():
			fmt.Fprint(nc, "451 4.3.0 try again\r\n")
		case strings.EqualFold(word, "DATA"):
			inData = true
			fmt.Fprint(nc, "354 go on\r\n")
		case strings.EqualFold(word, "QUIT"):
			fmt.Fprint(nc, "221 bye\r\n")
			return
		default:
			fmt.Fprint(nc, "250 sink\r\n")
		}
	}
}

// holds reports whether a command is the one that is never answered.
func (s *sink) holds(word string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holdAfter == 0 || len(s.mails) < s.holdAfter || !strings.EqualFold(word, s.holdAt) {
		return false
	}
	s.holdAfter = 0
	close(s.held)
	return true
}

// defers reports whether mail is put off at present, and counts it.
func (s *sink) defers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		s.asked++
	}
	return s.away
}

func (s *sink) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *sink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

const outZone = `
_dmarc.friend.example.    IN TXT "v=DMARC1; p=none; rua=mailto:d@friend.example"
reports.example.net.      IN MX 10 mx.example.net.
reports.example.net.      IN TXT "v=spf1 mx -all"
_dmarc.reports.example.net. IN TXT "v=DMARC1; p=reject"
`

// host is a host's configuration and spool.
type host struct {
	Out
	out bytes.Buffer
}

func newHost(t *testing.T, smtp string) *host {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[reports]\ncollect = true\nsend = true\nfrom = \"dmarc@reports.example.net\"\n"+
		"smtp = %q\ndirectory = %q\n", smtp, dir) +
		"[keys.k]\ndomain = \"reports.example.net\"\nselector = \"s\"\nfile = \"/gone\"\n" +
		"[[sign]]\nfrom = [\"reports.example.net\"]\nkeys = [\"k\"]\n"
	cfg, err := config.Parse("mailseal.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	z, err := dnstest.Load(strings.NewReader(outZone))
	if err != nil {
		t.Fatal(err)
	}
	h := &host{}
	h.Out = Out{Config: cfg, Now: noon, Version: "test", Resolver: z, Output: &h.out}
	return h
}

// judged writes n messages of a domain and a user's mail to it into the spool, and folds them.
func (h *host) judged(t *testing.T, domain string, n int) {
	t.Helper()
	h.spooled(t, domain, n)
	p := &Process{Config: h.Config, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return h.Now }}
	if err := p.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := p.Store(t.Context()); err == nil {
		s.Close()
	}
}

// spooled does the same, and does not fold them.
func (h *host) spooled(t *testing.T, domain string, n int) {
	t.Helper()
	now := func() time.Time { return h.Now }
	w := spool.NewWriter(h.Config.Reports.SpoolDirectory, 1<<30, slog.New(slog.DiscardHandler), now)
	for range n {
		w.Record(report.Evaluation{
			Time: h.Now, Client: netip.MustParseAddr("192.0.2.1"), SPF: true, Disposition: "none",
			HeaderFrom: domain, EnvelopeFrom: domain,
			SPFAuth: &report.SPFAuth{Domain: domain, Result: "pass"},
			Policy: report.Policy{
				Domain: domain, Text: "v=DMARC1; p=none", P: "none", SP: "none", NP: "none", ADKIM: "r", ASPF: "r",
				Discovery: "treewalk", URIs: []string{"mailto:d@" + domain},
			},
		})
	}
	w.Wrote(domain)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.Run(ctx)
}

// run runs a command and returns what it printed.
func (h *host) run(t *testing.T, do func(context.Context) error) string {
	t.Helper()
	h.out.Reset()
	if err := do(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h.out.String()
}

// TestCommands takes one day through every command.
func TestCommands(t *testing.T) {
	s := newSink(t)
	h := newHost(t, s.address)
	h.judged(t, "friend.example", 3)
	h.Config.Reports.Send = false
	text := h.run(t, func(ctx context.Context) error {
		return h.Preview(ctx, "friend.example", "")
	})
	for _, want := range []string{
		"3 messages in 1 row\n", "will not be sent: off", "To: <d@friend.example>",
		"<count>3</count>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("preview: no %q in\n%s", want, text)
		}
	}
	h.Config.Reports.Send = true
	text = h.run(t, func(ctx context.Context) error { return h.List(ctx, "") })
	if !strings.Contains(text, "friend.example  3") || !strings.Contains(text, "open") {
		t.Errorf("list:\n%s", text)
	}
	h.Now = noon.AddDate(0, 0, 1)
	dry := h.run(t, func(ctx context.Context) error { return h.Send(ctx, true) })
	if !strings.Contains(dry, "queued") || len(s.all()) > 0 {
		t.Errorf("send --dry-run:\n%s", dry)
	}
	sent := h.run(t, func(ctx context.Context) error { return h.Send(ctx, false) })
	if !strings.Contains(sent, "handed over") || len(s.all()) != 1 {
		t.Fatalf("send:\n%s%d mails", sent, len(s.all()))
	}
	h.JSON = true
	var l struct {
		Reports []struct{ ID, State string }
	}
	text = h.run(t, func(ctx context.Context) error { return h.List(ctx, "friend.example") })
	if err := json.Unmarshal([]byte(text), &l); err != nil || len(l.Reports) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	h.JSON = false
	id := l.Reports[0].ID
	text = h.run(t, func(ctx context.Context) error { return h.Show(ctx, id) })
	if !strings.Contains(text, "<report_id>"+id) {
		t.Errorf("show:\n%s", text)
	}
	h.run(t, func(ctx context.Context) error { return h.Resend(ctx, id) })
	h.Now = h.Now.Add(2 * time.Hour)
	h.run(t, func(ctx context.Context) error { return h.Send(ctx, false) })
	if all := s.all(); len(all) != 2 || all[0] != all[1] {
		t.Errorf("resent: %d mails, not the same bytes", len(all))
	}
	text = h.run(t, func(ctx context.Context) error {
		return h.Suppress(ctx, "d@friend.example", 10, false)
	})
	if !strings.Contains(text, "2026-12-10") {
		t.Errorf("suppress:\n%s", text)
	}
	h.run(t, func(ctx context.Context) error {
		return h.Suppress(ctx, "d@friend.example", 0, true)
	})
	text = h.run(t, func(ctx context.Context) error { return h.Suppress(ctx, "", 0, false) })
	if !strings.Contains(text, "No address") {
		t.Errorf("suppress:\n%s", text)
	}
	if text := h.run(t, h.Check); strings.Count(text, "good") != 4 {
		t.Errorf("check:\n%s", text)
	}
	text = h.run(t, func(ctx context.Context) error { return h.Forget(ctx, "friend.example") })
	if !strings.Contains(text, "4 entries") {
		t.Errorf("forget:\n%s", text)
	}
}

// TestCommandErrors holds the answer of commands about what is not there.
func TestCommandErrors(t *testing.T) {
	h := newHost(t, "127.0.0.1:9")
	if err := h.List(t.Context(), ""); !errors.Is(err, store.ErrMissing) {
		t.Errorf("a list without a store: got %v", err)
	}
	h.run(t, func(ctx context.Context) error { return h.Suppress(ctx, "d@a.example", 1, false) })
	for name, do := range map[string]func(context.Context) error{
		"preview":  func(ctx context.Context) error { return h.Preview(ctx, "a.example", "") },
		"show":     func(ctx context.Context) error { return h.Show(ctx, "x") },
		"resend":   func(ctx context.Context) error { return h.Resend(ctx, "x") },
		"suppress": func(ctx context.Context) error { return h.Suppress(ctx, "e@a.example", 0, true) },
	} {
		if err := do(t.Context()); answer.Of(err) != answer.Bad {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := h.Suppress(t.Context(), "no address", 1, false); answer.Of(err) != answer.Usage {
		t.Errorf("got %v", err)
	}
}

// TestCheckFindings holds that each record that is missing is found, and printed.
func TestCheckFindings(t *testing.T) {
	for _, tc := range []struct{ name, zone, want string }{
		{"no MX", "MX", "IN MX 10"},
		{"no SPF", "v=spf1", "v=spf1 mx -all"},
		{"no DMARC", "_dmarc.reports", "v=DMARC1; p=reject"},
	} {
		h := newHost(t, "127.0.0.1:9")
		var lines []string
		for line := range strings.SplitSeq(outZone, "\n") {
			if !strings.Contains(line, tc.zone) {
				lines = append(lines, line)
			}
		}
		z, err := dnstest.Load(strings.NewReader(strings.Join(lines, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		h.Resolver = z
		if err := h.Check(t.Context()); answer.Of(err) != answer.Bad ||
			!strings.Contains(h.out.String(), tc.want) {
			t.Errorf("%s: %v\n%s", tc.name, err, &h.out)
		}
	}
	h := newHost(t, "127.0.0.1:9")
	zone := strings.ReplaceAll(outZone, "p=reject", "p=reject; rua=mailto:x@example.net")
	z, err := dnstest.Load(strings.NewReader(zone))
	if err != nil {
		t.Fatal(err)
	}
	h.Resolver = z
	if err := h.Check(t.Context()); answer.Of(err) != answer.Bad ||
		!strings.Contains(h.out.String(), "it has rua") {
		t.Errorf("%v\n%s", err, &h.out)
	}
}

// TestServe runs the process with all roles that need no other socket: it answers at its own, and
// its jobs run.
func TestServe(t *testing.T) {
	h := newHost(t, "127.0.0.1:9")
	p := &Process{
		Config: h.Config, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }, Version: "test",
	}
	spoolThree(t, h.Config)
	roles, err := Select(Roles(), []string{"fold", "send"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- p.Serve(ctx, roles, func() { close(ready) }) }()
	<-ready
	// A segment that was closed is taken without anyone asking for it.
	var left []string
	if !rig.Await(func() bool {
		left, err = spool.Segments(h.Config.Reports.SpoolDirectory)
		return err != nil || len(left) == 0
	}) || err != nil {
		t.Fatalf("%d segments are not taken; %v", len(left), err)
	}
	a, err := control.Ask(ctx, ControlPath(h.Config, roles),
		control.Request{Command: control.Status})
	if err != nil || a.Running == nil || len(a.Running.Jobs) != 3 ||
		strings.Join(a.Running.Listeners, " ") != "fold send" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, j := range a.Running.Jobs {
		if j.Next.IsZero() && j.Last.IsZero() && !j.Running {
			t.Errorf("job %s is never due", j.Name)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := Select(Roles(), []string{"folding"}); err == nil ||
		!strings.Contains(err.Error(), "fold") {
		t.Errorf("got %v", err)
	}
}

// TestDeferredForADay has a mail server answer 451 for a day: the report is tried less and less
// often, and goes once, as it was built, when it is taken.
func TestDeferredForADay(t *testing.T) {
	s := newSink(t)
	h := newHost(t, s.address)
	h.judged(t, "friend.example", 3)
	s.setAway(true)
	start := noon.AddDate(0, 0, 1)
	for now := start; now.Before(start.AddDate(0, 0, 1)); now = now.Add(time.Minute * 5) {
		h.Now = now
		h.run(t, func(ctx context.Context) error { return h.Send(ctx, false) })
	}
	text := h.run(t, func(ctx context.Context) error { return h.List(ctx, "") })
	if len(s.all()) > 0 || !strings.Contains(text, "deferred") || !strings.Contains(text, "451") ||
		s.asked < 20 || s.asked > 40 {
		t.Fatalf("%d mails, %d tries\n%s", len(s.all()), s.asked, text)
	}
	s.setAway(false)
	for range 3 {
		h.Now = h.Now.Add(61 * time.Minute)
		h.run(t, func(ctx context.Context) error { return h.Send(ctx, false) })
	}
	if all := s.all(); len(all) != 1 || !strings.Contains(all[0], "Date: Mon, 30 Nov 2026 0") {
		t.Errorf("%d mails\n%v", len(all), all)
	}
}
