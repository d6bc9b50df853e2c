package demo

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"mailseal/milter/miltertest"
)

const demoMessage = `From: Alice <alice@example.com>
To: Bob <bob@example.net>
Subject: Hello from Mailseal
Date: Sat, 31 Jan 2026 12:00:00 +0000
Message-ID: <1@example.com>

A short message.
`

// show plays the two messages and reports whether all is well.
func (d *demo) show(ctx context.Context) (bool, error) {
	sent, err := d.play(ctx, "1. A message of ours: Alice, on this host, writes to Bob",
		netip.MustParseAddr("127.0.0.1"), "localhost", []byte(demoMessage))
	if err != nil {
		return false, err
	}
	forged := fmt.Sprintf("Authentication-Results: %s; dkim=pass header.d=bank.example\r\n",
		d.cfg.AuthservID)
	sender := netip.MustParseAddr("192.0.2.25")
	back, err := d.play(ctx, "2. The same message from outside, with a forged field on top",
		sender, "mx.example.com", append([]byte(forged), sent...))
	if err != nil {
		return false, err
	}
	header, _, _ := bytes.Cut(back, []byte("\r\n\r\n"))
	text := strings.ReplaceAll(string(header), "\r\n\t", " ")
	verified := passed.MatchString(text)
	gone := !strings.Contains(text, "bank.example")
	fmt.Fprintf(d.Out, "\nThe signature %s; the forged field %s.\n",
		either(verified, "verified", "DID NOT VERIFY"), either(gone, "is gone", "IS STILL THERE"))
	return verified && gone, nil
}

func either(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// play hands one message to the daemon as Postfix would and shows the result.
func (d *demo) play(ctx context.Context, title string, client netip.Addr, name string,
	raw []byte) ([]byte, error) {
	c, err := miltertest.Dial(ctx, d.cfg.Listen[0].Address, miltertest.Options{
		Client: client, ClientName: name, Helo: name, Hostname: d.cfg.AuthservID,
	})
	if err != nil {
		return nil, err
	}
	o, err := c.Send(miltertest.Message{From: "alice@example.com", To: []string{"bob@example.net"},
		Raw: raw})
	if err != nil {
		return nil, err
	}
	if err := c.Quit(); err != nil {
		return nil, err
	}
	delivered := o.Delivered()
	fmt.Fprintf(d.Out, "\n%s\n%s\n\n", title, strings.Repeat("-", len(title)))
	fmt.Fprintf(d.Out, "The client at %s sends:\n\n%s\nMailseal answers %s; the message is "+
		"delivered as:\n\n%s\nThe log line is:\n\n%s",
		client, indent(raw), o.Reply, indent(delivered), indent([]byte(d.log.take())))
	return delivered, nil
}

// passed finds our DKIM result, with or without a comment.
var passed = regexp.MustCompile(`dkim=pass( \([^)]*\))? header\.d=example\.com`)

// indent shows a text apart from ours.
func indent(text []byte) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r", ""), "\n"),
		"\n")
	return "    " + strings.Join(lines, "\n    ") + "\n"
}

// printMTA tells how to make an MTA of this host call.
func (d *demo) printMTA() {
	socket := strings.TrimPrefix(d.cfg.Listen[0].Address, "unix:")
	port := "8891"
	if len(d.cfg.Listen) > 1 {
		_, port, _ = strings.Cut(d.cfg.Listen[1].Target, ":")
	}
	fmt.Fprintf(d.Out, `
Mailseal continues to serve until you press Ctrl-C. To use it with the mail server of this host, add:

  Postfix, /etc/postfix/main.cf             Sendmail, /etc/mail/sendmail.mc
    smtpd_milters = inet:127.0.0.1:%-5[2]s      %[3]s
    non_smtpd_milters = $smtpd_milters
    milter_default_action = tempfail

Or use this unix socket, if the mail server may open it: %[1]s
`, socket, port, "INPUT_MAIL_FILTER(`mailseal', `S=inet:"+port+"@127.0.0.1, F=T, T=C:10s;S:10s;R:30s;E:5m')")
}

// lines gathers what the daemon logs between two looks.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.buf.String()
	l.buf.Reset()
	return s
}
