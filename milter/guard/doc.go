// Package guard is between an MTA and github.com/emersion/go-milter. It negotiates with the
// MTA, and it frames, bounds and checks every packet, so that the library sees only whole, valid
// commands in the protocol's order. It knows nothing of mail.
//
// # Who calls whom
//
// Three parties share one connection: package milter, which accepts it and holds the session; this
// package; and go-milter. They call each other in this order:
//
//	milter.Server.serve           a goroutine of package milter, for each connection that was accepted
//	  guard.Handshake             reads the MTA's offer and answers it; the result is a Conn
//	  Conn.OnHeader, Conn.OnBody  where header fields and the body are to go
//	  gomilter.Server.Serve       on Conn.Listener; a Server for each connection
//	    Listener.Accept           returns the Conn; go-milter starts its goroutine
//	    Listener.Accept           returns net.ErrClosed at once, so Serve returns and milter's goroutine ends
//
//	gomilter's goroutine          the only one of an open connection; it runs until the connection ends
//	  Conn.Read                   waits for the MTA's next packet, checks it, keeps macros and paths; of a header
//	                              field or a piece of the body it calls the function given to OnHeader or OnBody,
//	                              and waits for the next packet; any other command it returns to go-milter
//	  session.MailFrom, …         go-milter calls the callback of that command in package milter's session
//	    Conn.Macro, Conn.Sender   the session asks the Conn for what go-milter drops
//	    Conn.StartProgress        at the end of the message: tell the MTA that we are still at work
//	    Filter                    judges the message; it sees neither the Conn nor go-milter
//	    Conn.InsertHeader, …      the edits, then Conn.Answer with the verdict
//	  Conn.Write                  takes an answer that go-milter writes by itself
//	  Conn.Read                   sends the answers to the MTA in one write, and waits again
//	  Conn.Close                  the last that go-milter calls; it calls the function given to Conn.Listener, by
//	                              which package milter takes the connection off its books
//
// Other goroutines call only Conn.Drain and Conn.Close (a server that stops) and the timer behind
// StartProgress. Whatever ends a connection ends Conn.Context, and with it the lookups of a message
// that is being judged. The library's goroutine leaves when the callback has returned.
//
//	c, err := guard.Handshake(nc, guard.Options{Wishes: guard.DefaultWishes()})
//	if err != nil {
//		nc.Close()
//		return err // io.EOF: the peer closed without a word, as a port scan does
//	}
//	s := &session{conn: c}
//	c.OnHeader(s.field) // func(name, value []byte) error
//	c.OnBody(s.body)    // func(p []byte) error; guard.ErrSkip: no more of this body
//	server := gomilter.Server{NewMilter: func() gomilter.Milter { return s }}
//	server.Serve(c.Listener(func() { log(c.Err()) })) // returns at once; nil after QUIT or a plain close
//
// # What a session may rely on
//
// Callbacks come in the protocol's order: CONNECT, then HELO any number of times, MAIL, RCPT,
// header fields, the end of the header, body, the end of the message. Abort is called before each
// MAIL too, because Sendmail sends no ABORT between messages; it must keep the client and its HELO.
// An MTA that deviates is cut off with ErrMalformed, and go-milter sees an end of file. The
// session's Response type must say that it always continues: go-milter takes any other one for the
// end of the session and asks NewMilter for another.
//
// A callback may return no Response: the guard then continues, and at the end of the message defers
// it. That is cheaper than a Response that continues, for which go-milter allocates 4 KB. At stages
// for which no replies were agreed (header fields, end of the header, body) everything but
// "continue" ends the connection, because the MTA would take it for the answer to something else.
// Refuse at the end of the message instead.
//
// Values of header fields begin with the white space that follows the colon, in both directions:
// write " v=1; …". Where the MTA does not agree to that, the guard adds one space to a value that
// arrives, and removes one from a value that is sent.
//
// An edit with a NUL, before the end of the message, or that was not agreed on (Agreement.May)
// returns an error and does not reach the MTA. The session should then defer the message.
//
// # Framing alone
//
// Framer reads and writes packets for either side and checks only their length: for a proxy,
// or to play the MTA.
package guard
