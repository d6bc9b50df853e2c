package filter

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
	"mailseal/milter/report/evidence"
	"mailseal/milter/verify"
)

// TestTestMail holds whose mail is answered in the reply, and with what: a stranger's with a
// sender, to the address alone.
func TestTestMail(t *testing.T) {
	base := message.Envelope{
		Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example", Sender: "x@asks.example",
		Recipients: []string{"test@example.net"},
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
		{"forged", action.RoleTheirs, change(
			func(e *message.Envelope) { e.Sender = "x@other.example" }), "dmarc=fail p=quarantine"},
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
			isTest := out.Action == action.Reject && out.Reply.Code == 550 &&
				out.Reply.Enhanced == "5.7.0"
			if isTest != (tc.want != "") || !strings.Contains(out.Reply.Text, tc.want) {
				t.Fatalf("%v %+v, want %q", out.Action, out.Reply, tc.want)
			}
			lines := strings.Split(out.Reply.Text, "\n")
			if isTest && (len(lines) != 3 || len(rec.rows) != 0 || len(out.Edits.Insert)+
				len(out.Edits.Remove) != 0) {
				t.Errorf("%d lines, %d rows of reports, edits %+v", len(lines), len(rec.rows),
					out.Edits)
			}
			for _, line := range lines {
				if len(line) > maxTestLine+100 {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
		})
	}
	f, _ := reportFilter(t)
	if out, _ := decide(t, f, action.RoleTheirs, milter.ByNetwork, base,
		askingText); out.Action == action.Reject {
		t.Error("a test is answered where there is no address for tests")
	}
}

// keeper is a Keeper that remembers.
type keeper struct {
	full bool // nothing is admitted, and so nothing comes
	list []evidence.Mail
}

func (k *keeper) Admit(netip.Addr) bool { return !k.full }

func (k *keeper) Keep(m evidence.Mail) bool {
	k.list = append(k.list, m)
	return true
}

// TestKept holds which tests have a page, whether the reply names it, and who may be answered by
// mail.
func TestKept(t *testing.T) {
	const token = "00112233445566778899aabbccddeeff"
	env := func(do func(*message.Envelope)) message.Envelope {
		e := message.Envelope{Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example",
			Sender:     "x@asks.example",
			Recipients: []string{"test+" + token + "@example.net"}}
		do(&e)
		return e
	}
	same := func(*message.Envelope) {}
	const answered = "From: x@asks.example\nMessage-ID: <1@asks.example>\n\nbody\n"
	for _, tc := range []struct {
		name   string
		role   action.Role
		env    message.Envelope
		raw    string
		accept bool
		full   bool
		kept   bool
		code   int    // in the evidence
		link   bool   // in the reply
		answer string // why there is no mail; "" if there may be one
	}{
		{"a test", action.RoleTheirs, env(same), answered, false, false, true, 550, true, ""},
		{"no room", action.RoleTheirs, env(same), answered, false, true, false, 0, false, ""},
		{"taken", action.RoleTheirs, env(same), answered, true, false, true, 250, false, ""},
		{"a bounce", action.RoleTheirs, env(func(e *message.Envelope) { e.Sender = "" }), answered,
			false, false, true, 250, false, "alone"},
		{"a relay", action.RoleRelay, env(same), answered, false, false, true, 250, false, "alone"},
		{"others besides", action.RoleTheirs,
			env(func(e *message.Envelope) { e.Recipients = append(e.Recipients, "b@example.net") }),
			answered, false, false, true, 250, false, "alone"},
		{"a bounce without a token", action.RoleTheirs,
			env(func(e *message.Envelope) {
				e.Sender, e.Recipients = "", []string{"test@example.net"}
			}), answered, false, false, false, 0, false, ""},
		{"a forged sender", action.RoleTheirs,
			env(func(e *message.Envelope) { e.Sender = "x@other.example" }), answered, false, false,
			true,
			550, true, "DMARC did not pass"},
		{"a list", action.RoleTheirs, env(same), "List-Id: <l.asks.example>\n" + answered, false,
			false, true, 550, true, "List-Id"},
		{"a program", action.RoleTheirs, env(same), "Auto-Submitted: auto-replied\n" + answered,
			false, false, true, 550, true, "Auto-Submitted"},
		{"not a program", action.RoleTheirs, env(same), "Auto-Submitted: no\n" + answered, false,
			false, true, 550, true, ""},
		{"bulk", action.RoleTheirs, env(same), "Precedence: bulk\n" + answered, false, false, true,
			550, true, "Precedence"},
		{"our answer", action.RoleTheirs, env(same), "Mailseal-Test: 1\n" + answered, false, false,
			true, 550, true, "Mailseal-Test"},
		{"a mailer", action.RoleTheirs,
			env(func(e *message.Envelope) { e.Sender = "MAILER-DAEMON@asks.example" }), answered,
			false, false,
			true, 550, true, "program"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, _ := reportFilter(t)
			k := &keeper{full: tc.full}
			f.Test = Test{Local: "test", Domain: "example.net", Accept: tc.accept, Keeper: k,
				PageURL: "https://mx.example.net",
				Now:     func() time.Time { return time.Unix(1_780_000_000, 0) }}
			out, _ := decide(t, f, tc.role, milter.ByNetwork, tc.env, tc.raw)
			link := strings.Contains(out.Reply.Text, " All steps: https://mx.example.net/t/"+token)
			if link != tc.link {
				t.Errorf("link %v: %q", link, out.Reply.Text)
			}
			if n := strings.Count(out.Reply.Text, "\n"); n > 2 {
				t.Errorf("a reply of %d lines", n+1)
			}
			if len(k.list) > 0 != tc.kept {
				t.Fatalf("kept %+v", k.list)
			}
			if !tc.kept {
				return
			}
			m := k.list[0]
			if m.Token != token || m.Code != tc.code || m.SPF == nil &&
				tc.role == action.RoleTheirs || len(m.Fields) == 0 ||
				m.Answer.MessageID != "<1@asks.example>" {
				t.Errorf("%+v", m)
			}
			if (m.Answer.Refused == "") != (tc.answer == "") ||
				!strings.Contains(m.Answer.Refused, tc.answer) {
				t.Errorf("answer: %q, want %q", m.Answer.Refused, tc.answer)
			}
			if tc.code == 250 && m.Reply != nil {
				t.Errorf("a reply of mail that was taken: %q", m.Reply)
			}
		})
	}
}

// TestSenderAuthenticated holds that a signature, which can be sent again from anywhere, answers to
// its author alone.
func TestSenderAuthenticated(t *testing.T) {
	signed := &verify.Results{DKIM: []dkim.Result{{Value: dkim.Pass, Domain: "asks.example"}}}
	for sender, want := range map[string]bool{
		"x@asks.example": true, "X@asks.example": true, "victim@asks.example": false,
		"x@other.example": false, "": false,
	} {
		in := &inbound{mail: mail{author: message.Address{Local: "x", Domain: "asks.example"}}}
		in.Envelope = &message.Envelope{Sender: sender}
		if got := in.senderAuthenticated(signed); got != want {
			t.Errorf("%q: got %v, want %v", sender, got, want)
		}
	}
}

// TestDKIMText holds that an answer to a test message names the signature that passed, and how many
// there were.
func TestDKIMText(t *testing.T) {
	pass := dkim.Result{Value: dkim.Pass, Domain: "a.example", Selector: "s1"}
	fail := dkim.Result{Value: dkim.Fail, Domain: "b.example", Selector: "s2", Reason: "changed"}
	for _, tc := range []struct {
		all  []dkim.Result
		want string
	}{
		{nil, "dkim=none (the message has no signature)"},
		{[]dkim.Result{pass}, "dkim=pass d=a.example s=s1"},
		{[]dkim.Result{fail, pass}, "dkim=pass d=a.example s=s1, the best of 2 signatures"},
		{[]dkim.Result{fail, fail, fail},
			"dkim=fail d=b.example s=s2 (changed), the best of 3 signatures"},
	} {
		if got := dkimText(tc.all); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}
