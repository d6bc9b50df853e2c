package milter

import (
	"context"
	"net"
	"net/textproto"
	"strings"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
)

// session is one MTA's connection: what go-milter calls for each command, and the guard for header
// fields and body. It gathers and has no opinions. All calls come from one goroutine. Where it has
// no answer the guard continues, and the library does not make a packet of it.
//
// Nothing of the connection is kept here: the guard knows the client and its HELO, which an ABORT
// must not clear, since Postfix sends one after a HELO in the middle of a message.
type session struct {
	server   *Server
	listener *Listener
	conn     *guard.Conn
	ctx      context.Context // ends with the connection
	log      logger
	mail     *transaction // nil between messages
}

// Connect and Helo need nothing done: the guard remembers both.
func (s *session) Connect(string, string, uint16, net.IP, *gomilter.Modifier) (gomilter.Response,
	error) {
	return nil, nil
}

// Helo is as Connect.
func (s *session) Helo(string, *gomilter.Modifier) (gomilter.Response, error) {
	return nil, nil
}

// MailFrom begins a message. Whatever was known of another one is forgotten: Sendmail sends no
// ABORT after a message.
func (s *session) MailFrom(string, *gomilter.Modifier) (gomilter.Response, error) {
	s.forget()
	settings := s.server.settings.Load()
	env := gatherEnvelope(s.conn, s.listener.name)
	if settings.Exempt.Has(env) {
		s.event(Exempted)
		s.log.exempt(env)
		return answerAccept, nil
	}
	s.mail = newTransaction(s, settings, env)
	return nil, nil
}

// RcptTo takes a recipient.
func (s *session) RcptTo(string, *gomilter.Modifier) (gomilter.Response, error) {
	if s.mail == nil {
		return nil, nil
	}
	return s.mail.recipient(s.conn.Recipient().Address()), nil
}

// Header is never called: header fields come to field.
func (s *session) Header(string, string, *gomilter.Modifier) (gomilter.Response, error) {
	return nil, nil
}

// field takes a header field.
func (s *session) field(name, value []byte) error {
	if s.mail != nil {
		s.mail.field(name, value)
	}
	return nil
}

// Headers ends the header.
func (s *session) Headers(textproto.MIMEHeader, *gomilter.Modifier) (gomilter.Response, error) {
	if s.mail == nil {
		return nil, nil
	}
	s.mail.endOfHeader()
	if s.mail.decided == nil || !s.conn.Agreement().Answers(guard.EndOfHeader) {
		return nil, nil
	}
	return nil, s.finish()
}

// BodyChunk is never called: the body comes to body.
func (s *session) BodyChunk([]byte, *gomilter.Modifier) (gomilter.Response, error) {
	return nil, nil
}

// body takes a piece of the body.
func (s *session) body(p []byte) error {
	if s.mail == nil || !s.mail.body(p) {
		return guard.ErrSkip
	}
	return nil
}

// Body is called at the end of the message. It judges the message, sending progress notices
// to the MTA meanwhile, and applies the outcome.
func (s *session) Body(*gomilter.Modifier) (gomilter.Response, error) {
	if s.mail == nil {
		return replyTempfail.tempfail(), nil // it has not been judged: it must not pass
	}
	s.conn.StartProgress()
	s.mail.env.QueueID = queueID(s.conn, s.mail.env.QueueID)
	s.mail.decide()
	return nil, s.finish()
}

// finish applies the outcome of the message, answers the MTA and forgets the message. If
// the connection has ended meanwhile, finish must not log an outcome: the MTA applies its
// own rules.
func (s *session) finish() error {
	defer s.forget()
	select {
	case <-s.conn.Done():
		s.event(Lost)
		s.log.lost(s.mail.env)
		return nil
	default:
		a, err := s.mail.apply(s.conn)
		if err != nil {
			return err
		}
		return s.conn.Answer(guard.Code(a.Code), a.Data)
	}
}

// Abort forgets the message, not the client.
func (s *session) Abort(*gomilter.Modifier) error {
	if s.mail != nil {
		s.log.aborted(s.mail.env)
	}
	s.forget()
	return nil
}

// forget lets go of all that belongs to a message.
func (s *session) forget() {
	if s.mail != nil {
		s.mail.end()
		s.mail = nil
	}
}

func (s *session) event(e Event) { s.server.metrics.Event(e) }

// queueID returns the queue id as it is at the end of a message: Postfix gives it with the first
// recipient only.
func queueID(c *guard.Conn, atMail string) string {
	if id := c.Latest("i"); id != "" {
		return id
	}
	return strings.Clone(atMail)
}
