package e2e

import (
	"os"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// Mailing lists: one of someone else's that breaks the author's signature and seals, and one of
// our own that re-injects.

// listed is a message as a list sends it on: with a footer, and the list's seal over what it had
// found before.
func (s *site) listed(t *testing.T, m rig.Mail, sealer, selector, payload string) rig.Mail {
	t.Helper()
	text := "List-Id: <chat.lists.example>\n" + m.Message + "-- \nThe list's footer\n"
	whole, err := message.Read(strings.NewReader(text), 1<<20,
		func(message.Header) []message.BodyHash {
			return []message.BodyHash{arc.SealOptions{}.BodyHash()}
		})
	if err != nil {
		t.Fatal(err)
	}
	private, err := os.ReadFile(s.key(selector))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.Parse(private)
	if err != nil {
		t.Fatal(err)
	}
	key := dkim.Key{Domain: sealer, Selector: selector, Signer: signer}
	set, err := arc.Seal(whole.Header, whole.Body, arc.Result{Value: arc.None}, payload, key,
		arc.SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var top strings.Builder
	for _, f := range set {
		top.Write(append(f.Raw(), "\r\n"...))
	}
	m.From, m.Message = "chat-bounces@"+sealer, top.String()+text
	return m
}

// The author's domain asks to reject what fails, and it fails: only a sealer that the postmaster
// trusts helps.
func TestMailingList(t *testing.T) {
	const settings = `
[verify]
trusted_sealers = ["lists.example"]

[policy.dmarc]
p_reject = "reject"
`
	eachPolicy(t, settings, func(t *testing.T, s *site) {
		s.publish(t, "arc", "lists.example", keys.RSA)
		s.publish(t, "seal", "unknown.example", keys.RSA)
		const passed = "lists.example; dkim=pass header.d=bank.example; dmarc=pass header.from=bank.example"
		original := mail("ceo@bank.example", "list@home.example")

		d := s.delivered(t, s.listed(t, original, "lists.example", "arc", passed))
		s.judged(t, d, "arc=pass", "dmarc=fail")
		if marks := d.Header(markField); len(marks) != 0 {
			t.Errorf("%s: %q", markField, marks)
		}

		stranger := s.listed(t, original, "unknown.example", "seal",
			strings.ReplaceAll(passed, "lists.", "unknown."))
		s.refusedWith(t, stranger, "550 5.7.1 ", "DMARC policy for bank.example")

		changed := s.listed(t, original, "lists.example", "arc", passed)
		changed.Message += "One more line\n"
		s.refusedWith(t, changed, "550 5.7.1 ", "DMARC policy for bank.example")
	})
}

// A list manager on this host hands mail of others back to the MTA on loopback: it is judged and
// sealed, not signed, since no rule is for its author.
func TestReinjectedByList(t *testing.T) {
	const settings = `
[seal]
key = "rsa._domainkey.home.example"
`
	eachMTA(t, func(t *testing.T, s *site) {
		s.daemon.Stop(t)
		s.config = strings.Replace(s.config, "[ours]\n", "[ours]\nunmatched = \"judge\"\n", 1) +
			settings
		s.serve(t)
		c := s.Dial(t, local)
		c.Deliver(mail("friend@good.example", "member@elsewhere.example",
			"List-Id: <chat.home.example>"))
		c.Deliver(mail("alice@home.example", "other@elsewhere.example",
			"List-Id: <chat.home.example>"))
		c.Quit()
		d := s.Sink.To(t, "member@elsewhere.example")
		s.judged(t, d, "dkim=none", "arc=none")
		if v := rig.Dkimpy(t, s.txt, d.Data)[0]; len(v) != 1 || v[0].Algorithm != "arc" ||
			!v[0].Pass {
			t.Errorf("dkimpy on the seal: %+v, on:\n%s", v, d.Data)
		}
		s.signedByUs(t, s.Sink.To(t, "other@elsewhere.example"))
	})
}
