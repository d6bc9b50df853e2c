package e2e

import (
	"strings"
	"testing"
)

// Mail to the address for tests: the client is told what was found of its message, and the message goes nowhere.
func TestTestByMail(t *testing.T) {
	eachPolicy(t, "[test]\naddress = \"check@home.example\"\n", func(t *testing.T, s *site) {
		good := mail("friend@good.example", "check+42@home.example")
		s.refusedWith(t, good, "550", "dmarc=pass p=reject")
		s.refusedWith(t, good, "550", "spf=pass (127.0.0.2 matches")
		s.refusedWith(t, good, "550", "This address only tests")
		s.refusedWith(t, mail("ceo@bank.example", "check@home.example"), "550", "dmarc=fail p=reject")
		s.refusedWith(t, mail("friend@slow.example", "check@home.example"), "550", "dmarc=temperror")
		if r := s.sent(t, mail("", "check+null@home.example")); r.Code != 250 {
			t.Errorf("a bounce: %s", r)
		}
		both := mail("friend@good.example", "other@home.example")
		both.To = append(both.To, "check@home.example")
		if r := s.sent(t, both); r.Code != 250 || strings.Contains(r.String(), "Test of your mail") {
			t.Errorf("a message to others besides: %s", r)
		}
		if d := s.Sink.To(t, "other@home.example"); len(d.Header("Authentication-Results")) == 0 {
			t.Error("the message to others besides was not judged")
		}
	})
}
