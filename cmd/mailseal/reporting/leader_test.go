package reporting

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/contrib/test/rig"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report/store"
)

// These tell a process that it is a host of TestLeaderKilled: its name, and its configuration.
const (
	leaderHost   = "MAILSEAL_LEADER_HOST"
	leaderConfig = "MAILSEAL_LEADER_CONFIG"
)

// TestLeaderChild is a host of TestLeaderKilled, until it is killed.
func TestLeaderChild(t *testing.T) {
	name := os.Getenv(leaderHost)
	if name == "" {
		t.Skip("is run by TestLeaderKilled")
	}
	cfg, err := config.Parse("mailseal.toml", []byte(os.Getenv(leaderConfig)))
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Config: cfg, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Version: "test",
		Host: name,
		Now:  func() time.Time { return noon }}
	roles, err := Select(Roles(), []string{"fold", "send"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // the parent is gone
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := p.Serve(ctx, roles, nil); err != nil {
		t.Fatal(err)
	}
}

// startHost starts a process of reports of another host, and returns the lines of its log.
func startHost(t *testing.T, name, text string) (*exec.Cmd, <-chan string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestLeaderChild$")
	cmd.Env = append(os.Environ(), leaderHost+"="+name, leaderConfig+"="+text)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = errors.Join(cmd.Start(), w.Close())
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, lines
}

// await reads a log up to a line.
func await(t *testing.T, lines <-chan string, text string) {
	t.Helper()
	var seen []string
	for limit := time.After(3 * time.Minute); ; {
		select {
		case line, ok := <-lines:
			seen = append(seen, line)
			if strings.Contains(line, text) {
				return
			}
			if !ok {
				t.Fatalf("the log ends without %q:\n%s", text, strings.Join(seen, "\n"))
			}
		case <-limit:
			t.Fatalf("no %q in the log:\n%s", text, strings.Join(seen, "\n"))
		}
	}
}

// takeOver is how soon another host must lead on a machine that is not busy.
const takeOver = 30 * time.Second

// TestTakeOver holds that a host asks for the lease more than once in that time.
func TestTakeOver(t *testing.T) {
	if store.LeaseEvery > takeOver/2 {
		t.Errorf("a host asks for the lease every %s", store.LeaseEvery)
	}
}

// TestLeaderKilled has two hosts share a store with mails that are due, and kills the one that
// leads with SIGKILL while the mail server keeps its answer back: the other one goes on within half
// a minute, and no mail goes out twice. A mail that the mail server cannot have is handed over once
// the time of its claim is over; one that it may have is not.
func TestLeaderKilled(t *testing.T) {
	for _, tc := range []struct{ name, holdAt, state string }{
		{"before the mail", "MAIL", store.Queued},
		{"at the end of the mail", ".", store.Handing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const mails, before = 40, 5
			mta := newSink(t)
			mta.holdAfter, mta.holdAt, mta.held = before, tc.holdAt, make(chan struct{})
			s, text := sharedDue(t, mta, mails)
			first, log := startHost(t, "first", text())
			await(t, log, "this host now leads")
			_, otherLog := startHost(t, "second", text())
			select {
			case <-mta.held:
			case <-time.After(3 * time.Minute):
				t.Fatal("the host that leads hands nothing over")
			}
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			await(t, otherLog, "this host now leads")
			await(t, otherLog, "report handed over")
			t.Logf("the other host went on after %s", time.Since(killed))
			states := awaitStates(t, s, mails-1)
			if states[store.HandedOver] != mails-1 || states[tc.state] != 1 {
				t.Errorf("the states are %v", states)
			}
			holders, err := s.Holders(t.Context())
			if err != nil || len(holders) != 1 || holders[0].Host != "second" || !holders[0].Holds {
				t.Errorf("%+v, %v", holders, err)
			}
			checkLater(t, text(), s, mta, tc.state, mails)
		})
	}
}

// checkLater has what is left handed over an hour later, and finds each mail once; the one that the
// mail server may have stays in doubt.
func checkLater(t *testing.T, text string, s *store.Store, mta *sink, state string, mails int) {
	t.Helper()
	cfg, err := config.Parse("mailseal.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cfg.Reports.SpoolDirectory, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Version: "test", Host: "third",
		Now: func() time.Time { return noon.Add(time.Hour) }}
	if err := p.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{store.HandedOver: mails}
	if state == store.Handing {
		want = map[string]int{store.HandedOver: mails - 1, store.InDoubt: 1}
	}
	if states := awaitStates(t, s, want[store.HandedOver]); !maps.Equal(states, want) {
		t.Errorf("an hour later the states are %v, want %v", states, want)
	}
	seen := map[string]bool{}
	for _, m := range mta.all() {
		if seen[m] {
			t.Errorf("a mail came twice:\n%.300s", m)
		}
		seen[m] = true
	}
	if len(seen) != want[store.HandedOver] {
		t.Errorf("%d mails came, want %d", len(seen), want[store.HandedOver])
	}
}

// sharedDue is a store with mails that are due, and the configuration of a host that shares it.
func sharedDue(t *testing.T, mta *sink, mails int) (*store.Store, func() string) {
	t.Helper()
	db := rig.Postgres(t)
	zone, err := dnstest.Load(strings.NewReader(outZone))
	if err != nil {
		t.Fatal(err)
	}
	server, err := dnstest.Serve(zone, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	text := func() string {
		return fmt.Sprintf("[reports]\ncollect = true\nsend = true\nfrom = \"dmarc@reports.example.net\"\n"+
			"smtp = %q\ndirectory = %q\nstore = %q\n[dns]\nservers = [%q]\n", mta.address,
			t.TempDir(),
			postgresURL(db), server.Addr()) +
			"[keys.k]\ndomain = \"reports.example.net\"\nselector = \"s\"\nfile = \"/gone\"\n" +
			"[[sign]]\nfrom = [\"reports.example.net\"]\nkeys = [\"k\"]\n"
	}
	return fillDue(t, db.DSN, mails), text
}

// postgresURL is the DSN of a server as reports.store has it.
func postgresURL(db *rig.Database) string {
	return "postgres://mailseal@" + db.Address() + "/postgres?sslmode=disable"
}

// fillDue stores reports whose mails are due, each to a domain of its own.
func fillDue(t *testing.T, dsn string, mails int) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Driver: "postgres", DSN: dsn, Host: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var list []store.OutReport
	for n := range mails {
		id, domain := fmt.Sprintf("20261130%024d", n), fmt.Sprintf("d%d.example", n)
		text := fmt.Sprintf("Message-ID: <%s@reports.example.net>\r\n\r\nreport\r\n", id)
		list = append(list, store.OutReport{ID: id, Day: store.Day(noon) - 1, Domain: domain,
			State: store.Built,
			Built: noon.Add(-time.Hour), Deliveries: []store.OutDelivery{{Report: id, N: 1, Address: "d@" + domain,
				Host: domain, State: store.Queued, Due: noon.Add(-time.Hour),
				Message: []byte(text)}}})
	}
	if _, err := s.OutBuilt(t.Context(), store.OutPending{}, list); err != nil {
		t.Fatal(err)
	}
	return s
}

// awaitStates returns how many mails there are in each state, once so many are handed over.
func awaitStates(t *testing.T, s *store.Store, handed int) map[string]int {
	t.Helper()
	var states map[string]int
	rig.Await(func() bool {
		states = map[string]int{}
		list, err := s.OutReports(t.Context(), "", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			for _, d := range r.Deliveries {
				states[d.State]++
			}
		}
		return states[store.HandedOver] >= handed
	})
	return states
}
