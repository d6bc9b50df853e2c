package e2e

import (
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/contrib/test/rig"
)

// ruleExample returns a rule of the manual, with addresses of this host's in place of those that
// are only examples.
func ruleExample(t *testing.T, title string, replace ...string) string {
	t.Helper()
	for _, e := range config.RuleExamples {
		if strings.HasPrefix(e.Title, title) {
			text := strings.NewReplacer(replace...).Replace(e.TOML)
			if text == e.TOML && len(replace) > 0 {
				t.Fatalf("nothing of %q to replace in\n%s", replace, text)
			}
			return text
		}
	}
	t.Fatalf("the manual has no example %q", title)
	return ""
}

// TestPolicyRules runs the rules that the manual shows through both MTAs.
func TestPolicyRules(t *testing.T) {
	rules := ruleExample(t, "Accept mail that a partner", "192.0.2.25", relayed) +
		ruleExample(t, "Hold mail", `"example.com"`, `"home.example"`) +
		ruleExample(t, "Refuse mail that")
	eachPolicy(t, rules, func(t *testing.T, s *site) {
		refused := mail("ceo@bank.example", "refused-by-rule@home.example")
		s.refusedWith(t, refused, "550 5.7.1 ",
			`bank.example asks to refuse this message, "<refused-by-rule@home.example>"`)

		c := s.Dial(t, relayed)
		c.Deliver(mail("ceo@bank.example", "from-partner@home.example"))
		c.Quit()
		d := s.Sink.To(t, "from-partner@home.example")
		s.judged(t, d, "dmarc=fail")
		if marks := d.Header(markField); len(marks) != 0 {
			t.Errorf("from the partner: marked %q", marks)
		}

		if r := s.sent(t, mail("boss@home.example", "held-by-rule@home.example")); r.Code != 250 {
			t.Errorf("mail to be held: %s", r)
		}
		s.AwaitHeld(t, "held-by-rule@home.example")

		d = s.delivered(t, mail("friend@good.example", "friend-by-rules@home.example"))
		s.judged(t, d, "dmarc=pass")
	})
}

// relayed is another stranger: a partner's forwarder.
const relayed = "127.0.0.9"

// exampleKeys are the keys that the examples of rules that sign name.
const exampleKeys = `
[keys."shop._domainkey.example.com"]
domain = "example.com"
selector = "shop"
private_key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
[keys."mail._domainkey.example.com"]
domain = "example.com"
selector = "mail"
private_key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
`

// TestSignRulesIf signs by the rules of the manual: not for the web server, which has no login.
func TestSignRulesIf(t *testing.T) {
	rules := exampleKeys + ruleExample(t, "Do not sign mail that the web server", "192.0.2.80",
		local)
	eachPolicy(t, rules, func(t *testing.T, s *site) {
		c := s.Dial(t, local)
		c.Deliver(mail("shop@example.com", "of-the-web-server@home.example"))
		c.Quit()
		d := s.Sink.To(t, "of-the-web-server@home.example")
		if signed := d.Header("DKIM-Signature"); len(signed) != 0 {
			t.Errorf("signed: %q", signed)
		}
	})
}

// TestSignRulesByLogin signs with a key for each login, which Postfix hears from a front end.
func TestSignRulesByLogin(t *testing.T) {
	s := newSite(t, rig.Postfix, rig.Options{Append: "smtpd_authorized_xclient_hosts = " +
		frontend + "\n"},
		exampleKeys+ruleExample(t, "A key for each login"))
	for login, selector := range map[string]string{"shop": "s=shop;", "alice": "s=mail;"} {
		to := login + "-logged-in@home.example"
		c, taken := s.xclientAs(t, frontend, "ADDR=192.0.2.55 LOGIN="+login)
		if !taken {
			t.Fatal("XCLIENT was not taken")
		}
		c.Deliver(mail("a@example.com", to))
		c.Quit()
		signed := s.Sink.To(t, to).Header("DKIM-Signature")
		if len(signed) != 1 || !strings.Contains(signed[0], selector) {
			t.Errorf("login %s: got %q, want %s", login, signed, selector)
		}
	}
}
