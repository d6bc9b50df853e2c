package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/miltertest"
)

// runs runs a daemon with the rest of a configuration until the test ends.
func runs(t *testing.T, rest string) (d *Daemon, dir string, log *syncBuffer) {
	t.Helper()
	dir, log = socketDir(t), &syncBuffer{}
	s := &lossSite{t: t, dir: dir}
	s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, dir)+s.rules("d0.example", "d1.example")+rest)
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
	c, err := miltertest.Dial(t.Context(), "unix:"+dir+"/s", miltertest.Options{Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := c.Send(miltertest.Message{From: "joe@" + domain, To: []string{"bob@other.example"}, Raw: []byte("From: joe@" + domain + "\n\nbody\n")})
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
	if r := a.Running; r == nil || r.Version != "test" || r.PID != os.Getpid() || len(r.Listeners) != 1 || len(r.Jobs) < 4 || r.ConfigSince.Before(r.Started) {
		t.Errorf("status: %+v", a.Running)
	}
	if a := ask(control.Request{Command: control.Signed}); a.Page == nil || len(a.Page.Names) != 1 || a.Page.Names[0] != (control.Name{Name: "d0.example", Author: true, Signer: true}) {
		t.Errorf("signed: %+v", a.Page)
	}
	before := d.parts.Load()
	if a := ask(control.Request{Command: control.Reload}); a.Error != "" || d.parts.Load() == before {
		t.Errorf("reload: %+v", a)
	}
	s := &lossSite{t: t, dir: dir}
	s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, dir)+s.rules("d1.example"))
	if a := ask(control.Request{Command: control.Reload}); !strings.Contains(a.Error, "d0.example") || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("a loss: %+v", a)
	}
	if a := ask(control.Request{Command: control.Reload, Accept: true}); a.Error != "" || !strings.Contains(strings.Join(a.Warnings, "\n"), "d0.example") {
		t.Errorf("an accepted loss: %+v", a)
	}
	s.write("mailseal.toml", "nonsense")
	if a := ask(control.Request{Command: control.Reload, Accept: true}); !strings.Contains(a.Error, "mailseal.toml:1") {
		t.Errorf("a mistake: %+v", a)
	}
	signs(t, dir, "d1.example")
}

// TestSignedPages lists more domains than an answer has.
func TestSignedPages(t *testing.T) {
	s := newLossSite(t, 1, func(s *lossSite) {
		s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+strings.Replace(s.rules(s.domains...), "*@d0.example", "*", 1))
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

// TestBusy takes the addresses for operators away: the daemon warns, signs, and opens them when they are free.
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
	d, dir, log := runs(t, fmt.Sprintf("[metrics]\naddress = %q\n[control]\naddress = %q\n", l.Addr(), other))
	signs(t, dir, "d0.example")
	for _, want := range []string{"level=WARN msg=\"metrics are not served", "level=WARN msg=\"commands cannot reach the daemon"} {
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
	if _, err := control.Ask(t.Context(), other, control.Request{Command: control.Status}); err != nil {
		t.Error(err)
	}
}

// awaitDue waits until the daemon, which has just started, knows when a job is due.
func awaitDue(t *testing.T, d *Daemon, name string) {
	t.Helper()
	isDue := func(j jobs.Status) bool { return j.Name == name && !j.Next.IsZero() }
	for limit := time.Now().Add(time.Minute); !slices.ContainsFunc(d.Jobs(), isDue); runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("the job %s is not due", name)
		}
	}
}

// TestNoControl has a path at which there can be no socket.
func TestNoControl(t *testing.T) {
	_, dir, log := runs(t, fmt.Sprintf("[control]\naddress = %q\n", "/tmp/"+strings.Repeat("x", 120)))
	signs(t, dir, "d0.example")
	if !strings.Contains(log.String(), "commands cannot reach the daemon") {
		t.Errorf("log:\n%s", log)
	}
}
