package filter

import (
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
)

// TestTestMail holds whose mail is answered in the reply, and with what: a stranger's with a sender, to the address alone.
func TestTestMail(t *testing.T) {
	base := message.Envelope{
		Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example", Sender: "x@asks.example", Recipients: []string{"test@example.net"},
	}
	change := func(do func(*message.Envelope)) message.Envelope {
		e := base
		do(&e)
		return e
	}
	to := func(rcpt ...string) message.Envelope {
		return change(func(e *message.Envelope) { e.Recipients = rcpt })
	}
	for _, tc := range []struct {
		name string
		role action.Role
		env  message.Envelope
		want string // in the reply; "" for a message that is treated as any other
	}{
		{"good", action.RoleTheirs, base, "dmarc=pass p=quarantine"},
		{"SPF is told", action.RoleTheirs, base, "spf=pass (198.51.100.7 matches"},
		{"no signature", action.RoleTheirs, base, "dkim=none (the message has no signature)"},
		{"nothing is lost", action.RoleTheirs, base, "This address only tests"},
		{"with a detail", action.RoleTheirs, to("test+3f9a@example.net"), "dmarc=pass"},
		{"in capitals", action.RoleTheirs, to("TEST@Example.NET"), "dmarc=pass"},
		{"forged", action.RoleTheirs, change(func(e *message.Envelope) { e.Sender = "x@other.example" }), "dmarc=fail p=quarantine"},
		{"another address", action.RoleTheirs, to("tests@example.net"), ""},
		{"another domain", action.RoleTheirs, to("test@example.com"), ""},
		{"others besides", action.RoleTheirs, to("test@example.net", "b@example.net"), ""},
		{"the address twice", action.RoleTheirs, to("test@example.net", "test+1@example.net"), ""},
		{"a bounce", action.RoleTheirs, change(func(e *message.Envelope) { e.Sender = "" }), ""},
		{"a relay", action.RoleRelay, base, ""},
		{"ours", action.RoleOurs, base, ""},
		{"no domain", action.RoleTheirs, to("test"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, rec := reportFilter(t)
			f.Test = Test{Local: "test", Domain: "example.net"}
			out, _ := decide(t, f, tc.role, milter.ByNetwork, tc.env, askingText)
			isTest := out.Action == action.Reject && out.Reply.Code == 550 && out.Reply.Enhanced == "5.7.0"
			if isTest != (tc.want != "") || !strings.Contains(out.Reply.Text, tc.want) {
				t.Fatalf("%v %+v, want %q", out.Action, out.Reply, tc.want)
			}
			lines := strings.Split(out.Reply.Text, "\n")
			if isTest && (len(lines) != 3 || len(rec.rows) != 0 || len(out.Edits.Insert)+len(out.Edits.Remove) != 0) {
				t.Errorf("%d lines, %d rows of reports, edits %+v", len(lines), len(rec.rows), out.Edits)
			}
			for _, line := range lines {
				if len(line) > maxTestLine+100 {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
		})
	}
	f, _ := reportFilter(t)
	if out, _ := decide(t, f, action.RoleTheirs, milter.ByNetwork, base, askingText); out.Action == action.Reject {
		t.Error("a test is answered where there is no address for tests")
	}
}
