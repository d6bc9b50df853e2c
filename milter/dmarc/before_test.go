package dmarc_test

import (
	"strings"
	"testing"

	"mailseal/milter/dmarc"
)

// A domain that was aligned by the public suffix list and is not by the walk is told so: it is what
// changed for them.
func TestWouldHaveAligned(t *testing.T) {
	for _, tt := range []struct {
		name, zone, author, id string
		c                      dmarc.Checker
		want                   bool
	}{
		{"the author is an organization of its own", "news.example.com: p=reject; psd=n",
			"news.example.com", "spf bounce.example.com", dmarc.Checker{}, true},
		{"the signer is", "example.com: p=reject\nmail.example.com: p=none; psd=n", "example.com",
			"dkim a.mail.example.com", dmarc.Checker{}, true},
		{"a suffix of its own", "a.b.example.org: p=reject\nexample.org: p=none; psd=y",
			"a.b.example.org", "dkim c.example.org", dmarc.Checker{}, true},
		{"strict alignment", "news.example.com: p=reject; psd=n; aspf=s", "news.example.com",
			"spf bounce.example.com", dmarc.Checker{}, false},
		{"another organization", "news.example.com: p=reject; psd=n", "news.example.com",
			"spf example.net", dmarc.Checker{}, false},
		{"aligned", "example.com: p=reject", "example.com", "spf bounce.example.com", dmarc.Checker{}, false},
		{"a public suffix between", "example.co.uk: p=reject", "example.co.uk", "spf other.co.uk",
			dmarc.Checker{}, false},
	} {
		tt.c.Resolver = records(t, tt.zone)
		r := tt.c.Check(t.Context(), authors(t, tt.author), ids(tt.id))
		if len(r.Alignments) != 1 {
			t.Fatalf("%s: %+v", tt.name, r)
		}
		a := r.Alignments[0]
		if says := strings.Contains(a.Why,
			"would have aligned under RFC 7489"); a.Before != tt.want || says != tt.want {
			t.Errorf("%s: %v, %q, want %v", tt.name, a.Before, a.Why, tt.want)
		}
	}
}

// Of several authors whose policies could not be found out, one that cannot fail does not hide one
// that may.
func TestHarmlessHidesNoOther(t *testing.T) {
	const zone = "$SERVFAIL _dmarc.example.com\n$SERVFAIL _dmarc.example.net"
	for _, order := range []string{"example.com example.net", "example.net example.com"} {
		c := dmarc.Checker{Resolver: records(t, zone)}
		r := c.Check(t.Context(), authors(t, order), ids("spf example.com"))
		if r.Value != dmarc.Temperror || r.Harmless || r.Unanswered != "_dmarc.example.net" {
			t.Errorf("%s: %s, harmless %v, unanswered %s", order, r.Value, r.Harmless, r.Unanswered)
		}
	}
}
