package web

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/advice"
)

// TestHealth holds that each rule of the health words decides as it says, and in its order.
func TestHealth(t *testing.T) {
	seen := func(step advice.Step, since advice.Day) Domain {
		return Domain{Name: "shop.example", Known: true, First: today - 300, Last: today - 1,
			Policy: advice.Policy{Step: step, Since: since}}
	}
	with := func(d Domain, change func(*Domain)) Domain {
		change(&d)
		return d
	}
	checks := func(faults, warnings int) func(*Domain) {
		return func(d *Domain) {
			d.DNS = &Checks{Faults: faults, Warnings: warnings, At: clock, Worst: "a record: wrong"}
		}
	}
	gone := func(d *Domain) { d.Published = &Published{Gone: true} }
	enforced := seen(advice.Quarantine, today-200)
	broken := &worstSource{Name: "esp.example", Messages: 900, Affected: 900, Class: advice.Service,
		Cause: advice.Cause{Code: "not-aligned", Word: "not aligned", Severity: advice.Fault,
			Text: "It does not align.", Fix: "Fix it"}}
	tests := []struct {
		name   string
		domain Domain
		ground grounds
		word   string
		says   string
	}{
		{"all is well", enforced, grounds{Messages: 500}, "OK", ""},
		{"checked, and well", with(enforced, checks(0, 0)), grounds{Messages: 500}, "OK", ""},
		{"a source of its own fails", enforced, grounds{Messages: 900, Worst: broken}, "FAIL",
			"esp.example"},
		{"the same with p=none", seen(advice.None, today-9), grounds{Messages: 900, Worst: broken},
			"WARN", "esp.example"},
		{"2 % of its own mail fails", enforced, grounds{Messages: 5000, Own: 5000, OwnFail: 100},
			"FAIL", "100 of 5,000"},
		{"1 % of its own mail fails", enforced, grounds{Messages: 5000, Own: 5000, OwnFail: 50},
			"OK", ""},
		{"few of its own fail", enforced, grounds{Messages: 40, Own: 40, OwnFail: 19}, "OK", ""},
		{"the same with p=none", seen(advice.None, today-9),
			grounds{Messages: 5000, Own: 5000, OwnFail: 100}, "OK", ""},
		{"no valid record", with(enforced, gone), grounds{Messages: 500}, "FAIL",
			"any more that is valid; reports last named quarantine"},
		{"two records", with(with(enforced, gone), func(d *Domain) {
			d.DNS = &Checks{Faults: 1, Worst: "there are 2 DMARC records: keep one"}
		}), grounds{Messages: 500}, "FAIL", "there are 2 DMARC records: keep one."},
		{"a fault of the DNS", with(enforced, checks(2, 1)), grounds{Messages: 500}, "FAIL",
			"a record: wrong. 2 more findings."},
		{"a fault of the DNS, parked", with(enforced, func(d *Domain) {
			checks(1, 0)(d)
			d.Parked = true
		}), grounds{}, "FAIL", "a record"},
		{"a warning of the DNS", with(enforced, checks(0, 1)), grounds{Messages: 500}, "WARN",
			"a record: wrong."},
		{"a warning, and ready", with(seen(advice.None, today-40), checks(0, 1)),
			grounds{Messages: 500, Kind: advice.Ready, Sentence: "Ready."}, "WARN", "a record"},
		{"ready", with(seen(advice.None, today-40), checks(0, 0)),
			grounds{Messages: 500, Kind: advice.Ready, Sentence: "Ready."}, "READY", "Ready."},
		{"the policy is gone", with(enforced, gone), grounds{Messages: 500},
			"FAIL", "no DMARC record for"},
		{"there never was one", with(Domain{Name: "shop.example", First: today - 40}, gone),
			grounds{Messages: 500}, "OK", ""},
		{"p=none for 91 days", seen(advice.None, today-91), grounds{Messages: 500}, "WARN",
			"p=none for 91 days"},
		{"p=none for 90 days", seen(advice.None, today-90), grounds{Messages: 500}, "OK", ""},
		{"a silent receiver", enforced, grounds{Messages: 500,
			Silent: &silence{"yahoo.com", today - 6}}, "WARN", "yahoo.com"},
		{"no report ever", Domain{Name: "shop.example"}, grounds{}, "NO DATA", "ever sent a report"},
		{"no report ever, and a fault", with(Domain{Name: "shop.example"}, checks(1, 0)), grounds{},
			"NO DATA", "a record: wrong."},
		{"no mail", enforced, grounds{}, "QUIET", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := &facts{domain: tt.domain, now: today,
				stored: &domainState{At: clock, Domain: tt.domain, Grounds: tt.ground}}
			h := x.healthOf()
			if got := healthWords[h.level].word; got != tt.word {
				t.Errorf("health %s, want %s (%s)", got, tt.word, h.why)
			}
			if !strings.Contains(string(h.why), tt.says) || tt.says == "" && h.why != "" {
				t.Errorf("it says %q, want %q", h.why, tt.says)
			}
			if h.why != "" && (h.fix == "" || h.fixURL == "" || h.short == "") {
				t.Errorf("no link or no short form beside %q", h.why)
			}
		})
	}
}

// TestPolicyCell holds that the overview shows the policy of the DNS, and what reports name if that
// is another one.
func TestPolicyCell(t *testing.T) {
	reject := advice.Reject
	seen := Domain{Known: true, Last: today - 2, Policy: advice.Policy{Step: advice.None,
		Since: today - 18}}
	tests := []struct {
		name              string
		was               *advice.Step
		published         *Published
		unknown           bool
		policy, age, says string
	}{
		{name: "not checked", policy: "none", age: "18 d"},
		{name: "neither", unknown: true, policy: "unknown"},
		{name: "they agree", published: &Published{Step: advice.None}, policy: "none", age: "18 d"},
		{name: "no report yet", unknown: true, published: &Published{Step: advice.Reject},
			policy: "reject"},
		{name: "tightened just now", published: &Published{Step: advice.Quarantine},
			policy: "quarantine", says: "seen: none, 28 Nov"},
		{name: "reports went back", was: &reject, published: &Published{Step: advice.Reject},
			policy: "reject", says: "seen: reject → none on 12 Nov"},
		{name: "gone", published: &Published{Gone: true}, policy: "no valid record",
			says: "seen: none, 28 Nov"},
	}
	for _, tt := range tests {
		d := seen
		d.Known, d.Was, d.Published = !tt.unknown, tt.was, tt.published
		policy, age, says := (&facts{domain: d, now: today}).policyCell()
		text := tags.ReplaceAllString(string(says), "")
		if policy != tt.policy || age != tt.age || text != tt.says {
			t.Errorf("%s: %q, %q, %q; want %q, %q, %q", tt.name, policy, age, text, tt.policy,
				tt.age, tt.says)
		}
	}
}

// TestPolicyFact holds what the page of a domain says of its policy.
func TestPolicyFact(t *testing.T) {
	none := advice.None
	d := Domain{Name: "a.example.com", Known: true, Last: today - 2, Was: &none,
		Policy: advice.Policy{Step: advice.Quarantine, Since: today - 27}}
	for _, tt := range []struct {
		name      string
		published *Published
		want      string
	}{
		{"not checked", nil, "Policy seen|quarantine|seen since 3 Nov, none before"},
		{"they agree", &Published{Step: advice.Quarantine, At: d.Name},
			"Policy in the DNS|quarantine|seen since 3 Nov, none before"},
		{"by the domain above", &Published{Step: advice.Reject, At: "example.com"},
			"Policy in the DNS|reject|by the record of example.com"},
		{"they differ", &Published{Step: advice.Reject, At: d.Name},
			"Policy in the DNS|reject|seen: quarantine, 28 Nov"},
	} {
		d.Published = tt.published
		f := (&facts{domain: d, now: today}).policyFact()
		got := f.Label + "|" + tags.ReplaceAllString(string(f.Value+"|"+f.Note), "")
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// tags are those of HTML.
var tags = regexp.MustCompile(`<[^>]*>`)

// TestFoot holds that the overview ends with how reports come in and go out, and what changed.
func TestFoot(t *testing.T) {
	m := world()
	sent := func(state string, ago time.Duration) SentReport {
		return SentReport{Domain: "uni.test", To: "a@uni.test", State: state, Day: today - 1,
			At: clock.Add(-ago)}
	}
	m.OutgoingPage.Sent = []SentReport{sent("failed: 550", 0), sent("handed over", time.Hour),
		sent("handed over", 30*time.Hour)}
	m.IntakeState.UnreadToday = 1
	body := get(newServer(t, m, nil), "/").Body.String()
	for _, want := range []string{`<h2 id="in"><a href="/ingest">Reports in</a></h2>`,
		"41 stored, 3 duplicates, ", `<a href="/ingest#errors">1 not read</a>`,
		`<a href="/ingest#unverified">3 not verified</a>`, "1 for domains not yours",
		`yahoo.com</span>, no day after`, "reports to 1 domain, from", "1 sent, 1 failed",
		"1 address suppressed", "key s2026a gone from DNS"} {
		if !strings.Contains(body, want) {
			t.Errorf("the overview has no %q", want)
		}
	}
	if t.Failed() {
		t.Log(body[strings.Index(body, `<div class="cols c3">`):])
	}
}
