package spf

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/lint"
)

// TestRepairOfSlips holds what is proposed for records with slips, and what is named as left out.
func TestRepairOfSlips(t *testing.T) {
	for _, c := range []struct {
		text, want string
		omitted    []string
	}{
		{"v=spf1 ip4:8.8.8.8-all mx include:foo.e.test-all ip4:9.9.9.9 ~all",
			"v=spf1 ip4:8.8.8.8 mx include:foo.e.test ip4:9.9.9.9 ~all", []string{"-all", "-all"}},
		{"v=spf1 mx-all a", "v=spf1 mx a", []string{"-all"}},
		{"v=spf1 mx a-all", "v=spf1 mx a -all", nil},
		{"v=spf1 mx a-all v=DMARC1", "v=spf1 mx a -all", []string{"v=DMARC1"}},
		{"v=spf1 ?all mx-all", "v=spf1 ?all", []string{"mx-all"}},
		{"v=spf1 mx include:foo.e.test-all mx-all ?all", "v=spf1 mx include:foo.e.test ?all",
			[]string{"-all", "-all"}},
		{"v=spf1 - mx ~all", "v=spf1 mx ~all", []string{"-"}},
		{"v=spf1 mx ~ include:foo.e.test ? a - all", "v=spf1 mx include:foo.e.test a -all",
			[]string{"~", "?"}},
		{"mx v=spf1 a ~all", "v=spf1 a ~all", []string{"mx"}},
		{"e.test. IN TXT v=spf1 a ~all", "v=spf1 a ~all", nil},
	} {
		got, ok := Repair(c.text)
		if !ok || got != c.want {
			t.Errorf("%q repairs to %q, want %q", c.text, got, c.want)
		}
		if left := Omitted(c.text); !slices.Equal(left, c.omitted) {
			t.Errorf("%q leaves out %q, want %q", c.text, left, c.omitted)
		}
	}
}

// TestRepairNamesWhatItLeavesOut holds of random mixes of terms, slips and qualifiers that each
// term is in the proposal or named as left out, and that none turns stricter than it was written.
func TestRepairNamesWhatItLeavesOut(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 208))
	parts := []string{
		"mx", "a", "a:h.e.test", "ip4:8.8.8.8", "ip4:192.0.2.0/24", "ip6:2001:db8::1",
		"include:foo.e.test", "inlcude:bar.e.test", "ip:9.9.9.9", "ipv4:9.9.9.7", "9.9.9.8", "ptr",
		"ip4:nonsense", "exists:%{i}.e.test", "exp=why.e.test", "redirect=r.e.test", "moo=x",
		"junk",
		"-", "~", "?", "all", "-all", "~all", "?all", "+all", "v=spf1", "a:h.e.test:25",
	}
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	for range 20000 {
		words := []string{"v=spf1"}
		for range 1 + random.IntN(6) {
			word := pick(parts)
			if len(word) > 1 && word[0] != 'v' && !isAll(word) && !strings.Contains(word, "=") {
				word = pick([]string{"", "", "", "-", "~", "?", "+"}) + word +
					pick([]string{"", "", "", "-all", "~all", "?all"})
			}
			words = append(words, word)
		}
		text := strings.Join(words, " ")
		repaired, ok := Repair(text)
		if !ok {
			continue
		}
		kept, left := strings.Fields(repaired), Omitted(text)
		isThere := func(word string) bool {
			return slices.Contains(kept, word) || slices.Contains(left, word)
		}
		for _, word := range words[1:] {
			term, all, isGlued := splitAll(word)
			whole := slices.Contains(left, word)
			if word != version && !whole && !isThere(repairTerm(term)) ||
				isGlued && !whole && !isThere(all) {
				if joined := slices.ContainsFunc(slices.Concat(kept, left), func(k string) bool {
					return len(word) == 1 && k == word+"all" || word == "all" && isAll(k)
				}); !joined {
					t.Fatalf("%q: %q is neither in %q nor named in %q", text, word, repaired, left)
				}
			}
		}
		for _, k := range kept[1:] {
			if k[0] == '-' && !isAll(k) && !slices.ContainsFunc(words, func(w string) bool {
				return w[0] == '-' && len(w) > 1
			}) {
				t.Fatalf("%q: %q turns hosts away in %q", text, k, repaired)
			}
		}
		own := slices.IndexFunc(words, isAll)
		if own >= 0 && kept[len(kept)-1] == "-all" && words[own] != "-all" &&
			!(words[own] == "all" && words[own-1] == "-") {
			t.Fatalf("%q ends in %q, and the proposal in -all: %q", text, words[own], repaired)
		}
	}
}

// TestLintOfOverlaps holds that a network is called superfluous only beside one of its own
// qualifier, with none of another between the two.
func TestLintOfOverlaps(t *testing.T) {
	for text, want := range map[string]bool{
		"v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.0/25 -all":                     true,
		"v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.0/24 -all":                     true,
		"v=spf1 ?ip4:192.0.2.0/24 ?ip4:192.0.2.0/25 -all":                   true,
		"v=spf1 -ip4:192.0.2.0/25 ip4:192.0.2.0/24 -all":                    false,
		"v=spf1 ip4:192.0.2.0/25 ?ip4:192.0.2.0/24 -all":                    false,
		"v=spf1 ip4:192.0.2.0/26 -ip4:192.0.2.0/25 ip4:192.0.2.0/24 -all":   false,
		"v=spf1 -ip4:203.0.113.0/24 ip4:192.0.2.0/25 ip4:192.0.2.0/24 -all": true,
	} {
		got := slices.ContainsFunc(Lint(text),
			func(f lint.Flaw) bool { return f.Code == FlawContained })
		if got != want {
			t.Errorf("%q: one can be removed: %t, want %t", text, got, want)
		}
	}
}
