package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

// Transport takes a mail. An error that is a Refused is for good; any other means to try again.
type Transport interface {
	Hand(ctx context.Context, from, to string, message []byte) error
}

// Refused says that the mail server does not take a mail, and will not.
type Refused struct{ Text string }

func (r Refused) Error() string { return "refused: " + r.Text }

// SMTP hands mail to the mail server on this host, which queues it, looks up where it goes, and
// retries.
type SMTP struct {
	Address string // host:port
	Helo    string // this host's name
}

// handTime is how long a mail server on this host may take.
const handTime = time.Minute

// Hand implements Transport.
func (s *SMTP) Hand(ctx context.Context, from, to string, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, handTime)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("the mail server at %s does not answer: %w", s.Address, err)
	}
	c := smtp.NewClient(nc)
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := c.Hello(s.Helo); err != nil {
		return refusal(err)
	}
	if err := c.SendMail(from, []string{to}, bytes.NewReader(message)); err != nil {
		return refusal(err)
	}
	_ = c.Quit() // the mail is taken, whatever the answer
	return nil
}

// refusal tells a reply for good from one for now.
func refusal(err error) error {
	var reply *smtp.SMTPError
	if errors.As(err, &reply) && reply.Code >= 500 {
		return Refused{fmt.Sprintf("%d %s", reply.Code, reply.Message)}
	}
	return err
}
