package e2e

import (
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// What policy does with mail of strangers, in real MTAs: what the client is told, what is
// delivered, what is held.

// world is the DNS of the strangers. They come from 127.0.0.2 and call themselves client.example.
const world = `
client.example              TXT "v=spf1 ip4:127.0.0.2 -all"
bank.example                TXT "v=spf1 -all"
_dmarc.bank.example         TXT "v=DMARC1; p=reject"
shop.example                TXT "v=spf1 -all"
_dmarc.shop.example         TXT "v=DMARC1; p=quarantine"
good.example                TXT "v=spf1 ip4:127.0.0.2 -all"
_dmarc.good.example         TXT "v=DMARC1; p=reject"
slow.example                TXT "v=spf1 -all"
$TIMEOUT _dmarc.slow.example
`

// eachPolicy runs a test on both MTAs, with lines for mailseal.toml and the world in the DNS.
func eachPolicy(t *testing.T, settings string, run func(*testing.T, *site)) {
	for _, k := range kinds[2:4] { // one of each MTA, over a unix socket
		t.Run(k.name, func(t *testing.T) {
			s := newSite(t, k.start, k.o, settings)
			if err := s.zone.Add(world); err != nil {
				t.Fatal(err)
			}
			run(t, s)
		})
	}
}

// sent sends a message of a stranger and returns what the MTA said to it.
func (s *site) sent(t *testing.T, m rig.Mail) rig.Reply {
	t.Helper()
	c := s.Dial(t, stranger)
	defer c.Quit()
	return c.Send(m)
}

// delivered sends a message of a stranger that must be taken, and returns what was delivered.
func (s *site) delivered(t *testing.T, m rig.Mail) rig.Delivery {
	t.Helper()
	if r := s.sent(t, m); r.Code != 250 {
		t.Fatalf("from %s: %s", m.From, r)
	}
	return s.Sink.To(t, m.To[0])
}

// refusedWith wants a reply that begins with a code and an enhanced code, and has a text.
func (s *site) refusedWith(t *testing.T, m rig.Mail, code, text string) {
	t.Helper()
	r := s.sent(t, m)
	if got := r.String(); !strings.HasPrefix(got, code) || !strings.Contains(got, text) {
		t.Errorf("from %s: got %q, want %s and %q", m.From, got, code, text)
	}
	if s.Sink.Has(m.To[0]) {
		t.Errorf("the message from %s was delivered nevertheless", m.From)
	}
}

const markField = "X-Mailseal-Verdict"

func TestPolicyByDefault(t *testing.T) {
	eachPolicy(t, "", func(t *testing.T, s *site) {
		for _, from := range []string{"ceo@bank.example", "sales@shop.example"} {
			d := s.delivered(t, mail(from, "spoofed@home.example", markField+": forged"))
			s.judged(t, d, "spf=fail", "dmarc=fail", "header.from="+
				from[strings.Index(from, "@")+1:])
			if marks := d.Header(markField); len(marks) != 1 ||
				strings.Contains(marks[0], "forged") {
				t.Errorf("%s of %s: %q", markField, from, marks)
			}
		}
		d := s.delivered(t, mail("friend@good.example", "friendly@home.example",
			markField+": forged"))
		s.judged(t, d, "spf=pass", "dmarc=pass")
		if marks := d.Header(markField); len(marks) != 0 {
			t.Errorf("%s of a good message: %q", markField, marks)
		}
		d = s.delivered(t, mail("friend@slow.example", "slow@home.example"))
		s.judged(t, d, "dmarc=temperror")
	})
}

// A bounce has no sender: SPF is of the name in HELO, DMARC of From.
func TestNullSender(t *testing.T) {
	eachPolicy(t, "", func(t *testing.T, s *site) {
		bounce := mail("mailer-daemon@client.example", "bounced@home.example")
		bounce.From = ""
		d := s.delivered(t, bounce)
		s.judged(t, d, "spf=pass", "smtp.helo=client.example", "dmarc=none")
		if d.From != "" {
			t.Errorf("sender: %q", d.From)
		}
	})
}

func TestPolicyAsTold(t *testing.T) {
	const told = `
[policy.dmarc]
p_reject = "reject"
p_quarantine = "hold"
temperror = "tempfail"
`
	eachPolicy(t, told, func(t *testing.T, s *site) {
		s.refusedWith(t, mail("ceo@bank.example", "refused@home.example"), "550 5.7.1 ",
			"DMARC policy for bank.example")
		s.refusedWith(t, mail("friend@slow.example", "later@home.example"), "451 4.7.", "")
		d := s.delivered(t, mail("friend@good.example", "friendly@home.example"))
		s.judged(t, d, "dmarc=pass")

		if r := s.sent(t, mail("sales@shop.example", "held@home.example")); r.Code != 250 {
			t.Fatalf("a message to be held: %s", r)
		}
		held := s.Message(t, s.AwaitHeld(t, "held@home.example"))
		if !strings.Contains(held, "dmarc=fail") ||
			!strings.Contains(held, "\n.A line with a dot.\n") {
			t.Errorf("in the queue:\n%s", held)
		}
	})
}

func TestDryRun(t *testing.T) {
	const dry = `
[policy]
dry_run = true

[policy.dmarc]
p_reject = "reject"
p_quarantine = "hold"
`
	eachPolicy(t, dry, func(t *testing.T, s *site) {
		for _, from := range []string{"ceo@bank.example", "sales@shop.example"} {
			d := s.delivered(t, mail(from, "dry@home.example"))
			s.judged(t, d, "dmarc=fail")
			if marks := d.Header(markField); len(marks) != 0 {
				t.Errorf("%s of %s: %q", markField, from, marks)
			}
		}
		if log := s.daemon.Output(); !strings.Contains(log, "reject") ||
			!strings.Contains(log, "hold") {
			t.Errorf("the log does not say what would have been done:\n%s", log)
		}
	})
}

// What a client calls itself and what its address is called are judged beside the sender.
func TestPolicyOfTheClient(t *testing.T) {
	const told = `
[policy.spf]
helo_fail = "reject"

[policy.iprev]
fail = "mark"
`
	eachPolicy(t, told, func(t *testing.T, s *site) {
		// which has no address
		if err := s.zone.Add("2.0.0.127.in-addr.arpa PTR client.example.\n"); err != nil {
			t.Fatal(err)
		}
		d := s.delivered(t, mail("friend@good.example", "named@home.example"))
		s.judged(t, d, "spf=pass", "smtp.mailfrom=good.example", "smtp.helo=client.example",
			"iprev=fail")
		if marks := d.Header(markField); len(marks) != 1 || marks[0] != "iprev=fail for 127.0.0.2" {
			t.Errorf("%s: %q", markField, marks)
		}
		c := s.Dial(t, stranger)
		c.Do("EHLO bank.example")
		if r := c.Send(mail("friend@good.example", "misnamed@home.example")); !strings.HasPrefix(
			r.String(), "550 5.7.23 ") {
			t.Errorf("as bank.example: %s", r)
		}
		c.Quit()
	})
}
