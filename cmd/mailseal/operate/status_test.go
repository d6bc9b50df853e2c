package operate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/control"
	"mailseal/cmd/mailseal/operate"
)

var update = flag.Bool("update", false, "write testdata again")

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// good is a daemon without fault.
func good() *control.Running {
	return &control.Running{
		Version:     "1.2.3",
		PID:         7,
		Started:     now.Add(-50 * time.Hour),
		Config:      "/nowhere/mailseal.toml",
		ConfigSince: now.Add(-time.Hour),
		Listeners:   []string{"inet:8891@127.0.0.1", "unix:/run/s"},
		MTAs:        []control.MTA{{Listener: "inet:8891@127.0.0.1", Peer: "127.0.0.1", Connections: 3, Busy: 1}},
		Today: control.Today{
			Since: now.Truncate(24 * time.Hour),
			Messages: []control.Count{{Of: "ours", Result: "accept", Count: 5}, {Of: "theirs",
				Result: "accept", Count: 8}, {Of: "theirs", Result: "reject", Count: 2}},
			Results: []control.Count{{Of: "dmarc", Result: "fail", Count: 2},
				{Of: "dmarc", Result: "pass", Count: 8}},
			Signatures: []control.Count{{Of: "rsa-sha256", Count: 5}},
			Unsigned:   []control.Count{{Of: "no rule", Count: 1}},
		},
		Keys: control.Keys{
			Watched: true, Asked: now.Add(-3 * time.Minute), Good: 1,
			List: []control.Key{{Name: "a._domainkey.example.com", DNS: "good", Made: now.Add(-100 * 24 * time.Hour)}},
		},
		Sources:     []control.Source{{Name: "sql", Entries: 4, Misses: 9}},
		NameServers: []control.NameServer{{Address: "192.0.2.53:53", Queries: 10, Silent: 1, MeanMS: 2.5}},
		Log: control.Log{
			Errors: 1, Warnings: 2,
			Last: []control.Record{{Time: now.Add(-time.Hour), Level: "ERROR", Text: "msg=\x1b[2Jgone"}},
		},
		Jobs: []control.Job{{Name: "keys", Last: now.Add(-3 * time.Minute),
			Next: now.Add(57 * time.Minute)}, {Name: "signed"}},
	}
}

// serve answers as a daemon does, until the test ends.
func serve(t *testing.T, a control.Answer) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control")
	l, err := control.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	server := control.Server{
		Handle: func(context.Context, control.Request) control.Answer { return a },
		Log:    slog.New(slog.DiscardHandler),
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func show(t *testing.T, a control.Answer, change func(*operate.StatusOptions)) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o := operate.StatusOptions{Target: operate.Target{Socket: serve(t, a)},
		Timeout: 10 * time.Second, Out: &out,
		Now: func() time.Time { return now }}
	if change != nil {
		change(&o)
	}
	err := operate.Show(t.Context(), o)
	return out.String(), err
}

func TestScreen(t *testing.T) {
	out, err := show(t, control.Answer{Running: good()}, nil)
	if err != nil {
		t.Error(err)
	}
	file := filepath.Join("testdata", "good.txt")
	if *update {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || out != string(want) {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out, want)
	}
}

// TestProblems has each thing that monitoring must hear of.
func TestProblems(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*control.Running)
		says  string // "": it is good
	}{
		{"nothing", func(*control.Running) {}, ""},
		{"no socket", func(r *control.Running) { r.Listeners = nil }, "no socket is served"},
		{"a bad key", func(r *control.Running) { r.Keys.Bad = 2 }, "does not show, or shows with another record: 2"},
		{"an unknown key", func(r *control.Running) { r.Keys.Unknown = 2 }, ""},
		{"a source away", func(r *control.Running) { r.Sources[0].Away = true }, "source sql does not answer"},
		{"the only name server dead", func(r *control.Running) { r.NameServers[0].Dead = true },
			"no name server replies"},
		{"one of two dead", func(r *control.Running) {
			r.NameServers = append(r.NameServers, control.NameServer{Address: "192.0.2.54:53",
				Dead: true})
		}, ""},
		{"a job", func(r *control.Running) { r.Jobs[0].Error = "disk full" }, "job keys failed: disk full"},
		{"a fresh error", func(r *control.Running) { r.Log.Last[0].Time = now.Add(-time.Minute) },
			"errors in the log of the last 15 minutes: 1"},
		{"a fresh warning", func(r *control.Running) {
			r.Log.Last[0].Time, r.Log.Last[0].Level = now.Add(-time.Minute), "WARN"
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := good()
			tc.spoil(r)
			out, err := show(t, control.Answer{Running: r},
				func(o *operate.StatusOptions) { o.JSON = true })
			var s operate.Status
			if jsonErr := json.Unmarshal([]byte(out), &s); jsonErr != nil {
				t.Fatalf("%v: %s", jsonErr, out)
			}
			isGood := tc.says == ""
			if s.Good != isGood || (err == nil) != isGood ||
				!strings.Contains(strings.Join(s.Problems, "\n"), tc.says) {
				t.Errorf("%v, %+v", err, s)
			}
			if !isGood && answer.Of(err) != answer.Bad {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestChecked shows what check finds, and takes its errors for problems.
func TestChecked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(file, []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := show(t, control.Answer{Running: good()}, func(o *operate.StatusOptions) {
		o.Check = &check.Options{File: file, MTA: check.MTAOptions{Skip: true}}
	})
	if answer.Of(err) != answer.Bad ||
		!strings.Contains(out, "! errors of \"mailseal check\": 1") ||
		!strings.Contains(out, "error: "+file+":1: nonsense") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNoDaemon(t *testing.T) {
	o := operate.StatusOptions{
		Target:  operate.Target{Socket: filepath.Join(t.TempDir(), "control")},
		Timeout: time.Second,
		Out:     &bytes.Buffer{}, Now: time.Now}
	err := operate.Show(t.Context(), o)
	if answer.Of(err) != answer.Bad || !errors.Is(err, control.ErrAway) {
		t.Error(err)
	}
	if _, err := show(t, control.Answer{Error: "only root"},
		nil); answer.Of(err) != answer.Unknown {
		t.Errorf("refused: %v", err)
	}
}

// TestWatch shows the status until the context ends, and goes on while no daemon answers.
func TestWatch(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	shown := make(chan string)
	o := operate.StatusOptions{
		Target:  operate.Target{Socket: serve(t, control.Answer{Running: good()})},
		Timeout: 10 * time.Second,
		Every:   time.Millisecond,
		JSON:    true,
		Out:     writerFunc(func(p []byte) (int, error) { shown <- string(p); return len(p), nil }),
		Now:     time.Now,
	}
	done := make(chan error, 1)
	go func() { done <- operate.Show(ctx, o) }()
	first, second := <-shown, <-shown
	stop()
	for {
		select {
		case <-shown:
			continue
		case err := <-done:
			if err != nil || !strings.HasPrefix(first, "{") || !strings.HasPrefix(second, "{") {
				t.Errorf("%v, %q, %q", err, first, second)
			}
		}
		break
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestReportsProcess holds what is said of the process of reports.
func TestReportsProcess(t *testing.T) {
	roles := []operate.Role{{Name: "fold", Setting: "reports.collect"},
		{Name: "send", Setting: "reports.send"}}
	running := func(roles ...string) *control.Running {
		return &control.Running{
			Version: "1.2.3", PID: 9, Started: now.Add(-time.Hour), Listeners: roles,
			Jobs: []control.Job{{Name: "fold", Last: now.Add(-time.Minute)}},
		}
	}
	failed := running("fold", "send")
	failed.Jobs[0].Error = "disk full"
	waiting := running("fold", "send")
	waiting.Jobs[0].Error = "store PostgreSQL: connection refused"
	waiting.Spool = &control.Spool{Segments: 48, Bytes: 3 << 20, Room: 1 << 30,
		Oldest: now.Add(-2 * time.Hour)}
	shared := running("fold", "send")
	shared.Leads = []control.Lead{{Lease: "send", Host: "mx2", Since: now.Add(-time.Hour)},
		{Lease: "intake", Host: "mx1", Here: true, Since: now.Add(-2 * time.Minute)},
		{Lease: "dns"}}
	for _, tc := range []struct {
		name   string
		answer *control.Answer // nil: it does not run
		says   string          // "": it is good
		shows  string
	}{
		{"good", &control.Answer{Running: running("fold", "send")}, "", "roles fold, send"},
		{"away", nil, "does not answer at", "no answer at"},
		{"a role is missing", &control.Answer{Running: running("fold")},
			"has the role send, which reports.send needs", "roles fold"},
		{"a job failed", &control.Answer{Running: failed},
			"job fold of the process of reports failed: disk full", "FAILED: disk full"},
		{
			"the database is away", &control.Answer{Running: waiting},
			"48 segments with 3.0 MB; mail is not affected, and rows beyond 1024.0 MB are dropped",
			"48 segments with 3.0 MB wait, the oldest for 2 h 0 min",
		},
		{"another host leads", &control.Answer{Running: shared}, "", "send: mx2, for 1 h 0 min"},
		{"this host leads", &control.Answer{Running: shared}, "", "intake: this host, mx1"},
		{"no host leads", &control.Answer{Running: shared}, "", "dns: no host"},
		{"refused", &control.Answer{Error: "only root"}, "", "run this command as root"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "control")
			if tc.answer != nil {
				socket = serve(t, *tc.answer)
			}
			out, err := show(t, control.Answer{Running: good()}, func(o *operate.StatusOptions) {
				o.Reports = operate.Reports{Socket: socket, Roles: roles}
			})
			if (err == nil) != (tc.says == "") || !strings.Contains(out, tc.says) ||
				!strings.Contains(out, tc.shows) {
				t.Errorf("%v\n%s", err, out)
			}
			if tc.answer == nil && !strings.Contains(out, "reports.collect, reports.send") {
				t.Errorf("no setting is named:\n%s", out)
			}
		})
	}
}

// TestOtherDaemon wants a command to notice that the daemon which answers has another configuration
// file, and the same file under another name to be the same.
func TestOtherDaemon(t *testing.T) {
	dir := t.TempDir()
	mine, link, other := filepath.Join(dir, "a.toml"), filepath.Join(dir, "l.toml"),
		filepath.Join(dir, "b.toml")
	for _, name := range []string{mine, other} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(mine, link); err != nil {
		t.Fatal(err)
	}
	running := good()
	running.Config = mine
	for path, isOther := range map[string]bool{mine: false, link: false, "": false, other: true,
		filepath.Join(dir, "gone.toml"): true} {
		_, err := show(t, control.Answer{Running: running},
			func(o *operate.StatusOptions) { o.Config = path })
		says := err != nil && strings.Contains(err.Error(), "runs with "+mine+", not with "+path)
		if says != isOther {
			t.Errorf("%q: got %v", path, err)
		}
	}
}

// TestMistakesComeFirst wants the mistakes of a configuration, not a search for a daemon at a place
// that was guessed.
func TestMistakesComeFirst(t *testing.T) {
	target := operate.Target{Socket: filepath.Join(t.TempDir(), "control"),
		Mistakes: errors.New("a.toml:1: state_directry: unknown setting")}
	err := operate.Reload(t.Context(), operate.ReloadOptions{Target: target, Timeout: time.Minute})
	if err == nil || !strings.HasPrefix(err.Error(), "a.toml:1: ") ||
		strings.Contains(err.Error(), "no daemon answers") {
		t.Errorf("reload: got %v", err)
	}
	err = operate.Show(t.Context(), operate.StatusOptions{Target: target, Timeout: time.Minute,
		Now: time.Now})
	if err == nil || !strings.HasPrefix(err.Error(), "a.toml:1: ") {
		t.Errorf("status: got %v", err)
	}
}
