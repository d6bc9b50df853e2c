package reporting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report"
	"mailseal/milter/report/send"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// These tell a process that it is the one that is killed: where, which mail server, when, and at
// which transition; "" for none.
const (
	killedDir   = "MAILSEAL_KILLED_DIR"
	killedSMTP  = "MAILSEAL_KILLED_SMTP"
	killedNow   = "MAILSEAL_KILLED_NOW"
	killedPoint = "MAILSEAL_KILLED_POINT"
)

func killedConfig(dir, smtp string) (*config.Config, error) {
	return config.Parse("mailseal.toml", []byte(fmt.Sprintf(
		"[reports]\ncollect = true\nsend = true\nfrom = \"dmarc@reports.example.net\"\n"+
			"smtp = %q\ndirectory = %q\n", smtp, dir)+
		"[keys.k]\ndomain = \"reports.example.net\"\nselector = \"s\"\nfile = \"/gone\"\n"+
		"[[sign]]\nfrom = [\"reports.example.net\"]\nkeys = [\"k\"]\n"))
}

// die ends this process as kill -9 does.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// atLine is a log that ends the process at a line.
type atLine struct{ at string }

func (l *atLine) Write(p []byte) (int, error) {
	if strings.Contains(string(p), l.at) {
		die()
	}
	return len(p), nil
}

// aroundHand ends the process before a mail is handed over, or after.
type aroundHand struct {
	send.Handover
	point string
}

func (a aroundHand) HandOver(
	ctx context.Context, from, to string, message []byte, taking func() error,
) error {
	if a.point == "claimed" {
		die()
	}
	err := a.Handover.HandOver(ctx, from, to, message, func() error {
		if a.point == "written" {
			die()
		}
		err := taking()
		if a.point == "handing" {
			die()
		}
		return err
	})
	if a.point == "taken" {
		die()
	}
	return err
}

// TestKilledChild is the process that TestKilledAtTransitions kills.
func TestKilledChild(t *testing.T) {
	dir, point := os.Getenv(killedDir), os.Getenv(killedPoint)
	if dir == "" {
		t.Skip("is run by TestKilledAtTransitions")
	}
	now, err := time.Parse(time.RFC3339, os.Getenv(killedNow))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := killedConfig(dir, os.Getenv(killedSMTP))
	if err != nil {
		t.Fatal(err)
	}
	z, err := dnstest.Load(strings.NewReader(outZone))
	if err != nil {
		t.Fatal(err)
	}
	childFold(t, cfg, now, point)
	o := Out{Config: cfg, Now: now, Version: "test", Resolver: z}
	err = o.with(t.Context(), func(_ *store.Store, r *send.Reporter) error {
		excluded, setUp := r.Rules.Excluded, r.SetUp
		r.Rules.Excluded = func(domain string) bool {
			if point == "making" {
				die()
			}
			return excluded(domain)
		}
		r.SetUp = func(ctx context.Context) string {
			if point == "due" {
				die()
			}
			return setUp(ctx)
		}
		r.Transport = aroundHand{r.Transport, point}
		lines := map[string]string{"built": "report built", "handed over": "report handed over"}
		if at := lines[point]; at != "" {
			r.Log = slog.New(slog.NewTextHandler(&atLine{at: at}, nil))
		}
		return errors.Join(r.Build(t.Context(), store.Day(now)-1, now), r.Deliver(t.Context(), now))
	})
	if err != nil {
		t.Fatal(err)
	}
	if point == "marked" {
		die()
	}
}

// childFold folds, or dies between the commit and the deletion of the segments.
func childFold(t *testing.T, cfg *config.Config, now time.Time, point string) {
	t.Helper()
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return now }}
	dir := cfg.Reports.SpoolDirectory
	names, err := spool.Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Link(filepath.Join(dir, name),
			filepath.Join(cfg.Reports.Directory, name)); err != nil {
			t.Fatal(err)
		}
	}
	if point == "closed" {
		die()
	}
	if err := p.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		old := filepath.Join(cfg.Reports.Directory, name)
		if point != "folded" {
			_ = os.Remove(old)
			continue
		}
		if err := os.Rename(old, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if point == "folded" {
		die()
	}
	if s, err := p.Store(t.Context()); err == nil {
		s.Close()
	}
}

// TestKilledAtTransitions kills the process with SIGKILL at each transition, from the segment that
// is closed to the mail that is marked as handed over: every message is in one report, and no mail
// is sent twice, but where the process dies after the mail server took the mail and before it could
// write that down. Then the same bytes go once more, with the same Report-ID and Message-ID.
func TestKilledAtTransitions(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		point string
		mails int
		state string
	}{
		{"closed", 1, store.HandedOver}, {"folded", 1, store.HandedOver},
		{"making", 1, store.HandedOver}, {"built", 1, store.HandedOver}, {"due", 1, store.HandedOver},
		{"claimed", 1, store.HandedOver}, {"written", 1, store.HandedOver}, {"handing", 0, store.InDoubt},
		{"taken", 1, store.InDoubt}, {"handed over", 1, store.InDoubt}, {"marked", 1, store.HandedOver},
	} {
		t.Run(tc.point, func(t *testing.T) {
			dir, mta := t.TempDir(), newSink(t)
			cfg, err := killedConfig(dir, mta.address)
			if err != nil {
				t.Fatal(err)
			}
			spoolThree(t, cfg)
			run := func(now time.Time, point string) error {
				cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestKilledChild$")
				cmd.Env = append(os.Environ(), killedDir+"="+dir, killedSMTP+"="+mta.address,
					killedNow+"="+now.Format(time.RFC3339), killedPoint+"="+point)
				out, err := cmd.CombinedOutput()
				var exit *exec.ExitError
				if errors.As(err, &exit) &&
					exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
					return nil
				}
				if err != nil || point != "" {
					return fmt.Errorf("%w: not killed: %s", errors.Join(err, os.ErrInvalid), out)
				}
				return nil
			}
			next := noon.AddDate(0, 0, 1)
			if err := run(next, tc.point); err != nil {
				t.Fatal(err)
			}
			leftovers, err := filepath.Glob(filepath.Join(dir, "*.seg"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range leftovers {
				_ = os.Remove(f)
			}
			for _, later := range []time.Duration{time.Minute, 20 * time.Minute, 40 * time.Minute} {
				if err := run(next.Add(later), ""); err != nil {
					t.Fatal(err)
				}
			}
			checkKilled(t, cfg, mta, tc.mails, tc.state)
		})
	}
}

// spoolThree writes a closed segment with three messages and a user's mail to their domain.
func spoolThree(t *testing.T, cfg *config.Config) {
	t.Helper()
	if err := os.MkdirAll(cfg.Reports.SpoolDirectory, 0o700); err != nil {
		t.Fatal(err)
	}
	w := spool.NewWriter(cfg.Reports.SpoolDirectory, 1<<30, slog.New(slog.DiscardHandler),
		func() time.Time { return noon })
	for range 3 {
		w.Record(report.Evaluation{
			Time: noon, Client: netip.MustParseAddr("192.0.2.1"), SPF: true, Disposition: "none",
			HeaderFrom: "friend.example", EnvelopeFrom: "friend.example",
			SPFAuth: &report.SPFAuth{Domain: "friend.example", Result: "pass"},
			Policy: report.Policy{
				Domain: "friend.example", Text: "v=DMARC1; p=none", P: "none", SP: "none",
				NP: "none", ADKIM: "r", ASPF: "r",
				Discovery: "treewalk", URIs: []string{"mailto:d@friend.example"},
			},
		})
	}
	w.Wrote("friend.example")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.Run(ctx)
}

func checkKilled(t *testing.T, cfg *config.Config, mta *sink, mails int, state string) {
	t.Helper()
	s, err := OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.OutReports(t.Context(), "", "", 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d reports, %v", len(list), err)
	}
	if r := list[0]; r.Messages != 3 || len(r.Deliveries) != 1 || r.Deliveries[0].State != state {
		t.Errorf("%d messages, %s; want %s", r.Messages, r.Deliveries[0].State, state)
	}
	if got := mta.all(); len(got) != mails {
		t.Errorf("%d mails, want %d", len(got), mails)
	}
	left, err := spool.Segments(cfg.Reports.SpoolDirectory)
	if err != nil || len(left) > 0 {
		t.Errorf("%d segments are left, %v", len(left), err)
	}
}
