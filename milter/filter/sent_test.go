package filter

import (
	"fmt"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
	"mailseal/milter/verify"
)

// TestSent holds what is kept of a message of ours: which domain signed it, whether it is a
// person's answer, and whether it goes to a list; and nothing of messages that are not signed.
func TestSent(t *testing.T) {
	for _, tc := range []struct {
		name, raw string
		role      action.Role
		sender    string
		to        string
		want      string
	}{
		{"a letter", plainText, action.RoleOurs, "a@example.com", "b@friend.example", "example.com counted"},
		{"an answer", "In-Reply-To: <x@y>\n" + plainText, action.RoleOurs, "a@example.com",
			"b@friend.example", "example.com counted reply"},
		{"an answer by a program", "In-Reply-To: <x@y>\nAuto-Submitted: auto-replied\n" + plainText,
			action.RoleOurs, "a@example.com",
			"b@friend.example", "example.com counted"},
		{"a newsletter", "List-Id: <n.example.com>\nList-Unsubscribe: <mailto:u@example.com>\nList-Post: NO\n" +
			plainText,
			action.RoleOurs, "a@example.com", "b@friend.example", "example.com counted"},
		{"a list of ours", "List-Id: <l.example.com>\nList-Post: <mailto:l@example.com>\n" +
			plainText, action.RoleOurs, "a@example.com",
			"b@friend.example", "example.com counted list"},
		{"to a known list", plainText, action.RoleOurs, "a@example.com", "<Users@lists.example>",
			"example.com counted list"},
		{"a program to a known list", "Precedence: bulk\n" + plainText, action.RoleOurs,
			"a@example.com", "users@lists.example",
			"example.com counted"},
		{"junk to a known list", "Precedence: junk\n" + plainText, action.RoleOurs,
			"a@example.com", "users@lists.example", "example.com counted"},
		{"a list's precedence", "Precedence: List\n" + plainText, action.RoleOurs,
			"a@example.com", "users@lists.example", "example.com counted"},
		{"any other precedence", "Precedence: first-class\n" + plainText, action.RoleOurs,
			"a@example.com", "users@lists.example", "example.com counted list"},
		{"a bounce", plainText, action.RoleOurs, "", "b@friend.example", ""},
		{"a stranger's", plainText, action.RoleTheirs, "a@example.com", "b@friend.example", ""},
		{"no rule signs it", "From: x@unknown.example\n\nbody\n", action.RoleOurs, "a@example.com",
			"b@friend.example", ""},
	} {
		f, rec := reportFilter(t)
		f.Reports.Lists = NewLists()
		f.Reports.Lists.add("users@lists.example")
		decide(t, f, tc.role, milter.ByNetwork,
			message.Envelope{Client: local.Client, Sender: tc.sender, Recipients: []string{tc.to}},
			tc.raw)
		got, selectors := "", map[string]bool{}
		for _, s := range rec.sent {
			selectors[s.Selector] = true
			if !s.Counted {
				continue
			}
			got += s.Domain + " counted"
			if s.Reply {
				got += " reply"
			}
			if s.ToList {
				got += " list"
			}
		}
		if got != tc.want || len(selectors) != len(rec.sent) {
			t.Errorf("%s: got %q with %v, want %q", tc.name, got, selectors, tc.want)
		}
	}
}

// TestSentAfterSelfCheck holds that mail which the self-check keeps from leaving is not counted as
// own mail: the sender sends it again.
func TestSentAfterSelfCheck(t *testing.T) {
	for _, tc := range []struct {
		setting action.Action
		want    int
	}{{action.Accept, 1}, {action.Tempfail, 0}} {
		f, rec := reportFilter(t)
		// the second implementation knows no other clock
		f.Signer.Keys, f.Signer.Now = mismatchedKeys{}, nil
		f.SelfCheck = SelfCheck{Share: 1, Action: tc.setting}
		env := message.Envelope{Client: local.Client, Sender: "a@example.com",
			Recipients: []string{"b@friend.example"}}
		o, _ := decideRaw(t, f, action.RoleOurs, milter.ByNetwork, env, plainText,
			[]byte("body\r\n"))
		counted := 0
		for _, s := range rec.sent {
			if s.Counted {
				counted++
			}
		}
		if o.Action != tc.setting || counted != tc.want {
			t.Errorf("%s: the message is answered with %s and counted %d times, want %d",
				tc.setting, o.Action, counted, tc.want)
		}
	}
}

// TestLists holds that the address of a list is learned from mail that the address's own domain
// signed, and from no other.
func TestLists(t *testing.T) {
	passed := func(domain string) *verify.Results {
		return &verify.Results{DKIM: []dkim.Result{{Domain: domain, Value: "pass"}}}
	}
	for _, tc := range []struct {
		field string
		by    *verify.Results
		want  bool
	}{
		{"<mailto:users@lists.example>", passed("lists.example"), true},
		{" <mailto:Users@Lists.example?subject=x> (Postings)", passed("example"), true},
		{"<mailto:users@lists.example>", passed("other.example"), false},
		{"<mailto:users@lists.example>", passed("a.lists.example"), false},
		{"<mailto:users@lists.example>", &verify.Results{}, false},
		{"<mailto:users@lists.example>",
			&verify.Results{DKIM: []dkim.Result{{Domain: "lists.example", Value: "fail"}}}, false},
		{"NO", passed("lists.example"), false},
		{"<mailto:users@lists.example", passed("lists.example"), false},
		{"<mailto:a@b@lists.example>", passed("lists.example"), false},
		{"<https://lists.example/post>", passed("lists.example"), false},
	} {
		f, _ := reportFilter(t)
		f.Reports.Lists = NewLists()
		f.Reports.learned(message.Header{message.NewField("List-Post", []byte(tc.field))}, tc.by)
		if got := f.Reports.Lists.has("users@lists.example"); got != tc.want {
			t.Errorf("%q, signed by %v: learned %v, want %v", tc.field, tc.by.DKIM, got, tc.want)
		}
	}
}

// TestListsAreBounded holds that a flood forgets what is old first.
func TestListsAreBounded(t *testing.T) {
	l := NewLists()
	l.add("first@lists.example")
	for i := range maxLists {
		l.add(fmt.Sprint(i, "@lists.example"))
	}
	if l.has("first@lists.example") || !l.has(fmt.Sprint(maxLists-1, "@lists.example")) {
		t.Error("what is new was forgotten, or what is old was kept")
	}
	if n := len(l.young) + len(l.old); n > maxLists {
		t.Errorf("%d addresses are kept", n)
	}
}
