package domains

import (
	"strings"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/spf"
)

// slip is a record with a slip of the pen, and what is to be said of it.
type slip struct {
	text string
	code check.Code
	says string
	want string // to publish; "" for none
}

// mistaken says what is wrong with the findings about the record, "" for nothing.
func (s slip) mistaken(r Result) string {
	for _, f := range r.Findings {
		if f.Code != s.code || f.Seen != s.text || !strings.Contains(f.Text, s.says) {
			continue
		}
		published := ""
		if len(f.Publish) > 0 {
			published = f.Publish[0].Text
		}
		if published != s.want {
			return "the record to publish is " + published
		}
		return ""
	}
	return "no " + string(s.code) + " says " + s.says
}

// TestNearMisses holds that records with slips are each named with what is wrong and what was
// meant, and that the record to publish has not the slip.
func TestNearMisses(t *testing.T) {
	const ed = "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	for name, slips := range map[string][]slip{
		root: {
			{"v = spf1 mx ~all", spf.FlawNearMiss, "begins with v=spf1 and a space", "v=spf1 mx ~all"},
			{"v:spf1 mx ~all", spf.FlawNearMiss, "begins with v=spf1 and a space", "v=spf1 mx ~all"},
			{"v=spf 1 mx ~all", spf.FlawNearMiss, "begins with v=spf1 and a space", "v=spf1 mx ~all"},
			{"v=spf1; mx; ~all", spf.FlawNearMiss, "begins with v=spf1 and a space", "v=spf1 mx ~all"},
			{"v=spf1mx ~all", spf.FlawNearMiss, "begins with v=spf1 and a space", "v=spf1 mx ~all"},
			{"spf=v1 mx ~all", spf.FlawNearMiss, "begins with v=spf1 and a space", "v=spf1 mx ~all"},
			{"v=sfp1 mx ~all", spf.FlawNearMiss, "begins with v=spf1 and a space", "v=spf1 mx ~all"},
			{"TXT v=spf1 mx ~all", spf.FlawNearMiss, "there is text before v=spf1", "v=spf1 mx ~all"},
			{"example.com. IN TXT \"v=spf1 mx ~all\"", spf.FlawNearMiss,
				"there is text before v=spf1", "v=spf1 mx ~all"},
			{"\u201cv=spf1 mx ~all\u201d", spf.FlawPasted, "a typographic quote", "v=spf1 mx ~all"},
			{"\ufeffv=spf1 mx ~all", spf.FlawPasted, "a byte order mark", "v=spf1 mx ~all"},
			{"v=spf1 mx \u2013all", spf.FlawPasted, "a dash instead of a hyphen", "v=spf1 mx -all"},
			{"v=spf1 mx ~all\n", spf.FlawPasted, "a tab or line end", "v=spf1 mx ~all"},
			{"v=spf1\tmx ~all", spf.FlawNearMiss, "begins with v=spf1 and a space", "v=spf1 mx ~all"},
			{"v=spf1 mx ~all;", spf.FlawSyntax, "only spaces may separate terms", "v=spf1 mx ~all"},
			{"v=spf1 mx - all", spf.FlawSyntax, "no space after the sign", "v=spf1 mx -all"},
			{"v=spf1 mx -al", spf.FlawSyntax, "all was intended", "v=spf1 mx -all"},
			{"v=spf1 mx inlcude:_spf.example.net ~all", spf.FlawSyntax, "include was intended",
				"v=spf1 mx include:_spf.example.net ~all"},
			{"v=spf1 mx ip:192.0.2.1 ~all", spf.FlawSyntax, "ip4: was intended", "v=spf1 mx ip4:192.0.2.1 ~all"},
			{"v=spf1 mx ip4:2001:db8::1 ~all", spf.FlawSyntax, "must follow ip6:", "v=spf1 mx ip6:2001:db8::1 ~all"},
			{"v=spf1 mx ip6:192.0.2.1 ~all", spf.FlawSyntax, "not an address", "v=spf1 mx ip4:192.0.2.1 ~all"},
			{"v=spf1 mx a:198.51.100.1 ~all", spf.FlawSyntax, "must follow ip4: or ip6:",
				"v=spf1 mx ip4:198.51.100.1 ~all"},
			{"v=spf1 mx ip4:192.0.2.1-192.0.2.9 ~all", spf.FlawSyntax, "the length of its prefix", "v=spf1 mx ~all"},
			{"v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.7/24 ~all", spf.FlawContained,
				"is the network 192.0.2.0/24, which", ""},
			{"v=spf1 mx ip4:192.0.2.* ~all", spf.FlawSyntax, "the length of its prefix", "v=spf1 mx ~all"},
			{"v=spf1 mx include:_spf.example.net~all", spf.FlawSyntax,
				"is the space between include:_spf.example.net and ~all missing?",
				"v=spf1 mx include:_spf.example.net ~all"},
			{"v=spf1 mx include:_spf.example.net-all", spf.FlawIncludeGone,
				"is the space between _spf.example.net and -all missing?",
				"v=spf1 mx include:_spf.example.net -all"},
			{"v=spf1 mx include: _spf.example.net ~all", spf.FlawSyntax, "directly after the colon",
				"v=spf1 mx include:_spf.example.net ~all"},
			{"v=spf1 mx ip4:192.0.2.0 /28 ~all", spf.FlawSyntax, "no such mechanism",
				"v=spf1 mx ip4:192.0.2.0/28 ~all"},
			{"v=spf1 mx ip4: ip4: ~all", spf.FlawSyntax, "directly after the colon", "v=spf1 mx ~all"},
			{"v=spf1 a:mx.example.com:25 ~all", spf.FlawSyntax, "a host has no port in SPF",
				"v=spf1 a:mx.example.com ~all"},
			{"v=spf1 ip4:192.0.2.1-all", spf.FlawSyntax,
				"is the space between ip4:192.0.2.1 and -all missing?",
				"v=spf1 ip4:192.0.2.1 -all"},
			{"v=spf1 mx include:https://example.net ~all", spf.FlawIncludeGone,
				"is not a domain name", "v=spf1 mx ~all"},
			{"v=spf1 mx include:https://_spf.example.net/ ~all", spf.FlawSyntax,
				"does not end like a domain name", "v=spf1 mx include:_spf.example.net ~all"},
			{"v=spf1 redirect=_spf.example.net mx ip4:10.0.0.0/33 -all", spf.FlawSyntax,
				"not a CIDR length", "v=spf1 mx -all"},
			{"v=spf1 mx include:example.com -all", spf.FlawLoop, "refers back to example.com", "v=spf1 mx -all"},
			{"v=spf1 mx include:gone.example.net -all", spf.FlawIncludeGone,
				"gone.example.net does not exist", "v=spf1 mx -all"},
			{"v=spf1 mx ~all; v=DMARC1; p=none", spf.FlawJoined,
				"a record of another kind begins here", "v=spf1 mx ~all"},
			{"v=spf1 mx ptr +all", spf.FlawPlusAll, "every host", "v=spf1 mx ptr ~all"},
			{"v=spf1 mx ptr +all", spf.FlawPTR, "ptr is slow", ""},
			{"v=spf1 mx ~all v=spf1 a -all", spf.FlawJoined, "a second record begins here", "v=spf1 mx ~all"},
		},
		at: {
			{"v=DMARC1, p=reject" + rua, dmarc.FlawNearMiss, "no semicolon after v=DMARC1", "v=DMARC1; p=none" + rua},
			{"v=DMARC1: p=reject" + rua, dmarc.FlawNearMiss, "no semicolon after v=DMARC1", "v=DMARC1; p=none" + rua},
			{"v=DMRAC1; p=reject" + rua, dmarc.FlawNearMiss, "begins with v=DMARC1 and a semicolon",
				"v=DMARC1; p=none" + rua},
			{"_dmarc v=DMARC1; p=reject" + rua, dmarc.FlawNearMiss, "there is text before v=DMARC1",
				"v=DMARC1; p=none" + rua},
			{"v=DMARC1;p=reject rua=mailto:a@example.com", dmarc.FlawValue,
				"a semicolon is missing", "v=DMARC1; p=none; rua=mailto:a@example.com"},
			{"v=DMARC1; p:reject" + rua, dmarc.FlawSyntax, "= must follow p", "v=DMARC1; p=none" + rua},
			{"v=DMARC1; p='reject'" + rua, dmarc.FlawValue, "p=reject was intended", "v=DMARC1; p=none" + rua},
			{"v=DMARC1; p=rejct" + rua, dmarc.FlawValue, "p=reject was intended", "v=DMARC1; p=none" + rua},
			{"v=DMARC1; p=reject; aspf=strict" + rua, dmarc.FlawValue, "aspf=s was intended",
				"v=DMARC1; p=reject; aspf=s" + rua},
			{"v=DMARC1; p=reject; rua=mailto:a@b\u00fccher.example", dmarc.FlawPasted, "A-labels",
				"v=DMARC1; p=reject; rua=mailto:a@xn--bcher-kva.example"},
			{"v=DMARC1; p=reject; rua=mailto:j\u00f6rg@example.com", dmarc.FlawPasted, "A-labels", ""},
			{"v=DMARC1; p=reject; ruf=mailto:a@example.com; fo=0:1:d:s" + rua, dmarc.FlawOptions,
				"fo=1:d:s was intended", "v=DMARC1; p=reject; ruf=mailto:a@example.com; fo=1:d:s" +
					rua},
			{"v=DMARC1; p=none; rua=mailto:a@example.com my text", dmarc.FlawAddress,
				"not an address", "v=DMARC1; p=none; rua=mailto:a@example.com"},
			{"v=DMARC1; p=none; rua=a@example.com", dmarc.FlawMonitoring, "p=none", ""},
			{"v=DMARC1; p=reject; sp=; rua=mailto:a@example.com", dmarc.FlawValue,
				"receivers treat the whole record as p=none",
				"v=DMARC1; p=none; rua=mailto:a@example.com"},
			{"v=DMARC1; p=reject; sp=x", dmarc.FlawValue, "the whole record is invalid", "v=DMARC1; p=none"},
			{"v=DMARC1; p=reject; rua=mailto:<a@example.com>", dmarc.FlawAddress, "not an address",
				"v=DMARC1; p=reject; rua=mailto:a@example.com"},
			{"v=DMARC1; p=reject; rua=mailto://a@example.com", dmarc.FlawAddress, "not an address",
				"v=DMARC1; p=reject; rua=mailto:a@example.com"},
			{"v=DMARC1; p=reject; rua=mailto: a@example.com", dmarc.FlawAddress, "not an address",
				"v=DMARC1; p=reject; rua=mailto:a@example.com"},
		},
		sts: {
			{"v=STSv1 id=1", STSBroken, "does not begin with", "v=STSv1; id=1;"},
			{"v=STSv1; id=2026-01-01", STSBroken, "letters and digits", "v=STSv1; id=20260101;"},
			{"v=stsv1; id=1", STSBroken, "does not begin with", "v=STSv1; id=1;"},
		},
		tls: {
			{"v=TLSRPTv1; rua=tls@example.com", TLSBroken, "neither mailto: nor https:",
				"v=TLSRPTv1; rua=mailto:tls@example.com"},
			{"v=TLSRPTv1 rua=mailto:tls@example.com", TLSBroken, "does not begin with",
				"v=TLSRPTv1; rua=mailto:tls@example.com"},
		},
		key: {
			{"v=DKIM1 " + strings.ReplaceAll(ed, ";", ""), dkim.FlawVersion,
				"the semicolons between the tags are missing", "v=DKIM1; " + ed},
			{"v=DKIM1, " + strings.ReplaceAll(ed, ";", ","), dkim.FlawVersion,
				"the semicolons between the tags are missing", "v=DKIM1; " + ed},
			{"v=DKIM1; " + strings.ToUpper(ed[:9]) + ed[9:], dkim.FlawKeyType, "write k=ed25519", "v=DKIM1; " + ed},
			{"DKIM1; " + ed, dkim.FlawMalformed, "not a list of tags", "v=DKIM1; " + ed},
			{"v=DKIM1; p=" + ed[13:], dkim.FlawMalformed, "k=ed25519", "v=DKIM1; " + ed},
			{"v=DKIM1; k=rsa; p=MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
				dkim.FlawMalformed, "k=ed25519", "v=DKIM1; " + ed},
			{"v=DKIM1; k=ed25519; p=-----BEGIN PUBLIC " +
				"KEY-----MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=-----END PUBLIC KEY-----",
				dkim.FlawMalformed, "-----BEGIN", "v=DKIM1; " + ed},
			{"v=DKIM1; p=v=DKIM1; " + ed, dkim.FlawMalformed, "a second record begins here", "v=DKIM1; " + ed},
			{"v=spf1 mx ~all", dkim.FlawVersion, "this is an SPF record", ""},
		},
	} {
		drop := name // of the clean zone
		if name == root {
			drop += " TXT"
		}
		for _, s := range slips {
			z := zoneOf(t, zoneCase{drop: drop, add: txt(name, s.text)})
			r := Check(t.Context(), "example.com", Options{Resolver: z, Selectors: []string{"s1"}})
			if why := s.mistaken(r); why != "" {
				t.Errorf("%q: %s; the findings are %q", s.text, why, r.Findings)
			}
		}
	}
}
