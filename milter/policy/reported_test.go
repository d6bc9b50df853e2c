package policy

import (
	"fmt"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/dmarc"
	"mailseal/milter/verify"
)

// TestReported holds what a report says for each published policy and each action, and that no row
// that failed and was treated otherwise than published is without a reason (RFC 9990 section
// 3.1.1.9).
func TestReported(t *testing.T) {
	actions := []action.Action{
		action.Accept, action.Mark, action.Hold, action.Reject, action.Discard,
	}
	want := map[string]string{
		"none accept": "none", "none mark": "none", "none hold": "quarantine local_policy",
		"none reject": "reject local_policy", "none discard": "reject local_policy",
		"quarantine accept": "none local_policy", "quarantine mark": "none local_policy",
		"quarantine hold":   "quarantine",
		"quarantine reject": "reject local_policy", "quarantine discard": "reject local_policy",
		"reject accept": "none local_policy", "reject mark": "none local_policy",
		"reject hold":   "quarantine local_policy",
		"reject reject": "reject", "reject discard": "reject",
		"quarantine/t accept": "none policy_test_mode", "quarantine/t mark": "none policy_test_mode",
		"quarantine/t hold": "quarantine", "quarantine/t reject": "reject policy_test_mode local_policy",
		"quarantine/t discard": "reject policy_test_mode local_policy",
		"reject/t accept":      "none policy_test_mode local_policy",
		"reject/t mark":        "none policy_test_mode local_policy",
		"reject/t hold":        "quarantine policy_test_mode", "reject/t reject": "reject",
		"reject/t discard": "reject",
	}
	for _, published := range []dmarc.Policy{dmarc.None, dmarc.Quarantine, dmarc.Reject} {
		for _, testing := range []bool{false, true} {
			if testing && published == dmarc.None {
				continue
			}
			for _, a := range actions {
				r := failing(published, testing)
				got := describe(reported(r, a, nil))
				name := string(published)
				if testing {
					name += "/t"
				}
				if name += " " + a.String(); got != want[name] {
					t.Errorf("%s: got %q, want %q", name, got, want[name])
				}
			}
		}
	}
	pass := &verify.Results{DMARC: &dmarc.Result{Value: dmarc.Pass, Requested: dmarc.Reject,
		Disposition: dmarc.None}}
	if got := describe(reported(pass, action.Reject, nil)); got != "none" {
		t.Errorf("a pass: got %q", got)
	}
	for _, v := range []dmarc.Value{"none", dmarc.Temperror, "permerror"} {
		r := &verify.Results{DMARC: &dmarc.Result{Value: v}}
		if got := reported(r, action.Accept, nil); got.Disposition != "" {
			t.Errorf("%s: got %q, want no report", v, got.Disposition)
		}
	}
}

// failing is what was found of a message that fails under a policy.
func failing(p dmarc.Policy, testing bool) *verify.Results {
	wanted := p
	if testing {
		wanted = map[dmarc.Policy]dmarc.Policy{dmarc.Reject: dmarc.Quarantine,
			dmarc.Quarantine: dmarc.None}[p]
	}
	return &verify.Results{DMARC: &dmarc.Result{Value: dmarc.Fail, Requested: p,
		Disposition: wanted}}
}

func describe(r Reported) string {
	out := r.Disposition
	for _, reason := range r.Reasons {
		out += fmt.Sprintf(" %s", reason.Type)
	}
	return out
}

// TestOverrideReasons holds which reason an override gives.
func TestOverrideReasons(t *testing.T) {
	r := failing(dmarc.Reject, false)
	for _, tc := range []struct {
		name     string
		override Override
		want     string
	}{
		{"a network", Override{}, "none local_policy"},
		{"a list", Override{ListIDs: patterns(t, "lists.example")}, "none mailing_list"},
		{"a sealer", Override{Sealers: patterns(t, "lists.example")}, "none local_policy"},
		{"set", Override{ListIDs: patterns(t, "lists.example"),
			Reason: action.ReasonTrustedForwarder}, "none trusted_forwarder"},
		{"other", Override{Reason: action.ReasonOther}, "none other"},
	} {
		if got := describe(reported(r, action.Accept, tc.override.because(r))); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestDryRunIsReported holds that mail that was let pass by a dry run is not reported as refused.
func TestDryRunIsReported(t *testing.T) {
	rules := strict()
	rules.DryRun = true
	r := found("dmarc=fail/reject")
	r.DMARC.Requested = dmarc.Reject
	d := rules.Decide(client, nil, r)
	if got := describe(d.Reported); got != "none local_policy" ||
		d.Reported.Reasons[0].Comment != commentDryRun {
		t.Errorf("got %q, %+v", got, d.Reported.Reasons)
	}
}
