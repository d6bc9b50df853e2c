package policy

import (
	"strings"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

// refusing are rules that refuse everything but a pass, in our own words.
func refusing() Rules {
	const no = action.Reject
	r := factory()
	r.Texts = Texts{}
	r.SPF = action.SPF{Fail: no, Softfail: no, None: no, Permerror: no, Temperror: action.Tempfail,
		HeloFail: no}
	r.IPRev = action.IPRev{Fail: no, Permerror: no, Temperror: action.Tempfail}
	r.DKIM = action.DKIM{Fail: no, Policy: no, Neutral: no, None: no, Permerror: no,
		Temperror: action.Tempfail}
	r.DMARC = action.DMARC{Reject: no, Quarantine: no, None: no, NoRecord: no, Permerror: no,
		Temperror: action.Tempfail}
	r.NoAuthor, r.ManyAuthors = no, no
	return r
}

// A refused peer is told what was found, and nothing that was not.
func TestTextOfEveryResult(t *testing.T) {
	seen := map[string]string{}
	for _, tc := range []struct{ found, want string }{
		{"spf=fail", "SPF: 192.0.2.1 may not send mail for sender.example"},
		{"spf=softfail", "SPF: 192.0.2.1 probably may not send mail for sender.example"},
		{"spf=neutral", "SPF: sender.example does not say whether 192.0.2.1 may send mail for it"},
		{"spf=none", "SPF: sender.example has no SPF record"},
		{"spf=permerror", "SPF: the SPF record of sender.example cannot be used"},
		{"spf=temperror", "SPF: the DNS did not answer for spf.sender.example"},
		{"helo=fail", "SPF: 192.0.2.1 may not use the name mx.sender.example in HELO"},
		{"iprev=fail", "Reverse DNS: no name of 192.0.2.1 has this address"},
		{"iprev=permerror", "Reverse DNS: 192.0.2.1 has no name"},
		{"iprev=temperror", "Reverse DNS: the DNS did not answer for 1.2.0.192.in-addr.arpa"},
		{"dkim=fail", "DKIM: no signature matches the message"},
		{"dkim=policy", "DKIM: no signature is acceptable to this host"},
		{"dkim=neutral", "DKIM: no signature can be read"},
		{"dkim=none", "DKIM: the message has no signature"},
		{"dkim=permerror", "DKIM: no signature can be verified"},
		{"dkim=temperror", "DKIM: the DNS did not answer for sel._domainkey.example.com"},
		{"dmarc=fail/reject", "DMARC policy for example.com"},
		{"dmarc=fail/quarantine", "DMARC policy for example.com"},
		{"dmarc=fail/none", "DMARC: the message fails for example.com"},
		{"dmarc=none", "DMARC: example.com has no DMARC record"},
		{"dmarc=permerror", "DMARC: the DMARC record of example.com cannot be used"},
		{"dmarc=temperror", "DMARC: the DNS did not answer for _dmarc.com"},
	} {
		rules := refusing()
		r := found(tc.found)
		switch {
		case r.SPF != nil:
			r.SPF.Unanswered = "spf.sender.example"
		case r.IPRev != nil:
			r.IPRev.Unanswered = "1.2.0.192.in-addr.arpa"
		case r.DMARC != nil:
			r.DMARC.Unanswered = "_dmarc.com"
		case len(r.DKIM) > 0:
			r.DKIM[0].Selector, r.DKIM[0].Domain = "sel", "example.com"
		}
		d := rules.Decide(client, nil, r)
		if d.Text != tc.want {
			t.Errorf("%s: got %q, want %q", tc.found, d.Text, tc.want)
		}
		seen[d.Text] = tc.found
	}
	if len(seen) != 21 { // only p=reject and p=quarantine are told the same
		t.Errorf("%d texts", len(seen))
	}
}

func TestTextWithoutDomain(t *testing.T) {
	rules := refusing()
	r := found("spf=none")
	r.SPF.Domain = ""
	if d := rules.Decide(client, nil, r); d.Text != "SPF: the sender has no SPF record" {
		t.Errorf("got %q", d.Text)
	}
	for _, tc := range []struct {
		err     error
		tooMany bool
		want    string
	}{{message.ErrNoAuthor, false, "The From field names no author"},
		{message.ErrManyAuthors, true, "The From field shows too many authors"}} {
		r := found()
		r.Author, r.AuthorErr, r.From.TooMany = "", tc.err, tc.tooMany
		if d := rules.Decide(client, nil, r); d.Text != tc.want {
			t.Errorf("got %q, want %q", d.Text, tc.want)
		}
	}
	if d := rules.Decide(client, nil,
		found("spf=fail", "dkim=none")); d.Enhanced != severalFailed || d.Text != textSeveral {
		t.Errorf("several: %s %q", d.Enhanced, d.Text)
	}
}

// A text of the configuration stands for all results of its method, but for those that only say
// that the DNS was away.
func TestCustomTexts(t *testing.T) {
	rules := refusing()
	rules.Texts = Texts{SPF: "no {client} for {domain}", DKIM: "unsigned", DMARC: "dmarc {domain}",
		IPRev: "reverse", Other: "else"}
	for found_, want := range map[string]string{
		"spf=fail": "no 192.0.2.1 for sender.example",
		"spf=none": "no 192.0.2.1 for sender.example", "helo=fail": "no 192.0.2.1 for mx.sender.example",
		"dkim=none": "unsigned", "dkim=neutral": "unsigned", "iprev=fail": "reverse",
		"dmarc=fail/none": "dmarc example.com",
		"spf=temperror":   "SPF: the DNS did not answer for a name that the result depends on",
	} {
		if d := rules.Decide(client, nil, found(found_)); d.Text != want {
			t.Errorf("%s: got %q, want %q", found_, d.Text, want)
		}
	}
}

// What a stranger wrote reaches a reply as a host name or not at all.
func TestUnansweredNameIsHarmless(t *testing.T) {
	rules := refusing()
	r := found("dkim=temperror", "dmarc=temperror")
	r.DKIM[0].Selector, r.DKIM[0].Domain = "a\r\n250 ok", "b example\x00"+strings.Repeat("x", 1000)
	d := rules.Decide(client, nil, r)
	if !strings.HasPrefix(d.Text, "DMARC: the DNS did not answer for a??250?ok._domainkey.b?example?xxx") ||
		len(d.Text) > 400 {
		t.Errorf("got %q", d.Text)
	}
}

// A temperror that can only hide a pass, or that there is no policy at all, defers nothing.
func TestHarmlessTemperror(t *testing.T) {
	for _, isHarmless := range []bool{true, false} {
		rules := refusing()
		rules.SPF.Temperror, rules.DKIM.Temperror = action.Accept, action.Accept
		r := found("dmarc=temperror")
		r.DMARC.Harmless, r.DMARC.Unanswered = isHarmless, "_dmarc.com"
		d := rules.Decide(client, nil, r)
		if want := map[bool]action.Action{true: action.Accept,
			false: action.Tempfail}[isHarmless]; d.Action != want {
			t.Errorf("harmless %v: %s, want %s", isHarmless, d.Action, want)
		}
	}
}
