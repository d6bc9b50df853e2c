package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/domain"
	"mailseal/milter/iprev"
	"mailseal/milter/message"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// factory are the rules of a configuration that says nothing.
func factory() Rules {
	rules := Rules{
		Actions:    lenient(),
		MarkHeader: "X-Mailseal-Policy",
		Texts: Texts{
			SPF:   "SPF forbids {client} to send for {domain}",
			DKIM:  "No acceptable DKIM signature",
			IPRev: "{client} has no name",
			DMARC: "Email rejected per DMARC policy for {domain}",
			Other: "Message refused",
		},
		NoAuthor:    action.Accept,
		ManyAuthors: action.Accept,
	}
	rules.DMARC.Quarantine, rules.DMARC.Reject = action.Mark, action.Mark
	return rules
}

// lenient are Actions that accept whatever was found.
func lenient() Actions {
	const yes = action.Accept
	return Actions{
		SPF:   action.SPF{Fail: yes, Softfail: yes, None: yes, Permerror: yes, Temperror: yes, HeloFail: yes},
		IPRev: action.IPRev{Fail: yes, Permerror: yes, Temperror: yes},
		DKIM:  action.DKIM{Fail: yes, Policy: yes, Neutral: yes, None: yes, Permerror: yes, Temperror: yes},
		DMARC: action.DMARC{Reject: yes, Quarantine: yes, None: yes, NoRecord: yes, Permerror: yes, Temperror: yes},
	}
}

// strict are rules that reject and defer wherever that makes sense.
func strict() Rules {
	r := factory()
	r.SPF.Fail, r.SPF.Permerror, r.SPF.Temperror = action.Reject, action.Reject, action.Tempfail
	r.SPF.HeloFail = action.Reject
	r.IPRev = action.IPRev{Fail: action.Reject, Permerror: action.Hold, Temperror: action.Tempfail}
	r.DKIM.Fail, r.DKIM.None, r.DKIM.Policy, r.DKIM.Temperror = action.Reject, action.Reject,
		action.Reject, action.Tempfail
	r.DMARC.Reject, r.DMARC.Quarantine, r.DMARC.Temperror = action.Reject, action.Hold,
		action.Tempfail
	r.NoAuthor, r.ManyAuthors = action.Reject, action.Reject
	return r
}

// found builds results from words: "spf=fail", "dkim=pass", "dmarc=fail/reject".
func found(words ...string) *verify.Results {
	r := &verify.Results{Author: "example.com", Client: netip.MustParseAddr("192.0.2.1")}
	for _, w := range words {
		method, value, _ := strings.Cut(w, "=")
		switch method {
		case "spf":
			r.SPF = &spf.Result{Value: spf.Value(value), Domain: "sender.example"}
		case "helo":
			r.HELO = &spf.Result{Value: spf.Value(value), Domain: "mx.sender.example"}
		case "iprev":
			r.IPRev = &iprev.Result{Value: iprev.Value(value)}
		case "dkim":
			if r.DKIM == nil {
				r.DKIM = []dkim.Result{}
			}
			if value != "none" {
				r.DKIM = append(r.DKIM, dkim.Result{Value: dkim.Value(value)})
			}
		case "dmarc":
			value, disposition, _ := strings.Cut(value, "/")
			r.DMARC = &dmarc.Result{Value: dmarc.Value(value),
				Disposition: dmarc.Policy(disposition), Author: r.Author}
		}
	}
	return r
}

var client = &message.Envelope{Client: netip.MustParseAddr("192.0.2.1"), Sender: "a@sender.example",
	Recipients: []string{"b@example.net"}}

func TestDecide(t *testing.T) {
	dry := strict()
	dry.DryRun = true
	softened := strict()
	softened.DMARC.Reject = action.Tempfail
	deferring := strict()
	deferring.SPF.HeloFail = action.Tempfail
	for _, tc := range []struct {
		name  string
		rules Rules
		found []string
		want  string // action, codes, disposition
	}{
		{"factory: DMARC failure at p=reject marks", factory(), []string{"dmarc=fail/reject"}, "mark 0  quarantine"},
		{"factory: at p=quarantine", factory(), []string{"dmarc=fail/quarantine"}, "mark 0  quarantine"},
		{"factory: at p=none", factory(), []string{"dmarc=fail/none"}, "accept 0  none"},
		{"factory: DMARC pass", factory(), []string{"spf=fail", "dmarc=pass/none"}, "accept 0  none"},
		{"factory: no record", factory(), []string{"dmarc=none"}, "accept 0  "},
		{"factory: temperror", factory(), []string{"spf=temperror", "dkim=temperror", "dmarc=temperror"}, "accept 0  "},
		{"factory: SPF fail", factory(), []string{"spf=fail"}, "accept 0  "},
		{"SPF fail", strict(), []string{"spf=fail"}, "reject 550 5.7.23 "},
		{"SPF softfail is never refused by default", strict(), []string{"spf=softfail"}, "accept 0  "},
		{"SPF permerror", strict(), []string{"spf=permerror"}, "reject 550 5.7.24 "},
		{"SPF temperror", strict(), []string{"spf=temperror"}, "tempfail 451 4.7.24 "},
		{"SPF of HELO fails", strict(), []string{"spf=pass", "helo=fail"}, "reject 550 5.7.23 "},
		{"SPF of HELO fails, to be deferred", deferring, []string{"helo=fail"}, "tempfail 451 4.7.24 "},
		{"SPF of HELO temperror", strict(), []string{"helo=temperror"}, "accept 0  "},
		{"SPF of HELO alone does not count for two methods", strict(),
			[]string{"helo=fail", "dkim=fail"}, "reject 550 5.7.23 "},
		{"iprev fails", strict(), []string{"iprev=fail"}, "reject 550 5.7.25 "},
		{"iprev: no name", strict(), []string{"iprev=permerror"}, "hold 0  "},
		{"iprev temperror", strict(), []string{"iprev=temperror"}, "tempfail 451 4.7.25 "},
		{"iprev passes", strict(), []string{"iprev=pass"}, "accept 0  "},
		{"factory: iprev and HELO", factory(), []string{"iprev=fail", "helo=fail"}, "accept 0  "},
		{"DKIM key server away", strict(), []string{"dkim=temperror"}, "tempfail 451 4.7.5 "},
		{"DKIM bad signature", strict(), []string{"dkim=fail"}, "reject 550 5.7.20 "},
		{"DKIM none", strict(), []string{"dkim=none"}, "reject 550 5.7.20 "},
		{"DKIM against policy", strict(), []string{"dkim=policy"}, "reject 550 5.7.21 "},
		{"DKIM: a good signature wins", strict(), []string{"dkim=fail", "dkim=pass", "dkim=permerror"}, "accept 0  "},
		{"DKIM: what may pass later is not refused", strict(),
			[]string{"dkim=fail", "dkim=temperror"}, "tempfail 451 4.7.5 "},
		{"SPF and DKIM", strict(), []string{"spf=fail", "dkim=fail"}, "reject 550 5.7.26 "},
		{"DMARC at p=reject", strict(), []string{"dmarc=fail/reject"}, "reject 550 5.7.1 reject"},
		{"DMARC speaks before SPF and DKIM", strict(), []string{"spf=fail", "dkim=fail",
			"dmarc=fail/reject"}, "reject 550 5.7.1 reject"},
		{"DMARC at p=quarantine", strict(), []string{"dmarc=fail/quarantine"}, "hold 0  quarantine"},
		{"DMARC temperror", strict(), []string{"dmarc=temperror"}, "tempfail 451 4.7.1 "},
		{"DMARC failure that is deferred", softened, []string{"dmarc=fail/reject"}, "tempfail 451 4.7.1 quarantine"},
		{"the harshest wins", strict(), []string{"spf=temperror", "dmarc=fail/quarantine"},
			"tempfail 451 4.7.24 quarantine"},
		{"dry run", dry, []string{"dmarc=fail/reject"}, "accept 550 5.7.1 none"},
		{"nothing was judged", strict(), nil, "accept 0  "},
	} {
		d := tc.rules.Decide(client, nil, found(tc.found...))
		got := fmt.Sprintf("%s %d %s %s", d.Action, d.Code, d.Enhanced, d.Disposition)
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		if (d.Action >= action.Tempfail) != (d.Code != 0 && !tc.rules.DryRun) ||
			d.Action >= action.Tempfail && d.Text == "" {
			t.Errorf("%s: action %s with reply %d %q", tc.name, d.Action, d.Code, d.Text)
		}
		if d.Wanted != action.Accept && (d.Reason == "" || d.Method == "") {
			t.Errorf("%s: %s without a reason", tc.name, d.Wanted)
		}
	}
}

func TestAuthors(t *testing.T) {
	none := fmt.Errorf("%w: no From field", message.ErrNoAuthor)
	several := fmt.Errorf("%w: two", message.ErrManyAuthors)
	for _, tc := range []struct {
		name    string
		err     error
		tooMany bool
		dmarc   string
		aside   bool
		want    action.Action
	}{
		{"one", nil, false, "dmarc=pass", false, action.Accept},
		{"none", none, false, "dmarc=permerror", false, action.Tempfail},
		{"several", several, false, "dmarc=permerror", false, action.Accept},
		{"several, one fails", several, false, "dmarc=fail/reject", false, action.Reject},
		{"several, one fails and wants nothing", several, false, "dmarc=fail/none", false, action.Accept},
		{"several, the DNS did not answer", several, false, "dmarc=temperror", false, action.Tempfail},
		{"too many", several, true, "dmarc=permerror", false, action.Hold},
		{"in the name", several, false, "dmarc=fail/reject", true, action.Mark},
		{"in the name, quarantine", several, false, "dmarc=fail/quarantine", true, action.Mark},
		{"in the name, the DNS did not answer", several, false, "dmarc=temperror", true, action.Mark},
		{"in the name, and wants nothing", several, false, "dmarc=fail/none", true, action.Accept},
	} {
		rules := factory()
		rules.NoAuthor, rules.ManyAuthors = action.Tempfail, action.Hold
		rules.DMARC = action.DMARC{Reject: action.Reject, Quarantine: action.Hold,
			None: action.Accept, Temperror: action.Tempfail, Permerror: action.Mark}
		r := found(tc.dmarc)
		r.AuthorErr, r.From.TooMany, r.DMARC.Aside = tc.err, tc.tooMany, tc.aside
		if d := rules.Decide(client, nil, r); d.Action != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, d.Action, tc.want)
		}
	}
}

// TestAsideOverride holds that not even an override refuses mail for a domain in the display name.
func TestAsideOverride(t *testing.T) {
	rules := strict()
	rules.Overrides = []Override{{Name: "all", Actions: rules.Actions, Replace: action.Reject}}
	r := found("dmarc=fail/reject")
	r.DMARC.Aside, r.AuthorErr = true, message.ErrManyAuthors
	if d := rules.Decide(client, nil, r); d.Action != action.Mark || d.Disposition != "quarantine" {
		t.Errorf("got %s, policy.dmarc=%s, want mark", d.Action, d.Disposition)
	}
}

func TestReplyTexts(t *testing.T) {
	rules := strict()
	d := rules.Decide(client, nil, found("dmarc=fail/reject"))
	if want := "Email rejected per DMARC policy for example.com"; d.Text != want {
		t.Errorf("got %q, want %q", d.Text, want)
	}
	r := found("spf=fail")
	r.SPF.Explanation = "see\r\n250 ok\x00 https://sender.example/ü"
	d = rules.Decide(client, nil, r)
	if want := "SPF forbids 192.0.2.1 to send for sender.example (sender.example explains: " +
		"see??250 ok? https://sender.example/??)"; d.Text != want {
		t.Errorf("got %q, want %q", d.Text, want)
	}
	d = rules.Decide(client, nil, found("spf=fail", "dkim=fail"))
	if d.Text != "Message refused" || d.Enhanced != "5.7.26" {
		t.Errorf("several methods: got %s %q", d.Enhanced, d.Text)
	}
	d = rules.Decide(client, nil, found("iprev=fail"))
	if want := "192.0.2.1 has no name"; d.Text != want || d.Reason != "iprev=fail for 192.0.2.1" {
		t.Errorf("got %q because of %q, want %q", d.Text, d.Reason, want)
	}
	h := found("helo=fail")
	h.HELO.Explanation = "go away"
	d = rules.Decide(client, nil, h)
	if want := "SPF forbids 192.0.2.1 to send for mx.sender.example (mx.sender.example " +
		"explains: go away)"; d.Text != want {
		t.Errorf("got %q, want %q", d.Text, want)
	}
	none := found("dmarc=permerror")
	none.Author, none.DMARC.Author, none.AuthorErr = "", "", message.ErrNoAuthor
	rules.DMARC.Permerror = action.Reject
	d = rules.Decide(client, nil, none)
	if d.Text != "Message refused" || d.Reason != "from=none" {
		t.Errorf("no author: got %q because of %q", d.Text, d.Reason)
	}
	rules.NoAuthor = action.Accept
	if d = rules.Decide(client, nil, none); d.Text != "Message refused" ||
		d.Reason != "dmarc=permerror" {
		t.Errorf("no author, and a policy for DMARC alone: got %q because of %q", d.Text, d.Reason)
	}
	r.SPF.Explanation = strings.Repeat("x", 10000)
	if d = rules.Decide(client, nil, r); len(d.Text) > 400 {
		t.Errorf("a reply of %d octets", len(d.Text))
	}
}

func TestNotJudged(t *testing.T) {
	for _, tc := range []struct {
		name   string
		exempt Exempt
		want   action.Action
	}{
		{"nobody", Exempt{}, action.Reject},
		{"network", Exempt{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, action.Accept},
		{"other network", Exempt{Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, action.Reject},
		{"sender", Exempt{Senders: SenderPatterns{Patterns: patterns(t, "sender.example")}}, action.Accept},
		{"other sender", Exempt{Senders: SenderPatterns{Patterns: patterns(t, "b@sender.example")}}, action.Reject},
		{"the only recipient", Exempt{Recipients: patterns(t, "b@example.net")}, action.Accept},
		{"not every recipient", Exempt{Recipients: patterns(t, "c@example.net")}, action.Reject},
	} {
		rules := strict()
		rules.NotJudged = tc.exempt
		d := rules.Decide(client, nil, found("dmarc=fail/reject"))
		if d.Action != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, d.Action, tc.want)
		}
		if tc.want == action.Accept && (d.Override == "" || d.Disposition != "none") {
			t.Errorf("%s: override %q, disposition %q", tc.name, d.Override, d.Disposition)
		}
	}
}

func TestOverrides(t *testing.T) {
	harsher := strict().Actions
	harsher.DMARC.None = action.Reject
	list := message.Header{message.NewField("List-Id", []byte(" A list <dev.lists.example>"))}
	for _, tc := range []struct {
		name     string
		override Override
		header   message.Header
		found    string
		want     action.Action
	}{
		{"by network", Override{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
			Replace: action.Accept}, nil, "dmarc=fail/reject", action.Accept},
		{"by author", Override{Authors: patterns(t, "example.com"), Replace: action.Accept}, nil,
			"dmarc=fail/reject", action.Accept},
		{"by list", Override{ListIDs: patterns(t, ".lists.example"), Replace: action.Accept}, list,
			"dmarc=fail/reject", action.Accept},
		{"by list, two List-Id", Override{ListIDs: patterns(t, ".lists.example"),
			Replace: action.Accept}, append(list, list...), "dmarc=fail/reject", action.Reject},
		{"other author", Override{Authors: patterns(t, "example.org"), Replace: action.Accept}, nil,
			"dmarc=fail/reject", action.Reject},
		{"all lists must fit", Override{Authors: patterns(t, "example.com"),
			ListIDs: patterns(t, "dev.lists.example"), Replace: action.Accept}, nil,
			"dmarc=fail/reject", action.Reject},
		{"harsher for one author", Override{Authors: patterns(t, "example.com"), Actions: harsher},
			nil, "dmarc=fail/none", action.Reject},
		{"replace leaves what was accepted", Override{Authors: patterns(t, "example.com"),
			Replace: action.Reject}, nil, "dmarc=fail/none", action.Accept},
	} {
		rules := strict()
		if tc.override.Actions == (Actions{}) {
			tc.override.Actions = rules.Actions
		}
		tc.override.Name = "policy.override[0]"
		rules.Overrides = []Override{tc.override}
		d := rules.Decide(client, tc.header, found(tc.found))
		if d.Action != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, d.Action, tc.want)
		}
	}
}

func TestTrustedSealer(t *testing.T) {
	set := func(i int, sealer, payload string) arc.Set {
		return arc.Set{Instance: i, Sealer: domain.Name(sealer), Payload: payload}
	}
	for _, tc := range []struct {
		name  string
		value arc.Value
		sets  []arc.Set
		want  action.Action
	}{
		{"newest sealer trusted, saw a pass", arc.Pass,
			[]arc.Set{set(1, "list.example", "list.example; dmarc=pass header.from=example.com")},
			action.Accept},
		{"older set of the trusted run saw it", arc.Pass,
			[]arc.Set{set(1, "list.example", "x; dmarc=pass"),
				set(2, "mx.example", "x; dmarc=fail")}, action.Accept},
		{"chain fails", arc.Fail, []arc.Set{set(1, "list.example", "x; dmarc=pass")}, action.Reject},
		{"sealer not trusted", arc.Pass, []arc.Set{set(1, "evil.example", "x; dmarc=pass")}, action.Reject},
		{"stranger between", arc.Pass, []arc.Set{set(1, "list.example", "x; dmarc=pass"),
			set(2, "evil.example", "x; dmarc=pass")}, action.Reject},
		{"stranger below", arc.Pass, []arc.Set{set(1, "evil.example", "x; dmarc=pass"),
			set(2, "list.example", "x; dmarc=fail")}, action.Reject},
		{"saw no pass", arc.Pass, []arc.Set{set(1, "list.example",
			"x; dmarc=fail header.from=example.com")}, action.Reject},
		{"saw another author", arc.Pass,
			[]arc.Set{set(1, "list.example", "x; dmarc=pass header.from=other.example")},
			action.Reject},
		{"cannot be read", arc.Pass, []arc.Set{set(1, "list.example", "; ; dmarc")}, action.Reject},
	} {
		rules := strict()
		rules.TrustedSealers = []domain.Name{"list.example", "mx.example"}
		r := found("dmarc=fail/reject")
		r.ARC = &arc.Result{Value: tc.value, Sets: tc.sets}
		d := rules.Decide(client, nil, r)
		if d.Action != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, d.Action, tc.want)
		}
		r.ARC.Added = "not all of the 2 Subject fields are signed"
		if d := rules.Decide(client, nil, r); d.Action != action.Reject {
			t.Errorf("%s, and a field added since: %s, want reject", tc.name, d.Action)
		}
		r.ARC.Added = ""
		r.Author, r.AuthorErr = "", message.ErrManyAuthors
		if d := rules.Decide(client, nil, r); d.Action != action.Reject {
			t.Errorf("%s, several authors: %s, want reject", tc.name, d.Action)
		}
		rules.TrustedSealers = nil
		if d := rules.Decide(client, nil, r); d.Action != action.Reject {
			t.Errorf("%s, nobody trusted: %s, want reject", tc.name, d.Action)
		}
	}
}

// TestInvalidAction holds that a result for which no action is set, or one that is none, defers the
// message.
func TestInvalidAction(t *testing.T) {
	const bounce = action.Action(200)
	for _, tc := range []struct {
		name   string
		change func(*Rules)
		found  *verify.Results
	}{
		{"spf", func(r *Rules) { r.SPF.Softfail = 0 }, found("spf=softfail")},
		{"helo", func(r *Rules) { r.SPF.HeloFail = bounce }, found("helo=fail")},
		{"iprev", func(r *Rules) { r.IPRev.Permerror = bounce }, found("iprev=permerror")},
		{"dkim", func(r *Rules) { r.DKIM.None = 0 }, found("dkim=none")},
		{"dmarc", func(r *Rules) { r.DMARC.None = bounce }, found("dmarc=fail/none")},
		{"a result that no table knows", func(*Rules) {}, found("spf=sideways")},
		{"a disposition that no table knows", func(*Rules) {}, found("dmarc=fail/sideways")},
		{"no author", func(r *Rules) { r.NoAuthor = 0 }, &verify.Results{AuthorErr: message.ErrNoAuthor}},
		{"many authors", func(r *Rules) { r.ManyAuthors = bounce }, &verify.Results{From: message.From{TooMany: true}}},
	} {
		rules := factory()
		tc.change(&rules)
		d := rules.Decide(client, nil, tc.found)
		if d.Action != action.Tempfail || d.Code != 451 ||
			!strings.Contains(d.Reason, "no valid action is set") {
			t.Errorf("%s: %s %d because of %q, want a deferral that says why", tc.name, d.Action,
				d.Code, d.Reason)
		}
	}
}

// TestEveryResultHasAnAction holds that each result of each method has its place in the tables of
// actions.
func TestEveryResultHasAnAction(t *testing.T) {
	for _, word := range []string{
		"spf=none", "spf=neutral", "spf=pass", "spf=fail", "spf=softfail", "spf=temperror",
		"spf=permerror",
		"helo=none", "helo=neutral", "helo=pass", "helo=fail", "helo=softfail", "helo=temperror",
		"helo=permerror",
		"iprev=pass", "iprev=fail", "iprev=temperror", "iprev=permerror",
		"dkim=none", "dkim=pass", "dkim=fail", "dkim=policy", "dkim=temperror", "dkim=permerror",
		"dmarc=none", "dmarc=pass", "dmarc=temperror", "dmarc=permerror",
		"dmarc=fail/none", "dmarc=fail/quarantine", "dmarc=fail/reject",
	} {
		rules := factory()
		rules.Actions = lenient()
		if d := rules.Decide(client, nil, found(word)); d.Action != action.Accept {
			t.Errorf("%s: %s because of %q, want accept", word, d.Action, d.Reason)
		}
	}
}

// TestEveryAction holds that the decision carries out whatever action the rules set.
func TestEveryAction(t *testing.T) {
	for _, a := range action.All() {
		rules := factory()
		rules.SPF.Fail = a
		d := rules.Decide(client, nil, found("spf=fail"))
		hasReply := a == action.Tempfail || a == action.Reject
		if d.Action != a || (d.Code != 0) != hasReply {
			t.Errorf("%s: got %s with reply %d", a, d.Action, d.Code)
		}
	}
}

func patterns(t *testing.T, texts ...string) message.Patterns {
	t.Helper()
	ps, err := message.ParsePatterns(texts)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}
