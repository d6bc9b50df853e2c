package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

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
	return Rules{
		Actions:    Actions{DMARC: map[string]Action{"quarantine": Mark, "reject": Mark}},
		MarkHeader: "X-Mailseal-Policy",
		Texts: Texts{
			SPF:   "SPF forbids {client} to send for {domain}",
			DKIM:  "No acceptable DKIM signature",
			IPRev: "{client} has no name",
			DMARC: "Email rejected per DMARC policy for {domain}",
			Other: "Message refused",
		},
	}
}

// strict are rules that reject and defer wherever that makes sense.
func strict() Rules {
	r := factory()
	r.SPF = map[string]Action{"fail": Reject, "permerror": Reject, "temperror": Tempfail}
	r.HELO = map[string]Action{"fail": Reject, "temperror": Tempfail}
	r.IPRev = map[string]Action{"fail": Reject, "permerror": Hold, "temperror": Tempfail}
	r.DKIM = map[string]Action{"fail": Reject, "none": Reject, "policy": Reject, "temperror": Tempfail}
	r.DMARC = map[string]Action{"reject": Reject, "quarantine": Hold, "temperror": Tempfail}
	r.NoAuthor, r.ManyAuthors = Reject, Reject
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
			r.DMARC = &dmarc.Result{Value: dmarc.Value(value), Disposition: dmarc.Policy(disposition)}
		}
	}
	return r
}

var client = &message.Envelope{Client: netip.MustParseAddr("192.0.2.1"), Sender: "a@sender.example", Recipients: []string{"b@example.net"}}

func TestDecide(t *testing.T) {
	dry := strict()
	dry.DryRun = true
	softened := strict()
	softened.DMARC["reject"] = Tempfail
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
		{"SPF of HELO temperror", strict(), []string{"helo=temperror"}, "tempfail 451 4.7.24 "},
		{"SPF of HELO alone does not count for two methods", strict(), []string{"helo=fail", "dkim=fail"}, "reject 550 5.7.23 "},
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
		{"DKIM: what may pass later is not refused", strict(), []string{"dkim=fail", "dkim=temperror"}, "tempfail 451 4.7.5 "},
		{"SPF and DKIM", strict(), []string{"spf=fail", "dkim=fail"}, "reject 550 5.7.26 "},
		{"DMARC at p=reject", strict(), []string{"dmarc=fail/reject"}, "reject 550 5.7.1 reject"},
		{"DMARC speaks before SPF and DKIM", strict(), []string{"spf=fail", "dkim=fail", "dmarc=fail/reject"}, "reject 550 5.7.1 reject"},
		{"DMARC at p=quarantine", strict(), []string{"dmarc=fail/quarantine"}, "hold 0  quarantine"},
		{"DMARC temperror", strict(), []string{"dmarc=temperror"}, "tempfail 451 4.7.1 "},
		{"DMARC failure that is deferred", softened, []string{"dmarc=fail/reject"}, "tempfail 451 4.7.1 quarantine"},
		{"the harshest wins", strict(), []string{"spf=temperror", "dmarc=fail/quarantine"}, "tempfail 451 4.7.24 quarantine"},
		{"dry run", dry, []string{"dmarc=fail/reject"}, "accept 550 5.7.1 none"},
		{"nothing was judged", strict(), nil, "accept 0  "},
	} {
		d := tc.rules.Decide(client, nil, found(tc.found...))
		got := fmt.Sprintf("%s %d %s %s", d.Action, d.Code, d.Enhanced, d.Disposition)
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		if (d.Action >= Tempfail) != (d.Code != 0 && !tc.rules.DryRun) || d.Action >= Tempfail && d.Text == "" {
			t.Errorf("%s: action %s with reply %d %q", tc.name, d.Action, d.Code, d.Text)
		}
		if d.Wanted != Accept && (d.Reason == "" || d.Method == "") {
			t.Errorf("%s: %s without a reason", tc.name, d.Wanted)
		}
	}
}

func TestAuthors(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want Action
	}{
		{"one", nil, Accept},
		{"none", fmt.Errorf("%w: no From field", message.ErrNoAuthor), Reject},
		{"several", fmt.Errorf("%w: two", message.ErrManyAuthors), Hold},
	} {
		rules := factory()
		rules.NoAuthor, rules.ManyAuthors = Reject, Hold
		r := found()
		r.AuthorErr = tc.err
		if d := rules.Decide(client, nil, r); d.Action != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, d.Action, tc.want)
		}
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
	if want := "SPF forbids 192.0.2.1 to send for sender.example (sender.example explains: see??250 ok? https://sender.example/??)"; d.Text != want {
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
	if want := "SPF forbids 192.0.2.1 to send for mx.sender.example (mx.sender.example explains: go away)"; d.Text != want {
		t.Errorf("got %q, want %q", d.Text, want)
	}
	none := found("dmarc=permerror")
	none.Author, none.AuthorErr = "", message.ErrNoAuthor
	rules.DMARC["permerror"] = Reject
	d = rules.Decide(client, nil, none)
	if d.Text != "Message refused" || d.Reason != "from=none" {
		t.Errorf("no author: got %q because of %q", d.Text, d.Reason)
	}
	rules.NoAuthor = Accept
	if d = rules.Decide(client, nil, none); d.Text != "Message refused" || d.Reason != "dmarc=permerror" {
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
		want   Action
	}{
		{"nobody", Exempt{}, Reject},
		{"network", Exempt{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, Accept},
		{"other network", Exempt{Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, Reject},
		{"sender", Exempt{Senders: patterns(t, "sender.example")}, Accept},
		{"other sender", Exempt{Senders: patterns(t, "b@sender.example")}, Reject},
		{"the only recipient", Exempt{Recipients: patterns(t, "b@example.net")}, Accept},
		{"not every recipient", Exempt{Recipients: patterns(t, "c@example.net")}, Reject},
	} {
		rules := strict()
		rules.NotJudged = tc.exempt
		d := rules.Decide(client, nil, found("dmarc=fail/reject"))
		if d.Action != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, d.Action, tc.want)
		}
		if tc.want == Accept && (d.Override == "" || d.Disposition != "none") {
			t.Errorf("%s: override %q, disposition %q", tc.name, d.Override, d.Disposition)
		}
	}
}

func TestOverrides(t *testing.T) {
	accept, reject := Accept, Reject
	list := message.Header{message.NewField("List-Id", []byte(" A list <dev.lists.example>"))}
	for _, tc := range []struct {
		name     string
		override Override
		header   message.Header
		found    string
		want     Action
	}{
		{"by network", Override{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, Replace: &accept}, nil, "dmarc=fail/reject", Accept},
		{"by author", Override{Authors: patterns(t, "example.com"), Replace: &accept}, nil, "dmarc=fail/reject", Accept},
		{"by list", Override{ListIDs: patterns(t, ".lists.example"), Replace: &accept}, list, "dmarc=fail/reject", Accept},
		{"by list, two List-Id", Override{ListIDs: patterns(t, ".lists.example"), Replace: &accept}, append(list, list...), "dmarc=fail/reject", Reject},
		{"other author", Override{Authors: patterns(t, "example.org"), Replace: &accept}, nil, "dmarc=fail/reject", Reject},
		{"all lists must fit", Override{Authors: patterns(t, "example.com"), ListIDs: patterns(t, "dev.lists.example"), Replace: &accept}, nil, "dmarc=fail/reject", Reject},
		{"harsher for one author", Override{Authors: patterns(t, "example.com"), Actions: Actions{DMARC: map[string]Action{"none": Reject}}}, nil, "dmarc=fail/none", Reject},
		{"replace leaves what was accepted", Override{Authors: patterns(t, "example.com"), Replace: &reject}, nil, "dmarc=fail/none", Accept},
	} {
		rules := strict()
		if tc.override.DMARC == nil {
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
		want  Action
	}{
		{"newest sealer trusted, saw a pass", arc.Pass, []arc.Set{set(1, "list.example", "list.example; dmarc=pass header.from=example.com")}, Accept},
		{"older set of the trusted run saw it", arc.Pass, []arc.Set{set(1, "list.example", "x; dmarc=pass"), set(2, "mx.example", "x; dmarc=fail")}, Accept},
		{"chain fails", arc.Fail, []arc.Set{set(1, "list.example", "x; dmarc=pass")}, Reject},
		{"sealer not trusted", arc.Pass, []arc.Set{set(1, "evil.example", "x; dmarc=pass")}, Reject},
		{"stranger between", arc.Pass, []arc.Set{set(1, "list.example", "x; dmarc=pass"), set(2, "evil.example", "x; dmarc=pass")}, Reject},
		{"stranger below", arc.Pass, []arc.Set{set(1, "evil.example", "x; dmarc=pass"), set(2, "list.example", "x; dmarc=fail")}, Reject},
		{"saw no pass", arc.Pass, []arc.Set{set(1, "list.example", "x; dmarc=fail header.from=example.com")}, Reject},
		{"saw another author", arc.Pass, []arc.Set{set(1, "list.example", "x; dmarc=pass header.from=other.example")}, Reject},
		{"cannot be read", arc.Pass, []arc.Set{set(1, "list.example", "; ; dmarc")}, Reject},
	} {
		rules := strict()
		rules.TrustedSealers = []domain.Name{"list.example", "mx.example"}
		r := found("dmarc=fail/reject")
		r.ARC = &arc.Result{Value: tc.value, Sets: tc.sets}
		d := rules.Decide(client, nil, r)
		if d.Action != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, d.Action, tc.want)
		}
		rules.TrustedSealers = nil
		if d := rules.Decide(client, nil, r); d.Action != Reject {
			t.Errorf("%s, nobody trusted: %s, want reject", tc.name, d.Action)
		}
	}
}

func TestParseAction(t *testing.T) {
	for a := Accept; a <= Reject; a++ {
		if got, err := ParseAction(a.String()); got != a || err != nil {
			t.Errorf("%s: %s, %v", a, got, err)
		}
	}
	if _, err := ParseAction("bounce"); err == nil {
		t.Error(`"bounce" is read as an action`)
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
