package dmarc

import (
	"math/rand/v2"
	"strings"
	"testing"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
)

// TestLintCoversNotes holds that whatever Parse passes over has a flaw, and that what Repair
// proposes is parsed without a note and repairs to itself.
func TestLintCoversNotes(t *testing.T) {
	words := []string{
		"p=none", "p=reject", "p=block", "sp=none", "np=reject", "adkim=s", "adkim=strict", "t=y",
		"fo=1", "fo=0:1", "pct=50", "rf=afrf", "ri=1",
		"rua=mailto:a@example.com", "rua=a@example.com", "rua=mailto:a@example.com!10m",
		"ruf=mailto:b@example.com", "nonsense", "x=y", "psd=n",
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		text := "v=DMARC1"
		for range r.IntN(6) {
			text += []string{"; ", ";", " "}[r.IntN(3)] + words[r.IntN(len(words))]
		}
		record, err := Parse(text)
		if flaws := Lint(text); len(flaws) == 0 && (err != nil || len(record.Notes) > 0) {
			t.Fatalf("%q: %v %q, and no flaw", text, err, record.Notes)
		}
		for _, f := range Lint(text) {
			if f.Start < 0 || f.End > len(text) || f.Start > f.End {
				t.Fatalf("%q: %s at %d to %d", text, f.Code, f.Start, f.End)
			}
		}
		repaired, ok := Repair(text)
		if !ok {
			continue
		}
		if again, _ := Repair(repaired); again != repaired {
			t.Fatalf("%q is mended to %q, and that to %q", text, repaired, again)
		}
		if fixed, err := Parse(repaired); err != nil || len(fixed.Notes) > 0 || fixed.Policy == "" {
			t.Fatalf("%q is mended to %q: %v %q", text, repaired, err, fixed.Notes)
		}
	}
}

// TestConsent asks for the consent of other domains (RFC 9990 section 4).
func TestConsent(t *testing.T) {
	z := dnstest.Must(`$ORIGIN .
_dmarc.example.com. 60 IN TXT "v=DMARC1; p=none"
example.com._report._dmarc.plain.example. 60 IN TXT "v=DMARC1"
example.com._report._dmarc.semicolon.example. 60 IN TXT "v=DMARC1;"
example.com._report._dmarc.tail.example. 60 IN TXT "v=DMARC1; rua=mailto:x@tail.example"
*._report._dmarc.wild.example. 60 IN TXT "v=DMARC1"
example.com._report._dmarc.several.example. 60 IN TXT "junk"
example.com._report._dmarc.several.example. 60 IN TXT "v=DMARC1"
example.com._report._dmarc.junk.example. 60 IN TXT "v=DMARC2"
example.com._report._dmarc.nodata.example. 60 IN A 192.0.2.1
$SERVFAIL example.com._report._dmarc.broken.example.
`)
	for _, tc := range []struct {
		uri   string
		given bool
		own   bool
		fails bool
	}{
		{"mailto:a@example.com", true, true, false},
		{"mailto:a@sub.example.com", true, true, false},
		{"mailto:a@plain.example", true, false, false},
		{"mailto:a@semicolon.example", true, false, false},
		{"mailto:a@tail.example", true, false, false},
		{"mailto:a@wild.example", true, false, false},
		{"mailto:a@several.example", true, false, false},
		{"mailto:a@junk.example", false, false, false},
		{"mailto:a@nodata.example", false, false, false},
		{"mailto:a@none.example", false, false, false},
		{"mailto:a@broken.example", false, false, true},
		{"https://example.net/", false, false, false},
	} {
		got := (&Checker{Resolver: z}).Consent(t.Context(), domain.Name("example.com"), tc.uri)
		if got.Given != tc.given || got.Own != tc.own || (got.Err != nil) != tc.fails {
			t.Errorf("%s: %+v", tc.uri, got)
		}
	}
	if got := Host("mailto:a%2Bb@EXAMPLE.com"); !strings.EqualFold(got.String(), "example.com") {
		t.Errorf("host %q", got)
	}
}
