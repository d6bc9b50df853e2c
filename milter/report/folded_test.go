package report

import (
	"net/netip"
	"testing"
	"time"
)

// TestFoldedIsValid holds that a report may have rows of names below its domain, folded, whatever
// policy these have.
func TestFoldedIsValid(t *testing.T) {
	for _, tc := range []struct {
		name        string
		p, sp       string
		disposition string
		passes      bool
		reasons     []Reason
		want        string
	}{
		{"more mildly", "reject", "none", "none", false, nil, "local_policy"},
		{"more strictly", "none", "reject", "reject", false, nil, "local_policy"},
		{"as the domain", "reject", "reject", "reject", false, nil, ""},
		{"it passes", "reject", "none", "none", true, nil, ""},
		{"it has a reason", "reject", "none", "none", false, []Reason{{Type: "mailing_list"}}, "mailing_list"},
	} {
		e := Evaluation{
			Client: netip.MustParseAddr("192.0.2.1"), Disposition: tc.disposition, SPF: tc.passes,
			HeaderFrom: "x.a.example", Reasons: tc.reasons,
			Policy: Policy{Domain: "a.example", P: tc.p, SP: tc.sp, NP: tc.sp, ADKIM: "r", ASPF: "r"},
		}
		sum := e.Folded()
		got := ""
		if len(sum.Reasons) > 0 {
			got = sum.Reasons[0].Type
		}
		if got != tc.want || len(sum.Reasons) > 1 {
			t.Errorf("%s: reasons %v, want %q", tc.name, sum.Reasons, tc.want)
		}
		a := Aggregate{ID: "x", Email: "r@b.example", Begin: time.Unix(0, 0), End: time.Unix(1, 0),
			Policy: e.Policy,
			Rows:   []Counted{{Evaluation: sum, Count: 1}}}
		if _, err := a.Write(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
