package domains

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/config"
	"mailseal/keys/database"
	"mailseal/milter/dmarc"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

// reported is a row of a report that one receiver made of some days.
type reported struct {
	reporter    string
	first, last int // days ago
	source      string
	count       int64 // over all of the days
	dkim, spf   string
	signer      string // d= of the signature; "" for no signature
	selector    string
	signature   string // its result
	from        string // "" is example.com
	envelope    string // "" is example.com
	policy      report.PolicyPublished
}

// reportNow is the day on which reports are looked at.
var reportNow = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// good is a row of the domain's mail host: it signs, and is in the SPF record.
func goodRow(reporter string, first, last int) reported {
	return reported{
		reporter: reporter, first: first, last: last, source: "198.51.100.25", count: 399, dkim: "pass", spf: "pass",
		signer: "example.com", selector: "s1", signature: "pass", policy: report.PolicyPublished{P: "reject"},
	}
}

func (r reported) with(change func(*reported)) reported {
	change(&r)
	return r
}

// storeOf makes a store of reports, and returns what reads it.
func storeOf(t *testing.T, rows []reported) *Reports {
	t.Helper()
	file := storetest.SQLite(t)
	fill(t, file, rows)
	return open(t, file)
}

// fill makes a store of reports in a file.
func fill(t *testing.T, file string, rows []reported) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Driver: database.SQLite, DSN: file})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range rows {
		const most = 7 // a report of more days counts for its first one
		for first := r.first; first >= r.last; first -= most {
			part := r
			part.first, part.last = first, max(r.last, first-most+1)
			part.count = max(r.count*int64(part.first-part.last+1)/int64(r.first-r.last+1), 1)
			n++
			put(t, s, n, part)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// configOf is a configuration with a store of reports.
func configOf(setting string) *config.Config {
	cfg := &config.Config{}
	cfg.Reports.Store = setting
	return cfg
}

// open opens a store as the command does.
func open(t *testing.T, file string) *Reports {
	t.Helper()
	reports, err := OpenReports(t.Context(), configOf("sqlite:"+file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reports.Close() })
	reports.Now = func() time.Time { return reportNow }
	return reports
}

func put(t *testing.T, s *store.Store, i int, r reported) {
	t.Helper()
	today := store.Day(reportNow)
	f := &report.Feedback{Rows: 1, Messages: r.count, Policy: r.policy}
	f.Metadata.Org, f.Metadata.Email, f.Metadata.ReportID = r.reporter, "dmarc@"+r.reporter,
		fmt.Sprint(i)
	f.Metadata.Begin = store.DayStart(today - int64(r.first))
	f.Metadata.End = store.DayStart(today - int64(r.last)).Add(24*time.Hour - time.Second)
	f.Policy.Domain = "example.com"
	row := &report.Row{
		N: 1, Source: r.source, Count: r.count, DKIM: r.dkim, SPF: r.spf, Disposition: "none",
		HeaderFrom: cmp.Or(r.from, "example.com"), EnvelopeFrom: cmp.Or(r.envelope, "example.com"),
		SPFResults: []report.SPFResult{{Domain: cmp.Or(r.envelope, "example.com"), Result: r.spf}},
	}
	if r.signer != "" {
		row.Signatures = []report.SignatureResult{{Domain: r.signer, Selector: r.selector,
			Result: r.signature}}
	}
	a := &store.Arrival{Received: reportNow, Via: "lmtp", Name: "x", Trust: store.ByHand,
		Data: fmt.Append(nil, i)}
	_, err := s.Ingest(t.Context(), a, func(in *store.Ingest) error {
		head := store.Head{Feedback: f, Digest: fmt.Sprint(i), Configured: true,
			Trust: store.ByHand}
		if _, err := in.Report(head); err != nil {
			return err
		}
		return errors.Join(in.Row("example.com", row), in.End(), in.Finish("aggregate", ""))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// options are those of the case, with its reports.
func (c zoneCase) options(t *testing.T) Options {
	o := c.with
	if c.reports != nil {
		o.Reports = storeOf(t, c.reports)
	}
	if c.code == ReportsUnread {
		o.Reports.Close()
	}
	return o
}

// reportCases have for each code about reports what reports say, and the records that this is
// compared with.
func reportCases(key2048 string) []zoneCase {
	none := func(r *reported) { r.policy.P = "none" }
	return []zoneCase{
		{reports: []reported{goodRow("a.example", 22, 2)}},
		{code: ReportsUnread, reports: []reported{goodRow("a.example", 22, 2)}},
		{code: ReportsElsewhere, reports: []reported{}},
		{code: SignedMissing, reports: []reported{goodRow("a.example", 22,
			2).with(func(r *reported) { r.selector = "gone" })}},
		// retired since
		{reports: []reported{goodRow("a.example", 22, 9).with(func(r *reported) { r.selector = "gone" })}},
		{reports: []reported{goodRow("a.example", 22, 2),
			goodRow("b.example", 22, 2).with(func(r *reported) {
				r.source, r.selector, r.signature, r.dkim, r.spf = "203.0.113.66", "forged", "fail",
					"fail", "fail"
			})}},
		{code: RejectBySPF, reports: []reported{goodRow("a.example", 22, 2).with(func(r *reported) {
			r.signer, r.dkim = "", "fail"
		})}},
		{code: RejectUnsigned, drop: key, add: txt("*._domainkey.example.com.", "v=DKIM1; p="),
			with: Options{Own: []OwnKey{{Name: "s1._domainkey.other.example", Text: key2048}}}},
		{code: StrictLoss, drop: at, add: txt(at, "v=DMARC1; p=reject; adkim=s"+rua),
			reports: []reported{goodRow("a.example", 22, 2),
				goodRow("b.example", 22, 2).with(func(r *reported) {
					r.source, r.signer, r.dkim, r.spf, r.policy.ADKIM = "192.0.2.9",
						"news.example.com",
						"fail", "fail", "s"
				})}},
		{code: StrictIdentity, drop: key, add: txt(key, key2048+"; t=s"),
			reports: []reported{goodRow("a.example", 22, 2),
				goodRow("b.example", 22, 2).with(func(r *reported) {
					r.from, r.signature, r.dkim = "news.example.com", "fail", "fail"
					r.count = 3 // less than a hundredth passes by SPF alone
				})}},
		{code: NoneLong, drop: at, add: txt(at, "v=DMARC1; p=none"+rua), reports: []reported{
			goodRow("a.example", 110, 105).with(none), goodRow("a.example", 22, 2).with(none),
		}},
		{code: CanTighten, drop: at, add: txt(at, "v=DMARC1; p=none"+rua), reports: []reported{
			goodRow("google.com", 50, 2).with(none), goodRow("b.example", 50, 2).with(none),
			goodRow("c.example", 50, 2).with(none),
		}},
		{code: SPFReported, add: txt("s2._domainkey.example.com.",
			"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
			reports: []reported{goodRow("a.example", 22, 2),
				goodRow("a.example", 22, 2).with(func(r *reported) {
					r.source, r.spf, r.selector, r.count = "192.0.2.77", "fail", "s2", 210
				})}},
		{code: SPFUnused, reports: []reported{goodRow("a.example", 90, 1)}},
	}
}

// TestReportsAnnounceThemselves holds what is said of reports, where the code alone does not tell.
func TestReportsAnnounceThemselves(t *testing.T) {
	for _, c := range reportCases("v=DKIM1; p=x") {
		o := c.options(t)
		o.Resolver = zoneOf(t, c)
		for _, f := range Check(t.Context(), "example.com", o).Findings {
			if f.Code != c.code {
				continue
			}
			want := map[string]string{
				string(SignedMissing): "reports of the last 7 days show 114 messages signed with it",
				string(RejectBySPF):   "399 messages from 198.51.100.25",
				string(StrictLoss):    "399 messages from 192.0.2.9",
				string(SPFReported):   "210 messages from 192.0.2.77",
				string(SPFUnused):     "include:_spf.example.net",
				string(NoneLong):      "the policy has been none since 2026-08-12",
				string(CanTighten):    "Ready for quarantine",
			}[string(c.code)]
			if !strings.Contains(f.Text, want) {
				t.Errorf("%s says %q, want %q", c.code, f.Text, want)
			}
			for _, r := range f.Publish {
				if parsed, err := dmarc.Parse(r.Text); strings.HasPrefix(r.Name, "_dmarc") &&
					(err != nil || len(parsed.Notes) > 0) {
					t.Errorf("%s proposes %q: %v", c.code, r.Text, err)
				}
			}
		}
	}
	if _, err := OpenReports(t.Context(),
		configOf("sqlite:"+filepath.Join(t.TempDir(), "none.db"))); err == nil {
		t.Error("a store that is not there is opened")
	}
	if _, err := OpenReports(t.Context(), configOf("here")); err == nil {
		t.Error("a setting that is no store is taken")
	}
}

// TestVerdictsDecide holds that what a person says of a source is believed.
func TestVerdictsDecide(t *testing.T) {
	file := storetest.SQLite(t)
	fill(t, file, []reported{goodRow("a.example", 22,
		2).with(func(r *reported) { r.signer, r.dkim = "", "fail" })})
	s, err := store.Open(t.Context(), store.Options{Driver: database.SQLite, DSN: file})
	if err != nil {
		t.Fatal(err)
	}
	judged := store.Verdict{Subject: "198.51.100.0/24", Class: "not ours", By: "me", At: reportNow}
	if err := errors.Join(s.Judge(t.Context(), judged), s.Close()); err != nil {
		t.Fatal(err)
	}
	r := Check(t.Context(), "example.com", Options{
		Resolver: zoneOf(t, zoneCase{}), Selectors: []string{"s1"}, Reports: open(t, file),
	})
	if len(r.Findings) > 0 {
		t.Errorf("findings %q", r.Findings)
	}
}

// TestProposeSPFOfReports lets in sources of the domain's own mail, and says of the others why not.
func TestProposeSPFOfReports(t *testing.T) {
	row := func(source, selector, envelope string, spf string) reported {
		return goodRow("a.example", 22, 2).with(func(r *reported) {
			r.source, r.selector, r.envelope, r.spf = source, selector, envelope, spf
		})
	}
	reports := storeOf(t, []reported{
		goodRow("a.example", 22, 2),
		row("192.0.2.77", "s2", "example.com", "fail"),
		row("192.0.2.78", "s3", "bounce.mailer.example", "fail"),
		row("203.0.113.66", "s1", "example.com", "fail").with(func(r *reported) {
			r.signature, r.dkim = "fail", "fail"
		}),
	})
	p, err := ProposeSPF(t.Context(), "example.com", SPFWishes{Resolver: zoneOf(t, zoneCase{}),
		Reports: reports})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Records[0].Text,
		"v=spf1 ip4:192.0.2.77 mx include:_spf.example.net ~all"; got != want {
		t.Errorf("proposed %q, want %q", got, want)
	}
	notes := strings.Join(p.Notes, "\n")
	for _, want := range []string{
		"399 messages from 198.51.100.25 (ours): already allowed",
		"399 messages from 192.0.2.77 (service): added",
		"399 messages from 192.0.2.78 (service): not added: receivers check SPF for its envelope " +
			"domain, bounce.mailer.example",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("nothing says %q in\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "203.0.113.66") {
		t.Errorf("a forger is named:\n%s", notes)
	}
	empty := storeOf(t, nil)
	p, err = ProposeSPF(t.Context(), "example.com", SPFWishes{Resolver: zoneOf(t, zoneCase{}),
		Reports: empty})
	if err != nil || !strings.Contains(strings.Join(p.Notes, " "), "show no source") {
		t.Errorf("without reports: %v %q", err, p.Notes)
	}
	empty.Close()
	empty.policies = nil
	_, err = ProposeSPF(t.Context(), "example.com", SPFWishes{Resolver: zoneOf(t, zoneCase{}),
		Reports: empty})
	if answer.Of(err) != answer.Unknown {
		t.Errorf("a store that cannot be read: %v", err)
	}
}
