package check

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/emersion/go-smtp"

	"mailseal/config/mta"
)

// askFor is how long the mail server of this host may take to answer.
const askFor = 10 * time.Second

// testAddress finds out whether mail to the address for tests gets as far as the daemon: whether
// the mail servers take mail for its domain, by their files, and for the address, by asking the one
// that runs here. Nothing is sent.
func (c *checker) testAddress(ctx context.Context) {
	address := c.cfg.Test.Address
	if address == "" || c.MTA.Skip {
		return
	}
	at := place{file: c.File, setting: "test.address"}
	if server := c.notFor(c.cfg.Test.Domain().String()); server != "" {
		c.report(finding(TestDomain, at, server, c.cfg.Test.Domain()))
	}
	err := askRecipient(ctx, c.cfg.Reports.SMTP, c.cfg.ServerName(), address)
	var reply *smtp.SMTPError
	switch {
	case err == nil:
	case errors.As(err, &reply) && reply.Code >= 500:
		c.report(finding(TestRefused, at, c.cfg.Reports.SMTP, address, reply.Code, reply.Message))
	default:
		c.report(finding(TestUnasked, at, c.cfg.Reports.SMTP, err))
	}
}

// notFor names the mail server in use that does not take mail for a domain; "" where one takes it,
// or none is known not to.
func (c *checker) notFor(domain string) string {
	host := c.MTA.Host
	if host == nil {
		host = mta.HostAt("/")
	}
	not := ""
	for _, s := range c.result.MTAs {
		takes := mta.PostfixTakes
		if s.Server == "Sendmail" {
			takes = mta.SendmailTakes
		}
		switch takes(host, s.Dir, domain) {
		case mta.TakesNot:
			not = s.Server
		default:
			return ""
		}
	}
	return not
}

// askRecipient asks a mail server whether it takes mail for an address, and ends the conversation
// before there is any.
func askRecipient(ctx context.Context, server, helo, address string) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	client := smtp.NewClient(conn)
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	if err := client.Hello(helo); err != nil {
		return err
	}
	if err := client.Mail("", nil); err != nil {
		return err
	}
	if err := client.Rcpt(address, nil); err != nil {
		return err
	}
	if err := client.Reset(); err != nil {
		return err
	}
	_ = client.Quit() // the answer is known
	return nil
}
