package send

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// TestInvalidHoldsBackNone holds that a report that cannot be made is withheld with its reason, and
// that those of other domains and later days go on.
func TestInvalidHoldsBackNone(t *testing.T) {
	s := newSite(t, friendZone)
	b := store.NewOutBatch()
	for domain, client := range map[string]string{"invalid.example": "192.0.2.1",
		"damaged.example": ""} {
		e := &report.Evaluation{
			// no reason, though the policy is another
			Time: day0, Disposition: "none", HeaderFrom: domain,
			Policy: report.Policy{Domain: domain, P: "reject", SP: "reject", NP: "reject", ADKIM: "r", ASPF: "r",
				Discovery: "treewalk", URIs: []string{"mailto:d@" + domain}},
		}
		if client != "" { // without one the row cannot be read
			e.Client = netip.MustParseAddr(client)
		}
		b.Add(e)
		b.Wrote(domain, day0)
	}
	s.fold(t, b, day0)
	next := day0.AddDate(0, 0, 1)
	s.friend(t, "friend.example", next)
	s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", next, true, 1)
	s.night(t, next)
	if len(s.tr.sent) != 1 || s.tr.sent[0].to != "d@friend.example" {
		t.Errorf("handed over: %v", s.tr.sent)
	}
	for domain, want := range map[string]error{
		"invalid.example": report.ErrInvalid, "damaged.example": report.ErrRow,
	} {
		list, err := s.Store.OutReports(t.Context(), domain, "", 10)
		if err != nil || len(list) != 1 || list[0].State != store.Withheld ||
			!strings.Contains(list[0].Reason, want.Error()) ||
			!strings.Contains(s.log.String(), want.Error()) {
			t.Errorf("%s: %+v, %v\n%s", domain, list, err, s.log)
		}
	}
}

// TestFailureInDoubt holds that a failure report in doubt has no advice that cannot be followed.
func TestFailureInDoubt(t *testing.T) {
	s := newFailureSite(t, "shop.example")
	s.tr.fails = InDoubt{errors.New("connection reset")}
	list := s.failures(t, day0, failing("192.0.2.1", "mailto:f@shop.example", day0))
	if len(list) != 1 || list[0].State != store.InDoubt ||
		strings.Contains(list[0].Reason, "resend") ||
		!strings.Contains(list[0].Reason, "cannot be sent again") {
		t.Errorf("%+v", list)
	}
}
