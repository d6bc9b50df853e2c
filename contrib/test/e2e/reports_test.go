package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/keys/database"
	"mailseal/milter/report"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
)

// The hosts of the reports' tests. The second one refuses its address.
const (
	friendly = "friend.example"
	gone     = "elsewhere.example"
)

const reportsZone = `
$ORIGIN .
reports.home.example.        60 IN MX 10 mx.home.example.
reports.home.example.        60 IN TXT "v=spf1 mx -all"
_dmarc.reports.home.example. 60 IN TXT "v=DMARC1; p=reject"
`

// reporting is a site that sends DMARC reports.
type reporting struct {
	*site
	out *store.Store
}

// newReporting starts a mail server, which takes the reports of this host, and the daemon, which
// signs them.
func newReporting(t *testing.T, start startMTA) *reporting {
	t.Helper()
	const dir = "/var/lib/mailseal-reports"
	s := prepare(t, start, rig.Options{})
	s.publish(t, "rep", "reports.home.example", keys.RSA)
	if err := s.zone.Add(reportsZone); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(s.key("rep"))
	if err != nil {
		t.Fatal(err)
	}
	s.File("/etc/mailseal/rep.pem", key, 0o600, "root", "root")
	s.Directory(dir, 0o750, "root", "root")
	s.Directory(dir+"/spool", 0o750, "root", "root")
	s.configure(rig.Options{}, `
[keys.rep]
domain = "reports.home.example"
selector = "rep"
file = "/etc/mailseal/rep.pem"

[[sign]]
from = ["*@reports.home.example"]
keys = ["rep"]

[reports]
collect = true
send = true
from = "dmarc@reports.home.example"
smtp = "`+s.SMTP+`"
directory = "`+dir+`"

[reports.alerts]
to = ["postmaster@`+friendly+`"]
`)
	s.serve(t)
	out, err := store.Open(t.Context(), store.Options{
		Driver: database.SQLite, DSN: filepath.Join(s.Path(dir), "reports.db"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return &reporting{s, out}
}

// received has a message of a domain been judged, whose reports go to an address, to which a user
// wrote.
func (r *reporting) received(t *testing.T, domain, rua string, at time.Time) {
	t.Helper()
	b := store.NewOutBatch()
	b.Wrote(domain, at)
	b.Add(&report.Evaluation{
		Time: at, Client: netip.MustParseAddr("192.0.2.1"), SPF: true, Disposition: "none",
		HeaderFrom: domain, EnvelopeFrom: domain, SPFAuth: &report.SPFAuth{Domain: domain, Result: "pass"},
		Policy: report.Policy{
			Domain: domain, Text: "v=DMARC1; p=none", P: "none", SP: "none", NP: "none", ADKIM: "r", ASPF: "r",
			Discovery: "treewalk", URIs: []string{"mailto:" + rua},
		},
	})
	if _, err := r.out.Fold(t.Context(), []string{domain + at.String()}, b, at); err != nil {
		t.Fatal(err)
	}
}

// reports runs a command below "reports", reads its JSON into out, and returns what it printed.
func (r *reporting) reports(t *testing.T, stdin []byte, out any, args ...string) string {
	t.Helper()
	args = append([]string{"reports"},
		append(args, "--json", "--config", "/etc/mailseal/mailseal.toml")...)
	text := r.Run(stdin, "/usr/sbin/mailseal", args...)
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, text)
	}
	return text
}

// outgoing is the list that "reports send" and "reports list" print.
type outgoing struct {
	Reports []store.OutReport
}

// to returns the report of a domain, and its one delivery.
func (s outgoing) to(t *testing.T, domain string) (store.OutReport, store.OutDelivery) {
	t.Helper()
	for _, r := range s.Reports {
		if r.Domain == domain && len(r.Deliveries) == 1 {
			return r, r.Deliveries[0]
		}
	}
	t.Fatalf("no report of %s with one address: %+v", domain, s.Reports)
	panic("not reached")
}

// TestReportsByPostfix hands reports to a real Postfix, which delivers them through the daemon:
// what arrives is signed by the signing table's key and is what RFC 9990 asks for; a destination
// that refuses its report gets no further one.
func TestReportsByPostfix(t *testing.T) {
	r := newReporting(t, rig.Postfix)
	day := store.DayStart(store.Day(time.Now()) - 3).Add(12 * time.Hour)
	r.received(t, friendly, "dmarc@"+friendly, day)
	r.received(t, gone, rig.Unknown, day)
	var check []struct{ State, What, Found string }
	r.reports(t, nil, &check, "check")
	if len(check) != 4 {
		t.Errorf("check: %+v", check)
	}
	var list outgoing
	text := r.reports(t, nil, &list, "send")
	made, delivery := list.to(t, friendly)
	refused, toUnknown := list.to(t, gone)
	if delivery.State != store.HandedOver || toUnknown.State != store.HandedOver {
		t.Fatalf("not handed over:\n%s", text)
	}
	r.asRFC9990(t, made, r.Sink.To(t, "dmarc@"+friendly))

	key, err := r.out.OutKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	verp := send.Sender{Domain: "reports.home.example"}.VERP(key, refused.ID, 1)
	bounce := r.Sink.To(t, verp)
	if bounce.From != "" {
		t.Errorf("a bounce from %q", bounce.From)
	}
	var kept store.Suppression
	text = r.reports(t, bounce.Data, &kept, "bounced", verp)
	left := time.Until(kept.Until)
	if kept.Address != rig.Unknown || kept.Strikes != 1 ||
		!strings.Contains(kept.Reason, "550 5.1.1 no such user") ||
		left < 6*24*time.Hour || left > 7*24*time.Hour {
		t.Errorf("the bounce: %s\n%s", text, bounce.Data)
	}

	r.received(t, friendly, "dmarc@"+friendly, day.AddDate(0, 0, 1))
	r.received(t, gone, rig.Unknown, day.AddDate(0, 0, 1))
	text = r.reports(t, nil, &list, "send")
	r.Sink.To(t, "dmarc@"+friendly)
	if _, d := list.to(t, gone); d.State != store.Suppressed ||
		!strings.Contains(d.Reason, "no such user") {
		t.Errorf("the next day:\n%s", text)
	}
}

// TestAlertsByPostfix mails an alert through a real Postfix and the daemon, which signs it: it
// arrives with a signature of its author's domain, and without an envelope sender.
func TestAlertsByPostfix(t *testing.T) {
	r := newReporting(t, rig.Postfix)
	var mailed struct{ To []string }
	r.reports(t, nil, &mailed, "alerts", "--test")
	d := r.Sink.To(t, "postmaster@"+friendly)
	verdicts := rig.Dkimpy(t, r.txt, d.Data)[0]
	if len(verdicts) != 1 || !verdicts[0].Pass || verdicts[0].Domain != "reports.home.example" {
		t.Errorf("dkimpy: %+v", verdicts)
	}
	if d.From != "" || !strings.Contains(string(d.Data), "This is a test:") {
		t.Errorf("from %q:\n%s", d.From, d.Data)
	}
}

// TestReportsBySendmailProgram hands reports to the sendmail program of each mail server, which
// brings them through the daemon as mail of this host.
func TestReportsBySendmailProgram(t *testing.T) {
	for _, mta := range []struct {
		name  string
		start startMTA
	}{{"Postfix", rig.Postfix}, {"Sendmail", rig.Sendmail}} {
		t.Run(mta.name, func(t *testing.T) {
			r := newReporting(t, mta.start)
			r.received(t, friendly, "dmarc@"+friendly,
				store.DayStart(store.Day(time.Now())-3).Add(12*time.Hour))
			var list outgoing
			text := r.reports(t, nil, &list, "send", "--sendmail", "/usr/sbin/sendmail")
			made, delivery := list.to(t, friendly)
			if delivery.State != store.HandedOver {
				t.Fatalf("not handed over:\n%s", text)
			}
			r.asRFC9990(t, made, r.Sink.To(t, "dmarc@"+friendly))
		})
	}
}

// asRFC9990 checks a mail with a report as it was delivered.
func (r *reporting) asRFC9990(t *testing.T, made store.OutReport, d rig.Delivery) {
	t.Helper()
	verdicts := rig.Dkimpy(t, r.txt, d.Data)[0]
	if len(verdicts) != 1 || !verdicts[0].Pass || verdicts[0].Domain != "reports.home.example" ||
		verdicts[0].Selector != "rep" {
		t.Errorf("dkimpy: %+v", verdicts)
	}
	m, err := netmail.ReadMessage(bytes.NewReader(d.Data))
	if err != nil {
		t.Fatal(err)
	}
	from, err := m.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != "dmarc@reports.home.example" {
		t.Errorf("From %v, %v: not aligned with its signature", from, err)
	}
	if !strings.HasPrefix(d.From, "r+"+made.ID+"-1-") ||
		!strings.HasSuffix(d.From, "@reports.home.example") {
		t.Errorf("envelope sender %q", d.From)
	}
	subject := "Report Domain: " + friendly + " Submitter: reports.home.example Report-ID: " +
		made.ID
	if got := m.Header.Get("Subject"); got != subject {
		t.Errorf("subject %q, want %q", got, subject)
	}
	if got := m.Header.Get("Auto-Submitted"); got != "auto-generated" {
		t.Errorf("Auto-Submitted: %q", got)
	}
	name, text := attached(t, m)
	begin, err := time.Parse(time.DateOnly, made.Date)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("reports.home.example!%s!%d!%d!%s.xml.gz", friendly, begin.Unix(),
		begin.Unix()+86399, made.ID)
	if name != want {
		t.Errorf("file name %q, want %q", name, want)
	}
	for _, want := range []string{
		"<report_id>" + made.ID + "</report_id>", "<domain>" + friendly + "</domain>",
		"<count>1</count>",
		"<source_ip>192.0.2.1</source_ip>", "<email>dmarc@reports.home.example</email>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	read := rig.RunWith(t, d.Data, "reports", "read", "--json", "-")
	var ours struct{ Notes []any }
	if err := json.Unmarshal([]byte(read.Stdout), &ours); err != nil || read.Code != 0 ||
		len(ours.Notes) > 0 ||
		!strings.Contains(read.Stdout, made.ID) {
		t.Errorf("our own reader: %v, %+v", err, read)
	}
}

// attached returns the name of the file in a mail with a report, and what it unpacks to.
func attached(t *testing.T, m *netmail.Message) (name, text string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatalf("%s, %v", kind, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatalf("no application/gzip: %v", err)
		}
		if kind, _, _ := mime.ParseMediaType(
			p.Header.Get("Content-Type")); kind != "application/gzip" {
			continue
		}
		z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, p))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return p.FileName(), string(whole)
	}
}
