package milter

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
)

// serve negotiates with an MTA and hands the connection over to go-milter, whose goroutine serves
// it from then on. None of ours waits for that one: left is the last that it calls.
func (s *Server) serve(l *Listener, nc net.Conn) {
	var c *guard.Conn
	handedOver := false
	defer func() {
		if !handedOver {
			s.release(c)
		}
	}()
	defer s.recover(nc)
	s.metrics.Connections(1)
	c, err := guard.Handshake(nc, guard.Options{Wishes: s.settings.Load().wishes(),
		Limits: s.options.Load().Limits})
	if err != nil {
		_ = nc.Close() // the client may have gone
		s.ended(l, nc, err)
		return
	}
	s.add(c, l)
	l.agreed(s.log, c.Agreement())
	handedOver = true
	s.handOver(l, c)
}

// handOver starts a go-milter Server for a connection, and returns at once. Each connection
// has a separate Server, because the library stores the negotiated options in it, and
// because its NewMilter does not receive the connection.
func (s *Server) handOver(l *Listener, c *guard.Conn) {
	session := &session{server: s, listener: l, conn: c, ctx: c.Context(), log: s.log}
	c.OnHeader(session.field)
	c.OnBody(session.body)
	library := gomilter.Server{NewMilter: func() gomilter.Milter { return session }}
	_ = library.Serve(c.Listener(func() { s.left(session) })) // always net.ErrClosed
}

// left is called when go-milter is through with a connection, by the goroutine that served it.
func (s *Server) left(session *session) {
	defer s.release(session.conn)
	defer s.recover(session.conn)
	session.forget()
	s.ended(session.listener, session.conn, session.conn.Err())
}

// release frees the place of a connection for another one. c is nil if there was no
// agreement with the MTA.
func (s *Server) release(c *guard.Conn) {
	if c != nil {
		s.remove(c)
	}
	s.metrics.Connections(-1)
	s.places.give()
	s.wg.Done()
}

// ended logs why a connection ended, unless it ended properly.
func (s *Server) ended(l *Listener, nc net.Conn, err error) {
	switch {
	case err == nil || err == io.EOF:
	case errors.Is(err, guard.ErrMalformed):
		s.metrics.Event(Malformed)
		s.log.malformed(l, peerName(nc), err)
	default:
		s.metrics.Event(Broken)
		s.log.broken(l, peerName(nc), err)
	}
}

func peerName(nc net.Conn) string {
	if a := nc.RemoteAddr(); a != nil && a.Network() != "unix" {
		return a.String()
	}
	return "local"
}

// recover keeps a bug in serving one connection from ending the others.
func (s *Server) recover(nc net.Conn) {
	if v := recover(); v != nil {
		s.metrics.Event(Panicked)
		s.log.Error("panic: a bug in Mailseal, please report this line", "in", "connection",
			"panic", fmt.Sprint(v), "stack",
			string(debug.Stack()))
		_ = nc.Close() // whatever state it is in
	}
}

// agreed logs once for each listener which features the MTA lacks.
func (l *Listener) agreed(log logger, a guard.Agreement) {
	if len(a.Missing) == 0 {
		return
	}
	l.lacking.Do(func() {
		for _, sentence := range a.Missing {
			log.lacking(l, sentence)
		}
	})
}
