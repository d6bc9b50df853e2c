// Package lmtp takes mail with reports by LMTP (RFC 2033) from the mail server on this host.
package lmtp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// Taker stores a mail. An error means that no part of it was stored.
type Taker interface {
	Take(ctx context.Context, a *store.Arrival) (*intake.Taken, error)
}

// Server answers the mail server.
type Server struct {
	Intake      Taker
	Trust       *Trust
	RefuseOther bool // 550 to mail that contains no report
	Name        string
	Log         *slog.Logger
	Now         func() time.Time

	// Bounced takes mail to the envelope sender of a report of ours, which came back. It reports
	// whether the recipient is one. nil: there are none.
	Bounced func(ctx context.Context, recipient string, mail []byte) (bool, error)

	// reports are unpacked and stored one at a time, so that memory is bounded
	one      sync.Mutex
	patience time.Duration // 0: maxDataTime; tests have little of it
}

// Bounds of what mail servers bring at once. They use a few connections; what all of them together
// may hold in memory is 41 MiB.
const (
	maxRecipients = 100
	maxSessions   = 16
	maxSmall      = 1 << 20 // bytes of a mail that waits for no other; larger ones are read in turn
	idle          = 5 * time.Minute
	maxDataTime   = time.Minute // for all bytes of a mail; the same for the turn of a large one
)

// What the mail server is told. 4xx keeps the mail in its queue, 5xx returns it to the sender.
var (
	errTooLarge = &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4},
		Message: "the mail is larger than 25 MiB, the limit for reports"}
	errStore = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0},
		Message: "the report cannot be stored now"}
	errOther = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 6, 0},
		Message: "not a DMARC, TLS or failure report"}
	errTurn = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2},
		Message: "other large mails are being processed"}
	errSlow = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 2},
		Message: "the mail took too long to arrive"}
	errBusy = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2},
		Message: "too many connections"}
)

// Serve answers on l until ctx ends. It answers 250 for a mail once all of it is on the disk.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	slots, large := make(chan struct{}, maxSessions), make(chan struct{}, 1)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		select {
		case slots <- struct{}{}:
			return &session{server: s, ctx: ctx, conn: c.Conn(), slots: slots, large: large}, nil
		default:
			return nil, errBusy
		}
	}))
	server.LMTP, server.Domain = true, s.Name
	server.MaxMessageBytes, server.MaxRecipients = intake.MaxMessage, maxRecipients
	server.ReadTimeout, server.WriteTimeout = idle, idle
	server.EnableSMTPUTF8 = true
	server.ErrorLog = slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn)
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// session is a connection. Who else a mail is from or to does not matter: the mail server decides
// what comes here.
type session struct {
	server     *Server
	ctx        context.Context
	conn       net.Conn
	slots      chan struct{}
	large      chan struct{} // who reads a large mail
	recipients []string
}

// Reset, Mail, Rcpt, Logout and Data implement smtp.Session.

func (s *session) Reset() { s.recipients = nil }

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.recipients = append(s.recipients, to)
	return nil
}

func (s *session) Logout() error { <-s.slots; return nil }

// Data holds no lock while it waits for the mail server or for DNS, so that one slow mail does not
// keep the others out.
func (s *session) Data(r io.Reader) error {
	data, done, err := s.read(r)
	defer done()
	if err != nil {
		if errors.Is(err, smtp.ErrDataTooLarge) {
			return errTooLarge
		}
		return err
	}
	return s.server.Take(s.ctx, "lmtp", s.recipients, data)
}

// read reads a mail. What it returns beside it is to be called when the mail is not needed any
// more.
func (s *session) read(r io.Reader) (data []byte, done func(), err error) {
	data, err = s.inTime(io.LimitReader(r, maxSmall))
	if err != nil || len(data) < maxSmall {
		return data, func() {}, err
	}
	select {
	case s.large <- struct{}{}:
	case <-time.After(s.server.wait()):
		return nil, func() {}, errTurn
	}
	data, err = s.inTime(io.MultiReader(bytes.NewReader(data), r))
	return data, func() { <-s.large }, err
}

// inTime reads all of r within the time that a mail has. After that the connection is closed:
// further bytes of the mail would be taken for commands.
func (s *session) inTime(r io.Reader) ([]byte, error) {
	late := time.AfterFunc(s.server.wait(), func() { s.conn.Close() })
	data, err := io.ReadAll(r)
	if !late.Stop() {
		s.server.Log.Warn("a mail with reports did not arrive in time; the mail server keeps it",
			"seconds", s.server.wait().Seconds(), "bytes", len(data))
		return nil, errSlow
	}
	return data, err
}

func (s *Server) wait() time.Duration { return cmp.Or(s.patience, maxDataTime) }

// bounces hands a mail over that came back to the sender of a report. It reports whether there is a
// recipient left.
func (s *Server) bounces(ctx context.Context, recipients []string, data []byte) (bool, error) {
	left := len(recipients) == 0
	for _, to := range recipients {
		if s.Bounced == nil {
			return true, nil
		}
		known, err := s.Bounced(ctx, to, data)
		if err != nil {
			s.Log.Error("a bounce could not be stored; the mail server keeps it", "recipient",
				to, "error", err)
			return false, errStore
		}
		left = left || !known
	}
	return left, nil
}

// Take is Deliver for a mail to recipients: what came back to senders of reports of ours is no mail
// with a report. Without recipients it is Deliver.
func (s *Server) Take(ctx context.Context, via string, recipients []string, data []byte) error {
	isReport, err := s.bounces(ctx, recipients, data)
	if err != nil || !isReport {
		return err
	}
	return s.Deliver(ctx, via, data)
}

// Deliver stores a mail, and says what the mail server is to do with it: nil to forget it, an
// *smtp.SMTPError otherwise.
func (s *Server) Deliver(ctx context.Context, via string, data []byte) error {
	if len(data) > intake.MaxMessage {
		return errTooLarge
	}
	a := &store.Arrival{
		Received: s.Now(), Via: via, Name: messageID(data),
		TrustDomain: s.Trust.Domain(ctx, data), Data: data,
	}
	s.one.Lock()
	defer s.one.Unlock()
	if s.RefuseOther && isOther(data) {
		return errOther
	}
	got, err := s.Intake.Take(ctx, a)
	if err != nil {
		s.Log.Error("a mail with reports could not be stored; the mail server keeps it", "mail",
			a.Name, "error", err)
		return errStore
	}
	s.log(a, got)
	return nil
}

// isOther reports whether a mail contains no report at all.
func isOther(data []byte) bool {
	for _, p := range intake.Look("mail", data) {
		if p.Kind != intake.Other || p.Err != nil {
			return false
		}
	}
	return true
}

func (s *Server) log(a *store.Arrival, t *intake.Taken) {
	level := slog.LevelInfo
	if len(t.Problems) > 0 {
		level = slog.LevelWarn
	}
	s.Log.Log(context.Background(), level, "mail with reports received", "mail", a.Name, "kind",
		t.Kind, "known",
		t.Known, "reports", t.Reports,
		"messages", t.Messages, "not_counted", t.NotCounted, "duplicates", t.Duplicates,
		"authenticated", a.TrustDomain,
		"problems", strings.Join(t.Problems, "; "))
}

// messageID names a mail in the log and in lists.
func messageID(data []byte) string {
	for line := range strings.Lines(string(data[:min(len(data), 64<<10)])) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Message-ID") {
			value = strings.TrimSpace(value)
			return value[:min(len(value), 200)]
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	return "mail"
}
