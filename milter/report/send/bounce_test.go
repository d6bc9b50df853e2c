package send

import (
	"strings"
	"testing"
)

// TestBounced holds what each kind of mail to the sender of a report does.
func TestBounced(t *testing.T) {
	dsn := func(action string) string {
		return "Content-Type: multipart/report; report-type=delivery-status\n\nAction: " + action +
			"\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no such user\x07\n"
	}
	for _, tc := range []struct {
		name, mail, recipient, want string
		known                       bool
	}{
		{"failed", dsn("failed"), "", "bounced: smtp; 550 no such user?", true},
		{"delayed", dsn("delayed"), "", "", true},
		{"delivered", dsn("delivered"), "", "", true},
		{"a person", "Subject: stop this\n\nI do not want them\n", "", "bounced", true},
		{"nothing", "", "", "bounced", true},
		{"another recipient", dsn("failed"), "postmaster@reports.example.net", "", false},
	} {
		s := newSite(t, friendZone)
		s.friend(t, "friend.example", day0)
		s.mail(t, "friend.example", "mailto:d@friend.example", "192.0.2.1", day0, true, 1)
		s.night(t, day0)
		to := tc.recipient
		if to == "" {
			to = s.tr.sent[0].from
		}
		x, known, err := Bounced(t.Context(), s.Store, to, strings.NewReader(tc.mail),
			day0.AddDate(0, 0, 1))
		if err != nil || known != tc.known || x.Reason != tc.want ||
			(x.Address != "") != (tc.want != "") {
			t.Errorf("%s: %+v, %v, %v", tc.name, x, known, err)
		}
	}
}

func FuzzDiagnose(f *testing.F) {
	f.Add("Action: failed\nDiagnostic-Code: x\n")
	f.Fuzz(func(t *testing.T, mail string) {
		reason, _ := diagnose(strings.NewReader(mail))
		if strings.ContainsAny(reason, "\r\n\x00\x1b") || len(reason) > 300 {
			t.Errorf("got %q", reason)
		}
	})
}
