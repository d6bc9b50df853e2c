package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/contrib/test/rig"
	"mailseal/milter/miltertest"
)

// runs runs a daemon with the rest of a configuration until the test ends.
func runs(t *testing.T, rest string) (d *Daemon, dir string, log *syncBuffer) {
	t.Helper()
	dir, log = socketDir(t), &syncBuffer{}
	s := &lossSite{t: t, dir: dir}
	s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, dir)+
		s.rules("d0.example", "d1.example")+rest)
	ctx, stop := context.WithCancel(t.Context())
	d, err := build(ctx, filepath.Join(dir, "mailseal.toml"), log)
	if err != nil {
		t.Fatal(err)
	}
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- d.Run(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d, dir, log
}

// signs wants the daemon to sign a message of a domain.
func signs(t *testing.T, dir, domain string) {
	t.Helper()
	c, err := miltertest.Dial(t.Context(), "unix:"+dir+"/s",
		miltertest.Options{Timeout: 3 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := c.Send(miltertest.Message{From: "joe@" + domain, To: []string{"bob@other.example"},
		Raw: []byte("From: joe@" + domain + "\n\nbody\n")})
	if err != nil || !strings.Contains(string(out.Delivered()), "d="+domain) {
		t.Errorf("%s: %v\n%s", domain, err, out.Delivered())
	}
}

// TestControl asks a daemon for all that it can do over its control socket.
func TestControl(t *testing.T) {
	d, dir, log := runs(t, "")
	socket := filepath.Join(dir, "control")
	ask := func(r control.Request) control.Answer {
		t.Helper()
		a, err := control.Ask(t.Context(), socket, r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	signs(t, dir, "d0.example")
	a := ask(control.Request{Command: control.Status})
	if r := a.Running; r == nil || r.Version != "test" || r.PID != os.Getpid() ||
		len(r.Listeners) != 1 || len(r.Jobs) < 4 || r.ConfigSince.Before(r.Started) {
		t.Errorf("status: %+v", a.Running)
	}
	if a := ask(control.Request{Command: control.Signed}); a.Page == nil ||
		len(a.Page.Names) != 1 || a.Page.Names[0] != (control.Name{Name: "d0.example", Author: true,
		Signer: true}) {
		t.Errorf("signed: %+v", a.Page)
	}
	before := d.parts.Load()
	if a := ask(control.Request{Command: control.Reload}); a.Error != "" ||
		d.parts.Load() == before {
		t.Errorf("reload: %+v", a)
	}
	before = d.parts.Load()
	other := filepath.Join(dir, "other.toml")
	if a := ask(control.Request{Command: control.Reload, Config: other}); !strings.Contains(a.Error,
		"not with "+other) || d.parts.Load() != before {
		t.Errorf("a reload of another file: %+v", a)
	}
	mine := filepath.Join(dir, "mailseal.toml")
	if a := ask(control.Request{Command: control.Reload, Config: mine}); a.Error != "" {
		t.Errorf("a reload of the same file: %+v", a)
	}
	s := &lossSite{t: t, dir: dir}
	s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, dir)+s.rules("d1.example"))
	if a := ask(control.Request{Command: control.Reload}); !strings.Contains(a.Error,
		"d0.example") || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("a loss: %+v", a)
	}
	if a := ask(control.Request{Command: control.Reload, Accept: true}); a.Error != "" ||
		!strings.Contains(strings.Join(a.Warnings, "\n"), "d0.example") {
		t.Errorf("an accepted loss: %+v", a)
	}
	s.write("mailseal.toml", "nonsense")
	if a := ask(control.Request{Command: control.Reload, Accept: true}); !strings.Contains(a.Error,
		"mailseal.toml:1") {
		t.Errorf("a mistake: %+v", a)
	}
	signs(t, dir, "d1.example")
}

// TestSignedPages lists more domains than an answer has.
func TestSignedPages(t *testing.T) {
	s := newLossSite(t, 1, func(s *lossSite) {
		s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+
			strings.Replace(s.rules(s.domains...), "*@d0.example", "*", 1))
	})
	const more = 2*pageSize + 1
	for i := range more {
		s.daemon.signed.Author(fmt.Sprintf("x%04d.example", i))
	}
	seen := map[string]bool{}
	pages := 0
	for after, more := "", true; more; pages++ {
		p := s.daemon.signedPage(t.Context(), after)
		for _, n := range p.Names {
			if seen[n.Name] {
				t.Fatalf("%s twice", n.Name)
			}
			seen[n.Name] = true
			after = n.Name
		}
		more = p.More
	}
	if len(seen) != more+1 || pages != 3 {
		t.Errorf("%d names on %d pages, want %d on 3", len(seen), pages, more+1)
	}
}

// TestBusy takes the addresses for operators away: the daemon warns, signs, and opens them when
// they are free.
func TestBusy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(socketDir(t), "control")
	taken, err := net.Listen("unix", other)
	if err != nil {
		t.Fatal(err)
	}
	d, dir, log := runs(t, fmt.Sprintf("[metrics]\naddress = %q\n[control]\naddress = %q\n",
		l.Addr(), other))
	signs(t, dir, "d0.example")
	for _, want := range []string{"level=WARN msg=\"metrics are not served",
		"level=WARN msg=\"commands cannot reach the daemon"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	d.metricsEndpoint.try(t.Context())
	d.controlEndpoint.try(t.Context())
	if n := strings.Count(log.String(), "metrics are not served"); n != 1 {
		t.Errorf("warned %d times", n)
	}
	l.Close()
	taken.Close()
	awaitDue(t, d, "metrics")
	awaitDue(t, d, "control")
	d.metricsEndpoint.try(t.Context())
	d.controlEndpoint.try(t.Context())
	if text := get(t, "http://"+l.Addr().String()+"/healthz"); text != "ok\n" {
		t.Errorf("health: %q", text)
	}
	if _, err := control.Ask(t.Context(), other,
		control.Request{Command: control.Status}); err != nil {
		t.Error(err)
	}
}

// awaitDue waits until the daemon, which has just started, knows when a job is due.
func awaitDue(t *testing.T, d *Daemon, name string) {
	t.Helper()
	isDue := func(j jobs.Status) bool { return j.Name == name && !j.Next.IsZero() }
	if !rig.Await(func() bool { return slices.ContainsFunc(d.Jobs(), isDue) }) {
		t.Fatalf("the job %s is not due", name)
	}
}

// TestNoControl has a path at which there can be no socket.
func TestNoControl(t *testing.T) {
	_, dir, log := runs(t, fmt.Sprintf("[control]\naddress = %q\n",
		"/tmp/"+strings.Repeat("x", 120)))
	signs(t, dir, "d0.example")
	if !strings.Contains(log.String(), "commands cannot reach the daemon") {
		t.Errorf("log:\n%s", log)
	}
}

// TestStatus holds what "mailseal status" is told against what has happened, and against the
// metrics.
func TestStatus(t *testing.T) {
	d, dir, _ := runs(t, "[rotation]\nwatch = \"1h\"\n")
	signs(t, dir, "d0.example")
	d.log.Error("something broke", "key", "a key")
	d.log.Warn("something is odd")
	c, err := miltertest.Dial(t.Context(), "unix:"+dir+"/s",
		miltertest.Options{Timeout: 3 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Send(miltertest.Message{From: "joe@d1.example",
		To:  []string{"bob@other.example"},
		Raw: []byte("From: joe@d1.example\n\nbody\n")}); err != nil {
		t.Fatal(err)
	}
	ask := func() *control.Running {
		a, err := control.Ask(t.Context(), filepath.Join(dir, "control"),
			control.Request{Command: control.Status})
		if err != nil || a.Running == nil {
			t.Fatalf("%v, %+v", err, a)
		}
		return a.Running
	}
	r := ask()
	// The reply is there a moment before the message is over, and a client is gone before its
	// connection is.
	for len(r.MTAs) == 1 && (r.MTAs[0].Busy > 0 || r.MTAs[0].Connections > 1) {
		r = ask()
	}
	if want := []control.Count{{Of: "ours", Result: "accept", Count: 2}}; !slices.Equal(
		r.Today.Messages, want) {
		t.Errorf("messages: %+v", r.Today.Messages)
	}
	if len(r.Today.Signatures) != 1 || r.Today.Signatures[0].Count != 2 {
		t.Errorf("signatures: %+v", r.Today.Signatures)
	}
	if want := []control.MTA{{Listener: "unix:" + dir + "/s", Peer: "local",
		Connections: 1}}; !slices.Equal(r.MTAs, want) {
		t.Errorf("MTAs: %+v", r.MTAs)
	}
	if r.Log.Errors != 1 || r.Log.Last[0].Text != `msg="something broke" key="a key"` ||
		r.Log.Last[0].Level != "ERROR" {
		t.Errorf("log: %+v", r.Log)
	}
	if !r.Keys.Watched || len(r.Keys.List) == 0 || r.Keys.List[0].DNS != "not queried yet" {
		t.Errorf("keys: %+v", r.Keys)
	}
	if len(r.NameServers) == 0 {
		t.Error("no name servers")
	}
	w := httptest.NewRecorder()
	metricsHandler(d.metrics, d.health, false).ServeHTTP(w,
		httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`mailseal_today_messages{action="accept",role="ours"} 2`,
		`mailseal_today_log_lines{level="error"} 1`,
		`mailseal_listener_connections{listener="unix:` + dir + `/s"} 1`,
		`mailseal_dns_server_dead{server="` + r.NameServers[0].Address + `"} 0`,
		`mailseal_job_failed{job="keys"} 0`,
		`mailseal_keys_asked_timestamp_seconds 0`,
	} {
		if !strings.Contains(w.Body.String(), "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
}

// TestKeyFiles finds out how old keys in files are.
func TestKeyFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(file, made, made); err != nil {
		t.Fatal(err)
	}
	files := keyFiles(&assembly.Parts{Config: &config.Config{Keys: map[string]config.Key{
		"a": {Selector: "s", Domain: "example.com", File: file},
		"b": {Selector: "s", Domain: "%", File: "/everywhere"},
	}}})
	if len(files) != 1 || !modified(files["s._domainkey.example.com"]).Equal(made) ||
		!modified(file+".gone").IsZero() {
		t.Errorf("%v", files)
	}
}

// TestTodayEnds begins to count again at midnight, and not when the clock is set back.
func TestTodayEnds(t *testing.T) {
	now := time.Date(2026, 5, 4, 23, 59, 0, 0, time.UTC)
	d := newToday(func() time.Time { return now })
	m := &memory{now: func() time.Time { return now }}
	log := withRecent(slog.New(slog.DiscardHandler), m)
	count := func() {
		d.add(countMessages, "ours", "accept")
		log.Error("broken")
	}
	count()
	now = now.Add(-time.Minute)
	count()
	if c, l := d.counts(), m.log(); c.Messages[0].Count != 2 || l.Errors != 2 {
		t.Errorf("before midnight: %+v, %+v", c, l)
	}
	now = now.Add(time.Hour)
	if c, l := d.counts(), m.log(); len(c.Messages) != 0 || l.Errors != 0 || len(l.Last) != 2 ||
		!c.Since.Equal(now.Truncate(24*time.Hour)) {
		t.Errorf("after midnight: %+v, %+v", c, l)
	}
	count()
	if c := d.counts(); c.Messages[0].Count != 1 {
		t.Errorf("the next day: %+v", c)
	}
}

// TestRecallIsBounded keeps errors that a flood of warnings would drive out, and no line of any
// length.
func TestRecallIsBounded(t *testing.T) {
	m := &memory{now: time.Now}
	log := withRecent(slog.New(slog.DiscardHandler), m).With("in", "a test")
	log.Error("the one error")
	for range 100 {
		log.Warn(strings.Repeat("long ", 1000), "password", "postgres://joe:secret@db/x")
	}
	l := m.log()
	if l.Errors != 1 || l.Warnings != 100 || len(l.Last) != maxRecent+1 ||
		l.Last[0].Text != `msg="the one error" in="a test"` {
		t.Errorf("%+v", l)
	}
	for _, r := range l.Last {
		if len(r.Text) > maxRecentLine+len("…") || strings.Contains(r.Text, "secret") {
			t.Errorf("%q", r.Text)
		}
	}
}
