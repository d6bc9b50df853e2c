// Package guard stands between an MTA and github.com/emersion/go-milter: it frames, bounds and validates one milter
// connection, and apart from that negotiates it. It knows nothing of mail.
//
// Handshake reads the MTA's offer and answers it; the Conn that it returns is a net.Conn on which go-milter serves
// CONNECT, HELO, MAIL, RCPT, the end of the header and the end of the message, and writes every answer and edit. Header
// fields and body go to two functions directly. What go-milter drops is kept by the Conn: macros by stage, the paths
// with their arguments, the client's address in whatever way the MTA writes it.
//
//	func serve(nc net.Conn) error {
//		c, err := guard.Handshake(nc, guard.Options{Wishes: guard.DefaultWishes()})
//		if err != nil {
//			nc.Close()
//			return err // io.EOF alone: a port scan, not worth a line
//		}
//		for _, sentence := range c.Agreement().Missing {
//			log.Warn(sentence) // once for each listener
//		}
//		s := &session{conn: c}
//		c.OnHeader(s.field) // func(name, value []byte) error
//		c.OnBody(s.body)   // func(p []byte) error; guard.ErrSkip: no more of this body
//		server := gomilter.Server{NewMilter: func() gomilter.Milter { return s }}
//		server.Serve(c.Listener(cancel)) // returns when go-milter has left; cancel is called when the MTA has
//		return c.Err()                   // nil after QUIT or a plain close
//	}
//
// In the session, which go-milter calls in one goroutine for each connection, as it does the two functions:
//
//	func (s *session) Connect(…)  { s.client, s.daemon = s.conn.Client(), s.conn.Macro(guard.StageConnect, "{daemon_name}") }
//	func (s *session) MailFrom(…) { s.reset(); s.sender = s.conn.Sender(); s.user = s.conn.Macro(guard.StageMail, "{auth_authen}") }
//	func (s *session) RcptTo(…)   { s.add(s.conn.Recipient()) }
//	func (s *session) Headers(…)  { … }                 // all fields have been seen; the map is nil
//	func (s *session) Body(m …)   { s.conn.StartProgress(); id := s.conn.Latest("i"); … edits, then the verdict … }
//	func (s *session) Abort(…)    { s.reset() }         // also before each MAIL; leave client and HELO alone
//
// # What a session may rely on
//
// Callbacks come in the protocol's order: CONNECT, then HELO any number of times, MAIL, RCPT, header fields, the end of
// the header, body, the end of the message. An MTA that deviates is cut off with ErrMalformed, and go-milter sees an end
// of file. The session's Response type must say that it always continues, else go-milter forgets the session.
//
// A callback may return no Response: the guard continues, and at the end of the message defers it. That is cheaper than
// one that says so, for which go-milter allocates a buffer of 4 KB. At stages that were
// agreed to go without replies (header fields, end of the header, body) everything but "continue" ends the connection:
// the MTA would take it for the answer to something else. Refuse at the end of the message instead.
//
// Values of header fields begin with the white space that follows the colon, both ways: write " v=1; …". Where the MTA
// does not agree to that, the guard puts one space back before a value that comes, and takes one away from a value that
// goes.
//
// An edit with a NUL, before the end of the message, or that was not agreed on (Agreement.May) returns an error from
// go-milter's Modifier and reaches nobody; the session should then defer the message.
//
// # Framing alone
//
// Framer reads and writes packets of either side and checks nothing but their length: for a proxy, or to play the MTA.
package guard
