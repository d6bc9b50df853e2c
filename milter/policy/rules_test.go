package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/expression"
	"mailseal/milter/message"
	"mailseal/milter/verify"
)

// rule is a rule that asks text.
func rule(t testing.TB, name, text string, a action.Action) Rule {
	t.Helper()
	when, err := expression.Compile(text, expression.Judging)
	if err != nil {
		t.Fatal(err)
	}
	return Rule{Name: name, When: when, Action: a}
}

// apply decides by rules, over a table that would mark what fails at p=reject.
func apply(t testing.TB, rs Rules, r *verify.Results, fields ...string) Decision {
	t.Helper()
	var h message.Header
	for _, text := range fields {
		f, err := message.ParseField([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		h = append(h, f)
	}
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	known := expression.NewKnown(client, h, message.Address{Local: "ann", Domain: r.Author},
		action.RoleTheirs, at)
	return rs.ApplyRules(rs.Decide(client, h, r), Facts(known, 100, r), r)
}

func TestRules(t *testing.T) {
	const fails, passes = `dmarc.result == "fail"`, `dmarc.result == "pass"`
	dry := func(r Rule) Rule { r.DryRun = true; return r }
	for _, tc := range []struct {
		name    string
		rules   []Rule
		found   string
		want    string // action, wanted, code, disposition
		ruled   string
		would   string
		changes func(*Rules)
	}{
		{name: "none: as the table says", found: "dmarc=fail/reject", want: "mark mark 0 quarantine"},
		{name: "one that does not hold", rules: []Rule{rule(t, "a", passes, action.Reject)},
			found: "dmarc=fail/reject", want: "mark mark 0 quarantine"},
		{name: "reject", rules: []Rule{rule(t, "a", fails, action.Reject)},
			found: "dmarc=fail/reject", want: "reject reject 550 reject", ruled: "a"},
		{name: "tempfail", rules: []Rule{rule(t, "a", fails, action.Tempfail)},
			found: "dmarc=fail/reject", want: "tempfail tempfail 451 quarantine", ruled: "a"},
		{name: "hold", rules: []Rule{rule(t, "a", fails, action.Hold)}, found: "dmarc=fail/none",
			want: "hold hold 0 quarantine", ruled: "a"},
		{name: "accept", rules: []Rule{rule(t, "a", fails, action.Accept)},
			found: "dmarc=fail/reject", want: "accept accept 0 none", ruled: "a"},
		{name: "mark mail that passes", rules: []Rule{rule(t, "a", passes, action.Mark)},
			found: "dmarc=pass", want: "mark mark 0 none", ruled: "a"},
		{name: "the first that holds", found: "dmarc=fail/reject", want: "hold hold 0 quarantine", ruled: "b",
			rules: []Rule{rule(t, "a", passes, action.Reject), rule(t, "b", fails, action.Hold),
				rule(t, "c", fails, action.Reject)}},
		{name: "a dry run goes on", found: "dmarc=fail/reject", want: "hold hold 0 quarantine",
			ruled: "b", would: "a=reject",
			rules: []Rule{dry(rule(t, "a", fails, action.Reject)), rule(t, "b", fails, action.Hold)}},
		{name: "dry runs alone", found: "dmarc=fail/reject", want: "mark mark 0 quarantine", would: "a=reject c=hold",
			rules: []Rule{dry(rule(t, "a", fails, action.Reject)),
				dry(rule(t, "b", passes, action.Hold)), dry(rule(t, "c", fails, action.Hold))}},
		{name: "a dry run of the whole policy", rules: []Rule{rule(t, "a", fails, action.Reject)},
			found: "dmarc=fail/reject",
			want:  "accept reject 550 none", ruled: "a", changes: func(rs *Rules) { rs.DryRun = true }},
		{name: "an invalid action", rules: []Rule{rule(t, "a", fails, 0)},
			found: "dmarc=fail/reject", want: "tempfail tempfail 451 quarantine", ruled: "a"},
		{name: "not judged", rules: []Rule{rule(t, "a", fails, action.Reject)},
			found: "dmarc=fail/reject", want: "accept accept 0 none",
			changes: func(rs *Rules) { rs.NotJudged.Authors = patterns(t, "example.com") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rs := factory()
			rs.Rules = tc.rules
			if tc.changes != nil {
				tc.changes(&rs)
			}
			d := apply(t, rs, found(tc.found))
			got := strings.Join([]string{d.Action.String(), d.Wanted.String(),
				map[int]string{0: "0", 550: "550", 451: "451"}[d.Code], d.Disposition}, " ")
			if got != tc.want || d.Ruled.Name != tc.ruled ||
				strings.Join(d.Ruled.Would, " ") != tc.would {
				t.Errorf("got %s, rule %q, dry %q; want %s, rule %q, dry %q", got, d.Ruled.Name,
					d.Ruled.Would, tc.want, tc.ruled, tc.would)
			}
			if tc.ruled != "" && d.Wanted != action.Accept && d.Method != RulesMethod {
				t.Errorf("method %q", d.Method)
			}
		})
	}
}

// TestRuleReported tells the domain's owner why its policy was not applied, and nothing where it
// was.
func TestRuleReported(t *testing.T) {
	for _, tc := range []struct {
		name  string
		found string
		do    action.Action
		why   action.OverrideReason
		want  string
	}{
		{"accepted", "dmarc=fail/reject", action.Accept, 0, "none local_policy"},
		{"accepted from a forwarder", "dmarc=fail/reject", action.Accept,
			action.ReasonTrustedForwarder, "none trusted_forwarder"},
		{"held", "dmarc=fail/reject", action.Hold, action.ReasonMailingList, "quarantine mailing_list"},
		{"refused as asked", "dmarc=fail/reject", action.Reject, action.ReasonMailingList, "reject"},
		{"accepted, and passes", "dmarc=pass", action.Accept, action.ReasonMailingList, "none"},
	} {
		rs := factory()
		r := rule(t, "a", "true", tc.do)
		r.Reason = tc.why
		rs.Rules = []Rule{r}
		results := found(tc.found)
		results.DMARC.Requested = results.DMARC.Disposition
		d := apply(t, rs, results)
		got := d.Reported.Disposition
		for _, reason := range d.Reported.Reasons {
			got += " " + reason.Type
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestRulesShortage keeps a rule from accepting what this host was too busy to judge.
func TestRulesShortage(t *testing.T) {
	rs := factory()
	rs.Rules = []Rule{rule(t, "a", "true", action.Accept)}
	r := found("dmarc=temperror")
	r.Short = true
	if d := apply(t, rs, r); d.Action != action.Tempfail || d.Method != Shortage {
		t.Errorf("got %v by %q, want tempfail by %q", d.Action, d.Method, Shortage)
	}
}

// TestRuleFails has a rule read more of a header than there is to read. Nothing behind it may let
// the message through.
func TestRuleFails(t *testing.T) {
	huge := "X-Big: " + strings.Repeat("a", 1<<20)
	var many []string
	for range 12 {
		many = append(many, huge)
	}
	for _, tc := range []struct {
		onError, want action.Action
		code          int
	}{
		{action.Tempfail, action.Tempfail, 451},
		{action.Reject, action.Reject, 550},
		{action.Accept, action.Mark, 0},
		{0, action.Tempfail, 451},
	} {
		rs := factory()
		rs.OnError = tc.onError
		rs.Rules = []Rule{rule(t, "big", `any(headers("X-Big"), # == "b")`, action.Reject),
			rule(t, "all", "true", action.Accept)}
		d := apply(t, rs, found("dmarc=fail/reject"), many...)
		if d.Action != tc.want || d.Code != tc.code || d.Ruled.Failed == nil ||
			d.Ruled.Name != "big" {
			t.Errorf("on_internal_error %v: got %v %d, rule %q, error %v; want %v %d", tc.onError,
				d.Action, d.Code, d.Ruled.Name, d.Ruled.Failed, tc.want, tc.code)
		}
	}
}

// TestRuleFailsSoftens has a rule fail for mail that was to be refused: whatever on_internal_error
// says, it is refused. A dry run that fails decides nothing.
func TestRuleFailsSoftens(t *testing.T) {
	huge := "X-Big: " + strings.Repeat("a", 1<<20)
	many := slices.Repeat([]string{huge}, 12)
	big := rule(t, "big", `any(headers("X-Big"), # == "b")`, action.Hold)
	for _, tc := range []struct {
		name    string
		dry     bool
		onError action.Action
		reject  action.Action // what p_reject leads to
		want    action.Action
		code    int
	}{
		{"refused, though errors accept", false, action.Accept, action.Reject, action.Reject, 550},
		{"refused, though errors defer", false, action.Tempfail, action.Reject, action.Reject, 550},
		{"deferred, where it was only marked", false, action.Tempfail, action.Mark, action.Tempfail, 451},
		{"a dry run", true, action.Tempfail, action.Mark, action.Mark, 0},
		{"a dry run of what is refused", true, action.Accept, action.Reject, action.Reject, 550},
	} {
		rs := factory()
		rs.OnError, rs.DMARC.Reject = tc.onError, tc.reject
		r := big
		r.DryRun = tc.dry
		rs.Rules = []Rule{r}
		d := apply(t, rs, found("dmarc=fail/reject"), many...)
		if d.Action != tc.want || d.Code != tc.code || (d.Ruled.Failed == nil) != tc.dry {
			t.Errorf("%s: got %v %d, error %v; want %v %d", tc.name, d.Action, d.Code,
				d.Ruled.Failed, tc.want, tc.code)
		}
		if tc.dry && strings.Join(d.Ruled.Would, " ") != "big=error" {
			t.Errorf("%s: the log says %q", tc.name, d.Ruled.Would)
		}
	}
}

// TestRuleText fills the texts of replies with what strangers write.
func TestRuleText(t *testing.T) {
	for _, tc := range []struct{ text, id, want string }{
		{"", "<a@b>", textRuleReject},
		{"{dmarc.domain} asks to refuse {message_id}", "<a@b>", `example.com asks to refuse "<a@b>"`},
		{"{message_id}", "<a\"@b>\x7f% {dmarc.domain}", `"<a?@b>????dmarc.domain?"`},
		{"{message_id}", "", "(unknown)"},
		{"{message_id}", strings.Repeat("a", 5000), `"` + strings.Repeat("a", 100) + `..."`},
		{"{client.address} {client.name}", "<a@b>", "192.0.2.1 (unknown)"},
		{"{envelope.sender} {spf.result}", "<a@b>", `"a@sender.example" (unknown)`},
	} {
		rs := factory()
		r := rule(t, "a", "true", action.Reject)
		var err error
		if r.Text, err = expression.NewTemplate(tc.text); err != nil {
			t.Fatal(err)
		}
		rs.Rules = []Rule{r}
		if d := apply(t, rs, found("dmarc=fail/reject"), "Message-ID: "+tc.id); d.Text != tc.want {
			t.Errorf("%q with %q: got %q, want %q", tc.text, tc.id, d.Text, tc.want)
		}
	}
	for _, text := range []string{"{dmarc.doman}", "a\r\nb", "ü", strings.Repeat("a", 301),
		"{header}"} {
		if _, err := expression.NewTemplate(text); err == nil {
			t.Errorf("the text %q is taken", text)
		}
	}
}

// TestFactsAligned takes alignment from DMARC, signature by signature.
func TestFactsAligned(t *testing.T) {
	r := found("dmarc=pass", "spf=pass")
	r.DKIM = []dkim.Result{
		{Value: dkim.Pass, Domain: "example.com", Selector: "a"},
		{Value: dkim.Pass, Domain: "other.example", Selector: "a"},
		{Value: dkim.Fail, Domain: "example.com", Selector: "b"},
	}
	r.DMARC.Alignments = []dmarc.Alignment{
		{Identifier: dmarc.Identifier{Method: dmarc.SPF, Domain: "sender.example"}},
		{Identifier: dmarc.Identifier{Method: dmarc.DKIM, Domain: "example.com", Selector: "a"}, Aligned: true},
		{Identifier: dmarc.Identifier{Method: dmarc.DKIM, Domain: "other.example", Selector: "a"}},
	}
	f := Facts(expression.Known{}, 0, r)
	if got := []bool{f.DKIM[0].Aligned, f.DKIM[1].Aligned, f.DKIM[2].Aligned,
		f.SPF.Aligned}; got[0] != true || got[1] || got[2] || got[3] {
		t.Errorf("aligned: %v, want only the first", got)
	}
}

// BenchmarkRules is what 20 rules add to a message of which none holds, against "go test -bench
// Judge ./milter/verify".
func BenchmarkRules(b *testing.B) {
	rs := factory()
	for range 20 {
		rs.Rules = append(rs.Rules, rule(b, "a",
			`dmarc.result == "fail" and dmarc.policy == "reject" and not in_network(client.address, "192.0.2.0/24")`,
			action.Reject))
	}
	r := found("spf=fail", "dmarc=fail/reject")
	d := rs.Decide(client, nil, r)
	b.ReportAllocs()
	for b.Loop() {
		known := expression.NewKnown(client, nil, message.Address{Local: "ann", Domain: r.Author},
			action.RoleTheirs, time.Now())
		if got := rs.ApplyRules(d, Facts(known, 100, r), r); got.Ruled.Name != "" {
			b.Fatal(got)
		}
	}
}
