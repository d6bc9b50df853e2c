package examine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/milter/message"
	"mailseal/milter/report/send"
	"mailseal/milter/sign"
)

// TestMails are mails that show what a receiver makes of good and bad signatures.
type TestMails struct {
	Config *config.Config
	From   string // the author and envelope sender, for whom a rule signs
	// an envelope sender, likewise, whose SPF record does not name this host; "": no such mail
	SPFFail string
	To      string
	// of the receiver: a host, or host:port; its mail does not pass the server here, which would
	// sign it
	Server string
	Helo   string   // the name in EHLO; "": the configuration's
	TLS    string   // "no", "starttls" or "smtps"; "" is "no"
	Only   []string // the names of the mails to send; none: all
	Now    func() time.Time
	JSON   bool

	transport send.Transport // nil: SMTP to Server
}

// testMail is one of them.
type testMail struct {
	Name   string `json:"mail"`
	Expect string `json:"expect"`
	Sender string `json:"envelope_sender"`
	Answer string `json:"answer"` // "taken", or the server's reply

	text []byte
}

// Send makes the mails, passes each to the server, and prints which result to expect. The error is
// a bad answer if the server refuses one of them, which may be the correct behaviour.
func (o TestMails) Send(ctx context.Context, out io.Writer) error {
	if err := o.check(ctx); err != nil {
		return err
	}
	list, err := o.mails(ctx)
	if err != nil {
		return err
	}
	t := o.transport
	if t == nil {
		t = &send.SMTP{Address: o.address(), Helo: cmp.Or(o.Helo, o.Config.ServerName()),
			TLS: secured[o.TLS]}
	}
	kind := answer.Good
	for i := range list {
		m := &list[i]
		m.Answer = "taken"
		err := t.Hand(ctx, m.Sender, o.To, m.text)
		var refused send.Refused
		switch {
		case errors.As(err, &refused):
			// the words of another host, which stay as they are
			m.Answer, kind = err.Error(), answer.Worst(kind, answer.Bad)
		case err != nil:
			return answer.NewUnknown(err)
		}
	}
	if err := o.print(out, list); err != nil {
		return answer.NewUnknown(err)
	}
	if kind != answer.Good {
		return answer.New(kind, errors.New("the server did not accept all test mails; if it "+
			"refused \"changed\" or \"unsigned\", that may be right"))
	}
	return nil
}

func (o TestMails) print(out io.Writer, list []testMail) error {
	if o.JSON {
		return json.NewEncoder(out).Encode(struct {
			Mails []testMail `json:"mails"`
		}{list})
	}
	for _, m := range list {
		if _, err := fmt.Fprintf(out, "%-9s %s; expect %s\n", m.Name, printableText(m.Answer),
			m.Expect); err != nil {
			return err
		}
	}
	return nil
}

// check wants plain addresses, of domains for which a rule signs: no other's name is used.
func (o TestMails) check(ctx context.Context) error {
	for _, a := range []string{o.From, o.SPFFail, o.To} {
		if a == "" && o.SPFFail == "" && o.From != "" && o.To != "" {
			continue // the one that may be missing
		}
		if p, err := mail.ParseAddress(a); err != nil || p.Address != a ||
			strings.ContainsAny(a, "<>\"\r\n") {
			return answer.NewUsage(fmt.Errorf("%q is not a plain mail address", a))
		}
	}
	if _, known := secured[o.TLS]; !known {
		return answer.NewUsage(fmt.Errorf("--tls %q is not one of no, starttls and smtps", o.TLS))
	}
	for _, name := range o.Only {
		if !slices.Contains(mailNames, name) {
			return answer.NewUsage(fmt.Errorf("--only %q is not one of %s", name,
				strings.Join(mailNames, ", ")))
		}
		if name == "spf-fail" && o.SPFFail == "" {
			return answer.NewUsage(errors.New("--only spf-fail needs its sender: --spf-fail"))
		}
	}
	signer, err := assembly.NewSigner(ctx, o.Config)
	if err != nil {
		return answer.NotBad(err)
	}
	for _, a := range []string{o.From, o.SPFFail} {
		if a == "" {
			continue
		}
		author, err := message.ParsePath(a)
		if err != nil {
			return answer.NewUsage(err)
		}
		if len(signer.Match(sign.Query{Author: author})) == 0 {
			return answer.NewBad(fmt.Errorf("no rule signs for %s: test mails are sent in the "+
				"name of your own domains only", a))
		}
	}
	return nil
}

// mails are the test mails: a good signature, one that the body does not match, none, and one from
// a sender whose SPF record does not name this host.
func (o TestMails) mails(ctx context.Context) ([]testMail, error) {
	good, err := o.signed(ctx, "signed")
	if err != nil {
		return nil, err
	}
	changed, err := o.signed(ctx, "changed")
	if err != nil {
		return nil, err
	}
	changed = append(changed, "This line was added after signing.\r\n"...)
	list := []testMail{
		{Name: "signed", Expect: "dkim=pass", Sender: o.From, text: good},
		{Name: "changed", Expect: "dkim=fail (body changed)", Sender: o.From, text: changed},
		{Name: "unsigned", Expect: "dkim=none", Sender: o.From, text: o.text("unsigned")},
	}
	if o.SPFFail != "" {
		list = append(list, testMail{Name: "spf-fail", Expect: "spf=fail, or what its SPF record " +
			"says about other hosts",
			Sender: o.SPFFail, text: o.text("spf-fail")})
	}
	return slices.DeleteFunc(list, func(m testMail) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, m.Name)
	}), nil
}

// mailNames are the test mails that there are.
var mailNames = []string{"signed", "changed", "unsigned", "spf-fail"}

// secured are the values of TestMails.TLS.
var secured = map[string]send.TLS{"": send.NoTLS, "no": send.NoTLS, "starttls": send.StartTLS,
	"smtps": send.SMTPS}

// address is Server with a port: 465 for TLS from the first byte, else 25.
func (o TestMails) address() string {
	if _, _, err := net.SplitHostPort(o.Server); err == nil {
		return o.Server
	}
	port := "25"
	if secured[o.TLS] == send.SMTPS {
		port = "465"
	}
	return net.JoinHostPort(strings.Trim(o.Server, "[]"), port)
}

func (o TestMails) signed(ctx context.Context, name string) ([]byte, error) {
	return Signing{Config: o.Config, Now: o.Now}.Sign(ctx, o.text(name))
}

func (o TestMails) text(name string) []byte {
	now := o.Now()
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: <%s>", o.From)
	line("To: <%s>", o.To)
	line("Subject: Mailseal test: %s", name)
	line("Date: %s", now.UTC().Format(time.RFC1123Z))
	line("Message-ID: <%d.%s.test%s>", now.UnixNano(), name,
		o.From[strings.LastIndexByte(o.From, '@'):])
	line("Auto-Submitted: auto-generated")
	line("Mailseal-Test: 1")
	line("MIME-Version: 1.0")
	line("Content-Type: text/plain; charset=us-ascii")
	line("")
	line("A test mail of \"mailseal test send\": %s.", name)
	return b.Bytes()
}

// printableText replaces what would move a terminal's cursor.
func printableText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
