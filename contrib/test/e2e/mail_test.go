package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// What a postmaster wants of a DKIM milter, in real MTAs, read from what was delivered.

func TestEndToEnd(t *testing.T) {
	eachKind(t, func(t *testing.T, s *site) {
		t.Run("five messages on one connection", s.fiveMessages)
		t.Run("authenticated and not", s.authenticatedAndNot)
		t.Run("a rejected recipient", s.rejectedRecipient)
		t.Run("RSET", s.reset)
		t.Run("an aborted DATA", s.abortedData)
		t.Run("a client over IPv6", s.ipv6)
		t.Run("local submission", s.localSubmission)
		t.Run("two forged fields around a stranger's", s.forged)
		t.Run("an authenticated user's forged field", s.forgedByUser)
		t.Run("a relay's fields", s.relayed)
		t.Run("a stranger's signature", s.verified)
		t.Run("re-injected mail", s.reinjected)
		t.Run("another's domain", s.unmatched)
		t.Run("a bounce of the MTA's own", s.bounced)
	})
}

// mail makes a message from one address to another, with further header lines (LF) on top.
func mail(from, to string, fields ...string) rig.Mail {
	header := strings.Join(append(fields, ""), "\n")
	return rig.Mail{From: from, To: []string{to}, Message: fmt.Sprintf(header+
		"From: Some One <%s>\nTo: <%s>\nSubject: about %s\nDate: Sun, 22 Nov 2026 05:00:00 +0000\nMessage-ID: <%s>\n"+
		"\nA line.\n.A line with a dot.\n\nThe last line, with blanks at its end.  \n", from, to,
		to, to)}
}

// signedByUs wants two signatures of home.example, and no one else's, that both dkimpy and
// go-msgauth find good.
func (s *site) signedByUs(t *testing.T, d rig.Delivery) {
	t.Helper()
	verdicts := rig.Dkimpy(t, s.txt, d.Data)[0]
	if len(verdicts) != 2 {
		t.Fatalf("%d signatures, want 2, on:\n%s", len(verdicts), d.Data)
	}
	for i, algorithm := range []string{"ed25519-sha256", "rsa-sha256"} {
		if v := verdicts[i]; !v.Pass || v.Domain != "home.example" || v.Algorithm != algorithm {
			t.Errorf("signature %d, dkimpy: got %+v, want %s of home.example, pass, on:\n%s", i, v,
				algorithm, d.Data)
		}
	}
	s.secondOpinion(t, d)
}

// secondOpinion runs "mailseal verify --second-opinion" on a message of which every signature is
// good.
func (s *site) secondOpinion(t *testing.T, d rig.Delivery) {
	t.Helper()
	zone := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(zone, []byte(s.master()), 0o644); err != nil {
		t.Fatal(err)
	}
	said := rig.RunWith(t, d.Data, "verify", "--json", "--second-opinion", "--zone", zone)
	var answer struct {
		DKIM []struct {
			Result, Domain, Reason string
		}
	}
	if err := json.Unmarshal([]byte(said.Stdout), &answer); err != nil {
		t.Fatalf("mailseal verify: %v: %+v", err, said)
	}
	if said.Code != 0 || len(answer.DKIM) == 0 {
		t.Errorf("mailseal verify: %+v", said)
	}
	for _, r := range answer.DKIM {
		if r.Result != "pass" {
			t.Errorf("mailseal verify: %+v", r)
		}
	}
}

// master writes the site's key records as a zone file.
func (s *site) master() string {
	var b strings.Builder
	for name, text := range s.txt {
		fmt.Fprintf(&b, "%s. TXT", name)
		for len(text) > 0 {
			n := min(len(text), 255)
			fmt.Fprintf(&b, " %q", text[:n])
			text = text[n:]
		}
		b.WriteString("\n")
	}
	return b.String()
}

// judged wants no signature of ours, and one Authentication-Results field of ours, on top, that has
// all the words.
func (s *site) judged(t *testing.T, d rig.Delivery, words ...string) {
	t.Helper()
	var ours []string
	for _, v := range d.Header("Authentication-Results") {
		if strings.HasPrefix(v, "mx.home.example;") {
			ours = append(ours, v)
		}
	}
	if len(ours) != 1 {
		t.Fatalf("%d fields are ours, want 1: %q, in:\n%s", len(ours), ours, d.Data)
	}
	for _, w := range words {
		if !strings.Contains(ours[0], w) {
			t.Errorf("no %q in %q", w, ours[0])
		}
	}
	for _, v := range rig.Dkimpy(t, s.txt, d.Data)[0] {
		if v.Domain == "home.example" {
			t.Errorf("a stranger's mail has been signed:\n%s", d.Data)
		}
	}
}

func (s *site) fiveMessages(t *testing.T) {
	c := rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	for i := range 5 {
		m := mail("alice@home.example", fmt.Sprintf("five%d@elsewhere.example", i),
			fmt.Sprintf("X-Only: %d", i))
		m.Message += strings.Repeat(fmt.Sprintf("%d\n", i), 1+1000*i)
		c.Deliver(m)
	}
	c.Quit()
	for i := range 5 {
		d := s.Sink.To(t, fmt.Sprintf("five%d@elsewhere.example", i))
		s.signedByUs(t, d)
		if !strings.HasPrefix(string(d.Data), "DKIM-Signature:") {
			t.Errorf("the signatures do not stand above the MTA's own field:\n%s", d.Data)
		}
	}
}

// One address, and one From: only the authentication tells the two apart.
func (s *site) authenticatedAndNot(t *testing.T) {
	c := rig.Dial(t, s.SMTP, stranger)
	c.Deliver(mail("alice@home.example", "spoofed@home.example"))
	c.Quit()
	s.judged(t, s.Sink.To(t, "spoofed@home.example"), "dkim=none")

	c = rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	c.Deliver(mail("alice@home.example", "honest@home.example"))
	c.Quit()
	s.signedByUs(t, s.Sink.To(t, "honest@home.example"))
}

func (s *site) rejectedRecipient(t *testing.T) {
	c := s.Dial(t, stranger)
	if r := c.Do("MAIL FROM:<a@stranger.example>"); r.Code != 250 {
		t.Fatal(r)
	}
	for _, to := range []string{"x@elsewhere.example", "y@elsewhere.example"} {
		if r := c.Do("RCPT TO:<" + to + ">"); r.Code/100 != 5 {
			t.Fatalf("a stranger may relay: %s", r)
		}
	}
	if r := c.Do("RCPT TO:<welcome@home.example>"); r.Code != 250 {
		t.Fatal(r)
	}
	if r := c.Data(mail("a@stranger.example", "welcome@home.example").Message); r.Code != 250 {
		t.Fatal(r)
	}
	c.Deliver(mail("a@stranger.example", "next@home.example"))
	c.Quit()
	s.judged(t, s.Sink.To(t, "welcome@home.example"), "dkim=none")
	s.judged(t, s.Sink.To(t, "next@home.example"), "dkim=none")
}

// RSET takes back what was said of the message, and leaves what was said of the client.
func (s *site) reset(t *testing.T) {
	c := rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	c.Envelope("forgotten@elsewhere.example", "reset@elsewhere.example")
	if r := c.Do("RSET"); r.Code != 250 {
		t.Fatal(r)
	}
	c.Deliver(mail("alice@home.example", "after-reset@elsewhere.example"))
	c.Quit()
	s.signedByUs(t, s.Sink.To(t, "after-reset@elsewhere.example"))
	if s.Sink.Has("reset@elsewhere.example") {
		t.Error("what RSET took back was delivered")
	}
}

func (s *site) abortedData(t *testing.T) {
	c := rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	c.Envelope("alice@home.example", "aborted@elsewhere.example")
	c.Abort("From: <alice@home.example>\nX-Half: a mess")

	c = rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	c.Deliver(mail("alice@home.example", "after-abort@elsewhere.example"))
	c.Quit()
	s.signedByUs(t, s.Sink.To(t, "after-abort@elsewhere.example"))
	if s.Sink.Has("aborted@elsewhere.example") {
		t.Error("half a message was delivered")
	}
}

// ::1 is not in ours.networks. Sendmail writes it as IPv6:0:0:0:0:0:0:0:1: who reads that as no
// address, signs.
func (s *site) ipv6(t *testing.T) {
	if s.SMTP6 == "" {
		t.Skip("no IPv6 loopback here")
	}
	c := rig.Dial(t, s.SMTP6, "")
	c.Deliver(mail("alice@home.example", "six@home.example"))
	c.Quit()
	s.judged(t, s.Sink.To(t, "six@home.example"), "dkim=none")
}

func (s *site) localSubmission(t *testing.T) {
	s.Local(t, mail("alice@home.example", "cron@elsewhere.example").Message, "-i", "-f",
		"alice@home.example", "-t")
	s.signedByUs(t, s.Sink.To(t, "cron@elsewhere.example"))
}

func (s *site) forged(t *testing.T) {
	c := s.Dial(t, stranger)
	c.Deliver(mail("a@stranger.example", "forged@home.example",
		"Authentication-Results: mx.home.example; dkim=pass header.d=bank.example",
		"Authentication-Results: mx.other.example; spf=pass smtp.mailfrom=a@stranger.example",
		"Authentication-Results : mx.home.example; dmarc=pass "+
			"header.from=bank.example", // counted by the MTA like the others
		"authentication-results: (a comment)\n\tMX.Home.Example 1; dkim=pass\n header.d=bank.example"))
	c.Quit()
	d := s.Sink.To(t, "forged@home.example")
	s.judged(t, d, "dkim=none")
	all := strings.Join(d.Header("Authentication-Results"), "\n")
	if strings.Contains(all, "bank.example") ||
		!strings.Contains(all, "mx.other.example; spf=pass smtp.mailfrom=a@stranger.example") {
		t.Errorf("the wrong fields are left:\n%s", all)
	}
}

func (s *site) forgedByUser(t *testing.T) {
	c := rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	c.Deliver(mail("alice@home.example", "user-forged@elsewhere.example",
		"Authentication-Results: mx.home.example; dkim=pass header.d=bank.example"))
	c.Quit()
	d := s.Sink.To(t, "user-forged@elsewhere.example")
	s.signedByUs(t, d)
	if left := d.Header("Authentication-Results"); len(left) != 0 {
		t.Errorf("an authenticated user's forged field is left: %q", left)
	}
}

func (s *site) relayed(t *testing.T) {
	c := s.Dial(t, relay)
	c.Deliver(mail("a@stranger.example", "relayed@home.example",
		"Authentication-Results: mx.home.example; spf=pass smtp.mailfrom=a@stranger.example"))
	c.Quit()
	d := s.Sink.To(t, "relayed@home.example")
	var kept int
	for _, v := range d.Header("Authentication-Results") {
		if v == "mx.home.example; spf=pass smtp.mailfrom=a@stranger.example" {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("the relay's field is there %d times, want once:\n%s", kept, d.Data)
	}
	if len(d.Header("DKIM-Signature")) != 0 {
		t.Errorf("a relay's mail has been signed:\n%s", d.Data)
	}
}

func (s *site) verified(t *testing.T) {
	m := mail("a@stranger.example", "verified@home.example")
	signed := rig.RunWith(t, []byte(m.Message), "sign",
		"--domain", "stranger.example", "--selector", "mail", "--key", s.key("mail"))
	if signed.Code != 0 {
		t.Fatalf("mailseal sign: %+v", signed)
	}
	c := s.Dial(t, stranger)
	good, bad := m, m
	good.Message = signed.Stdout
	bad.Message, bad.To = signed.Stdout+"An added line.\n", []string{"changed@home.example"}
	c.Deliver(good)
	c.Deliver(bad)
	c.Quit()
	s.judged(t, s.Sink.To(t, "verified@home.example"), "dkim=pass", "header.d=stranger.example",
		"header.s=mail")
	s.judged(t, s.Sink.To(t, "changed@home.example"), "dkim=fail", "header.d=stranger.example")
}

// What comes back from a content filter has been signed before: no second signature, no second
// judgement.
func (s *site) reinjected(t *testing.T) {
	c := rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	c.Deliver(mail("alice@home.example", "filter@elsewhere.example"))
	c.Quit()
	once := s.Sink.To(t, "filter@elsewhere.example")

	c = rig.Dial(t, s.Reinjected, local)
	c.Deliver(rig.Mail{From: once.From, To: []string{"filtered@elsewhere.example"},
		Message: string(once.Data)})
	c.Quit()
	s.signedByUs(t, s.Sink.To(t, "filtered@elsewhere.example"))
}

// Ours, but of a domain without a rule: it goes out unsigned.
func (s *site) unmatched(t *testing.T) {
	c := rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	c.Deliver(mail("alice@other.example", "unmatched@elsewhere.example"))
	c.Quit()
	d := s.Sink.To(t, "unmatched@elsewhere.example")
	if len(d.Header("DKIM-Signature"))+len(d.Header("Authentication-Results")) != 0 {
		t.Errorf("want neither signature nor judgement on:\n%s", d.Data)
	}
}

// Postfix shows its bounces to the milter, as contrib's internal_mail_filter_classes asks; Sendmail
// never does.
func (s *site) bounced(t *testing.T) {
	c := rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	c.Deliver(mail("alice@home.example", rig.Unknown))
	c.Quit()
	d := s.Sink.To(t, "alice@home.example")
	if d.From != "" {
		t.Errorf("sender: %q", d.From)
	}
	if s.Name == "Postfix" {
		s.signedByUs(t, d)
	} else if n := len(d.Header("DKIM-Signature")); n != 0 {
		t.Errorf("%d signatures: Sendmail has shown a bounce to its milter", n)
	}
}
