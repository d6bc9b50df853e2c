// Package play is "mailseal mta": it talks to a milter as Postfix or Sendmail does, and shows what
// the milter answers.
package play

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/miltertest"
)

// MTA configures the MTA to act as, and how the results of its messages are printed.
type MTA struct {
	Milter        string // address of the milter
	As            string // "postfix" or "sendmail"
	Client        string // IP address of the SMTP client
	Name          string // verified name of the client; "" for what the MTA says when there is none
	Helo          string // what the client says in EHLO
	Auth          string // user as whom the client has logged in; "" for none
	From          string // envelope sender
	To            []string
	Macros        []string // name=value
	Local         bool     // messages do not come by SMTP
	Timeout       time.Duration
	Load          miltertest.Load
	JSON, Deliver bool

	Read   func(file string) ([]byte, error)
	Out    io.Writer
	Errors io.Writer // beside a delivered message, what became of it
}

// Run sends the messages in files, "-" being standard input, and prints the milter's answers. The
// error is a bad answer if a message was refused, and an unknown one if the milter violated the
// protocol.
func (f *MTA) Run(ctx context.Context, files []string) error {
	o, err := f.options()
	if err != nil {
		return answer.NewUsage(err)
	}
	messages, err := f.messages(files)
	if err != nil {
		return err
	}
	if f.Load.IsWanted() {
		return f.measure(ctx, o, messages)
	}
	return f.show(ctx, o, messages)
}

// options says what is played.
func (f *MTA) options() (o miltertest.Options, err error) {
	if err := errors.Join(miltertest.CheckAddress(f.Milter), f.Load.Check()); err != nil {
		return o, err
	}
	if o.As, err = miltertest.ParseMTA(f.As); err != nil {
		return o, err
	}
	if o.Client, err = netip.ParseAddr(f.Client); err != nil {
		return o, fmt.Errorf("--client: %w", err)
	}
	o.ClientName, o.Helo, o.Local, o.Timeout = f.Name, f.Helo, f.Local, f.Timeout
	o.Macros = map[string]string{}
	for _, m := range f.Macros {
		name, value, ok := strings.Cut(m, "=")
		if !ok || name == "" {
			return o, fmt.Errorf("--macro %q is not name=value", m)
		}
		o.Macros[macroName(name)] = value
	}
	return o, nil
}

// macroName writes a macro's name as MTAs do: names of more than a letter are in braces.
func macroName(name string) string {
	if len(name) > 1 && name[0] != '{' {
		return "{" + name + "}"
	}
	return name
}

func (f *MTA) messages(files []string) (messages []message, err error) {
	envelope := miltertest.Message{From: trimPath(f.From), Auth: f.Auth}
	for _, to := range f.To {
		envelope.To = append(envelope.To, trimPath(to))
	}
	if len(files) == 0 && f.Load.Size > 0 {
		envelope.Raw = miltertest.MadeUp(envelope, f.Load.Size)
		return []message{{"made up", envelope}}, nil
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, file := range files {
		m := message{file, envelope}
		if m.Raw, err = f.Read(file); err != nil {
			return nil, answer.NewUnknown(err)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// show sends the messages over one connection and shows what became of each.
func (f *MTA) show(ctx context.Context, o miltertest.Options, messages []message) error {
	c, err := f.dial(ctx, o)
	if err != nil {
		return answer.NewUnknown(err)
	}
	defer c.Close()
	refused := false
	for _, m := range messages {
		outcome, err := c.Send(m.Message)
		if err != nil {
			return answer.NewUnknown(fmt.Errorf("%s: %w", m.file, err))
		}
		refused = refused || outcome.Refused()
		if err := f.print(m, outcome); err != nil {
			return err
		}
	}
	if err := c.Quit(); err != nil {
		return answer.NewUnknown(err)
	}
	if refused {
		return answer.NewBad(nil)
	}
	return nil
}

// dial connects within the time that an answer may take, or until the user interrupts it.
func (f *MTA) dial(ctx context.Context, o miltertest.Options) (*miltertest.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	return miltertest.Dial(ctx, f.Milter, o)
}

// measure sends the messages again and again, and shows how fast that was.
func (f *MTA) measure(ctx context.Context, o miltertest.Options, messages []message) error {
	dial := func(ctx context.Context) (*miltertest.Conn, error) { return f.dial(ctx, o) }
	var raw []miltertest.Message
	for _, m := range messages {
		raw = append(raw, m.Message)
	}
	figures, failed := f.Load.Measure(ctx, dial, raw)
	if err := f.printFigures(f.Out, figures, f.Load.Concurrency); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return answer.NewUnknown(failed)
	case figures.Refused > 0:
		return answer.NewBad(nil)
	}
	return nil
}

// trimPath removes the angle brackets of a path.
func trimPath(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">") }
