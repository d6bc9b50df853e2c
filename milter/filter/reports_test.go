package filter

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/report"
)

// recorder is a Recorder that remembers.
type recorder struct {
	rows   []report.Evaluation
	wrote  []string
	failed []report.Failing
	sent   []report.Sent
}

func (r *recorder) Record(e report.Evaluation) { r.rows = append(r.rows, e) }
func (r *recorder) Wrote(domain string)        { r.wrote = append(r.wrote, domain) }
func (r *recorder) Sent(s report.Sent)         { r.sent = append(r.sent, s) }
func (r *recorder) Failed(f report.Failing)    { r.failed = append(r.failed, f) }

const reportZone = testZone + `
asks.example.        IN TXT "v=spf1 ip4:198.51.100.7 -all"
_dmarc.asks.example. IN TXT "v=DMARC1; p=reject; sp=quarantine; adkim=s; rua=mailto:d@asks.example; ruf=mailto:f@asks.example; fo=1:d"
`

func reportFilter(t testing.TB) (*Filter, *recorder) {
	t.Helper()
	f, _ := newFilter(t, "good")
	z, err := dnstest.Load(strings.NewReader(reportZone))
	if err != nil {
		t.Fatal(err)
	}
	f.Verifier.Resolver = z
	f.Verifier.DMARC.Resolver = z
	rec := &recorder{}
	f.Reports = Reports{
		Recorder: rec, Domain: "reports.example.net", Addresses: patterns(t, "dmarc@example.net"), Relations: true,
		Now: func() time.Time { return time.Unix(1_780_000_000, 0).UTC() },
	}
	return f, rec
}

const askingText = "From: x@sub.asks.example\nSubject: x\n\nbody\n"

// TestRecorded holds which messages make a row, and what it says.
func TestRecorded(t *testing.T) {
	theirs := message.Envelope{
		Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example", Sender: "x@asks.example",
		Recipients: []string{"a@example.net", "b@example.net", "c@example.net"},
	}
	change := func(do func(*message.Envelope)) message.Envelope {
		e := theirs
		do(&e)
		return e
	}
	const aligned = "none dkim=false spf=true asks.example/sub.asks.example from asks.example spf pass []"
	const forged = "none dkim=false spf=false asks.example/sub.asks.example from other.example spf fail [local_policy]"
	for _, tc := range []struct {
		name string
		role action.Role
		env  message.Envelope
		raw  string
		want string
	}{
		{"three recipients are one row", action.RoleTheirs, theirs, askingText, aligned},
		{"a forgery", action.RoleTheirs,
			change(func(e *message.Envelope) { e.Sender = "x@other.example" }), askingText, forged},
		{"no rua", action.RoleTheirs, theirs, plainText, ""},
		{"no policy", action.RoleTheirs, theirs, strings.ReplaceAll(askingText, "asks", "other"), ""},
		{"a relay", action.RoleRelay, theirs, askingText, ""},
		{"ours that no rule signs", action.RoleOurs, theirs, askingText, ""},
		{"a private client", action.RoleTheirs,
			change(func(e *message.Envelope) { e.Client = netip.MustParseAddr("10.0.0.1") }),
			askingText, ""},
		{"no client", action.RoleTheirs, change(func(e *message.Envelope) { e.Client = netip.Addr{} }), askingText, ""},
		{"the null sender", action.RoleTheirs, change(func(e *message.Envelope) { e.Sender = "" }), askingText, ""},
		{"to the report address", action.RoleTheirs,
			change(func(e *message.Envelope) { e.Recipients = []string{"dmarc@example.net"} }),
			askingText, ""},
		{"a bounce of a report", action.RoleTheirs,
			change(func(e *message.Envelope) {
				e.Recipients = []string{"r+1@reports.example.net"}
			}), askingText, ""},
		{"a report", action.RoleTheirs, theirs,
			"Subject: Report Domain: example.net\nContent-Type: multipart/mixed; boundary=x\n" +
				askingText, ""},
		{"a bounce with a sender", action.RoleTheirs, theirs,
			"Content-Type: multipart/report; boundary=x\n" + askingText, ""},
		{"a subject alone hides nothing", action.RoleTheirs, theirs,
			"From: x@sub.asks.example\nSubject: Report Domain: x\n\nbody\n", aligned},
		{"two authors", action.RoleTheirs, theirs, "From: x@sub.asks.example, y@example.com\n\nbody\n", ""},
		{"no author", action.RoleTheirs, theirs, "Subject: x\n\nbody\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, rec := reportFilter(t)
			decide(t, f, tc.role, milter.ByNetwork, tc.env, tc.raw)
			got := ""
			for _, e := range rec.rows {
				got += rowText(e)
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func rowText(e report.Evaluation) string {
	var reasons []string
	for _, r := range e.Reasons {
		reasons = append(reasons, r.Type)
	}
	return fmt.Sprintf("%s dkim=%v spf=%v %s/%s from %s spf %s %v", e.Disposition, e.DKIM, e.SPF,
		e.Policy.Domain,
		e.HeaderFrom, e.EnvelopeFrom, e.SPFAuth.Result, reasons)
}

// TestRecordedPolicy holds that defaults are filled in.
func TestRecordedPolicy(t *testing.T) {
	f, rec := reportFilter(t)
	env := message.Envelope{Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example",
		Sender: "x@asks.example", Recipients: []string{"a@example.net"}}
	decide(t, f, action.RoleTheirs, milter.ByDefault, env, askingText)
	if len(rec.rows) != 1 {
		t.Fatalf("%d rows", len(rec.rows))
	}
	p := rec.rows[0].Policy
	got := fmt.Sprintf("%s p=%s sp=%s np=%s adkim=%s aspf=%s fo=%s testing=%v %s %v", p.Domain, p.P,
		p.SP, p.NP, p.ADKIM, p.ASPF, p.FO, p.Testing, p.Discovery, p.URIs)
	const want = "asks.example p=reject sp=quarantine np=quarantine adkim=s aspf=r fo=1:d " +
		"testing=false treewalk [mailto:d@asks.example]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestDeferredIsNotRecorded holds that a message that comes again makes one row.
func TestDeferredIsNotRecorded(t *testing.T) {
	f, rec := reportFilter(t)
	f.Policy.DMARC.Reject, f.Policy.DMARC.Quarantine = action.Tempfail, action.Tempfail
	env := message.Envelope{Client: netip.MustParseAddr("198.51.100.9"), Helo: "h.example",
		Sender: "x@other.example", Recipients: []string{"a@example.net"}}
	out, _ := decide(t, f, action.RoleTheirs, milter.ByDefault, env, askingText)
	if out.Action != action.Tempfail || len(rec.rows) != 0 {
		t.Errorf("%v, %d rows", out.Action, len(rec.rows))
	}
}

// TestWrote holds which domains are kept that our users write to: not those that programs answer.
func TestWrote(t *testing.T) {
	to := func(sender string, rcpt ...string) message.Envelope {
		return message.Envelope{Client: local.Client, Sender: sender, Recipients: rcpt}
	}
	for _, tc := range []struct {
		name string
		role action.Role
		env  message.Envelope
		raw  string
		want string
	}{
		{"a user", action.RoleOurs, to("a@example.com", "b@Friend.example", "c@friend.example",
			"d@other.example"), plainText, "friend.example other.example"},
		{"a bounce", action.RoleOurs, to("", "b@friend.example"), plainText, ""},
		{"an answer by a program", action.RoleOurs, to("a@example.com", "b@friend.example"),
			"Auto-Submitted: auto-replied\n" + plainText, ""},
		{"no program", action.RoleOurs, to("a@example.com", "b@friend.example"),
			"Auto-Submitted: no\n" + plainText, "friend.example"},
		{"a stranger", action.RoleTheirs, to("a@example.com", "b@friend.example"), plainText, ""},
	} {
		f, rec := reportFilter(t)
		decide(t, f, tc.role, milter.ByNetwork, tc.env, tc.raw)
		if got := strings.Join(rec.wrote, " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		f.Reports.Relations = false
		rec.wrote = nil
		if decide(t, f, tc.role, milter.ByNetwork, tc.env, tc.raw); len(rec.wrote) > 0 {
			t.Errorf("%s: domains are kept though relations are off", tc.name)
		}
	}
}

// TestFailures holds of which messages a failure report is kept: those that fo asks for, to
// addresses that are listed, and none of programs, bounces and reports.
func TestFailures(t *testing.T) {
	theirs := message.Envelope{
		Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example", Sender: "x@other.example",
		Recipients: []string{"a@example.net"},
	}
	for _, tc := range []struct {
		name, listed string
		change       func(*message.Envelope)
		raw          string
		want         int
	}{
		{"off", "", nil, askingText, 0},
		{"listed", "asks.example", nil, askingText, 1},
		{"another is listed", "other.example", nil, askingText, 0},
		{"the null sender", "asks.example", func(e *message.Envelope) { e.Sender = "" }, askingText, 0},
		{"a report", "asks.example", nil, "Content-Type: multipart/report; x=y\n" + askingText, 0},
		{"a program", "asks.example", nil, "Auto-Submitted: auto-replied\n" + askingText, 0},
		{"to our report sender", "asks.example", func(e *message.Envelope) {
			e.Recipients = []string{"r+1@reports.example.net"}
		}, askingText, 0},
		{"no policy", "asks.example", nil, strings.ReplaceAll(askingText, "asks", "none"), 0},
		{"a public suffix", "psd.example", nil, "From: x@psd.example\n\nbody\n", 0},
		{"two failing signatures of one signer with r=y", "victim.example", nil,
			requestText("r=y; ", "victim.example"), 1},
		{"one without", "victim.example", nil, requestText("", "victim.example"), 0},
		{"r=y of a domain that is not listed", "asks.example", nil, requestText("r=y; ", "victim.example"), 0},
	} {
		f, rec := reportFilter(t)
		z, err := dnstest.Load(strings.NewReader(reportZone + `
_dmarc.psd.example.  IN TXT "v=DMARC1; p=reject; psd=y; rua=mailto:d@psd.example; ruf=mailto:f@psd.example"
s._domainkey.victim.example. IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
`))
		if err != nil {
			t.Fatal(err)
		}
		f.Verifier.Resolver, f.Verifier.DMARC.Resolver = z, z
		if tc.listed != "" {
			f.Reports.Failures = func(host string) bool { return host == tc.listed }
		}
		env := theirs
		if tc.change != nil {
			tc.change(&env)
		}
		decide(t, f, action.RoleTheirs, milter.ByDefault, env, tc.raw)
		if len(rec.failed) != tc.want {
			t.Errorf("%s: %+v", tc.name, rec.failed)
		}
		for _, x := range rec.failed {
			if strings.Contains(string(x.Header), "Subject") ||
				!strings.Contains(string(x.Header), "From: ") {
				t.Errorf("%s: header %q", tc.name, x.Header)
			}
		}
	}
}

// requestText is a message with two signatures of a domain that fail.
func requestText(request, domain string) string {
	field := "DKIM-Signature: v=1; a=ed25519-sha256; " + request + "d=" + domain +
		"; s=s; h=From;\n" +
		" bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA%s\n"
	return fmt.Sprintf(field, "AAAA") + fmt.Sprintf(field, "BBBB") +
		"From: x@none.example\nSubject: s\n\nbody\n"
}

// TestSignersText holds when a refused sender reads what the domain of a broken signature publishes
// for him: the domain is listed, the signature asks for reports, and we refuse for good.
func TestSignersText(t *testing.T) {
	env := message.Envelope{
		Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example", Sender: "x@other.example",
		Recipients: []string{"a@example.net"},
	}
	const says = "; victim.example: call us, +1 555"
	for _, tc := range []struct {
		name, listed, request, rs string
		action                    action.Action
		want                      string
	}{
		{"listed", "victim.example", "r=y; ", "rs=call=20us,=20+1=20555", action.Reject, says},
		{"a text that would end the reply", "victim.example", "r=y; ", "rs=a=0D=0A250=20ok",
			action.Reject, "; victim.example: a??250 ok"},
		{"not listed", "asks.example", "r=y; ", "rs=call=20us", action.Reject, ""},
		{"not asked for", "victim.example", "", "rs=call=20us", action.Reject, ""},
		{"no text", "victim.example", "r=y; ", "ra=x", action.Reject, ""},
		{"other reasons", "victim.example", "r=y; ", "rr=x; rs=call=20us", action.Reject, ""},
		{"none of them", "victim.example", "r=y; ", "rp=0; rs=call=20us", action.Reject, ""},
		{"deferred", "victim.example", "r=y; ", "rs=call=20us", action.Tempfail, ""},
		{"off", "", "r=y; ", "rs=call=20us", action.Reject, ""},
	} {
		f, _ := reportFilter(t)
		z, err := dnstest.Load(strings.NewReader(reportZone + `
s._domainkey.victim.example. IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_report._domainkey.victim.example. IN TXT "` + tc.rs + "\"\n"))
		if err != nil {
			t.Fatal(err)
		}
		f.Verifier.Resolver, f.Verifier.DMARC.Resolver = z, z
		f.Policy.Actions.DKIM.Fail = tc.action
		if tc.listed != "" {
			f.Reports.Failures = func(host string) bool { return host == tc.listed }
		}
		out, _ := decide(t, f, action.RoleTheirs, milter.ByDefault, env,
			requestText(tc.request, "victim.example"))
		_, got, _ := strings.Cut(out.Reply.Text, ";")
		if got != strings.TrimPrefix(tc.want, ";") || out.Action != tc.action {
			t.Errorf("%s: %s %q, want %q", tc.name, out.Action, out.Reply.Text, tc.want)
		}
	}
}

// TestFailureHasSPFRecord holds that a failure report carries the record of the envelope sender's
// domain where SPF failed, and none where it passed.
func TestFailureHasSPFRecord(t *testing.T) {
	for _, tc := range []struct{ name, sender, want string }{
		{"SPF failed", "x@other.example", "v=spf1 -all"},
		{"SPF passed", "x@asks.example", ""},
		{"no record", "x@none.example", ""},
	} {
		f, rec := reportFilter(t)
		f.Reports.Failures = func(host string) bool { return host == "asks.example" }
		decide(t, f, action.RoleTheirs, milter.ByDefault, message.Envelope{
			Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example", Sender: tc.sender,
			Recipients: []string{"a@example.net"},
		}, askingText)
		if len(rec.failed) != 1 || rec.failed[0].SPFRecord != tc.want {
			t.Errorf("%s: %+v", tc.name, rec.failed)
		}
	}
}
