package domains

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/spf"
)

// TestProposesNothingHarmful holds that no record is proposed that would be worse than what is
// there.
func TestProposesNothingHarmful(t *testing.T) {
	for _, c := range []struct {
		name, text string
		code       check.Code
	}{
		{"the only include is misspelled", "v=spf1 include:_spf.gogle.example.org -all", spf.FlawIncludeGone},
		{"the only address cannot be read", "v=spf1 ip4:192.0.2.* -all", spf.FlawSyntax},
		{"every term leads nowhere", "v=spf1 ip4: include:gone.example.net ?all", spf.FlawSyntax},
		{"it includes itself alone", "v=spf1 include:example.com -all", spf.FlawLoop},
	} {
		r := Check(t.Context(), "example.com",
			Options{Resolver: zoneOf(t, zoneCase{drop: root + " TXT", add: txt(root, c.text)})})
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == c.code }) {
			t.Errorf("%s: no %s in %q", c.name, c.code, r.Findings)
		}
		for _, f := range r.Findings {
			for _, p := range f.Publish {
				if f.Setting == "example.com" && strings.HasPrefix(p.Text, "v=spf1") {
					t.Errorf("%s: %s proposes %q", c.name, f.Code, p.Text)
				}
			}
		}
	}
}

// TestProposesKeysOnly holds that what is found near a missing key is proposed only if it is a key.
func TestProposesKeysOnly(t *testing.T) {
	for _, name := range []string{"mail.example.com", "mail._domainkey.example.com.example.com"} {
		for text, want := range map[string]bool{
			"v=spf1 a exp=why.example.com -all":                         false,
			"v=DMARC1; p=none":                                          false,
			"some-verification=0123":                                    false,
			"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=": true,
		} {
			z := zoneOf(t, zoneCase{add: txt(name+".", text)})
			r := Check(t.Context(), "example.com",
				Options{Resolver: z, Selectors: []string{"mail"}})
			isProposed := slices.ContainsFunc(r.Findings, func(f Finding) bool {
				return len(f.Publish) > 0 && f.Publish[0].Text == text
			})
			if isProposed != want {
				t.Errorf("%q at %s: proposed %v", text, name, isProposed)
			}
		}
	}
}

// once fails the first question for a name.
type once struct {
	dns.Resolver
	name  string
	asked int
}

func (o *once) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if strings.TrimSuffix(name, ".") == o.name {
		if o.asked++; o.asked == 1 {
			return dns.Answer{}, errors.New("the server failed")
		}
	}
	return o.Resolver.Lookup(ctx, name, t)
}

// TestPassingFailure holds that a server that failed for a moment is not called bogus.
func TestPassingFailure(t *testing.T) {
	z := zoneOf(t, zoneCase{})
	name := "_mta-sts.example.com"
	r := Check(t.Context(), "example.com", Options{
		Resolver:  &once{Resolver: z, name: name},
		Unchecked: dnstest.Must(txt(name+".", "v=STSv1; id=1")),
	})
	if slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == Bogus }) {
		t.Errorf("bogus: %q", r.Findings)
	}
	if !slices.ContainsFunc(r.Findings, func(f Finding) bool {
		return f.Code == NoAnswer && f.Setting == name
	}) {
		t.Errorf("the failure is not named: %q", r.Findings)
	}
}
