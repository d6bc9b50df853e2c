package web

import (
	"testing"

	"mailseal/milter/report/advice"
)

// TestMissingKeyFails holds that a key which is not published is a failure whatever the policy: no
// signature verifies. Other faults are one once the policy is enforced, and never those of a
// forger.
func TestMissingKeyFails(t *testing.T) {
	fault := func(code string) advice.Cause {
		return advice.Cause{Code: code, Severity: advice.Fault, Fix: "mend it"}
	}
	for _, tc := range []struct {
		name   string
		step   advice.Step
		source worstSource
		want   int
	}{
		{"a key at none", advice.None, worstSource{Cause: fault("key-missing")}, healthFail},
		{"another fault at none", advice.None, worstSource{Cause: fault("not-aligned")}, healthWarn},
		{"another fault at quarantine", advice.Quarantine, worstSource{Cause: fault("not-aligned")}, healthFail},
		{"a forger", advice.Quarantine, worstSource{Class: advice.Spoof, Cause: fault("key-missing")}, healthWarn},
	} {
		d := Domain{Name: "a.example", Policy: advice.Policy{Step: tc.step}}
		if got := tc.source.health(d).level; got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, healthWords[got].word,
				healthWords[tc.want].word)
		}
	}
}
