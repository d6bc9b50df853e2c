package config_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/action"
)

const twoKeys = `
[keys."mail._domainkey.example.com"]
file = "mail.pem"
[keys.second]
domain = "%"
selector = "S2"
file = "/k/second.pem"
`

func TestSimpleMode(t *testing.T) {
	c, err := config.Parse("/etc/mailseal/mailseal.toml",
		[]byte("domain = [\"Example.com\", \"example.org\"]\nselector = \"mail\"\nkey_file = \"mail.pem\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sign) != 2 || len(c.Keys) != 2 {
		t.Fatalf("got %d rules, %d keys; want 2 each", len(c.Sign), len(c.Keys))
	}
	k := c.Keys["mail._domainkey.example.com"]
	if k.Domain != "example.com" || k.Selector != "mail" || k.File != "/etc/mailseal/mail.pem" {
		t.Errorf("got key %+v", k)
	}
	r := c.Sign[1]
	if !reflect.DeepEqual(r.From, []string{"*@example.org"}) ||
		!reflect.DeepEqual(r.Keys, []string{"mail._domainkey.example.org"}) {
		t.Errorf("got rule %v %v", r.From, r.Keys)
	}
	if r.Expiry != 10*24*time.Hour || r.OnKeyError != action.KeySkip || len(r.Headers) < 10 {
		t.Errorf("the rule lacks the options of [signing]: %+v", r.SignOptions)
	}
}

func TestSimpleModeIdentifier(t *testing.T) {
	const simple = "domain = \"example.com\"\nselector = \"s\"\nkey_file = \"k\"\n"
	for identifier, want := range map[string]string{
		"a@other.org":       "m.toml:4: signing.identifier: \"a@other.org\" is not at or below example.com",
		"a@sub.example.com": "",
		"@%":                "",
	} {
		_, err := config.Parse("m.toml", []byte(simple+"signing.identifier = \""+identifier+"\"\n"))
		if want == "" && err != nil || want != "" && !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: got %v, want %q", identifier, err, want)
		}
	}
}

func TestKeys(t *testing.T) {
	c := parse(t, twoKeys)
	first, second := c.Keys["mail._domainkey.example.com"], c.Keys["second"]
	if first.Domain != "example.com" || first.Selector != "mail" {
		t.Errorf("got %s, %s; want the domain and selector of the name", first.Domain,
			first.Selector)
	}
	if second.Domain != "%" || second.Selector != "s2" || second.File != "/k/second.pem" {
		t.Errorf("got %+v", second)
	}
	p := first.Problem("file", "no such file")
	if got, want := p.Error(), `mailseal.toml:4: keys."mail._domainkey.example.com".file: no such file`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRulesInherit(t *testing.T) {
	c := parse(t, twoKeys+`
[signing]
expiry = "20d"
headers = ["+X-Ticket", "-Reply-To"]
skip_if_signed = true
[[sign]]
from = "example.com"
keys = "mail._domainkey.example.com"
[[sign]]
from = ".example.com"
keys = ["second", "%"]
expiry = "0s"
headers = ["Subject", "Date"]
skip_if_signed = false
[[sign]]
from = "a@*"
keys = "second"
oversign = ["+X-Ticket", "+Reply-To"]
`)
	tests := []struct {
		name      string
		got, want any
	}{
		{"expiry of [signing]", c.Sign[0].Expiry, 20 * 24 * time.Hour},
		{"expiry of the rule", c.Sign[1].Expiry, time.Duration(0)},
		{"a false of the rule", []bool{c.Sign[0].SkipIfSigned, c.Sign[1].SkipIfSigned}, []bool{true, false}},
		{"added", strings.Contains(fmt.Sprint(c.Sign[0].Headers), "X-Ticket"), true},
		{"taken away", strings.Contains(fmt.Sprint(c.Sign[0].Headers, c.Sign[0].Oversign), " Reply-To"), false},
		{"a list instead", c.Sign[1].Headers, []string{"From", "Subject", "Date"}},
		{"oversigned of those", c.Sign[1].Oversign, []string{"From", "Subject"}},
		{"oversigned if present of those", c.Sign[1].OversignPresent, []string{"Date"}},
		{"oversigned is signed", c.Sign[2].Headers[len(c.Sign[2].Headers)-1], "Reply-To"},
		{"oversigned", c.Sign[2].Oversign, []string{"From", "To", "Cc", "Subject", "X-Ticket", "Reply-To"}},
		{"[signing] itself", c.Signing.Oversign, []string{"From", "To", "Cc", "Subject"}},
	}
	for _, tt := range tests {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestRuleProblems(t *testing.T) {
	const sources = "[sources.db]\ndriver = \"postgres\"\ndsn = \"dbname=mail\"\nkey_query = " +
		"\"SELECT\"\n[sources.web]\ndriver = \"http\"\nurl = \"https://x.example/\"\n"
	tests := []struct{ name, text, want string }{
		{"good", "[[sign]]\nfrom = \"example.com\"\nkeys = \"second\"", ""},
		{"no keys", "[[sign]]\nfrom = \"example.com\"", "sign[0]: needs keys"},
		{"managed", "[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"", ""},
		{"managed, the author's", "[[sign]]\nfrom = \"*\"\nmanaged = \"%\"", ""},
		{"managed, no domain", "[[sign]]\nfrom = \"example.com\"\nmanaged = \"a b\"", "sign[0].managed: "},
		{"managed and keys", "[[sign]]\nfrom = \"example.com\"\nmanaged = \"%\"\nkeys = \"second\"",
			"sign[0].keys: cannot be combined with managed"},
		{"managed and source", "[[sign]]\nfrom = \"example.com\"\nmanaged = \"%\"\nsource = \"db\"",
			"sign[0].source: cannot be combined with managed"},
		{"managed, nobody", "[[sign]]\nmanaged = \"example.com\"", "needs from"},
		{"managed, identifier beside", "[[sign]]\nfrom = \"example.com\"\nmanaged = " +
			"\"example.com\"\nidentifier = \"@example.org\"", "not at or below example.com"},
		{"empty keys", "[[sign]]\nfrom = \"example.com\"\nkeys = []", "sign[0].keys: is empty"},
		{"% in a name", "[[sign]]\nfrom = \"*\"\nkeys = \"mail._domainkey.%\"", ""},
		{"source answers", "[[sign]]\nsource = \"web\"", ""},
		{"source without query", "[[sign]]\nsource = \"db\"", `needs keys: the source "db" has no signing_query`},
		{"keys in a source", "[[sign]]\nfrom = \"a.example\"\nsource = \"db\"\nkeys = \"k\"", ""},
		{"keys in a source, nobody", "[[sign]]\nsource = \"db\"\nkeys = \"k\"", "needs from"},
		{"no such source", "[[sign]]\nsource = \"wep\"", `no source "wep"; did you mean "web"?`},
		{"key of no source", "[keys.k]\nsource = \"bd\"", `keys.k.source: there is no source "bd"; did you mean "db"?`},
		{"identifier below", "[[sign]]\nfrom = \"example.com\"\nkeys = " +
			"\"mail._domainkey.example.com\"\nidentifier = \"@a.example.com\"", ""},
		{"identifier of nobody's domain", "[[sign]]\nfrom = \"example.com\"\nkeys = " +
			"\"second\"\nidentifier = \"@a.example.org\"", ""},
		{"identifier beside", "[[sign]]\nfrom = \"example.com\"\nkeys = \"second\"\ndomain = " +
			"\"example.com\"\nidentifier = \"@example.org\"", "not at or below example.com"},
		{"identifier of all rules beside", "signing.identifier = \"@example.org\"\n" +
			strings.Repeat("[[sign]]\nfrom = \"example.com\"\nkeys = "+
				"\"mail._domainkey.example.com\"\n", 2),
			"mailseal.toml:2: signing.identifier: \"@example.org\" is not at or below example.com"},
		{"resign", "[[sign]]\nfrom = \"*\"\nkeys = \"second\"\nresign = true\nwhen = { " +
			"recipients = \"l@example.com\" }", ""},
		{"mixed list", "[[sign]]\nfrom = \"example.com\"\nkeys = \"second\"\nheaders = [\"+A\", \"B\"]",
			"some names have + or -"},
		{"unsignable", "[[sign]]\nfrom = \"example.com\"\nkeys = \"second\"\nheaders = [\"Received\"]",
			"changes on the way"},
		{"no such name", "[[sign]]\nfrom = \"example.com\"\nkeys = \"second\"\noversign = [\"-Form\"]",
			`Form is not in the list; did you mean "From"?`},
		{"From not signed", "[[sign]]\nfrom = \"example.com\"\nkeys = \"second\"\nheaders = [\"-From\"]",
			"From is always signed"},
		{"options of two tables", "signing.bits = 5", "unknown setting"},
		{"seal", "seal.key = \"mail._domainkey.example.com\"", ""},
		{"seal with another's domain", "seal.key = \"second\"", "has no domain of its own"},
		{"seal with a domain", "[seal]\nkey = \"second\"\ndomain = \"example.com\"", ""},
		{"seal without key", "seal.domain = \"example.com\"", "has no effect without seal.key"},
		{"seal with no key of that name", "seal.key = \"secnod\"", `did you mean "second"?`},
		{"seal without arc", "seal.key = \"mail._domainkey.example.com\"\nverify.arc = false", "verify.arc"},
		{"a match that is none", "signing.match = \"any\"", "signing.match: \"any\" is not one of"},
		{"a match of one rule", "[[sign]]\nfrom = \"example.com\"\nkeys = \"second\"\nmatch = \"all\"",
			"unknown setting"},
		{"tables of OpenDKIM too", "key_table = \"/k\"\nsigning_table = \"/s\"", "cannot be " +
			"combined with"},
		{"short way too", "domain = \"example.com\"\nselector = \"s\"\nkey_file = \"/k\"",
			"cannot " +
				"be combined with"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse("mailseal.toml", []byte("authserv_id = \"mx.example.com\"\n"+
				tt.text+"\n"+twoKeys+sources))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want it to say %q", err, tt.want)
			case tt.want != "" && strings.Contains(err.Error(), "\n"):
				t.Errorf("got several problems for one mistake: %v", err)
			}
		})
	}
}

func TestSources(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no driver", "dsn = \"x\"", "sources.s: needs driver"},
		{"no database", "driver = \"mysql\"\nkey_query = \"SELECT\"", "needs dsn, since its " +
			"driver is mysql"},
		{"not an address", "driver = \"http\"", "needs url"},
		{"address of a database", "driver = \"sqlite\"\ndsn = \"/k.db\"\nkey_query = " +
			"\"SELECT\"\nurl = \"http://x.example\"", "sources.s.url: " +
			"is not used by the driver sqlite"},
		{"authorities beside a dsn", "driver = \"postgres\"\ndsn = \"x\"\nkey_query = \"SELECT\"\nca_file = \"ca.pem\"",
			"sources.s.ca_file: is not used by the driver postgres"},
		{"half a certificate", "driver = \"http\"\nurl = \"https://x.example\"\nclient_key = \"k.pem\"",
			"client_certificate and client_key"},
		{"not a web address", "driver = \"http\"\nurl = \"x.example\"", "not a web address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse("mailseal.toml", []byte("[sources.s]\n"+tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one problem that says %q", err, tt.want)
			}
		})
	}
}

func TestOverridesInherit(t *testing.T) {
	c := parse(t, `
[policy.dmarc]
p_reject = "reject"
[[policy.override]]
author_domains = "bank.example"
dmarc = { p_none = "hold" }
`)
	o := c.Policy.Overrides[0]
	if o.DMARC.None != action.Hold || o.DMARC.Reject != action.Reject ||
		o.DMARC.Quarantine != action.Mark || o.SPF.Fail != action.Accept {
		t.Errorf("got %+v", o)
	}
}

func TestWarnings(t *testing.T) {
	rule := func(from, more string) string {
		return "[[sign]]\nfrom = \"" + from + "\"\nkeys = \"mail._domainkey.example.com\"\n" +
			more + "\n"
	}
	tests := []struct{ name, text, want string }{
		{"nothing to sign with", "", "no rule signs anything"},
		{"nothing to sign with, though told to", "mode = \"sign\"", "mode: contains \"sign\", but no rule"},
		{"not told to sign", "mode = \"verify\"\n" + twoKeys + rule("example.com", ""),
			"sign[0].from: has no effect without mode \"sign\""},
		{"not told to, nothing to", "mode = \"verify\"", ""},
		{"good", twoKeys + rule("example.com", ""), ""},
		{"everybody as one domain", twoKeys + rule("*", ""), "mail of all domains"},
		{"everybody as themselves", twoKeys + rule("*", "domain = \"%\""), ""},
		{"twice", twoKeys + rule("example.com", "") + rule("*@example.com", ""),
			"sign[1].from[0]: \"*@example.com\" is never used: sign[0]"},
		{"twice, where all rules sign", "signing.match = \"all\"\n" + twoKeys + rule("example.com",
			"") + rule("*@example.com", ""), ""},
		{"several signatures of no table", "multiple_signatures = true\n" + twoKeys +
			rule("example.com", ""), "multiple_signatures: has no effect without signing_table; " +
			"write match = \"all\" in [signing]"},
		{"condition, then the same", twoKeys + rule("example.com", "when = { logins = \"*\" }") +
			rule("example.com", ""), ""},
		{"key revoked before its signatures expire", "rotation.overlap = \"1d\"\n[[sign]]\nfrom " +
			"= \"example.com\"\nmanaged = \"example.com\"",
			`rotation.overlap: sign[0]: its signatures are valid for 10d, ` +
				`but a key that no longer signs is revoked after 1d: mail that is still on its ` +
				`way then does not verify; set overlap = "10d"`},
		{"key revoked before queues are empty", "signing.expiry = \"0s\"\nrotation.overlap = " +
			"\"36h\"\n[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"", "up " +
			"to 5d, but a key that no longer signs is revoked after 36h0m0s"},
		{"overlap that nobody needs", "rotation.overlap = \"1d\"\n" + twoKeys + rule("example.com",
			""), "rotation.overlap: has no effect without a rule with managed in [[sign]]"},
		{"results of hosts that are not ours",
			"mode = \"verify\"\nours.networks = [\"127.0.0.1\", " +
				"\"192.0.2.0/24\"]\nours.keep_results = [\"::1\", \"192.0.2.7\", \"198.51.100.7\"]",
			"ours.keep_results[2]: has no effect: 198.51.100.7/32 is not in ours.networks"},
		{"policy of what is not looked for",
			"mode = \"verify\"\nverify.iprev = false\npolicy.iprev.fail = \"reject\"",
			"policy.iprev.fail: has no effect without verify.iprev = true"},
		{"policy of HELO, which is not asked",
			"mode = \"verify\"\nverify.spf_helo = false\npolicy.spf = { helo_fail = \"reject\", fail = \"mark\" }",
			"policy.spf.helo_fail: has no effect without verify.spf_helo = true"},
		{"policy of HELO without SPF",
			"mode = \"verify\"\nverify.spf = false\npolicy.spf.helo_fail = \"reject\"",
			"policy.spf.helo_fail: has no effect without verify.spf = true"},
		{"policy of what is looked for", "mode = \"verify\"\npolicy = { iprev.fail = \"mark\", " +
			"spf.helo_fail = \"mark\", dmarc.p_none = \"mark\" }", ""},
		{"open port", "mode = \"verify\"\nlisten = [{ address = \"inet:8891\" }]",
			"inet:8891@127.0.0.1 is for this host only"},
		{"open profiles", "mode = \"verify\"\nmetrics = { address = \"0.0.0.0:1\", pprof = true }",
			"slow down the daemon"},
		{"open metrics", "mode = \"verify\"\nmetrics = { address = \"0.0.0.0:1\" }",
			"which name your domains: listen on 127.0.0.1"},
		{"open metrics by IPv6", "mode = \"verify\"\nmetrics = { address = \"[::]:1\" }",
			"which name your domains"},
		{"metrics in a private network", "mode = \"verify\"\nmetrics = { address = \"10.0.0.1:1\" }", ""},
		{"profiles at home", "mode = \"verify\"\nmetrics = { address = \"127.0.0.1:1\", pprof = true }", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, tt.text)
			got := config.Problems(c.Warnings).Error()
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) ||
				strings.Contains(got, "\n") {
				t.Errorf("got %q, want one warning that says %q", got, tt.want)
			}
		})
	}
}
