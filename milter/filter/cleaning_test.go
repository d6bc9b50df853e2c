package filter

import (
	"slices"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
)

// header makes a header of "Name: value" lines, LF and white space folding them.
func header(fields ...string) message.Header {
	var h message.Header
	for _, f := range fields {
		field, err := message.ParseField([]byte(f))
		if err != nil {
			panic(err)
		}
		h = append(h, field)
	}
	return h
}

func TestForged(t *testing.T) {
	own := OwnFields{IDs: []string{"mx.example.com"}, Names: []string{"X-Mark", "Received-SPF"}}
	h := header(
		"Authentication-Results: mx.example.com; dkim=pass",
		"AUTHENTICATION-RESULTS: (hi) \"MX.example.COM\"/1 job; spf=pass",
		"Authentication-Results: mx.example.net; dkim=pass",
		"x-mark: spam",
		"Received-SPF: pass",
		"Subject: mx.example.com",
		"Authentication-Results:\n\tmx.example.com\n\t; none",
	)
	all := []int{0, 1, 3, 4, 6}
	for _, c := range []struct {
		name string
		role action.Role
		why  milter.Reason
		want []int
	}{
		{"stranger", action.RoleTheirs, milter.ByDefault, all},
		{"stranger by the listener", action.RoleTheirs, milter.ByListener, all},
		{"judged as a stranger, from our network", action.RoleTheirs, milter.ByNetwork, all},
		{"authenticated", action.RoleOurs, milter.ByAuthentication, all},
		{"submission by daemon name", action.RoleOurs, milter.ByDaemon, all},
		{"submission by macro", action.RoleOurs, milter.ByMacro, all},
		{"listener for ours", action.RoleOurs, milter.ByListener, all},
		{"our network", action.RoleOurs, milter.ByNetwork, nil},
		{"local process", action.RoleOurs, milter.BySubmission, nil},
		{"relay", action.RoleRelay, milter.ByRelay, nil},
		{"listener for relays", action.RoleRelay, milter.ByListener, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := own.Forged(milter.Mail{Envelope: &message.Envelope{}, Role: c.role, Why: c.why, Header: h}); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
