package dmarc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mailseal/milter/dmarc"
)

// brief writes a record's content where it differs from the defaults, and its notes.
func brief(r dmarc.Record) string {
	var s []string
	add := func(is bool, format string, args ...any) {
		if is {
			s = append(s, fmt.Sprintf(format, args...))
		}
	}
	add(r.Policy != "", "p=%s", r.Policy)
	add(r.Subdomain != "", "sp=%s", r.Subdomain)
	add(r.NonExistent != "", "np=%s", r.NonExistent)
	add(r.StrictDKIM, "adkim=s")
	add(r.StrictSPF, "aspf=s")
	add(r.PSD != dmarc.Unknown, "psd=%s", r.PSD)
	add(r.Testing, "t=y")
	add(r.Aggregate != nil, "rua=%s", strings.Join(r.Aggregate, ","))
	add(r.Failure != nil, "ruf=%s", strings.Join(r.Failure, ","))
	add(r.FailureOptions != 0, "fo=%04b", r.FailureOptions)
	add(r.Broken != "", "broken: %s", r.Broken)
	return strings.Join(append(s, r.Notes...), " | ")
}

func TestParse(t *testing.T) {
	long := strings.Repeat("x", 100)
	tests := []struct{ name, in, want string }{
		{"all tags", "v=DMARC1; p=none; sp=quarantine; np=reject; adkim=s; aspf=s; psd=n; t=y; " +
			"fo=1:d:s; rua=mailto:a@example.com; ruf=mailto:f@example.com",
			"p=none | sp=quarantine | np=reject | adkim=s | aspf=s | psd=n | t=y | " +
				"rua=mailto:a@example.com | ruf=mailto:f@example.com | fo=1110"},
		{"p late", "v=DMARC1; rua=mailto:a@example.com; p=reject", "p=reject | rua=mailto:a@example.com"},
		{"case of values", "v=DMARC1; p=REJECT; sp=Quarantine; adkim=S; psd=Y; t=Y",
			"p=reject | sp=quarantine | adkim=s | psd=y | t=y"},
		{"case of names", "V=DMARC1; P=reject; aSPF=s", "p=reject | aspf=s"},
		{"white space", " v \t= DMARC1\t;\tp =  reject ; ; \r\n", "p=reject"},
		{"no white space", "v=DMARC1;p=reject;sp=none", "p=reject | sp=none"},
		{"alone", "v=DMARC1", "broken: there is no p"},
		{"historic tags", "v=DMARC1; p=reject; pct=0; rf=afrf; ri=3600",
			"p=reject | pct is ignored: historic since RFC 9989 | rf is ignored: historic since " +
				"RFC 9989 | ri is ignored: historic since RFC 9989"},
		{"unknown tag", "v=DMARC1; p=reject; foo=bar", `p=reject | "foo" is ignored: not a DMARC tag`},
		{"no tag", "v=DMARC1; p=reject; foo", `p=reject | "foo" is ignored: not a tag`},
		{"second tag", "v=DMARC1; p=none; p=reject", "p=none | a second p is ignored"},
		{"second tag, not valid", "v=DMARC1; p=none; sp=none; sp=\x01", "p=none | sp=none | a second sp is ignored"},
		{"version again", "v=DMARC1; p=none; v=DMARC2", "p=none | a second v is ignored"},
		{"defaults for bad values", "v=DMARC1; p=none; adkim=bob; aspf=; t=1; psd=x; fo=x; ruf=mailto:f@example.com",
			"p=none | ruf=mailto:f@example.com | fo=0001 | adkim=bob is ignored: not a valid value of " +
				"adkim | aspf= is ignored: not a valid value of aspf | t=1 is ignored: not a valid value of " +
				"t | psd=x is ignored: not a valid value of psd | fo=x is ignored: not a valid value of fo"},
		{"bad p", "v=DMARC1; p=rejekt", "broken: p=rejekt is not valid | p=rejekt is ignored: not a valid value of p"},
		{"empty p", "v=DMARC1; p=", "broken: p= is not valid | p= is ignored: not a valid value of p"},
		{"bad sp", "v=DMARC1; p=reject; sp=no",
			"p=reject | broken: sp=no is not valid | sp=no is ignored: not a valid value of sp"},
		{"unreadable np", "v=DMARC1; p=reject; np=\xff",
			`p=reject | broken: np is not valid | "np=\xff" is ignored: not a tag`},
		{"unreadable other", "v=DMARC1; p=reject; rua=\xff", `p=reject | "rua=\xff" is ignored: not a tag`},
		{"a long value", "v=DMARC1; p=" + long, "broken: p=" + long[:60] + "… is not valid | p=" +
			long[:60] + "… is ignored: not a valid value of p"},
		{"fo without ruf", "v=DMARC1; p=none; fo=1", "p=none | fo is ignored: there is no ruf"},
		{"fo: default", "v=DMARC1; p=none; ruf=mailto:f@example.com", "p=none | ruf=mailto:f@example.com | fo=0001"},
		{"fo: d alone", "v=DMARC1; p=none; ruf=mailto:f@example.com; fo=D",
			"p=none | ruf=mailto:f@example.com | fo=0100"},
		{"fo: in any order", "v=DMARC1; p=none; ruf=mailto:f@example.com; fo=s : 0",
			"p=none | ruf=mailto:f@example.com | fo=1001"},
		{"fo: 0 and 1", "v=DMARC1; p=none; ruf=mailto:f@example.com; fo=0:1",
			"p=none | ruf=mailto:f@example.com | fo=0001 | fo=0:1 is ignored: not a valid value of fo"},
		{"fo: twice", "v=DMARC1; p=none; ruf=mailto:f@example.com; fo=d:d",
			"p=none | ruf=mailto:f@example.com | fo=0001 | fo=d:d is ignored: not a valid value of fo"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := dmarc.Parse(tt.in)
			if err != nil || brief(r) != tt.want || r.Text != tt.in {
				t.Errorf("got %s, %v\nwant %s", brief(r), err, tt.want)
			}
		})
	}
}

func TestParseURIs(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"one", "mailto:a@example.com", "rua=mailto:a@example.com"},
		{"several", "mailto:a@example.com , https://example.com/x,mailto:b@example.com",
			"rua=mailto:a@example.com,https://example.com/x,mailto:b@example.com"},
		{"size", "mailto:a@example.com!10m,mailto:b@example.com!5",
			`rua=mailto:a@example.com,mailto:b@example.com | the size in ` +
				`"mailto:a@example.com!10m" is ignored: historic since RFC 9989 | the size in ` +
				`"mailto:b@example.com!5" is ignored: historic since RFC 9989`},
		{"not a size", "mailto:a@example.com!10mb", `"mailto:a@example.com!10mb" in rua is ignored: not a URI`},
		{"not a size either", "mailto:a@example.com!m", `"mailto:a@example.com!m" in rua is ignored: not a URI`},
		{"bang inside", "mailto:a!b@example.com", `"mailto:a!b@example.com" in rua is ignored: not a URI`},
		{"encoded", "mailto:a%21b%2C@example.com", "rua=mailto:a%21b%2C@example.com"},
		{"no scheme", "a@example.com", `"a@example.com" in rua is ignored: not a URI`},
		{"no address", "mailto:", `"mailto:" in rua is ignored: not a URI`},
		{"no local part", "mailto:@example.com", `"mailto:@example.com" in rua is ignored: not a URI`},
		{"no domain", "mailto:a@", `"mailto:a@" in rua is ignored: not a URI`},
		{"slashes", "mailto://a@example.com", `"mailto://a@example.com" in rua is ignored: not a URI`},
		{"scheme in capitals", "MAILTO:a@example.com", "rua=MAILTO:a@example.com"},
		{"empty items", "mailto:a@example.com,,",
			`rua=mailto:a@example.com | "" in rua is ignored: not a URI | "" in rua is ignored: not a URI`},
		{"white space inside", "mailto:a @example.com", `"mailto:a @example.com" in rua is ignored: not a URI`},
		{"angle brackets", "<mailto:a@example.com>", `"<mailto:a@example.com>" in rua is ignored: not a URI`},
		{"too many", strings.Repeat("mailto:a@b.test,", 25), "rua=" +
			strings.TrimSuffix(strings.Repeat("mailto:a@b.test,", 20), ",") +
			" | rua has more than 20 addresses; the others are ignored"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := dmarc.Parse("v=DMARC1; p=none; rua=" + tt.in)
			if got := strings.TrimPrefix(brief(r), "p=none | "); err != nil || got != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestParseNoRecord(t *testing.T) {
	for _, text := range []string{
		"", ";", "v", "v=", "v=DMARC", "v=dmarc1; p=none", "v=DMARC10; p=none", "v=DMARC1 p=none",
		"v=DMARC1,p=none",
		"p=none; v=DMARC1", ";v=DMARC1; p=none", "v=spf1 -all", "=DMARC1", "x v=DMARC1",
	} {
		t.Run(text, func(t *testing.T) {
			if r, err := dmarc.Parse(text); !errors.Is(err, dmarc.ErrNoRecord) {
				t.Errorf("got %s, %v", brief(r), err)
			}
		})
	}
}

func TestParseBoundsNotes(t *testing.T) {
	r, err := dmarc.Parse("v=DMARC1; p=none; rua=" + strings.Repeat("x,", 30_000))
	if err != nil || len(r.Notes) != 20 {
		t.Errorf("got %d notes, %v; want 20", len(r.Notes), err)
	}
}

// FuzzParse reads any text. What can be read gives the same again from its text; a policy is one of
// three or none.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		r, err := dmarc.Parse(text)
		if err != nil {
			return
		}
		if len(r.Aggregate) > dmarc.MaxURIs || len(r.Failure) > dmarc.MaxURIs {
			t.Errorf("%d and %d URIs", len(r.Aggregate), len(r.Failure))
		}
		for _, p := range []dmarc.Policy{r.Policy, r.Subdomain, r.NonExistent} {
			switch p {
			case "", dmarc.None, dmarc.Quarantine, dmarc.Reject:
			default:
				t.Errorf("policy %q", p)
			}
		}
		if r.Broken == "" && r.Policy == "" {
			t.Error("no p, and not broken")
		}
		if len(r.Notes) > 20 {
			t.Errorf("%d notes", len(r.Notes))
		}
		again, err := dmarc.Parse(r.Text)
		if err != nil || brief(again) != brief(r) {
			t.Errorf("got %s, then %s, %v", brief(r), brief(again), err)
		}
	})
}
