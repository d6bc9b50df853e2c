package dmarc_test

import (
	"testing"

	"mailseal/milter/dmarc"
)

const deep = "a.b.c.d.e.f.g.h.i.j.mail.example.com"

// TestAcceptance holds the checks of standards.md section 9 by their numbers. What a receiver does
// with the disposition (2, 11, 18) is the policy's to decide.
func TestAcceptance(t *testing.T) {
	run(t, []test{
		{"01 relaxed", "example.com: p=reject", dmarc.Checker{}, "example.com", "spf mail.example.com",
			"pass p=reject at example.com", "example.com", "example.com com mail.example.com"},
		{"02 strict", "example.com: p=reject; aspf=s", dmarc.Checker{}, "example.com", "spf mail.example.com",
			"fail p=reject at example.com -> reject", "", "example.com"},
		{"03 eight queries", "example.com: p=reject", dmarc.Checker{}, deep, "",
			"fail p=reject at example.com -> reject", "example.com",
			deep + " g.h.i.j.mail.example.com h.i.j.mail.example.com i.j.mail.example.com " +
				"j.mail.example.com mail.example.com example.com com"},
		{"04 public suffix", "bank.example: p=reject; psd=y\ngiant.bank.example: p=reject",
			dmarc.Checker{}, "giant.bank.example",
			"spf mail.giant.bank.example", "pass p=reject at giant.bank.example",
			"giant.bank.example",
			"giant.bank.example bank.example mail.giant.bank.example"},
		{"04 another one below it", "bank.example: p=reject; psd=y\ngiant.bank.example: p=reject",
			dmarc.Checker{}, "giant.bank.example",
			"dkim mail.mega.bank.example", "fail p=reject at giant.bank.example -> reject",
			"giant.bank.example",
			"giant.bank.example bank.example"},
		{"05 psd=n ends the walk", "mail.example.com: p=none; psd=n\nexample.com: p=reject",
			dmarc.Checker{}, "a.mail.example.com", "",
			"fail p=none at mail.example.com", "mail.example.com",
			"a.mail.example.com mail.example.com"},
		{"06 two records", "example.com: p=reject\nexample.com: p=none", dmarc.Checker{},
			"example.com", "dkim example.com",
			"none", "example.com", "example.com com"},
		{"07 no p, reports wanted", "example.com: rua=mailto:r@example.com", dmarc.Checker{}, "example.com", "",
			"fail rua=none at example.com", "", "example.com"},
		{"07 no p, no reports", "example.com: ;", dmarc.Checker{}, "example.com", "dkim example.com",
			"permerror = at example.com", "", "example.com"},
		{"07 no p, no reports, by option", "example.com: ;", dmarc.Checker{BrokenIsNone: true},
			"example.com", "dkim example.com",
			"none = at example.com", "", "example.com"},
		{"08 bad sp", "example.com: p=reject; sp=rejekt; rua=mailto:r@example.com", dmarc.Checker{}, "example.com", "",
			"fail rua=none at example.com", "", "example.com"},
		{"09 does not exist", "example.com: p=none; sp=quarantine; np=reject", dmarc.Checker{}, "x.example.com", "",
			"fail np=reject at example.com -> reject", "example.com",
			"x.example.com example.com com x.example.com"},
		{"09 exists", "example.com: p=none; sp=quarantine; np=reject\nx.example.com A 192.0.2.1",
			dmarc.Checker{}, "x.example.com", "",
			"fail sp=quarantine at example.com -> quarantine", "example.com",
			"x.example.com example.com com x.example.com"},
		{"10 sp of a subdomain", "sub.example.com: p=none; sp=reject\nexample.com: p=quarantine",
			dmarc.Checker{}, "a.sub.example.com", "",
			"fail p=quarantine at example.com -> quarantine", "example.com",
			"a.sub.example.com sub.example.com example.com com"},
		{"11 test mode", "example.com: p=reject; t=y", dmarc.Checker{}, "example.com", "",
			"fail p=reject at example.com -> quarantine", "", "example.com"},
		{"11 test mode of quarantine", "example.com: p=quarantine; t=y", dmarc.Checker{}, "example.com", "",
			"fail p=quarantine at example.com", "", "example.com"},
		{"12 pct", "example.com: p=reject; pct=0; ri=3600; rf=afrf", dmarc.Checker{}, "example.com", "",
			"fail p=reject at example.com -> reject", "", "example.com"},
		{"13 no records", "_dmarc.example.com TXT \"p=reject; v=DMARC1\"\n_dmarc.example.com TXT " +
			"\"v=dmarc1; p=reject\"\n_dmarc.example.com TXT \"v=DMARC10; p=reject\"",
			dmarc.Checker{}, "example.com", "", "none", "example.com", "example.com com"},
		{"13 a record", "_dmarc.example.com TXT \"v = DMARC1 ;p=reject\"", dmarc.Checker{}, "example.com", "",
			"fail p=reject at example.com -> reject", "", "example.com"},
		{"14 two authors", "example.com: p=reject", dmarc.Checker{}, "example.com example.org",
			"dkim example.com, dkim example.org",
			"permerror", "", "example.com example.org org"},
		{"14 two authors, each", "example.com: p=quarantine\nexample.org: p=reject\nexample.net: p=none",
			dmarc.Checker{},
			"example.com example.org example.net", "", "fail p=reject at example.org -> reject", "",
			"example.com example.net example.org"},
		{"14 two authors, all pass", "example.com: p=reject\nexample.org: p=reject",
			dmarc.Checker{}, "example.com example.org",
			"dkim example.com, dkim example.org", "permerror", "", "example.com example.org"},
		{"14 capped", "a1.example: p=reject", dmarc.Checker{}, "a1.example a2.test a3.test a4.test a5.test", "",
			"permerror", "", ""},
		{"15 internationalized", "xn--bcher-kva.example: p=reject", dmarc.Checker{},
			"bücher.example", "dkim xn--bcher-kva.example",
			"pass p=reject at xn--bcher-kva.example", "", "xn--bcher-kva.example"},
		{"16 null sender", "example.com: p=reject", dmarc.Checker{}, "example.com", "spf mta.example.com",
			"pass p=reject at example.com", "example.com", "example.com com mta.example.com"},
		{"17 servfail", "$SERVFAIL _dmarc.example.com", dmarc.Checker{}, "example.com", "",
			"temperror", "", "example.com"},
		{"17 servfail above", "$TIMEOUT _dmarc.example.com", dmarc.Checker{}, "a.example.com", "dkim a.example.com",
			"temperror", "", "a.example.com example.com"},
	})
}

// TestRFC9989 holds the worked examples of the RFC by their sections.
func TestRFC9989(t *testing.T) {
	simple := "example.com: p=reject\nsigning.example.com: p=none"
	run(t, []test{
		{"4.10.2 first", "mail.example.com: p=none\nexample.com: p=reject", dmarc.Checker{}, "a.mail.example.com", "",
			"fail p=reject at example.com -> reject", "example.com",
			"a.mail.example.com mail.example.com example.com com"},
		{"4.10.2 psd=n", "mail.example.com: p=none; psd=n", dmarc.Checker{}, "a.mail.example.com", "",
			"fail p=none at mail.example.com", "mail.example.com",
			"a.mail.example.com mail.example.com"},
		{"4.10.2 psd=y", "com: p=none; psd=y", dmarc.Checker{}, "a.mail.example.com", "dkim b.example.com",
			"pass p=none at com", "example.com",
			"a.mail.example.com mail.example.com example.com com b.example.com"},
		{"5.1.8 never seen", "example.com: p=reject\nb.c.d.e.f.g.example.com: p=none; psd=n",
			dmarc.Checker{}, "mail.a.b.c.d.e.f.g.example.com", "",
			"fail p=reject at example.com -> reject", "example.com",
			"mail.a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com d.e.f.g.example.com " +
				"e.f.g.example.com f.g.example.com g.example.com example.com com"},
		{"5.1.8 the author's own", "example.com: p=reject\nmail.a.b.c.d.e.f.g.example.com: p=none",
			dmarc.Checker{}, "mail.a.b.c.d.e.f.g.example.com", "",
			"fail p=none at mail.a.b.c.d.e.f.g.example.com", "", "mail.a.b.c.d.e.f.g.example.com"},
		{"B.4.1 SPF", simple, dmarc.Checker{}, "example.com", "spf example.com",
			"pass p=reject at example.com", "", "example.com"},
		{"B.4.1 DKIM", simple, dmarc.Checker{}, "example.com", "dkim signing.example.com",
			"pass p=reject at example.com", "example.com", "example.com com signing.example.com"},
		{"B.4.2 SPF", simple, dmarc.Checker{}, "a.b.c.d.e.f.g.h.i.j.k.example.com", "spf example.com",
			"pass p=reject at example.com", "example.com",
			"a.b.c.d.e.f.g.h.i.j.k.example.com g.h.i.j.k.example.com h.i.j.k.example.com " +
				"i.j.k.example.com j.k.example.com k.example.com example.com com"},
		{"B.4.2 DKIM", simple, dmarc.Checker{}, "a.b.c.d.e.f.g.h.i.j.k.example.com", "dkim signing.example.com",
			"pass p=reject at example.com", "example.com", "-"},
		{"B.4.3", "bank.example: p=reject; psd=y\ngiant.bank.example: p=quarantine",
			dmarc.Checker{}, "giant.bank.example",
			"dkim mail.mega.bank.example, spf mail.giant.bank.example",
			"pass p=quarantine at giant.bank.example", "giant.bank.example",
			"giant.bank.example bank.example mail.giant.bank.example"},
	})
}
