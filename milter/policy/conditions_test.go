package policy

import (
	"net/netip"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

// TestConditions applies the conditions that not_judged and overrides share to mail with a sender
// and to a bounce.
func TestConditions(t *testing.T) {
	mail := &message.Envelope{
		Client: netip.MustParseAddr("192.0.2.1"), ClientName: "mx.sender.example", Sender: "a@sender.example",
		Recipients: []string{"b@example.net", "c@example.net"},
	}
	bounce := *mail
	bounce.Sender = ""
	for _, tc := range []struct {
		name             string
		exempt           Exempt
		override         Override
		forMail, forNull bool
	}{
		{"a host", Exempt{Hosts: message.Hosts{".sender.example"}},
			Override{Hosts: message.Hosts{".sender.example"}}, true, true},
		{"another host", Exempt{Hosts: message.Hosts{"mx.other.example"}},
			Override{Hosts: message.Hosts{"mx.other.example"}}, false, false},
		{"a host that is excepted", Exempt{Hosts: message.Hosts{".sender.example", "!mx.sender.example"}},
			Override{Hosts: message.Hosts{".sender.example", "!mx.sender.example"}}, false, false},
		{"the null sender", Exempt{Senders: SenderPatterns{Null: true}},
			Override{Senders: SenderPatterns{Null: true}}, false, true},
		{"a sender", Exempt{Senders: SenderPatterns{Patterns: patterns(t, "sender.example")}},
			Override{Senders: SenderPatterns{Patterns: patterns(t, "sender.example")}}, true,
			false},
		{"every sender", Exempt{Senders: SenderPatterns{Patterns: patterns(t, "*")}},
			Override{Senders: SenderPatterns{Patterns: patterns(t, "*")}}, true, false},
		{"all recipients", Exempt{Recipients: patterns(t, "example.net")},
			Override{To: patterns(t, "example.net")}, true, true},
		{"one of two recipients", Exempt{Recipients: patterns(t, "b@example.net")},
			Override{To: patterns(t, "b@example.net")}, false, false},
		{"an author", Exempt{Authors: patterns(t, "example.com")},
			Override{Authors: patterns(t, "example.com")}, true, true},
		{"another author", Exempt{Authors: patterns(t, "example.org")},
			Override{Authors: patterns(t, "example.org")}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, m := range []struct {
				name string
				env  *message.Envelope
				want bool
			}{{"mail", mail, tc.forMail}, {"bounce", &bounce, tc.forNull}} {
				rules := strict()
				rules.NotJudged = tc.exempt
				if d := rules.Decide(m.env, nil,
					found("dmarc=fail/reject")); (d.Action == action.Accept) != m.want {
					t.Errorf("%s, not_judged: got %s, want it to fit: %v", m.name, d.Action, m.want)
				}
				rules = strict()
				tc.override.Replace, tc.override.Actions = action.Accept, rules.Actions
				rules.Overrides = []Override{tc.override}
				if d := rules.Decide(m.env, nil,
					found("dmarc=fail/reject")); (d.Action == action.Accept) != m.want {
					t.Errorf("%s, override: got %s, want it to fit: %v", m.name, d.Action, m.want)
				}
			}
		})
	}
}
