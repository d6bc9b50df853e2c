package assembly

import (
	"testing"

	"mailseal/config"
	"mailseal/milter/action"
)

// TestBuildPolicy holds that each setting of the policy reaches the rules, under the words that the
// methods use.
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
	rules, err := NewPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	const accept, mark, hold, reject = action.Accept, action.Mark, action.Hold, action.Reject
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"spf", rules.SPF, action.SPF{Fail: reject, Softfail: accept, None: mark, Permerror: accept,
			Temperror: accept, HeloFail: hold}},
		{"iprev", rules.IPRev, action.IPRev{Fail: reject, Permerror: mark, Temperror: action.Tempfail}},
		{"dkim", rules.DKIM, action.DKIM{Fail: accept, Policy: accept, Neutral: accept,
			None: accept, Permerror: accept, Temperror: accept}},
		{"dmarc", rules.DMARC, action.DMARC{Reject: mark, Quarantine: mark, None: hold,
			NoRecord: accept, Permerror: accept, Temperror: accept}},
		{"override's iprev", rules.Overrides[0].IPRev, action.IPRev{Fail: accept, Permerror: mark,
			Temperror: action.Tempfail}},
		{"override's spf", rules.Overrides[0].SPF, action.SPF{Fail: reject, Softfail: accept,
			None: mark, Permerror: accept, Temperror: accept, HeloFail: reject}},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, tc.got, tc.want)
		}
	}
	if rules.Texts.IPRev != "who is {client}?" {
		t.Errorf("text: %q", rules.Texts.IPRev)
	}
}
