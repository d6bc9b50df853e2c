package domains

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
)

// proposalsOf are the different texts that findings say to publish at a name.
func proposalsOf(r Result, name string) []string {
	var out []string
	for _, f := range r.Findings {
		for _, p := range f.Publish {
			if p.Name == strings.TrimSuffix(name, ".") && p.Kind() == "TXT" {
				out = append(out, p.Text)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestOwnAddressGoesIntoTheRepairedRecord holds that one record is proposed, in which all own
// addresses pass.
func TestOwnAddressGoesIntoTheRepairedRecord(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("2001:db8::77")}
	const terms = "v=spf1 ip6:2001:db8::77 ip4:192.0.2.77 "
	for text, want := range map[string]string{
		"v=spf1 mx ~all":                       terms + "mx ~all",
		"v=spf1 mx inlcude:_spf.example.net":   terms + "mx include:_spf.example.net",
		"v=spf1 mx ip:192.0.2.77 ~all":         "v=spf1 ip6:2001:db8::77 mx ip4:192.0.2.77 ~all",
		"v=spf1 mx include:gone.example.net -": terms + "mx",
		"spf1 mx ~all":                         terms + "mx ~all",
		"v=spf1 redirect=a redirect=b ip4:x":   "",
	} {
		z := zoneOf(t, zoneCase{drop: root + " TXT", add: txt(root, text)})
		r := Check(t.Context(), "example.com", Options{Resolver: z, Addresses: own})
		got := strings.Join(proposalsOf(r, root), " | ")
		if got != want {
			t.Errorf("%q: proposed %q, want %q", text, got, want)
		}
	}
}

// TestLeftOutOnce holds that what a proposed record leaves out is named once.
func TestLeftOutOnce(t *testing.T) {
	z := zoneOf(t, zoneCase{drop: root + " TXT",
		add: txt(root, "v=spf1 ip4:192.0.2.8-all mx ip4:nonsense ip4:192.0.2.9 - ip4:192.0.2.10 ~all")})
	r := Check(t.Context(), "example.com", Options{Resolver: z})
	said := 0
	for _, f := range r.Findings {
		if strings.Contains(f.Text, "leaves out") {
			said++
			if !strings.Contains(f.Text, "leaves out -all and ip4:nonsense and -:") {
				t.Errorf("got %q", f.Text)
			}
		}
	}
	if said != 1 {
		t.Errorf("said %d times in %q", said, r.Findings)
	}
}

// TestSlippedNamesAreMended holds that a broken record at a slipped name is mended before it is
// proposed, and that nothing is where it is not known what was meant.
func TestSlippedNamesAreMended(t *testing.T) {
	for _, c := range []struct{ drop, slip, text, at, want string }{
		{at, "dmarc.example.com.", "v=DMARC1; p=rejct" + rua, at, "v=DMARC1; p=reject" + rua},
		{at, "dmarc.example.com.", "v=DMARC1; p=monitor-it", at, ""},
		{at, "_dmarc.example.com.example.com.", "v=DMARC1; p=rejct" + rua, at, "v=DMARC1; p=reject" + rua},
		{at, "example.com.", "v=DMARC1; p=rejct" + rua, at, "v=DMARC1; p=reject" + rua},
		{root + " TXT", "example.com.example.com.", "v=spf1 mx inlcude:_spf.example.net ~all", root,
			"v=spf1 mx include:_spf.example.net ~all"},
		{sts, "mta-sts.example.com.", "v=STSv1 id=2026-01-01", sts, "v=STSv1; id=20260101;"},
		{sts, "mta-sts.example.com.", "v=STSv1;", sts, ""},
		{tls, "_tls.example.com.", "v=TLSRPTv1; rua=tls@example.com", tls, "v=TLSRPTv1; rua=mailto:tls@example.com"},
		{"", "_bimi.example.com.", "v=bimi1; l=https://example.com/l.svg", bimi,
			"v=BIMI1; l=https://example.com/l.svg"},
		{"", "_bimi.example.com.", "v=BIMI1; l=http://example.com/l.svg", bimi, ""},
	} {
		z := zoneOf(t, zoneCase{drop: c.drop, add: txt(c.slip, c.text)})
		r := Check(t.Context(), "example.com", Options{Resolver: z})
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Seen == c.text }) {
			t.Errorf("%s %q was not found", c.slip, c.text)
		}
		if got := strings.Join(proposalsOf(r, c.at), " | "); got != c.want {
			t.Errorf("%s %q: proposed %q, want %q", c.slip, c.text, got, c.want)
		}
	}
}

// TestIndicatorForms holds which BIMI records are mistakes, and that none is an error: a domain
// without a logo is no broken one.
func TestIndicatorForms(t *testing.T) {
	const good = "v=BIMI1; l=https://example.com/l.svg"
	for _, c := range []struct {
		texts []string
		want  []check.Code
	}{
		{[]string{"v=BIMI1;l=;a=https://example.com/c.pem"}, nil},
		{[]string{"v=BIMI1; l=https://example.com/logo"}, nil},
		{[]string{"v=BIMI1; l=https://example.com/logo?format=svg"}, nil},
		{[]string{"v=BIMI1; l=https://example.com/logo.WebP"}, []check.Code{BIMIBroken}},
		{[]string{"v=BIMI1; l=https://example.com/logo.jpeg"}, []check.Code{BIMIBroken}},
		{[]string{"v=BIMI1; l=; a=http://example.com/c.pem"}, []check.Code{BIMIBroken}},
		{[]string{good, "v=bimi1; l=https://example.com/m.svg"}, []check.Code{BIMIStray}},
		{[]string{good, good + " "}, []check.Code{BIMISeveral}},
		{[]string{"v=bimi1; l=https://example.com/l.svg", "v=BIMI2; l=https://example.com/l.svg"},
			[]check.Code{BIMIBroken, BIMIBroken}},
	} {
		z := zoneOf(t, zoneCase{})
		for _, text := range c.texts {
			z.AddTXT("default._bimi.example.com", text)
		}
		r := Check(t.Context(), "example.com", Options{Resolver: z})
		var got []check.Code
		for _, f := range r.Findings {
			if strings.HasPrefix(string(f.Code), "bimi") {
				got = append(got, f.Code)
			}
			if strings.HasPrefix(string(f.Code), "bimi") && f.Severity == fail {
				t.Errorf("%q: %s is an error", c.texts, f.Code)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.texts, got, c.want)
		}
	}
}

// TestStrays holds that each stray is shown, and that receivers are said to use the other record
// only where there is one that they can use.
func TestStrays(t *testing.T) {
	const valid = "a valid record exists at the same name"
	const strays, invalid = 2, "v=spf1 mx ip4:x ~all"
	for _, c := range []struct {
		name    string
		texts   []string
		isValid bool
	}{
		{root, []string{"v=spf1 mx ~all", "spf1 mx ~all", "spf1 a ~all"}, true},
		{root, []string{invalid, "spf1 mx ~all", "spf1 a ~all"}, false},
		{root, []string{"v=spf1 mx ~all", "v=spf1 a ~all", "spf1 mx ~all", "spf1 a ~all"}, false},
		{at, []string{"v=DMARC1; p=reject", "v=DMARC1 p=none", "v=DMARC1 p=reject"}, true},
		{at, []string{"v=DMARC1; p=reject", "v=DMARC1; p=none", "v=DMARC1 p=none", "v=DMARC1 p=reject"}, false},
		{at, []string{"v=DMARC1; p=wrong", "v=DMARC1 p=none", "v=DMARC1 p=reject"}, false},
	} {
		drop, add := c.name, ""
		if c.name == root {
			drop += " TXT"
		}
		for _, text := range c.texts {
			add += txt(c.name, text)
		}
		r := Check(t.Context(), "example.com",
			Options{Resolver: zoneOf(t, zoneCase{drop: drop, add: add})})
		seen := map[string]bool{}
		for _, f := range r.Findings {
			if f.Code != SPFStray && f.Code != DMARCStray {
				continue
			}
			seen[f.Seen] = true
			if strings.Contains(f.Text, valid) != c.isValid ||
				strings.Contains(f.Why, "valid record") != c.isValid {
				t.Errorf("%q: %s %s", c.texts, f.Text, f.Why)
			}
		}
		if len(seen) != strays {
			t.Errorf("%q: the strays that are shown are %v", c.texts, seen)
		}
	}
}

// TestAgreementInAZoneFile holds what is said where only the file of one domain can be asked:
// nothing within one organization, and of a host outside of it once.
func TestAgreementInAZoneFile(t *testing.T) {
	const text = "v=DMARC1; p=none; rua=mailto:a@example.com,mailto:b@mail.example.com," +
		"mailto:c@else.example,mailto:d@else.example"
	file, err := dnstest.Load(strings.NewReader(
		"$ORIGIN example.com.\n@ 60 IN SOA a b 1 1 1 1 1\n" +
			"@ NS ns\n@ MX 10 mx\nmx A 198.51.100.1\n" + txt("_dmarc.sub", text) +
			txt("_dmarc", text) +
			txt("sub", "v=spf1 mx ~all") + txt("@", "v=spf1 mx ~all")))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example.com", "sub.example.com"} {
		r := Check(t.Context(), domain.Name(name), Options{Resolver: InZone(file)})
		said := 0
		for _, f := range r.Findings {
			if strings.Contains(f.Text, "must publish") {
				t.Errorf("%s: %s", name, f.Text)
			}
			if strings.Contains(f.Text, "agrees to receive") {
				said++
			}
		}
		if said != 1 {
			t.Errorf("%s: said %d times in %q", name, said, r.Findings)
		}
		for _, resolver := range []dns.Resolver{file, InZone(file)} {
			p, err := ProposeDMARC(t.Context(), name, DMARCWishes{Resolver: resolver})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			notes := strings.Join(p.Notes, "\n")
			if strings.Contains(notes, "must publish") ||
				strings.Count(notes, "only if it agrees") != 1 {
				t.Errorf("%s: %s", name, notes)
			}
			if strings.Contains(notes, "mail.example.com receives") {
				t.Errorf("%s: asked within the organization: %s", name, notes)
			}
		}
	}
}

// TestGuessedNames holds that a failure at a name that was guessed is no finding.
func TestGuessedNames(t *testing.T) {
	z := zoneOf(t, zoneCase{drop: at})
	for _, name := range []string{"_bimi.example.com", "default.bimi.example.com",
		"_dmrac.example.com",
		"_dmarc.example.com.example.com"} {
		r := Check(t.Context(), "example.com",
			Options{Resolver: failing{z, question{name, dns.TXT}}, Selectors: []string{"s1"}})
		if r.Count(check.Unknown) > 0 {
			t.Errorf("%s: %q", name, r.Findings)
		}
		if !slices.Contains(codesOf(r), string(NoDMARC)) {
			t.Errorf("%s: the missing record is not named: %q", name, codesOf(r))
		}
	}
}
