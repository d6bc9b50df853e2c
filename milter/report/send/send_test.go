package send

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

var day0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// hand is a mail that was handed over.
type hand struct{ from, to, message string }

// transport is a Transport that keeps mail, or answers as it is told.
type transport struct {
	sent  []hand
	fails error
}

func (tr *transport) Hand(ctx context.Context, from, to string, message []byte) error {
	return tr.HandOver(ctx, from, to, message, func() error { return nil })
}

func (tr *transport) HandOver(
	_ context.Context, from, to string, message []byte, taking func() error,
) error {
	var doubt InDoubt
	if tr.fails != nil && !errors.As(tr.fails, &doubt) {
		return tr.fails
	}
	if err := taking(); err != nil {
		return err
	}
	if tr.fails != nil {
		return tr.fails
	}
	tr.sent = append(tr.sent, hand{from, to, string(message)})
	return nil
}

// site is a Reporter with what is around it.
type site struct {
	*Reporter
	tr  *transport
	seg int
	log *bytes.Buffer
}

func newSite(t *testing.T, zone string) *site {
	t.Helper()
	s, err := store.Open(t.Context(),
		store.Options{Driver: database.SQLite, DSN: storetest.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	z, err := dnstest.Load(strings.NewReader(zone))
	if err != nil {
		t.Fatal(err)
	}
	never := func(string) bool { return false }
	tr, log := &transport{}, &bytes.Buffer{}
	return &site{tr: tr, log: log, Reporter: &Reporter{
		Store:      s,
		Rules:      Rules{Send: true, Listed: never, Excluded: never, Minimum: 1, PerHour: 200},
		Sender:     Sender{Address: "dmarc@reports.example.net", Domain: "reports.example.net"},
		Generator:  "mailseal test",
		Authorizer: &Authorizer{Resolver: z, DMARC: &dmarc.Checker{Resolver: z}},
		Transport:  tr,
		Log:        slog.New(slog.NewTextHandler(log, nil)),
	}}
}

// mail folds a message.
func (s *site) mail(t *testing.T, domain, rua, client string, at time.Time, passes bool, n int) {
	t.Helper()
	b := store.NewOutBatch()
	e := &report.Evaluation{
		Time: at, Client: netip.MustParseAddr(client), SPF: passes, Disposition: "none",
		HeaderFrom: domain, EnvelopeFrom: domain,
		Policy: report.Policy{
			Domain: domain, Text: "v=DMARC1; p=none; rua=" + rua, P: "none", SP: "none", NP: "none",
			ADKIM: "r", ASPF: "r",
			Discovery: "treewalk", URIs: strings.Split(rua, ","),
		},
	}
	for range n {
		b.Add(e)
	}
	s.fold(t, b, at)
}

func (s *site) fold(t *testing.T, b *store.OutBatch, at time.Time) {
	t.Helper()
	s.seg++
	if _, err := s.Store.Fold(t.Context(), []string{fmt.Sprint("seg", s.seg)}, b, at); err != nil {
		t.Fatal(err)
	}
}

// friend has a user write to a domain.
func (s *site) friend(t *testing.T, domain string, at time.Time) {
	t.Helper()
	b := store.NewOutBatch()
	b.Wrote(domain, at)
	s.fold(t, b, at)
}

// step does what the process does at a time.
func (s *site) step(t *testing.T, now time.Time) {
	t.Helper()
	if err := errors.Join(s.Build(t.Context(), store.Day(now)-1, now),
		s.Deliver(t.Context(), now)); err != nil {
		t.Fatal(err)
	}
}

// night steps every ten minutes from midnight after a day until noon.
func (s *site) night(t *testing.T, day time.Time) {
	t.Helper()
	for now := store.DayStart(store.Day(day) + 1); now.Hour() < 12; now = now.Add(
		10 * time.Minute) {
		s.step(t, now)
	}
}

func (s *site) reports(t *testing.T) []store.OutReport {
	t.Helper()
	list, err := s.Store.OutReports(t.Context(), "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// key is that of the store's envelope senders.
func (s *site) key(t *testing.T) []byte {
	t.Helper()
	key, err := s.Store.OutKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const friendZone = `_dmarc.friend.example. IN TXT "v=DMARC1; p=none; rua=mailto:d@friend.example"` +
	"\n"

// TestOneReport takes one domain's mail to a report in the mail server.
func TestOneReport(t *testing.T) {
	s := newSite(t, friendZone)
	s.friend(t, "friend.example", day0)
	s.mail(t, "friend.example", "mailto:d@friend.example,mailto:e@friend.example", "192.0.2.1",
		day0, true, 5)
	s.step(t, day0) // the day is not over
	s.step(t, store.DayStart(store.Day(day0)+1).Add(19*time.Minute))
	if len(s.tr.sent) > 0 || len(s.reports(t)) > 0 {
		t.Fatalf("%d mails before the night", len(s.tr.sent))
	}
	s.night(t, day0)
	if len(s.tr.sent) != 2 {
		t.Fatalf("%d mails, log:\n%s", len(s.tr.sent), s.log)
	}
	r := s.reports(t)[0]
	m := s.tr.sent[0]
	id, n, err := ParseVERP(s.key(t), m.from)
	if err != nil || id != r.ID || n != 1 || m.to != "d@friend.example" ||
		s.tr.sent[1].to != "e@friend.example" {
		t.Errorf("from %s to %s: %v", m.from, m.to, err)
	}
	name := fmt.Sprintf("reports.example.net!friend.example!%d!%d!%s.xml.gz",
		day0.Unix()-12*3600, day0.Unix()+12*3600-1, r.ID)
	subject := "Subject: Report Domain: friend.example\r\n Submitter: reports.example.net\r\n" +
		" Report-ID: " + r.ID + "\r\n"
	for _, want := range []string{
		"From: <dmarc@reports.example.net>\r\n", "To: <d@friend.example>\r\n", subject,
		"Auto-Submitted: auto-generated\r\n",
		"Message-ID: <" + r.ID + ".1@reports.example.net>\r\n",
		"filename=\"" + name + "\"", "Content-Type: application/gzip;",
	} {
		if !strings.Contains(m.message, want) {
			t.Errorf("no %q in\n%s", want, m.message)
		}
	}
	z, err := gzip.NewReader(bytes.NewReader(r.XML))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || !bytes.Contains(text, []byte("<report_id>"+r.ID+"<")) ||
		!bytes.Contains(text, []byte("<count>5</count>")) {
		t.Errorf("%v\n%s", err, text)
	}
	s.night(t, day0.AddDate(0, 0, 1))
	if len(s.tr.sent) != 2 {
		t.Errorf("%d mails after another night: sent twice", len(s.tr.sent))
	}
}

// TestGates holds for each gate that it keeps a report back, and says why.
func TestGates(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Rules)
		want   string
	}{
		{"none", func(*Rules) {}, ""},
		{"off", func(r *Rules) { r.Send = false }, "off:"},
		{"excluded", func(r *Rules) { r.Excluded = func(string) bool { return true } }, "excluded:"},
		{"few", func(r *Rules) { r.Minimum = 6 }, "too few: 5 messages"},
		{"listed only", func(r *Rules) { r.ListedOnly = true }, "not listed:"},
		{"listed", func(r *Rules) { r.ListedOnly = true; r.Listed = func(string) bool { return true } }, ""},
	} {
		s := newSite(t, friendZone)
		tc.change(&s.Rules)
		s.friend(t, "friend.example", day0)
		s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0, true, 5)
		s.night(t, day0)
		r := s.reports(t)
		if len(r) != 1 || !strings.HasPrefix(r[0].Reason, tc.want) ||
			(len(s.tr.sent) == 0) != (tc.want != "") {
			t.Errorf("%s: %d mails, %+v", tc.name, len(s.tr.sent), r)
		}
		if tc.want != "" && !strings.Contains(s.log.String(), tc.want) {
			t.Errorf("%s: the reason is not in the log:\n%s", tc.name, s.log)
		}
	}
}

// TestRelation is the gate that keeps reports from domains that only send spam.
func TestRelation(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    store.Relation
		want bool
	}{
		{"nothing", store.Relation{}, false},
		{"a user wrote there", store.Relation{WroteTo: true}, true},
		{"3 days over 14", store.Relation{PassDays: 3, PassSpan: 14}, true},
		{"3 days over 13", store.Relation{PassDays: 3, PassSpan: 13}, false},
		{"2 days over 30", store.Relation{PassDays: 2, PassSpan: 30}, false},
		{"forged on 3 days from 2 networks", store.Relation{FailDays: 3, FailedNets: 2}, true},
		{"forged on 3 days from 1 network", store.Relation{FailDays: 3, FailedNets: 1}, false},
		{"a spammer whose mail passes, and fails on 3 days", store.Relation{PassDays: 1,
			FailDays: 3, FailedNets: 2}, false},
		{"forged, and a user wrote there", store.Relation{WroteTo: true, PassDays: 1, FailDays: 9,
			FailedNets: 2}, true},
		{"forged on 2 days from 9 networks", store.Relation{FailDays: 2, FailedNets: 9}, false},
	} {
		if got := relation(tc.r); (got == "") != tc.want {
			t.Errorf("%s: got %q", tc.name, got)
		}
	}
}

// TestSpam runs 500 domains that send to us and to which no one writes: with mail that passes they
// get no report, with mail that fails never more than the caps.
func TestSpam(t *testing.T) {
	if testing.Short() {
		t.Skip("is run with the end-to-end tests: a minute with the race detector, in one goroutine")
	}
	for _, tc := range []struct {
		name    string
		passes  bool
		clients [2]string
		reports bool
	}{
		{"mail that passes", true, [2]string{"192.0.2.1", "198.51.100.1"}, false},
		{"mail that fails, of one provider", false, [2]string{"192.0.2.1", "192.0.3.1"}, false},
		{"mail that fails, of two providers", false, [2]string{"192.0.2.1", "198.51.100.1"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) { testSpam(t, tc.passes, tc.clients, tc.reports) })
	}
}

func testSpam(t *testing.T, passes bool, clients [2]string, reports bool) {
	t.Helper()
	var zone strings.Builder
	for n := range 500 {
		fmt.Fprintf(&zone, "_dmarc.junk%d.example. IN TXT \"v=DMARC1; p=none; rua=mailto:d@junk%d.example\"\n",
			n, n)
	}
	s := newSite(t, zone.String())
	s.Rules.PerHour = 20
	for d := range 4 {
		at := day0.AddDate(0, 0, d)
		b := store.NewOutBatch()
		for n := range 500 {
			domain := fmt.Sprintf("junk%d.example", n)
			for _, client := range clients {
				b.Add(&report.Evaluation{
					Time: at, Client: netip.MustParseAddr(client), SPF: passes,
					Disposition: "none", HeaderFrom: domain,
					Policy: report.Policy{
						Domain: domain, Text: "v=DMARC1; p=none", P: "none", Discovery: "treewalk",
						URIs: []string{"mailto:d@" + domain},
					},
				})
			}
		}
		s.fold(t, b, at)
	}
	last := 0
	for hour := range 30 {
		s.step(t, day0.AddDate(0, 0, 3).Add(time.Duration(hour)*time.Hour+12*time.Hour+
			time.Duration(hour)*time.Second))
		if n := len(s.tr.sent) - last; n > 20 {
			t.Errorf("%d mails in an hour", n)
		}
		last = len(s.tr.sent)
	}
	if reports != (last > 0) {
		t.Errorf("%d mails", last)
	}
}

// TestPerHost holds that one destination gets few mails at a time, and loses none: one domain for
// many, or many domains whose mail one provider takes.
func TestPerHost(t *testing.T) {
	for _, tc := range []struct {
		name          string
		record, where func(n int) string
	}{
		{"one domain", func(n int) string {
			return fmt.Sprintf("d%d.example._report._dmarc.big.example. IN TXT \"v=DMARC1\"\n", n)
		}, func(int) string { return "big.example" }},
		{"one provider", func(n int) string {
			return fmt.Sprintf("d%d.example. IN MX 10 in.mx%d.provider.example.\n"+
				"d%d.example. IN MX 20 mx.d%d.example.\n", n, n, n, n)
		}, func(n int) string { return fmt.Sprintf("d%d.example", n) }},
	} {
		t.Run(tc.name, func(t *testing.T) { testPerHost(t, tc.record, tc.where) })
	}
}

func testPerHost(t *testing.T, record, where func(int) string) {
	t.Helper()
	var zone strings.Builder
	for n := range 40 {
		zone.WriteString(record(n))
	}
	s := newSite(t, zone.String())
	s.Rules.Listed = func(string) bool { return true }
	for n := range 40 {
		s.mail(t, fmt.Sprintf("d%d.example", n), "mailto:x@"+where(n), "192.0.2.1", day0, true, 1)
	}
	now := day0.AddDate(0, 0, 1)
	for minute := range 6 {
		before := len(s.tr.sent)
		s.step(t, now.Add(time.Duration(minute)*61*time.Second))
		if n := len(s.tr.sent) - before; n > PerHost {
			t.Errorf("%d mails in a minute", n)
		}
	}
	if len(s.tr.sent) != 40 {
		t.Errorf("%d mails\n%s", len(s.tr.sent), s.log)
	}
}

// TestSlots holds that the reports of a night are spread, and that a domain has its own time.
func TestSlots(t *testing.T) {
	hours := map[int]int{}
	for n := range 1000 {
		name := fmt.Sprintf("d%d.example", n)
		at := store.Slot(name, store.Day(day0))
		earliest := store.DayStart(store.Day(day0) + 1).Add(20 * time.Minute)
		if at != store.Slot(name, store.Day(day0)) || at.Before(earliest) {
			t.Errorf("%s", at)
		}
		hours[at.Hour()]++
	}
	if len(hours) != 6 {
		t.Errorf("got %v", hours)
	}
	for h, n := range hours {
		if n > 250 {
			t.Errorf("%d of 1000 at %d", n, h)
		}
	}
}
