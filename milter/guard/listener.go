package guard

import (
	"net"
	"sync"
)

// Listener returns a listener that accepts this connection once, for go-milter: Server.Serve on it returns with
// net.ErrClosed when the library has left the connection for good. That is later than the connection's end if a callback
// is at work then; ended, unless it is nil, is called in between and may tell it to stop.
func (c *Conn) Listener(ended func()) net.Listener {
	return &listener{conn: c, ended: ended, left: make(chan struct{})}
}

type listener struct {
	conn  *Conn
	ended func()
	left  chan struct{} // closed when go-milter has left
	given bool
}

// Accept is called by one goroutine only.
func (l *listener) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return &leaving{Conn: l.conn, left: l.left}, nil
	}
	<-l.conn.done
	if l.ended != nil {
		l.ended()
	}
	<-l.left
	return nil, net.ErrClosed
}

func (l *listener) Close() error   { return nil }
func (l *listener) Addr() net.Addr { return l.conn.LocalAddr() }

// leaving is a connection of which one side says when it is through: closing it is the last that go-milter does, also
// after a panic.
type leaving struct {
	*Conn
	left chan struct{}
	once sync.Once
}

func (l *leaving) Close() error {
	defer l.once.Do(func() { close(l.left) })
	return l.Conn.Close()
}
