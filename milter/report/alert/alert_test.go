package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys/database"
	"mailseal/milter/report"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

// now is a Monday.
var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openSQLite(t *testing.T) *store.Store {
	t.Helper()
	return open(t, store.Options{Driver: database.SQLite, DSN: storetest.SQLite(t)})
}

// stores runs a test with each driver; PostgreSQL is left out under -short.
func stores(t *testing.T, test func(*testing.T, *store.Store)) {
	t.Run("sqlite", func(t *testing.T) { test(t, openSQLite(t)) })
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts a real server")
		}
		test(t, open(t, store.Options{Driver: database.Postgres, DSN: rig.Postgres(t).DSN}))
	})
}

// given is a report on a day before now.
type given struct {
	ago      int
	reporter string
	source   string
	count    int64
	result   string // of DKIM and SPF
	policy   string
	problem  string // of the mail
}

func put(t *testing.T, s *store.Store, list ...given) {
	t.Helper()
	for i, g := range list {
		begin := store.DayStart(store.Day(now) - int64(g.ago))
		f := &report.Feedback{Rows: 1, Messages: g.count}
		f.Metadata.Org, f.Metadata.Email = g.reporter, "dmarc@"+g.reporter
		f.Metadata.ReportID = fmt.Sprint(g, i)
		f.Metadata.Begin, f.Metadata.End = begin, begin.Add(24*time.Hour-time.Second)
		f.Policy.Domain, f.Policy.P = "example.com", g.policy
		a := &store.Arrival{
			Received: begin.Add(30 * time.Hour), Via: "lmtp", Name: "x", Trust: store.ByHand,
			Data: fmt.Appendln(nil, g, i),
		}
		_, err := s.Ingest(t.Context(), a, func(in *store.Ingest) error {
			if g.problem != "" {
				return in.Finish("aggregate", g.problem)
			}
			head := store.Head{Feedback: f, Digest: fmt.Sprint(g, i), Configured: true,
				Trust: store.ByHand}
			if _, err := in.Report(head); err != nil {
				return err
			}
			row := &report.Row{
				N: 1, Source: g.source, Count: g.count, DKIM: g.result, SPF: g.result, Disposition: "none",
				HeaderFrom: "example.com",
			}
			return errors.Join(in.Row("example.com", row), in.End(), in.Finish("aggregate", ""))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// days are reports on each of the days from first to last before now.
func days(first, last int, g given) (out []given) {
	for ago := first; ago >= last; ago-- {
		g.ago = ago
		out = append(out, g)
	}
	return out
}

var usual = given{reporter: "big.example", source: "192.0.2.1", count: 50, result: "pass",
	policy: "none"}

func TestLook(t *testing.T) {
	with := func(change func(*given)) given {
		g := usual
		change(&g)
		return g
	}
	tests := []struct {
		name string
		puts []given
		want []string // code, domain and subject
	}{
		{"nothing", nil, nil},
		{"all is as ever", days(25, 1, usual), nil},
		{"everything is new in the first week", days(5, 1, usual), nil},
		{"new source", append(days(25, 1, usual), with(func(g *given) { g.ago, g.source = 2, "198.51.100.9" })),
			[]string{"new-source example.com 198.51.100.9"}},
		{"new source of few messages",
			append(days(25, 1, usual), with(func(g *given) {
				g.ago, g.source, g.count = 2, "198.51.100.9", 9
			})), nil},
		{"new source a while ago",
			append(days(25, 1, usual), with(func(g *given) {
				g.ago, g.source = 9, "198.51.100.9"
			})), nil},
		{"own source fails", append(days(25, 3, usual),
			days(2, 1, with(func(g *given) { g.result = "fail" }))...),
			[]string{"source-failing example.com 192.0.2.1"}},
		{"source that never passed goes on failing", slices.Concat(days(25, 1, usual),
			days(25, 1, with(func(g *given) { g.source, g.result = "198.51.100.9", "fail" }))),
			nil},
		{"receiver silent", append(days(25, 1, usual),
			days(25, 7, with(func(g *given) { g.reporter = "quiet.example" }))...),
			[]string{"receiver-silent  quiet.example"}},
		{"receiver that reports seldom", append(days(25, 1, usual),
			days(12, 7, with(func(g *given) { g.reporter = "quiet.example" }))...), nil},
		{"policy changed", append(days(25, 4, usual), days(3, 1, with(func(g *given) { g.policy = "reject" }))...),
			[]string{"policy-changed example.com p=none to p=reject"}},
		{"reporters disagree about the policy", append(days(25, 1, usual),
			days(25, 1, with(func(g *given) {
				g.reporter, g.policy = "other.example", "reject"
			}))...), nil},
		{"no mail", days(25, 5, usual), []string{"intake-broken  no mail"}},
		{"not readable", append(days(25, 2, usual),
			with(func(g *given) { g.ago, g.problem = 1, "bad 1" }),
			with(func(g *given) { g.ago, g.problem = 1, "bad 2" }),
			with(func(g *given) { g.ago, g.problem = 1, "bad 3" })),
			[]string{"intake-broken  not readable"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openSQLite(t)
			put(t, s, test.puts...)
			look(t, s, test.want)
		})
	}
	t.Run("together", func(t *testing.T) { // on both drivers
		stores(t, func(t *testing.T, s *store.Store) {
			put(t, s, slices.Concat(days(25, 4, usual),
				days(3, 1, with(func(g *given) { g.policy, g.result = "reject", "fail" })),
				[]given{with(func(g *given) {
					g.ago, g.source, g.policy = 2, "198.51.100.9", "reject"
				})})...)
			look(t, s, []string{
				"new-source example.com 198.51.100.9", "source-failing example.com 192.0.2.1",
				"policy-changed example.com p=none to p=reject",
			})
		})
	})
}

// look compares the alerts that hold with code, domain and subject of those that are wanted.
func look(t *testing.T, s *store.Store, want []string) {
	t.Helper()
	got, err := (&Watcher{Store: s, Messages: 10, SilentDays: 4}).Look(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	var short []string
	for _, a := range got {
		short = append(short, a.Code+" "+a.Domain+" "+a.Subject)
	}
	if !slices.Equal(short, want) {
		t.Errorf("got %q, want %q", short, want)
	}
}

func TestVerdictsSilenceSources(t *testing.T) {
	s := openSQLite(t)
	fresh := usual
	fresh.ago, fresh.source = 2, "198.51.100.9"
	put(t, s, append(days(25, 1, usual), fresh)...)
	err := s.Judge(t.Context(), store.Verdict{Subject: "198.51.100.0/24", Class: "not ours",
		By: "x", At: now})
	if err != nil {
		t.Fatal(err)
	}
	got, err := (&Watcher{Store: s, Messages: 10, SilentDays: 4}).Look(t.Context(), now)
	if err != nil || len(got) > 0 {
		t.Errorf("got %v, %v; want no alert", got, err)
	}
}

func TestBounded(t *testing.T) {
	list := make([]store.Alert, 500)
	for i := range list {
		list[i] = store.Alert{Code: NewSource, Domain: fmt.Sprint(i)}
	}
	got := bounded(list)
	if len(got) != maxAlert+1 || !strings.Contains(got[maxAlert].Text, "480 more") {
		t.Errorf("got %d alerts, the last %v; want %d and 480 more", len(got), got[len(got)-1],
			maxAlert+1)
	}
}

// server takes mail, except for addresses that it has an error for.
type server struct {
	errs map[string]error
	got  []string // from, to and message
}

func (s *server) Hand(_ context.Context, from, to string, message []byte) error {
	if err := s.errs[to]; err != nil {
		return err
	}
	s.got = append(s.got, from+" "+to+"\n"+string(message))
	return nil
}

func mailer(s *store.Store, to ...string) (*Mailer, *server) {
	out := &server{errs: map[string]error{}}
	return &Mailer{
		Store: s, From: "dmarc@reports.example", To: to, Host: "mx.example", Transport: out,
		Log: slog.New(slog.DiscardHandler),
	}, out
}

func TestMailedOnce(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		m, out := mailer(s, "a@example.com", "b@example.com", "c@example.com")
		out.errs["b@example.com"] = errors.New("full")
		out.errs["c@example.com"] = send.Refused{Text: "550 no"}
		week := 7 * 24 * time.Hour
		look := func(after time.Duration, list ...store.Alert) {
			t.Helper()
			if _, err := s.Raise(t.Context(), now.Add(after), week, list...); err != nil {
				t.Fatal(err)
			}
		}
		sent := func(after time.Duration, wantErr bool, want ...string) {
			t.Helper()
			out.got = nil
			if err := m.Send(t.Context(), now.Add(after)); (err != nil) != wantErr {
				t.Fatalf("got error %v", err)
			}
			var to []string
			for _, g := range out.got {
				line, _, _ := strings.Cut(g, "\n")
				to = append(to, line)
			}
			if !slices.Equal(to, want) {
				t.Errorf("mailed to %q, want %q", to, want)
			}
		}
		a := store.Alert{Code: NewSource, Domain: "example.com", Subject: "192.0.2.1", Text: "one"}
		look(0, a)
		sent(0, true, " a@example.com") // b does not take it now, c never
		out.errs["b@example.com"] = nil
		sent(time.Hour, false, " b@example.com")
		look(2*time.Hour, a) // it goes on
		sent(2*time.Hour, false)
		look(6*24*time.Hour, a)
		look(12*24*time.Hour, a) // still within quiet of the last time
		sent(12*24*time.Hour, false)
		look(30*24*time.Hour, a) // it was away
		sent(30*24*time.Hour, false, " a@example.com", " b@example.com")
		look(31*24*time.Hour, store.Alert{Code: NewSource, Domain: "example.org",
			Subject: "192.0.2.1"})
		sent(60*24*time.Hour, false) // too old to be news
	})
}

// body is a part of a mail.
// A mail has the latest hundred alerts, and says how many others there are: none is lost without a
// word.
func TestManyAlerts(t *testing.T) {
	s := openSQLite(t)
	m, out := mailer(s, "a@example.com")
	var list []store.Alert
	for i := range 130 {
		list = append(list, store.Alert{Code: NewSource, Domain: "example.com",
			Subject: fmt.Sprint(i), Text: fmt.Sprintf("number-%d-", i)})
	}
	list = append(list, store.Alert{Code: PolicyChanged, Domain: "example.com",
		Text: "the last one"})
	for i := range list {
		at := now.Add(-time.Duration(i) * time.Minute)
		if _, err := s.Raise(t.Context(), at, time.Hour, list[i]); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := m.Send(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.got) != 1 {
		t.Fatalf("%d mails, want one", len(out.got))
	}
	header, text := body(t, out.got[0], 0)
	const rest = "31 older alerts are not in this mail: 30 new-source, 1 policy-changed."
	if strings.Count(text, "number-") != maxMailed || !strings.Contains(text, "number-0-") ||
		!strings.Contains(text, rest) ||
		!strings.Contains(header.Get("Subject"), "131 alerts") {
		t.Errorf("%s\n%s", header.Get("Subject"), text)
	}
	if left, err := s.Alerts(t.Context(), true, 10); err != nil || len(left) > 0 {
		t.Errorf("%d are not marked as mailed, %v", len(left), err)
	}
}

func body(t *testing.T, raw string, n int) (mail.Header, string) {
	t.Helper()
	_, raw, _ = strings.Cut(raw, "\n")
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			text, err := io.ReadAll(quotedprintable.NewReader(p))
			if err != nil {
				t.Fatal(err)
			}
			return m.Header, string(text)
		}
		n--
	}
}

func TestMessageIsSafe(t *testing.T) {
	s := openSQLite(t)
	m, out := mailer(s, "a@example.com")
	evil := "x\r\nBcc: v@example.net\x1b[31m\u202e"
	a := store.Alert{Code: ReceiverSilent, Domain: evil, Subject: evil, Text: evil}
	if _, err := s.Raise(t.Context(), now, time.Hour, a); err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	header, text := body(t, out.got[0], 0)
	if header.Get("Bcc") != "" || header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header %v", header)
	}
	if strings.ContainsAny(text, "\x1b\u202e") ||
		!strings.Contains(text, "x??Bcc: v@example.net?[31m?") {
		t.Errorf("text %q", text)
	}
}

func TestDigest(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		bad := usual
		bad.source, bad.result, bad.count = "198.51.100.9", "fail", 7
		put(t, s, append(days(14, 1, usual), days(5, 3, bad)...)...)
		m, out := mailer(s, "a@example.com")
		early := time.Date(2026, 11, 30, 5, 59, 0, 0, time.UTC)
		for _, at := range []time.Time{early, early, early.Add(time.Minute), now,
			now.AddDate(0, 0, 6)} {
			if err := m.Digest(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		if len(out.got) != 2 {
			t.Fatalf("got %d digests, want one of each week", len(out.got))
		}
		header, text := body(t, out.got[1], 0)
		if got := header.Get("Subject"); got != "mailseal on mx.example: DMARC in the week to 2026-11-29" {
			t.Errorf("subject %q", got)
		}
		for _, want := range []string{
			"371 messages, 94 % pass DMARC (the week before: 350, all); 21 failed and were delivered.",
			"192.0.2.1 (ours): 350 of 350 messages pass.",
			"198.51.100.9 (spoof): 0 of 21 messages pass.",
			"a forgery.",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the digest lacks %q:\n%s", want, text)
			}
		}
		if _, html := body(t, out.got[1], 1); !strings.Contains(html, "<td>198.51.100.9</td>") {
			t.Errorf("html %s", html)
		}
	})
}

// Hundreds of sources at once, hour after hour, are one mail with as many alerts as people read,
// and one sentence.
func TestStorm(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		put(t, s, days(20, 1, usual)...)
		var storm []given
		for i := range 300 {
			storm = append(storm, given{ago: 1, reporter: "big.example",
				source: fmt.Sprintf("10.0.%d.%d", i>>8, i&255), count: 200, result: "fail",
				policy: "none"})
		}
		put(t, s, storm...)
		w := &Watcher{Store: s, Messages: 100, SilentDays: 5}
		m, out := mailer(s, "a@example.com")
		for hour := range 12 {
			at := now.Add(time.Duration(hour) * time.Hour)
			// Each hour others are first in the list.
			put(t, s, given{ago: 1, reporter: "big.example", source: fmt.Sprintf("1.0.0.%d",
				100-hour), count: 200, result: "fail", policy: "none"})
			found, err := w.Look(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.RaiseSome(t.Context(), at, 7*24*time.Hour, MaxDaily,
				found...); err != nil {
				t.Fatal(err)
			}
			if err := m.Send(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.Alerts(t.Context(), false, 1000)
		if err != nil || len(list) > maxAlert+2 || len(out.got) > 2 {
			t.Errorf("%d alerts in %d mails, %v; want %d at most in 2", len(list), len(out.got),
				err, maxAlert+2)
		}
	})
}

// The first look after an import of a long history tells of the last days, not of all.
func TestFirstLook(t *testing.T) {
	s := openSQLite(t)
	var list []given
	for ago := 90; ago >= 1; ago-- {
		policy := "none"
		if ago%20 < 10 {
			policy = "quarantine"
		}
		list = append(list, given{ago: ago, reporter: "big.example", source: "192.0.2.1", count: 50,
			result: "pass", policy: policy})
		list = append(list, given{ago: ago, reporter: "big.example",
			source: fmt.Sprint("10.0.0.", ago), count: 500, result: "fail", policy: policy})
	}
	put(t, s, list...)
	w := &Watcher{Store: s, Messages: 100, SilentDays: 5}
	found, err := w.Look(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range found {
		if a.Code == NewSource && a.Subject < "10.0.0.1" || len(found) > 12 {
			t.Errorf("%d alerts, such as %+v", len(found), a)
		}
	}
	if len(found) == 0 {
		t.Error("the new sources of the last week are not found")
	}
}

// A reporter that is new and says more than all others together is named; one that says little is
// not, nor the first of all.
func TestNewReporter(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		w := &Watcher{Store: s, Messages: 100, SilentDays: 5}
		names := func() (out []string) {
			t.Helper()
			found, err := w.Look(t.Context(), now)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range found {
				if a.Code == NewReporter {
					out = append(out, a.Domain+" "+a.Subject)
					if !strings.Contains(a.Text, `"mailseal reports refuse `+a.Subject+`"`) {
						t.Errorf("no remedy in %q", a.Text)
					}
				}
			}
			return out
		}
		put(t, s, days(20, 1, usual)...)
		put(t, s, given{ago: 2, reporter: "small.example", source: "192.0.2.1", count: 120,
			result: "pass", policy: "none"})
		if got := names(); len(got) != 0 {
			t.Errorf("got %q, want none", got)
		}
		put(t, s, given{ago: 2, reporter: "evil.example", source: "192.0.2.66", count: 9000,
			result: "fail", policy: "none"})
		if got := names(); !slices.Equal(got, []string{"example.com evil.example"}) {
			t.Errorf("got %q, want evil.example", got)
		}
		if _, err := s.Refuse(t.Context(), "evil.example"); err != nil {
			t.Fatal(err)
		}
		if got := names(); len(got) != 0 {
			t.Errorf("refused, and told of again: %q", got)
		}
	})
}

// A digest that went out under a clock that was a year ahead does not keep those of the year from
// going out.
func TestDigestClock(t *testing.T) {
	s := openSQLite(t)
	put(t, s, days(20, 1, usual)...)
	m, out := mailer(s, "a@example.com")
	for _, step := range []struct {
		at    time.Time
		mails int
	}{
		{now, 1}, {now.Add(time.Hour), 1}, {now.AddDate(0, 0, -3), 1}, {now, 1},
	} {
		if err := m.Digest(t.Context(), step.at); err != nil || len(out.got) != step.mails {
			t.Errorf("%v: %d mails, %v; want %d", step.at, len(out.got), err, step.mails)
		}
	}
	_, week := weekOf(now)
	if err := s.SetMark(t.Context(), "digest to a@example.com", week+52); err != nil {
		t.Fatal(err)
	}
	if err := m.Digest(t.Context(), now); err != nil || len(out.got) != 2 {
		t.Errorf("after a clock that was ahead: %d mails, %v; want one more", len(out.got), err)
	}
}
