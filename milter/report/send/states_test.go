package send

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// TestStates takes mails through what a mail server and the DNS may answer: each ends in a state
// that can be seen.
func TestStates(t *testing.T) {
	for _, tc := range []struct {
		name  string
		zone  string
		rua   string
		fails error
		after time.Duration
		want  string
	}{
		{"taken", friendZone, "mailto:d@friend.example", nil, 0, store.HandedOver},
		{"refused", friendZone, "mailto:d@friend.example", Refused{"550 no"}, 0, store.Failed},
		{
			"no reply", friendZone, "mailto:d@friend.example",
			InDoubt{errors.New("connection reset")}, 0,
			store.InDoubt,
		},
		{"away", friendZone, "mailto:d@friend.example", errors.New("connection refused"), 0, store.Deferred},
		{
			"away for long", friendZone, "mailto:d@friend.example",
			errors.New("connection refused"),
			giveUp + 24*time.Hour, store.Failed,
		},
		{"not authorized", friendZone, "mailto:d@other.example", nil, 0, store.Failed},
		{
			"the DNS is silent", friendZone +
				"$SERVFAIL friend.example._report._dmarc.other.example\n",
			"mailto:d@other.example", nil, 0, store.Deferred,
		},
	} {
		s := newSite(t, tc.zone)
		s.friend(t, "friend.example", day0)
		s.mail(t, "friend.example", tc.rua, "192.0.2.1", day0, true, 1)
		s.tr.fails = tc.fails
		s.night(t, day0)
		if tc.after > 0 {
			s.step(t, day0.Add(tc.after))
		}
		d := s.reports(t)[0].Deliveries[0]
		if d.State != tc.want || d.State != store.HandedOver && d.Reason == "" {
			t.Errorf("%s: %s: %s", tc.name, d.State, d.Reason)
		}
	}
}

// TestAwayForADay holds that a mail server that is away for a day costs no report, and sends none
// twice.
func TestAwayForADay(t *testing.T) {
	s := newSite(t, friendZone)
	s.friend(t, "friend.example", day0)
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0, true, 1)
	s.tr.fails = errors.New("connection refused")
	s.night(t, day0)
	before := s.reports(t)[0]
	s.tr.fails = nil
	s.night(t, day0.AddDate(0, 0, 1))
	after := s.reports(t)[0]
	if len(s.tr.sent) != 1 || after.ID != before.ID ||
		s.tr.sent[0].message != string(before.Deliveries[0].Message) {
		t.Errorf("%d mails; ids %s, %s", len(s.tr.sent), before.ID, after.ID)
	}
}

// TestLateRows holds that rows that come after a report was built make one of their own.
func TestLateRows(t *testing.T) {
	s := newSite(t, friendZone)
	s.friend(t, "friend.example", day0)
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0, true, 1)
	s.night(t, day0)
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0, true, 7)
	s.night(t, day0.AddDate(0, 0, 1))
	r := s.reports(t)
	if len(r) != 2 || r[0].ID == r[1].ID || r[0].Messages+r[1].Messages != 8 ||
		len(s.tr.sent) != 2 {
		t.Errorf("%d mails, %+v", len(s.tr.sent), r)
	}
}

// TestClock holds that mail on both sides of midnight is in the reports of two days, and that a
// clock that is set back across midnight makes a part of its own: no message is lost, none is in
// two reports, and no two reports share an ID.
func TestClock(t *testing.T) {
	s := newSite(t, friendZone)
	s.friend(t, "friend.example", day0)
	midnight := store.DayStart(store.Day(day0) + 1)
	for _, at := range []time.Time{
		midnight.Add(-time.Second), midnight.Add(-time.Nanosecond), midnight,
		midnight.Add(time.Second),
	} {
		s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", at, true, 1)
	}
	s.step(t, midnight.Add(-time.Second)) // the day is not over
	if n := len(s.reports(t)); n != 0 {
		t.Fatalf("%d reports of a day that is not over", n)
	}
	s.night(t, day0)
	back := midnight.Add(-time.Hour) // the clock is set back, and mail comes
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", back, true, 5)
	s.step(t, back.Add(time.Minute))
	s.night(t, day0.AddDate(0, 0, 1))
	byDay, ids := map[string]int64{}, map[string]bool{}
	for _, r := range s.reports(t) {
		byDay[r.Date] += r.Messages
		ids[r.ID] = true
	}
	first, second := day0.Format(time.DateOnly), midnight.Format(time.DateOnly)
	if byDay[first] != 7 || byDay[second] != 2 || len(ids) != 3 || len(s.tr.sent) != 3 {
		t.Errorf("messages by day %v, %d ids, %d mails", byDay, len(ids), len(s.tr.sent))
	}
	for _, sent := range s.tr.sent {
		if strings.Contains(sent.message, first) && strings.Contains(sent.message, second) {
			t.Errorf("a report is about both days:\n%s", sent.message)
		}
	}
}

// TestManyPolicies holds that an owner who changes the record within a day gets a report of each
// policy that was seen, with the policy in it, and each once.
func TestManyPolicies(t *testing.T) {
	s := newSite(t, friendZone)
	s.friend(t, "friend.example", day0)
	for _, rua := range []string{"mailto:d@friend.example",
		"mailto:d@friend.example,mailto:e@friend.example"} {
		s.mail(t, "friend.example", rua, "192.0.2.1", day0, true, 2)
	}
	s.night(t, day0)
	list := s.reports(t)
	if len(list) != 2 || list[0].ID == list[1].ID || list[0].Messages+list[1].Messages != 4 ||
		len(s.tr.sent) != 3 {
		t.Errorf("%d mails, %+v", len(s.tr.sent), list)
	}
}

// TestLargeReports holds that a report with many long names goes out in parts that mail servers
// take, with every message in one of them.
func TestLargeReports(t *testing.T) {
	s := newSite(t, friendZone)
	s.friend(t, "friend.example", day0)
	r := rand.New(rand.NewPCG(1, 1))
	b := store.NewOutBatch()
	for range 2500 {
		e := &report.Evaluation{
			Time: day0, Client: netip.MustParseAddr("192.0.2.1"), DKIM: true, Disposition: "none",
			HeaderFrom: "friend.example", Policy: report.Policy{
				Domain: "friend.example", Text: "v=DMARC1; p=none", P: "none", SP: "none",
				NP: "none", ADKIM: "r", ASPF: "r",
				Discovery: "treewalk", URIs: []string{"mailto:d@friend.example"},
			},
		}
		for range 6 {
			name := fmt.Sprintf("%016x.%s.example", r.Uint64(),
				strings.Repeat(fmt.Sprintf("%08x.", r.Uint32()), 22))
			e.Signatures = append(e.Signatures,
				report.DKIMAuth{Domain: name, Selector: "s", Result: "pass"})
		}
		b.Add(e)
	}
	s.fold(t, b, day0)
	s.night(t, day0)
	var messages int64
	list := s.reports(t)
	for _, x := range list {
		messages += x.Messages
		if len(x.XML) > maxPartBytes {
			t.Errorf("a file of %d bytes", len(x.XML))
		}
	}
	if messages != 2500 || len(list) < 2 || len(s.tr.sent) != len(list) {
		t.Errorf("%d messages in %d reports, %d mails", messages, len(list), len(s.tr.sent))
	}
}

// TestSuppressed holds that a bounce keeps the next report away, and that the report says so.
func TestSuppressed(t *testing.T) {
	s := newSite(t, friendZone)
	s.friend(t, "friend.example", day0)
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0, true, 1)
	s.night(t, day0)
	bounce := strings.NewReader("Diagnostic-Code: smtp; 550 no such user\n")
	if _, _, err := Bounced(t.Context(), s.Store, s.tr.sent[0].from, bounce,
		day0.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0.AddDate(0, 0, 1), true,
		1)
	s.night(t, day0.AddDate(0, 0, 1))
	d := s.reports(t)[0].Deliveries[0]
	if len(s.tr.sent) != 1 || d.State != store.Suppressed ||
		!strings.Contains(d.Reason, "no such user") {
		t.Errorf("%d mails, %+v", len(s.tr.sent), d)
	}
}

// TestOwnAddresses holds that none of our own addresses gets a report, be it named in the record or
// by the host that authorizes it.
func TestOwnAddresses(t *testing.T) {
	for _, tc := range []struct {
		name, rua string
		sent      int
		want      string // the state of the report, and of each address by its number
	}{
		{"the sender's domain", "mailto:x@reports.example.net", 0, "withheld, failed"},
		{"a listed address", "mailto:DMARC-in@example.net", 0, "withheld, failed"},
		{
			"a listed address behind another",
			"mailto:d@friend.example,mailto:dmarc-in@example.net",
			1, "built, handed over, failed",
		},
		{"another address of that domain", "mailto:postmaster@example.net", 1, "built, handed over"},
		{"one that a record names instead", "mailto:x@example.org", 0, "built, failed"},
	} {
		s := newSite(t, friendZone+`
friend.example._report._dmarc.example.net. IN TXT "v=DMARC1"
friend.example._report._dmarc.reports.example.net. IN TXT "v=DMARC1"
friend.example._report._dmarc.example.org. IN TXT "v=DMARC1; rua=mailto:in@example.org"
`)
		s.Rules.Ours = func(address string) bool {
			return strings.EqualFold(address, "dmarc-in@example.net") || address == "in@example.org"
		}
		s.friend(t, "friend.example", day0)
		s.mail(t, "friend.example", tc.rua, "192.0.2.1", day0, true, 1)
		s.night(t, day0)
		r := s.reports(t)[0]
		got := r.State
		slices.SortFunc(r.Deliveries, func(a, b store.OutDelivery) int { return a.N - b.N })
		for _, d := range r.Deliveries {
			got += ", " + d.State
			if d.State == store.Failed && (d.Reason != reasonOurs ||
				!strings.Contains(s.log.String(), reasonOurs)) {
				t.Errorf("%s: reason %q, log:\n%s", tc.name, d.Reason, s.log)
			}
		}
		if got != tc.want || len(s.tr.sent) != tc.sent {
			t.Errorf("%s: %d mails, %s; want %s", tc.name, len(s.tr.sent), got, tc.want)
		}
	}
}

// TestWrongSetUp holds that mails wait while the sender's set-up is wrong, that the log and the
// list say why, and that they go once it is right.
func TestWrongSetUp(t *testing.T) {
	s := newSite(t, friendZone)
	wrong, asked := "set-up: no MX", 0
	s.SetUp = func(context.Context) string { asked++; return wrong }
	s.night(t, day0.AddDate(0, 0, -1))
	if asked > 0 {
		t.Errorf("asked %d times with nothing to send", asked)
	}
	s.friend(t, "friend.example", day0)
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0, true, 1)
	s.night(t, day0)
	d := s.reports(t)[0].Deliveries[0]
	if len(s.tr.sent) > 0 || d.State != store.Deferred || d.Reason != wrong ||
		!strings.Contains(s.log.String(), wrong) {
		t.Errorf("%d mails, %s: %s, log:\n%s", len(s.tr.sent), d.State, d.Reason, s.log)
	}
	wrong = ""
	s.step(t, day0.AddDate(0, 0, 1).Add(2*time.Hour))
	if len(s.tr.sent) != 1 {
		t.Errorf("%d mails once it was right\n%s", len(s.tr.sent), s.log)
	}
}
