package verify

import (
	"strings"
	"testing"

	"mailseal/milter/dmarc"
	"mailseal/milter/message"
)

// TestMalformedFrom judges mail with a From field that RFC 5322 does not allow and that shows one
// domain: the honest message passes, and the policy applies to the forged one.
func TestMalformedFrom(t *testing.T) {
	for _, tt := range []struct{ name, from, author string }{
		{"comma and a title", "Dr. Ann Doe, MD <ann@example.com>", "example.com"},
		{"commas", "Smith, Jones, & Partners <office@example.com>", "example.com"},
		{"square brackets behind", "Ann [external] <ann@example.com>", "example.com"},
		{"ticket number", "[#4711] Help Desk <help@example.com>", "example.com"},
		{"at in a name", "ann @ home <ann@example.com>", "example.com"},
		{"handle", "Ann @ann.doe <ann@example.com>", "example.com"},
		{"forwarded", "Fwd: Ann <ann@example.com>", "example.com"},
		{"two colons", "::Ann:: <ann@example.com>", "example.com"},
		{"wink", "Ann ;-) <ann@example.com>", "example.com"},
		{"sad smiley", "Ann :( <ann@example.com>", "example.com"},
		{"local part with dots", "...ann@example.com", "example.com"},
		{"local part with a final dot", "Ann <ann.doe.@example.com>", "example.com"},
		{"local part in two words", "Ann <ann doe@example.com>", "example.com"},
		{"final dots", "ann@example.com..", "example.com"},
		{"final dot and semicolon", "<ann@example.com.>;", "example.com"},
		{"URI", "<mailto:ann@example.com?subject=x>", "example.com"},
		{"URI without brackets", "MAILTO:ann@example.com", "example.com"},
		{"brackets not closed", "Ann <ann@example.com", "example.com"},
		{"double brackets, not closed", "<<ann@example.com>", "example.com"},
		{"three brackets", "Ann <<<ann@example.com>>>", "example.com"},
		{"words behind", "ann@example.com Ann Doe", "example.com"},
		{"quote not closed", `"Ann <ann@example.com>`, "example.com"},
		{"comment not closed", "ann@example.com (Ann", "example.com"},
		{"NUL", "Ann\x00 <ann@example.com>", "example.com"},
		{"encoded", "=?utf-8?q?ceo=40example=2Ecom?=", "example.com"},
		{"encoded brackets", "=?utf-8?b?PGNlb0BleGFtcGxlLmNvbT4=?=", "example.com"},
		{"quoted", `"ceo@example.com"`, "example.com"},
		{"full-width at", "ceo\uff20example.com", "example.com"},
		{"full-width domain", "<ceo@\uff45xample.com>", "example.com"},
		{"zero-width space", "ceo@exa\u200bmple.com", "example.com"},
		{"curly quotes", "\u201cceo@example.com\u201d", "example.com"},
		{"space in a domain", "<ceo@example .com>", "example.com"},
		{"group", "Board: ceo@example.com;", "example.com"},
		{"label too long", "ceo@" + strings.Repeat("x", 64) + ".example.com", "example.com"},
		{"route of itself", "<@example.com:ceo@example.com>", "example.com"},
		{"route", "<@relay.example:ceo@example.com>", "example.com"},
		{"hyphen at the end of a label", "ceo@mail-.example.com", "mail-.example.com"},
		{"hyphen at the start of a label", "CEO <ceo@-x.example.com>", "-x.example.com"},
		{"hyphen and underscore", "<ceo@_-.example.com>", "_-.example.com"},
		{"exclamation mark in a label", "ceo@a!b.example.com", "a!b.example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := "From: " + tt.from + "\r\nTo: bob@example.net\r\n\r\nhello\r\n"
			v, _ := newVerifier(t)
			honest := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com",
				"a@example.com"), false, signed(t, raw, "example.com"))
			if d := honest.DMARC; d.Value != dmarc.Pass || string(honest.Author) != tt.author ||
				honest.From.Doubt() == "" {
				t.Errorf("honest: dmarc=%s (%s) for %q, doubt %q", d.Value, d.Reason, honest.Author,
					honest.From.Doubt())
			}
			forged := judged(t, t.Context(), v, envelope("198.51.100.1", "x", "x@other.example"),
				false, raw)
			if d := forged.DMARC; d.Value != dmarc.Fail || d.Disposition != dmarc.Reject ||
				string(d.Author) != tt.author || d.Aside {
				t.Errorf("forged: dmarc=%s (%s) for %q, disposition %s", d.Value, d.Reason,
					d.Author, d.Disposition)
			}
		})
	}
}

// TestSeveralDomains judges mail that other.example sends with a pass of its own, and that shows
// another domain.
func TestSeveralDomains(t *testing.T) {
	zone := "\n_dmarc.evil.example. IN TXT \"v=DMARC1; p=none\"\nevil.example. IN TXT \"v=spf1 " +
		"ip4:198.51.100.1 -all\"" +
		"\nnorecord.example. IN TXT \"v=spf1 ip4:198.51.100.1 -all\"\n"
	for _, tt := range []struct{ name, from, want string }{
		{"list", "x@evil.example, ceo@example.com", "fail example.com reject"},
		{"list, the other first", "ceo@example.com, x@evil.example", "fail example.com reject"},
		{"two fields", "x@evil.example\r\nFrom: ceo@example.com", "fail example.com reject"},
		{"two fields, the second malformed", "x@evil.example\r\nFrom: CEO <ceo@example.com.>",
			"fail example.com reject"},
		{"three fields", "Ann\r\nFrom: x@evil.example\r\nFrom: Ann, ceo@example.com", "fail example.com reject"},
		{"semicolon", "ceo@example.com; x@evil.example", "fail example.com reject"},
		{"two brackets", "<ceo@example.com> <x@evil.example>", "fail example.com reject"},
		{"brackets not closed", "<ceo@example.com <x@evil.example>", "fail example.com reject"},
		{"behind the brackets", "<x@evil.example> ceo@example.com", "fail example.com reject"},
		{"list element and brackets", "ceo@example.com, [x] <x@evil.example>", "fail example.com reject"},
		{"two ats", "<ceo@example.com@evil.example>", "fail example.com reject"},
		{"quote not closed", `"<ceo@example.com> <x@evil.example>`, "fail example.com reject"},
		{"comment not closed", "x@evil.example (ceo@example.com", "fail example.com reject"},
		{"domain without a record", "x@norecord.example, ceo@example.com", "fail example.com reject"},
		{"address literal", "ceo@example.com, x@[198.51.100.1]", "fail example.com reject"},
		{"hyphen label", "x@evil.example, ceo@mail-.example.com", "fail mail-.example.com reject"},
		{"white space before a dot", "<ceo@example.com .evil.example>", "fail example.com reject"},
		{"NUL before a dot", "<ceo@example.com\x00.evil.example>", "fail example.com reject"},
		{"exclamation mark", "ceo@example.com!.evil.example", "fail example.com reject"},

		{"name", "ceo@example.com <x@evil.example>", "fail example.com reject aside"},
		{"name with words", "Mail from ceo@example.com via list <x@evil.example>", "fail example.com reject aside"},
		{"encoded name", "=?utf-8?q?ceo@example.com?= <x@evil.example>", "fail example.com reject aside"},
		{"name, and the brackets have no record", "ceo@example.com <x@norecord.example>",
			"fail example.com reject aside"},
		{"name, and no address in the brackets", "ceo@example.com <x@>", "fail example.com reject"},
		{"name, and an address literal", "ceo@example.com <x@[198.51.100.1]>", "fail example.com reject"},
		{"route", "<@example.com:x@evil.example>", "fail example.com reject aside"},

		{"both pass", "x@evil.example; x@norecord.example", "permerror  none"},
		{"subdomain", "<x@evil.example> <x@mail.evil.example>", "permerror  none"},
		{"without a record", "x@norecord.example; y@nothing.example", "permerror  none"},
		{"five domains", "a@evil.example, b@b.example, c@c.example, d@d.example, ceo@example.com", "permerror  none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, z := newVerifier(t)
			if err := z.Add(zone); err != nil {
				t.Fatal(err)
			}
			sender := envelope("198.51.100.1", "x", "x@evil.example")
			r := judged(t, t.Context(), v, sender, false, "From: "+tt.from+"\r\n\r\nhello\r\n")
			d := r.DMARC
			got := string(d.Value) + " " + string(d.Author) + " " + string(d.Disposition)
			if d.Aside {
				got += " aside"
			}
			if got != tt.want || r.Author != "" && !strings.HasPrefix(tt.name, "route") {
				t.Errorf("%q: %s (%s), author %q, want %s", tt.from, got, d.Reason, r.Author,
					tt.want)
			}
		})
	}
}

func TestMostAuthors(t *testing.T) {
	if message.MaxDomains != dmarc.MaxAuthors {
		t.Errorf("From tells %d domains apart, DMARC judges %d", message.MaxDomains,
			dmarc.MaxAuthors)
	}
}
