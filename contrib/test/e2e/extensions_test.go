package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
)

// What SMTP's extensions change in what a milter is told, in a real Postfix: STARTTLS begins the
// session again, XCLIENT makes the client another one, SMTPUTF8 brings names that are not ASCII.

// frontend may say with XCLIENT who its clients are, as a proxy in front of Postfix does.
const frontend = "127.0.0.4"

// international is a domain of ours whose users have addresses in UTF-8.
const international = `
[keys."rsa._domainkey.xn--bcher-kva.example"]
domain = "bücher.example"
selector = "rsa"
file = "/etc/mailseal/rsa.pem"

[[sign]]
from = ["*@bücher.example"]
keys = ["rsa._domainkey.xn--bcher-kva.example"]
`

func TestSMTPExtensions(t *testing.T) {
	o := rig.Options{Append: `
smtpd_tls_cert_file = /etc/postfix/tls.pem
smtpd_tls_key_file = /etc/postfix/tls.pem
smtpd_tls_security_level = may
smtpd_authorized_xclient_hosts = ` + frontend + "\n"}
	s := newSite(t, rig.Postfix, o, international)
	s.Write("/etc/postfix/tls.pem", certificate(t))
	if err := s.zone.Add(world + `
friend.example                TXT "v=spf1 ip4:192.0.2.55 -all"
_dmarc.friend.example         TXT "v=DMARC1; p=reject"
55.2.0.192.in-addr.arpa       PTR mx.friend.example.
mx.friend.example             A 192.0.2.55
xn--bcher-kva.example         TXT "v=spf1 ip4:127.0.0.2 -all"
_dmarc.xn--bcher-kva.example  TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
`); err != nil {
		t.Fatal(err)
	}
	t.Run("a user behind STARTTLS", s.userBehindTLS)
	t.Run("a stranger behind STARTTLS", s.strangerBehindTLS)
	t.Run("XCLIENT names the client", s.xclient)
	t.Run("XCLIENT of anybody", s.xclientOfAnybody)
	t.Run("XCLIENT names the user", s.xclientLogin)
	t.Run("XCLIENT names the user, of anybody", s.xclientLoginOfAnybody)
	t.Run("SMTPUTF8", s.smtpUTF8)
	t.Run("SMTPUTF8 and SPF", s.smtpUTF8SPF)
	t.Run("SMTPUTF8, forged", s.smtpUTF8Forged)
}

// certificate makes a certificate that no one need trust, with its key.
func certificate(t *testing.T) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{rig.Hostname},
		NotAfter: time.Now().Add(time.Hour)}
	public, err := x509.CreateCertificate(rand.Reader, about, about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}))
}

func (s *site) userBehindTLS(t *testing.T) {
	c := rig.Dial(t, s.Submission, stranger)
	c.StartTLS("client.example")
	c.Authenticate(rig.User, rig.Password)
	c.Deliver(mail("alice@home.example", "tls-signed@elsewhere.example"))
	c.Quit()
	s.signedByUs(t, s.Sink.To(t, "tls-signed@elsewhere.example"))
}

// What the client called itself before STARTTLS is void (RFC 3207 section 4.2).
func (s *site) strangerBehindTLS(t *testing.T) {
	c := s.Dial(t, stranger)
	c.StartTLS("good.example")
	bounce := mail("mailer-daemon@good.example", "tls-judged@home.example")
	bounce.From = ""
	c.Deliver(bounce)
	c.Quit()
	s.judged(t, s.Sink.To(t, "tls-judged@home.example"), "dkim=none", "spf=pass",
		"smtp.helo=good.example", "dmarc=pass", "policy.iprev=127.0.0.2")
	s.sawTLS(t)
}

// sawTLS wants the line of the last message to say how it was encrypted, which rules can ask.
func (s *site) sawTLS(t *testing.T) {
	t.Helper()
	facts := s.logged(t).Text("facts")
	if !strings.Contains(facts, "TLSv1") || !strings.Contains(facts, "cipher") {
		t.Errorf("tls.version and tls.cipher are not known: %s", facts)
	}
}

// xclientAs says XCLIENT and greets again, if that is taken.
func (s *site) xclientAs(t *testing.T, from, attributes string) (*rig.Client, bool) {
	t.Helper()
	c := s.Dial(t, from)
	taken := c.Do("XCLIENT "+attributes).Code == 220
	if r := c.Do("EHLO mx.friend.example"); r.Code != 250 {
		t.Fatal(r)
	}
	return c, taken
}

func (s *site) xclient(t *testing.T) {
	c, taken := s.xclientAs(t, frontend, "ADDR=192.0.2.55 NAME=mx.friend.example")
	if !taken {
		t.Fatal("XCLIENT was not taken")
	}
	c.Deliver(mail("a@friend.example", "proxied@home.example"))
	c.Quit()
	s.judged(t, s.Sink.To(t, "proxied@home.example"), "spf=pass", "dmarc=pass", "iprev=pass",
		`policy.iprev=192.0.2.55`)
}

func (s *site) xclientOfAnybody(t *testing.T) {
	c, taken := s.xclientAs(t, stranger, "ADDR=127.0.0.1 NAME=localhost")
	if taken {
		t.Fatal("XCLIENT was taken")
	}
	c.Deliver(mail("alice@home.example", "spoofed-client@home.example"))
	c.Deliver(mail("a@friend.example", "spoofed-friend@home.example"))
	c.Quit()
	s.judged(t, s.Sink.To(t, "spoofed-client@home.example"), "dkim=none", "policy.iprev=127.0.0.2")
	s.judged(t, s.Sink.To(t, "spoofed-friend@home.example"), "spf=fail", "dmarc=fail")
}

func (s *site) xclientLogin(t *testing.T) {
	c, taken := s.xclientAs(t, frontend, "ADDR=192.0.2.55 LOGIN=alice")
	if !taken {
		t.Fatal("XCLIENT was not taken")
	}
	c.Deliver(mail("alice@home.example", "proxied-user@home.example"))
	c.Quit()
	s.signedByUs(t, s.Sink.To(t, "proxied-user@home.example"))
}

func (s *site) xclientLoginOfAnybody(t *testing.T) {
	c, taken := s.xclientAs(t, stranger, "LOGIN=alice")
	if taken {
		t.Fatal("XCLIENT was taken")
	}
	c.Deliver(mail("alice@home.example", "spoofed-user@home.example"))
	c.Quit()
	s.judged(t, s.Sink.To(t, "spoofed-user@home.example"), "dkim=none")
}

// inUTF8 sends a message in an envelope of SMTPUTF8.
func inUTF8(t *testing.T, c *rig.Client, m rig.Mail) {
	t.Helper()
	for _, command := range []string{"MAIL FROM:<" + m.From + "> SMTPUTF8 BODY=8BITMIME",
		"RCPT TO:<" + m.To[0] + ">"} {
		if r := c.Do(command); r.Code != 250 {
			t.Fatalf("%s: %s", command, r)
		}
	}
	if r := c.Data(m.Message); r.Code != 250 {
		t.Fatal(r)
	}
	c.Quit()
}

// A user writes as jörg@bücher.example: the signature is that of the A-label, and comes back
// aligned with the U-label.
func (s *site) smtpUTF8(t *testing.T) {
	record := s.txt["rsa._domainkey.home.example"]
	s.txt["rsa._domainkey.xn--bcher-kva.example"] = record
	s.zone.AddTXT("rsa._domainkey.xn--bcher-kva.example", record)
	c := rig.Dial(t, s.Submission, stranger)
	c.StartTLS("client.example")
	c.Authenticate(rig.User, rig.Password)
	inUTF8(t, c, mail("jörg@bücher.example", "grüße@elsewhere.example", "X-Note: größer"))
	d := s.Sink.To(t, "grüße@elsewhere.example")
	if d.From != "jörg@bücher.example" || len(d.Header("From")) != 1 ||
		!strings.Contains(d.Header("From")[0], "<jörg@bücher.example>") {
		t.Fatalf("from %s:\n%s", d.From, d.Data)
	}
	if v := rig.Dkimpy(t, s.txt, d.Data)[0]; len(v) != 1 || !v[0].Pass ||
		v[0].Domain != "xn--bcher-kva.example" {
		t.Errorf("dkimpy: %+v, on:\n%s", v, d.Data)
	}
	s.secondOpinion(t, d)

	inUTF8(t, s.Dial(t, stranger), rig.Mail{From: "list@bank.example",
		To: []string{"zurück@home.example"}, Message: string(d.Data)})
	s.judged(t, s.Sink.To(t, "zurück@home.example"), "dkim=pass", "header.d=xn--bcher-kva.example",
		"spf=fail", "dmarc=pass", "header.from=xn--bcher-kva.example")
}

func (s *site) smtpUTF8SPF(t *testing.T) {
	inUTF8(t, s.Dial(t, stranger), mail("jörg@Bücher.example", "spf@home.example"))
	s.judged(t, s.Sink.To(t, "spf@home.example"), "spf=pass", "smtp.mailfrom=xn--bcher-kva.example",
		"dmarc=pass", "header.from=xn--bcher-kva.example")
}

// Our own name in letters that look like it is not ours, and a forged result of ours goes in a
// message of UTF-8 as well.
func (s *site) smtpUTF8Forged(t *testing.T) {
	inUTF8(t, s.Dial(t, stranger), mail("jörg@bücher.example", "forged-utf8@home.example",
		"Authentication-Results: ｍｘ.home.example; dmarc=pass header.from=bank.example",
		"Subject: größer"))
	d := s.Sink.To(t, "forged-utf8@home.example")
	s.judged(t, d, "spf=pass")
	if all := strings.Join(d.Header("Authentication-Results"), "\n"); strings.Contains(all,
		"bank.example") {
		t.Errorf("a forged field is left:\n%s", all)
	}
}
