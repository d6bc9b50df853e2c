package dmarc_test

import (
	"strings"
	"testing"

	"mailseal/milter/dmarc"
)

// A step that fails decides nothing where the names below it do (RFC 9989 section 4.10.2).
func TestUnanswered(t *testing.T) {
	const com = "\n$SERVFAIL _dmarc.com"
	const uk = "\n$SERVFAIL _dmarc.co.uk"
	run(t, []test{
		{"bounces below the author", "example.com: p=reject" + com, dmarc.Checker{}, "example.com",
			"spf bounce.example.com",
			"pass p=reject at example.com", "", "-"},
		{"author below its organization", "example.com: p=reject" + com, dmarc.Checker{},
			"news.example.com", "dkim example.com",
			"pass p=reject at example.com", "", "-"},
		{"two below", "example.co.uk: p=quarantine" + uk, dmarc.Checker{}, "a.example.co.uk", "dkim b.c.example.co.uk",
			"pass p=quarantine at example.co.uk", "", "-"},
		{"own record and organization", "example.com: p=reject\na.example.com: p=none" + com,
			dmarc.Checker{}, "a.example.com", "dkim example.com",
			"pass p=none at a.example.com", "", "-"},
		{"sp of the organization", "example.com: p=reject; sp=quarantine" + com, dmarc.Checker{}, "a.example.com", "",
			"fail sp=quarantine at example.com -> quarantine", "", "-"},
		{"a stranger", "example.com: p=reject" + com, dmarc.Checker{}, "example.com", "spf other.com",
			"fail p=reject at example.com -> reject", "", "-"},
		{"a stranger costs no walk", "example.com: p=reject" + com, dmarc.Checker{}, "example.com",
			"spf a.b.c.d.other.com",
			"fail p=reject at example.com -> reject", "", "example.com com"},
		{"open: the suffix may join them", "a.example.com: p=reject" + com, dmarc.Checker{},
			"a.example.com", "spf b.example.com",
			"temperror p=reject at a.example.com", "", "-"},
		{"open: no record below the step", com, dmarc.Checker{}, "example.com", "spf a.example.com",
			"temperror", "", "-"},
		{"an organization's own name, the same below",
			"a.b.example.com: p=reject\n$SERVFAIL _dmarc.example.com", dmarc.Checker{},
			"a.b.example.com", "spf x.a.b.example.com", "pass p=reject at a.b.example.com", "",
			"-"},
		{"open: an organization's own name", "a.b.example.com: p=reject\n$SERVFAIL _dmarc.example.com", dmarc.Checker{},
			"a.b.example.com", "spf x.c.example.com", "temperror p=reject at a.b.example.com", "",
			"-"},
		{"open: a hosting company's name", "c.github.io: p=reject\n$SERVFAIL _dmarc.github.io",
			dmarc.Checker{}, "c.github.io", "spf other.github.io",
			"temperror p=reject at c.github.io", "", "-"},
		{"open: the author's own name", "$SERVFAIL _dmarc.example.com", dmarc.Checker{},
			"example.com", "spf a.example.com", "temperror", "", "-"},
	})
}

// Whatever a failed step might have held: where we decide all the same, every answer must have come
// to the same.
func TestUnansweredIsDecidedRightly(t *testing.T) {
	names := []string{"com", "example.com", "a.example.com", "b.a.example.com", "b.example.com",
		"other.com", "x.other.com"}
	texts := []string{"", "p=reject", "p=quarantine; psd=n", "p=reject; adkim=s; aspf=s"}
	decided, open := 0, 0
	for failed := range 3 {
		answers := []string{"", names[failed] + ": p=none; psd=y"}
		if failed > 0 { // "com" is no one's own name
			answers = append(answers, names[failed]+": p=none", names[failed]+": p=reject; aspf=s",
				names[failed]+": p=none; psd=n")
		}
		for combination := range len(texts) * len(texts) * len(texts) {
			zone := ""
			for i, c := 0, combination; i < 3; i, c = i+1, c/len(texts) {
				if r := texts[c%len(texts)]; r != "" && i+1 != failed {
					zone += names[i+1] + ": " + r + "\n"
				}
			}
			for _, author := range names[1:5] {
				for _, id := range names[1:] {
					got := check(t, zone+"$SERVFAIL _dmarc."+names[failed], author, id)
					if got.Value == dmarc.Temperror {
						open++
						isHarmless := !got.Harmless || !anyFails(t, zone, answers, author, id)
						if !isHarmless || got.Unanswered != "_dmarc."+names[failed] {
							t.Errorf("%q without %s, author %s, spf %s: harmless %v, unanswered %q",
								zone, names[failed], author, id, got.Harmless, got.Unanswered)
						}
						continue
					}
					decided++
					for _, answer := range answers {
						if want := check(t, zone+answer, author, id); want.Value != got.Value ||
							want.Disposition != got.Disposition {
							t.Errorf("%q without %s, author %s, spf %s: got %s; with %q it is %s",
								zone, names[failed], author, id, show(got), answer, show(want))
						}
					}
				}
			}
		}
	}
	if decided == 0 || open == 0 {
		t.Errorf("%d decided, %d open", decided, open)
	}
}

func check(t *testing.T, zone, author, id string) dmarc.Result {
	t.Helper()
	c := dmarc.Checker{Resolver: records(t, strings.TrimSpace(zone))}
	return c.Check(t.Context(), authors(t, author), ids("spf "+id))
}

func anyFails(t *testing.T, zone string, answers []string, author, id string) bool {
	t.Helper()
	for _, answer := range answers {
		if check(t, zone+answer, author, id).Value == dmarc.Fail {
			return true
		}
	}
	return false
}
