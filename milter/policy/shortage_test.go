package policy

import (
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

// TestShortageDisposition holds what the field says of a message that this host was too busy to
// judge: with a dry run it goes on, and DMARC's policy was not applied to it.
func TestShortageDisposition(t *testing.T) {
	for _, tc := range []struct {
		name  string
		isDry bool
		found []string
		want  string
	}{
		{"deferred", false, []string{"dmarc=fail/reject"}, "quarantine"},
		{"dry run", true, []string{"dmarc=fail/reject"}, "none"},
		{"no policy was found", true, []string{"dmarc=temperror"}, ""},
	} {
		rs := factory()
		rs.DryRun = tc.isDry
		r := found(tc.found...)
		r.Short = true
		d := rs.Decide(client, nil, r)
		if d.Disposition != tc.want || d.Wanted != action.Tempfail {
			t.Errorf("%s: got %q, wanted %s; want %q", tc.name, d.Disposition, d.Wanted, tc.want)
		}
	}
}

// TestNoRecipients holds that a condition on recipients matches no message without any: such a
// message is not one to all of them.
func TestNoRecipients(t *testing.T) {
	env := &message.Envelope{Client: client.Client, Sender: client.Sender}
	rs := strict()
	rs.NotJudged = Exempt{Recipients: patterns(t, "*")}
	rs.Overrides = []Override{{To: patterns(t, "*"), Replace: action.Accept, Actions: rs.Actions}}
	if d := rs.Decide(env, nil, found("dmarc=fail/reject")); d.Action != action.Reject || d.Exempt {
		t.Errorf("got %s, exempt %v; want reject", d.Action, d.Exempt)
	}
}
