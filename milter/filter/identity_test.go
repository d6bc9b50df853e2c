package filter

import (
	"slices"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
)

// TestID holds under which name the results of a message go, and that a stranger's field under the
// MTA's name does not pass, whatever is configured.
func TestID(t *testing.T) {
	for _, c := range []struct {
		name            string
		id, host, ofMTA string
		want            string
	}{
		{"configured", "mx.example.net", "host.example.com", "mail.example.com", "mx.example.net"},
		{"the MTA's", "", "host.example.com", "mail.example.com", "mail.example.com"},
		{"the MTA's with a final dot", "", "host.example.com", "mail.example.com.", "mail.example.com"},
		{"the MTA's is short", "", "host.example.com", "mail", "host.example.com"},
		{"the MTA's is every host's", "", "host.example.com", "localhost.localdomain", "host.example.com"},
		{"the MTA's is an address", "", "host.example.com", "192.0.2.1", "host.example.com"},
		{"the MTA's is an address in brackets", "", "host.example.com", "[192.0.2.1]", "host.example.com"},
		{"the MTA's cannot be written", "", "host.example.com", "mail.example.com; dmarc=pass", "host.example.com"},
		{"none", "", "host.example.com", "", "host.example.com"},
		{"the short name", "", "mail", "", "mail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, _ := newFilter(t)
			f.ID, f.Host = c.id, c.host
			env := message.Envelope{Hostname: c.ofMTA}
			_, h := decide(t, f, action.RoleTheirs, milter.ByDefault, env,
				"From: a@example.com\n\nhi\n")
			if got := string(h[0].Value()); !strings.HasPrefix(got, " "+c.want+";") {
				t.Errorf("got %q, want the id %q", got, c.want)
			}
		})
	}
}

func TestForgedNamesOfTheMTA(t *testing.T) {
	own := OwnFields{IDs: []string{"mx.example.net"}}
	m := milter.Mail{
		Envelope: &message.Envelope{Hostname: "Mail.Example.com"},
		Role:     action.RoleTheirs,
		Header: messagetest.Header(
			"Authentication-Results: mail.example.com; dmarc=pass",
			"Authentication-Results: mail; dmarc=pass",
			"Authentication-Results: mx.example.net; dmarc=pass",
			"Authentication-Results: example.com; dmarc=pass",
			"Authentication-Results: mail2.example.com; dmarc=pass",
		),
	}
	if got, want := own.Forged(m), []int{0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := own.IDs, []string{"mx.example.net"}; !slices.Equal(got, want) {
		t.Errorf("the ids have become %v", got)
	}
}
