package send

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

const failureZone = `
_dmarc.shop.example.       IN TXT "v=DMARC1; p=reject; ruf=mailto:f@shop.example"
_dmarc.friend.example.     IN TXT "v=DMARC1; p=none"
_dmarc.other.example.      IN TXT "v=DMARC1; p=none"
shop.example._report._dmarc.friend.example. IN TXT "v=DMARC1; ruf=mailto:instead@friend.example"
$SERVFAIL shop.example._report._dmarc.silent.example
_report._domainkey.signer.example. IN TXT "ra=dkim-errors; rr=v"
_report._domainkey.half.example. IN TXT "ra=dkim-errors; rp=50"
`

// failing is a forgery from a client, of which ruf wants a report.
func failing(client, ruf string, at time.Time) *report.Failing {
	return &report.Failing{
		Failed: report.FailedDMARC, URIs: strings.Split(ruf, ","), MailFrom: "Secret.Person@elsewhere.example",
		SPFRecord: "v=spf1 -all",
		Signature: &report.FailedSignature{Domain: "shop.example", Selector: "s", Identifier: "alice@shop.example"},
		Header: []byte("From: Alice Cooper <alice@shop.example>\r\nTo: \"Bob\" <bob.builder@ours.example>\r\n" +
			"Message-ID: <alice.77@shop.example>\r\nSubject: hello alice\r\n" +
			"DKIM-Signature: v=1; d=shop.example; s=s; i=alice@shop.example;\r\n b=AAAA\r\n"),
		Evaluation: report.Evaluation{
			Time: at, Client: netip.MustParseAddr(client), Disposition: "reject", HeaderFrom: "shop.example",
			EnvelopeFrom: "elsewhere.example", SPFAuth: &report.SPFAuth{Domain: "elsewhere.example", Result: "fail"},
			Policy: report.Policy{Domain: "shop.example", P: "reject", FO: "0"},
		},
	}
}

func newFailureSite(t *testing.T, hosts ...string) *site {
	t.Helper()
	s := newSite(t, failureZone)
	s.Failures = func(host string) bool {
		for _, h := range hosts {
			if h == host {
				return true
			}
		}
		return false
	}
	return s
}

func (s *site) failures(t *testing.T, now time.Time, list ...*report.Failing) []store.OutFailure {
	t.Helper()
	b := store.NewOutBatch()
	for _, f := range list {
		b.AddFailing(f)
	}
	s.fold(t, b, now)
	if err := s.DeliverFailures(t.Context(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return s.stored(t)
}

func (s *site) stored(t *testing.T) []store.OutFailure {
	t.Helper()
	out, err := s.Store.OutFailures(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFailureReport holds the form of a failure report, that no name of a person is in it, and that
// our own reader reads it.
func TestFailureReport(t *testing.T) {
	s := newFailureSite(t, "shop.example")
	got := s.failures(t, day0, failing("192.0.2.1", "mailto:f@shop.example", day0),
		failing("192.0.2.9", "mailto:f@shop.example", day0))
	if len(s.tr.sent) != 1 || len(got) != 1 || got[0].State != store.HandedOver ||
		got[0].Incidents != 2 {
		t.Fatalf("%d mails, %+v", len(s.tr.sent), got)
	}
	mail := s.tr.sent[0].message
	for _, secret := range []string{"alice", "bob", "builder", "secret", "person", "cooper"} {
		if strings.Contains(strings.ToLower(mail), secret) {
			t.Errorf("%q is in\n%s", secret, mail)
		}
	}
	for _, want := range []string{
		"Content-Type: multipart/report; report-type=feedback-report;",
		"Auto-Submitted: auto-generated\r\n",
		"Feedback-Type: auth-failure\r\n", "Version: 1\r\n", "User-Agent: mailseal test\r\n",
		"Auth-Failure: dmarc\r\n",
		"Identity-Alignment: dkim,spf\r\n", "Reported-Domain: shop.example\r\n",
		"Source-IP: 192.0.2.1\r\n",
		"Delivery-Result: reject\r\n", "Incidents: 2\r\n", "DKIM-Domain: shop.example\r\n",
		"DKIM-Selector: s\r\n",
		"SPF-DNS: txt : elsewhere.example :\r\n \"v=spf1 -all\"\r\n",
		"dmarc=fail (p=reject) header.from=shop.example\r\n",
		"Content-Type: text/rfc822-headers\r\n",
	} {
		if strings.Count(mail, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, mail)
		}
	}
	parts := strings.Split(mail, "\r\n--failure-"+got[0].ID)
	_, feedback, _ := strings.Cut(parts[2], "\r\n\r\n")
	_, original, _ := strings.Cut(parts[3], "\r\n\r\n")
	f, err := report.ReadFailure([]byte(feedback), []byte(original))
	if err != nil || f.Domain != "shop.example" || f.Incidents != 2 || f.Alignment != "dkim,spf" ||
		!strings.HasSuffix(f.From, "@shop.example>") {
		t.Errorf("%v, %+v", err, f)
	}
	again := failing("192.0.2.1", "mailto:f@shop.example", day0)
	redact := report.Redactor{Key: []byte("k")}
	other := redact
	redact.Redact(again)
	if !strings.Contains(string(again.Header), "<"+other.Local("alice")+"@shop.example>") ||
		again.Signature.Identifier != other.Local("ALICE")+"@shop.example" {
		t.Errorf("equal names are not equal: %s %s", again.Header, again.Signature.Identifier)
	}
}

// TestFailureGates holds where failure reports go and where not, each with a reason.
func TestFailureGates(t *testing.T) {
	for _, tc := range []struct {
		name, ruf string
		change    func(*site)
		want      string
		reason    string
	}{
		{"listed", "mailto:f@shop.example", nil, "handed over to f@shop.example", ""},
		{"not listed any more", "mailto:f@gone.example", nil, "withheld", "reports.failure.domains"},
		{"another organization that agrees", "mailto:f@friend.example", nil,
			"handed over to instead@friend.example", ""},
		{"one that does not", "mailto:f@other.example", nil, "failed", "not authorized"},
		{"the DNS is silent", "mailto:f@silent.example", nil, "deferred", "the DNS did not answer"},
		{"excluded", "mailto:f@shop.example", func(s *site) {
			s.Rules.Excluded = func(d string) bool { return d == "shop.example" }
		}, "withheld", "exclude_domains"},
		{"refused", "mailto:f@shop.example", func(s *site) { s.tr.fails = Refused{"550 no"} }, "failed", "550 no"},
		{"away", "mailto:f@shop.example", func(s *site) { s.tr.fails = errors.New("away") }, "deferred", "away"},
		{"our own address", "mailto:f@shop.example", func(s *site) {
			s.Rules.Ours = func(string) bool { return true }
		}, "failed", "our own address"},
		{"suppressed", "mailto:f@shop.example", func(s *site) {
			_ = s.Store.OutSuppress(t.Context(), store.Suppression{
				Address: "F@shop.example", Until: day0.AddDate(0, 1, 0), Reason: "by hand",
			})
		}, "suppressed", "by hand"},
	} {
		s := newFailureSite(t, "shop.example", "friend.example", "other.example", "silent.example")
		if tc.change != nil {
			tc.change(s)
		}
		got := s.failures(t, day0, failing("192.0.2.1", tc.ruf, day0))
		said := got[0].State
		if said == store.HandedOver {
			said += " to " + s.tr.sent[0].to
		}
		if said != tc.want || !strings.Contains(got[0].Reason, tc.reason) ||
			len(s.tr.sent) > 0 != strings.HasPrefix(tc.want, "handed") {
			t.Errorf("%s: %s: %s; %d mails", tc.name, said, got[0].Reason, len(s.tr.sent))
		}
	}
}

// TestFailureFlood holds that 10,000 forgeries make at most 10 reports an hour and 50 a day, and
// that every incident is counted, in a report or as withheld.
func TestFailureFlood(t *testing.T) {
	s := newFailureSite(t, "shop.example")
	for hour := range 24 {
		now := day0.Add(time.Duration(hour) * time.Hour)
		var list []*report.Failing
		for n := range 10_000 / 24 {
			list = append(list, failing(fmt.Sprintf("198.51.%d.7", n%20), "mailto:f@shop.example",
				now))
		}
		before := len(s.tr.sent)
		s.failures(t, now, list...)
		if n := len(s.tr.sent) - before; n > maxFailuresHour {
			t.Errorf("hour %d: %d mails", hour, n)
		}
	}
	var sum int64
	for _, f := range s.stored(t) {
		sum += f.Incidents
		if f.State != store.HandedOver && f.Reason == "" {
			t.Errorf("%+v", f)
		}
	}
	if len(s.tr.sent) != maxFailuresDay || sum != 10_000/24*24 {
		t.Errorf("%d mails, %d incidents", len(s.tr.sent), sum)
	}
}

// TestFailureStrangers holds that domains of strangers, whose records name a listed address, keep
// no report from the domain that is there.
func TestFailureStrangers(t *testing.T) {
	s := newFailureSite(t, "shop.example")
	var list []*report.Failing
	for n := range 2_500 {
		f := failing("198.51.100.7", "mailto:f@shop.example", day0)
		f.Evaluation.Policy.Domain = fmt.Sprintf("a%d.example", n)
		list = append(list, f)
	}
	s.failures(t, day0, append(list, failing("192.0.2.1", "mailto:f@shop.example", day0))...)
	if len(s.tr.sent) != 1 || !strings.Contains(s.tr.sent[0].message,
		"Reported-Domain: shop.example\r\n") {
		t.Errorf("%d mails", len(s.tr.sent))
	}
}

// TestSignerReports holds reports about signatures with r=y: only to a domain that is listed, where
// its record says.
func TestSignerReports(t *testing.T) {
	for _, tc := range []struct {
		name, signer, failed string
		want                 string
	}{
		{"listed", "signer.example", report.FailedBody, "handed over"},
		{"a reason that it leaves out", "signer.example", report.FailedRevoked, "failed"},
		{"no record", "shop.example", report.FailedBody, "failed"},
		{"a victim", "victim.example", report.FailedBody, "withheld"},
	} {
		s := newFailureSite(t, "signer.example", "shop.example")
		f := failing("192.0.2.1", "", day0)
		f.URIs, f.Signer, f.Failed, f.Evaluation.Policy = nil, tc.signer, tc.failed, report.Policy{}
		got := s.failures(t, day0, f)
		if got[0].State != tc.want {
			t.Errorf("%s: %+v", tc.name, got[0])
		}
		if tc.want == "handed over" && (s.tr.sent[0].to != "dkim-errors@signer.example" ||
			!strings.Contains(s.tr.sent[0].message, "Auth-Failure: bodyhash\r\n")) {
			t.Errorf("%s: %+v", tc.name, s.tr.sent[0])
		}
	}
}

// TestFailureBounced holds that a failure report that comes back suppresses its address.
func TestFailureBounced(t *testing.T) {
	s := newFailureSite(t, "shop.example")
	s.failures(t, day0, failing("192.0.2.1", "mailto:f@shop.example", day0))
	for _, want := range []string{"f@shop.example", ""} {
		x, known, err := Bounced(t.Context(), s.Store, s.tr.sent[0].from,
			strings.NewReader("Status: 5.1.1\n"), day0)
		if err != nil || !known || x.Address != want {
			t.Errorf("%+v, %v, %v; want %q", x, known, err, want)
		}
	}
	if got := s.stored(t)[0]; got.State != store.Suppressed {
		t.Errorf("%+v", got)
	}
}

// TestSignerPercentage holds that a merged report is about as many of its incidents as rp asks for,
// and that the sum over many comes to that share.
func TestSignerPercentage(t *testing.T) {
	for _, tc := range []struct {
		percent     int
		least, most int64 // of 10,000 incidents in reports of one to four
	}{{100, 10_000, 10_000}, {50, 4_700, 5_300}, {5, 350, 650}, {0, 0, 0}} {
		var sum, all int64
		for i := range 4_000 {
			n := int64(1 + i%4)
			got := wanted(n, tc.percent, fmt.Sprint("id", i))
			if got != wanted(n, tc.percent, fmt.Sprint("id", i)) || got > n {
				t.Fatalf("%d of %d at rp=%d", got, n, tc.percent)
			}
			sum, all = sum+got, all+n
		}
		if all != 10_000 || sum < tc.least || sum > tc.most {
			t.Errorf("rp=%d: %d of %d incidents are reported, want %d to %d", tc.percent, sum, all,
				tc.least, tc.most)
		}
	}
	s := newFailureSite(t, "half.example")
	f := failing("192.0.2.1", "", day0)
	f.URIs, f.Signer, f.Failed, f.Evaluation.Policy = nil, "half.example", report.FailedBody,
		report.Policy{}
	got := s.failures(t, day0, f, f, f, f, f, f, f, f)
	if got[0].State != store.HandedOver ||
		!strings.Contains(s.tr.sent[0].message, "\r\nIncidents: 4\r\n") {
		t.Errorf("%+v, mails %+v", got[0], s.tr.sent)
	}
}
