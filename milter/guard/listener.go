package guard

import (
	"net"
	"sync"
)

// Listener returns a listener that hands this connection over to go-milter. Its first Accept
// returns the connection, every other one net.ErrClosed at once: Server.Serve starts the goroutine
// that serves the connection and returns, and none waits for that goroutine. left, unless it is
// nil, is the last that the goroutine calls, also after a panic in a callback. It is called once,
// after the connection has ended, and must not panic.
func (c *Conn) Listener(left func()) net.Listener {
	return &listener{conn: c, left: left}
}

// listener is used by one goroutine only.
type listener struct {
	conn  *Conn
	left  func()
	given bool
}

func (l *listener) Accept() (net.Conn, error) {
	if l.given {
		return nil, net.ErrClosed
	}
	l.given = true
	return &served{Conn: l.conn, left: l.left}, nil
}

// Close does nothing: go-milter calls it when Serve returns, while the connection is being served.
func (l *listener) Close() error { return nil }

func (l *listener) Addr() net.Addr { return l.conn.LocalAddr() }

// served is the connection as go-milter has it: closing it is the last that the library does.
type served struct {
	*Conn
	left func()
	once sync.Once
}

func (s *served) Close() error {
	err := s.Conn.Close()
	if s.left != nil {
		s.once.Do(s.left)
	}
	return err
}
