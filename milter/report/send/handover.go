package send

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/emersion/go-smtp"
)

// Transport takes a mail. An error that is a Refused is for good; any other means to try again.
type Transport interface {
	Hand(ctx context.Context, from, to string, message []byte) error
}

// Handover is a Transport that reports from which moment on the mail server may have a mail.
type Handover interface {
	Transport

	// HandOver is Hand, and calls taking just before the mail server can take the mail. With an
	// error of taking the mail is not handed over, and that is the error. An InDoubt says that the
	// mail server may have the mail or not.
	HandOver(ctx context.Context, from, to string, message []byte, taking func() error) error
}

// InDoubt means that a mail server did not reply to a mail that it may have accepted.
type InDoubt struct{ Err error }

func (d InDoubt) Error() string { return d.Err.Error() }

// Unwrap returns what kept the reply away.
func (d InDoubt) Unwrap() error { return d.Err }

// Refused means that the mail server refused a mail permanently.
type Refused struct{ Text string }

func (r Refused) Error() string { return "refused: " + r.Text }

// SMTP passes mail to the mail server on this host, which queues it, finds its destination, and
// retries.
type SMTP struct {
	Address string // host:port
	Helo    string // this host's name
	TLS     TLS    // the zero value: none, since the connection does not leave the host
}

// TLS is how a connection to a mail server is encrypted. Its certificate is not verified: that of a
// mail server proves nothing without DANE or MTA-STS (RFC 7435), and what is sent is no secret.
type TLS string

// The kinds of encryption.
const (
	NoTLS    TLS = ""
	StartTLS TLS = "starttls" // begun by STARTTLS; a server that does not offer it is an error
	SMTPS    TLS = "smtps"    // from the first byte (RFC 8314)
)

// handTime is how long a mail server on this host may take.
const handTime = time.Minute

// Hand implements Transport.
func (s *SMTP) Hand(ctx context.Context, from, to string, message []byte) error {
	return s.HandOver(ctx, from, to, message, func() error { return nil })
}

// HandOver implements Handover.
func (s *SMTP) HandOver(
	ctx context.Context, from, to string, message []byte, taking func() error,
) error {
	ctx, cancel := context.WithTimeout(ctx, handTime)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("the mail server at %s does not answer: %w", s.Address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	c, err := s.client(nc)
	if err != nil {
		return refusal(s.during("before the greeting", err))
	}
	defer c.Close()
	body, err := s.begin(c, from, to)
	if err != nil {
		return refusal(err)
	}
	if _, err := body.Write(message); err != nil {
		return refusal(s.during("within the message", err))
	}
	if err := taking(); err != nil {
		return err // without the last line the mail server drops the mail
	}
	if err := body.Close(); err != nil {
		var reply *smtp.SMTPError
		if !errors.As(err, &reply) {
			return InDoubt{fmt.Errorf("the mail server at %s did not reply at the end of the "+
				"mail: %w", s.Address, err)}
		}
		return refusal(err)
	}
	_ = c.Quit() // the mail is taken, whatever the answer
	return nil
}

// client makes a connection ready for the first command, encrypted if TLS says so. With an error
// the connection is closed.
func (s *SMTP) client(nc net.Conn) (*smtp.Client, error) {
	host, _, _ := net.SplitHostPort(s.Address) // Dial has accepted it
	c := &tls.Config{ServerName: host, InsecureSkipVerify: true}
	switch s.TLS {
	case StartTLS:
		return smtp.NewClientStartTLS(nc, c)
	case SMTPS:
		nc = tls.Client(nc, c)
	}
	return smtp.NewClient(nc), nil
}

// during says where in the conversation a server closed the connection. Other errors remain as
// they are.
func (s *SMTP) during(where string, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) &&
		!errors.Is(err, syscall.EPIPE) {
		return err
	}
	return fmt.Errorf("the mail server at %s closed the connection %s: %w", s.Address, where, err)
}

// begin brings a connection to where the mail is written. Closing what it returns ends the mail,
// and waits for the reply.
func (s *SMTP) begin(c *smtp.Client, from, to string) (io.WriteCloser, error) {
	if err := c.Hello(s.Helo); err != nil {
		return nil, s.during("before its greeting, or at EHLO "+s.Helo, err)
	}
	var options *smtp.MailOptions
	if !isASCII(from) || !isASCII(to) {
		options = &smtp.MailOptions{UTF8: true}
	}
	if err := c.Mail(from, options); err != nil {
		return nil, s.during("at MAIL FROM:<"+from+">", err)
	}
	if err := c.Rcpt(to, nil); err != nil {
		return nil, s.during("at RCPT TO:<"+to+">", err)
	}
	body, err := c.Data()
	return body, s.during("at DATA", err)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// refusal distinguishes permanent from temporary replies.
func refusal(err error) error {
	var reply *smtp.SMTPError
	if errors.As(err, &reply) && reply.Code >= 500 {
		return Refused{fmt.Sprintf("%d %s", reply.Code, reply.Message)}
	}
	return err
}
