package spf

import (
	"math/rand/v2"
	"strings"
	"testing"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
)

// words are what random records are made of, good and bad.
var words = []string{
	"mx", "a", "a:example.net", "ip4:192.0.2.1", "ip4:192.0.2.0/24", "ip4:", "ip4=192.0.2.1",
	"ip6:2001:db8::1", "ip4:2001:db8::1",
	"include:example.net", "include:", "include=example.net", "redirect=example.net",
	"redirect:example.net", "exp=example.net", "ptr",
	"exists:%{i}.example.net", "exists:%{x}", "~all", "-all", "+all", "?all", "all", "192.0.2.1",
	"mx,", "v=spf1", "nonsense", "ip:192.0.2.3",
}

func randomRecord(r *rand.Rand) string {
	parts := []string{version}
	for range r.IntN(6) {
		parts = append(parts, words[r.IntN(len(words))])
	}
	return strings.Join(parts, " ")
}

// TestLintAgreesWithParser holds that a record has a flaw of syntax when the parser, which is the
// daemon's, refuses it, and only then.
func TestLintAgreesWithParser(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		text := randomRecord(r)
		_, err := parseRecord(text)
		isFlawed := false
		for _, f := range Lint(text) {
			isFlawed = isFlawed || f.Code == FlawSyntax || f.Code == FlawTwice
			if f.Start < 0 || f.End > len(text) || f.Start > f.End {
				t.Fatalf("%q: %s at %d to %d", text, f.Code, f.Start, f.End)
			}
		}
		if isFlawed != (err != nil) {
			t.Fatalf("%q: the parser says %v, Lint %v", text, err, Lint(text))
		}
	}
}

// TestRepairIsSound holds that what Repair proposes is a record that the parser takes, which
// repairs to itself, lets no one in by "+all", and has no flaw that it is there to mend.
func TestRepairIsSound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	mends := map[string]bool{FlawNearMiss: true, FlawPasted: true, FlawSyntax: true,
		FlawPlusAll: true, FlawAfterAll: true, FlawDuplicate: true, FlawColon: true}
	spoil := []func(string) string{
		func(s string) string { return s },
		func(s string) string { return strings.ReplaceAll(s, " ", ",") },
		func(s string) string { return `"` + s + `"` },
		func(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") },
		func(s string) string { return " " + s },
		func(s string) string { return strings.TrimPrefix(s, "v=") + " " },
	}
	for range 20000 {
		text := spoil[r.IntN(len(spoil))](randomRecord(r))
		repaired, ok := Repair(text)
		if !ok {
			continue
		}
		for _, f := range Lint(repaired) {
			if mends[f.Code] {
				t.Fatalf("%q is mended to %q, which has %s", text, repaired, f.Code)
			}
		}
		if again, _ := Repair(repaired); again != repaired {
			t.Fatalf("%q is mended to %q, and that to %q", text, repaired, again)
		}
	}
}

// TestWords says what a record allows in plain words, with the counts.
func TestWords(t *testing.T) {
	z := dnstest.FromMap(map[string][]string{
		"example.com":      {"v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 include:_spf.example.net ~all"},
		"_spf.example.net": {"v=spf1 ip4:203.0.113.7 redirect=_b.example.net"},
		"_b.example.net":   {"v=spf1 ip6:2001:db8::/32 -all"},
	})
	got := Explore(t.Context(), z, domain.Name("example.com")).Words()
	want := "example.com: allow 192.0.2.1, 192.0.2.0/24, else ask _spf.example.net, else softfail\n" +
		"  _spf.example.net: allow 203.0.113.7, else use the record of _b.example.net\n" +
		"    _b.example.net: allow 2001:db8::/32, else fail\n" +
		"lookups 2/10, voids 0/2, 257 IPv4 addresses and 1 IPv6 network allowed, 67 bytes\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
