package send

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// acceptor is a mail server that takes everything, and passes on what the client did.
type acceptor struct{ helo, text chan string }

func (s acceptor) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, isEncrypted := c.TLSConnectionState()
	return acceptorSession{s, c.Hostname(), isEncrypted}, nil
}

type acceptorSession struct {
	acceptor
	name        string
	isEncrypted bool
}

func (acceptorSession) Mail(string, *smtp.MailOptions) error { return nil }
func (acceptorSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (acceptorSession) Reset()                               {}
func (acceptorSession) Logout() error                        { return nil }

func (s acceptorSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if s.isEncrypted {
		s.name += " encrypted"
	}
	s.helo <- s.name
	s.text <- string(text)
	return err
}

// certificate is one that no authority vouches for.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0]
}

// TestSMTPWithTLS hands a mail over with each kind of encryption, under the name that was given.
func TestSMTPWithTLS(t *testing.T) {
	for _, tc := range []struct {
		tls  TLS
		want string
	}{{NoTLS, "h.example"}, {StartTLS, "h.example encrypted"}, {SMTPS, "h.example encrypted"}} {
		got := acceptor{make(chan string, 1), make(chan string, 1)}
		server := smtp.NewServer(got)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &SMTP{Address: l.Addr().String(), Helo: "h.example", TLS: tc.tls}
		if tc.tls == SMTPS {
			l = tls.NewListener(l, server.TLSConfig)
		}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { server.Close() })
		mail := []byte("x: y\r\n\r\nz\r\n")
		if err := s.Hand(t.Context(), "a@h.example", "b@h.example", mail); err != nil {
			t.Errorf("%q: %v", tc.tls, err)
			continue
		}
		if helo, text := <-got.helo, <-got.text; helo != tc.want || text != string(mail) {
			t.Errorf("%q: the server saw %q and %q", tc.tls, helo, text)
		}
	}
}

// TestSMTPClosed names the place at which a server closes the connection.
func TestSMTPClosed(t *testing.T) {
	for _, tc := range []struct {
		name, says, want string
		tls              TLS
	}{
		{"at once", "", "closed the connection before its greeting", NoTLS},
		{"at once, TLS", "", "closed the connection before", SMTPS},
		{"after the greeting", "220 mx\r\n", "before its greeting, or at EHLO h.example", NoTLS},
		{"after EHLO", "220 mx\r\n250 mx\r\n", "closed the connection at MAIL FROM:<a@h.example>", NoTLS},
		{"without STARTTLS", "220 mx\r\n250 mx\r\n", "STARTTLS", StartTLS},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go answer(l, tc.says)
		s := &SMTP{Address: l.Addr().String(), Helo: "h.example", TLS: tc.tls}
		err = s.Hand(t.Context(), "a@h.example", "b@h.example", nil)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

// answer says lines to one client, one before each that it reads, and closes the connection.
func answer(l net.Listener, lines string) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	for line := range strings.Lines(lines) {
		_, _ = io.WriteString(c, line)
		_, _ = c.Read(make([]byte, 1000))
	}
}
