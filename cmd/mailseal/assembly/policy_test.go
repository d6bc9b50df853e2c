package assembly

import (
	"fmt"
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/milter/policy"
)

// TestBuildPolicy holds that each setting of the policy reaches the rules, under the words that the methods use.
func TestBuildPolicy(t *testing.T) {
	const text = `
[policy.spf]
fail = "reject"
none = "mark"
helo_fail = "hold"
[policy.iprev]
fail = "reject"
permerror = "mark"
temperror = "tempfail"
[policy.dmarc]
p_none = "hold"
[policy.texts]
iprev = "who is {client}?"
[[policy.override]]
author_domains = ["example.com"]
iprev = { fail = "accept" }
spf = { helo_fail = "reject" }
`
	cfg, err := config.Parse("mailseal.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := newPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		got  map[string]policy.Action
		want string
	}{
		{"spf", rules.SPF, "fail:reject neutral:mark none:mark"},
		{"helo", rules.HELO, "fail:hold"},
		{"iprev", rules.IPRev, "fail:reject permerror:mark temperror:tempfail"},
		{"dkim", rules.DKIM, ""},
		{"dmarc", rules.DMARC, "none:hold quarantine:mark reject:mark"},
		{"override's iprev", rules.Overrides[0].IPRev, "permerror:mark temperror:tempfail"},
		{"override's helo", rules.Overrides[0].HELO, "fail:reject"},
		{"override's spf", rules.Overrides[0].SPF, "fail:reject neutral:mark none:mark"},
	} {
		for value, a := range tc.got {
			if a == policy.Accept {
				delete(tc.got, value)
			}
		}
		if got := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(tc.got), "map["), "]"); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
	if rules.Texts.IPRev != "who is {client}?" {
		t.Errorf("text: %q", rules.Texts.IPRev)
	}
}
