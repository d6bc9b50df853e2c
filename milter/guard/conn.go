package guard

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the options of a connection. The zero value is usable except for Wishes.
type Options struct {
	Wishes Wishes
	Limits Limits
}

// HeaderSink takes one header field. Both slices are valid until it returns. The value is as in a
// message, with the white space after the colon, whether or not that was negotiated, and with LF at
// the ends of its lines.
type HeaderSink func(name, value []byte) error

// BodySink receives a piece of the body, which is valid until it returns. The pieces are not the
// MTA's: a line, and a line's end, may be split anywhere. Return ErrSkip to get no more of the
// body.
type BodySink func(p []byte) error

// ErrSkip is returned by a BodySink that needs no more of this message's body. The MTA is
// asked to skip the rest if both sides support that; otherwise the rest is read and
// dropped.
var ErrSkip = errors.New("skip the rest of the body")

// ErrNoAnswer is why a connection ends on which the filter wrote what the MTA would not read, or
// would misread: a refusal at a stage that has no replies, an edit before the end of the message or
// one that was not agreed on.
var ErrNoAnswer = errors.New("an answer that the MTA would misread")

// errDrained ends a connection that was asked to go; it is not a fault.
var errDrained = errors.New("drained")

// Conn is one MTA's connection after the negotiation: a net.Conn for go-milter, which sees whole,
// valid commands in their order and no others, and at its side what go-milter does not hand on. Its
// methods are for the goroutine that serves the connection (the callbacks), but for Close, Drain,
// Busy, Context, Done, Err, StartProgress and StopProgress.
type Conn struct {
	framer   *Framer
	agreed   Agreement
	onHeader HeaderSink
	onBody   BodySink

	phase  phase
	client Client
	helo   string
	sender Path
	rcpt   Path
	macros macros

	fromMTA
	toMTA
	progress progress

	busy     atomic.Bool // a message is being looked at
	draining atomic.Bool
	once     sync.Once
	err      error           // why the connection ended; written before ctx ends
	ctx      context.Context // ends with the connection
	cancel   context.CancelFunc
}

// Handshake reads the MTA's offer, intersects it with the wishes and replies. It takes at
// most Limits.Handshake. The error is io.EOF itself if the peer closed the connection
// without sending anything, as monitors do that check whether the port is open. The caller
// closes nc after any error.
func Handshake(nc net.Conn, o Options) (*Conn, error) {
	f := NewFramer(nc, o.Limits)
	offer, err := readOffer(f)
	if err != nil {
		return nil, err
	}
	c := &Conn{framer: f, agreed: Agree(offer, o.Wishes), phase: negotiated}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.progress.every = f.limits.Progress
	if err := f.WritePacket(Negotiate, c.agreed.Data()); err != nil {
		return nil, err
	}
	return c, f.Flush()
}

func readOffer(f *Framer) (Offer, error) {
	code, err := f.next()
	if err != nil {
		return Offer{}, err
	}
	if code != Negotiate {
		return Offer{}, malformed("%v before OPTNEG", code)
	}
	if err := shape(code, f.left); err != nil {
		return Offer{}, err
	}
	data, err := f.rest()
	if err != nil {
		return Offer{}, err
	}
	return ParseOffer(data)
}

// OnHeader has header fields given to sink, instead of to go-milter. It must be called before the
// connection is served.
func (c *Conn) OnHeader(sink HeaderSink) { c.onHeader = sink }

// OnBody passes the body to sink, instead of to go-milter, which allocates every piece and reads it
// only when it is complete. It must be called before the connection is served.
func (c *Conn) OnBody(sink BodySink) { c.onBody = sink }

// Agreement returns what was negotiated.
func (c *Conn) Agreement() Agreement { return c.agreed }

// Client returns the SMTP client, from CONNECT on.
func (c *Conn) Client() Client { return c.client }

// Helo returns the name in the last HELO or EHLO.
func (c *Conn) Helo() string { return c.helo }

// Sender returns the path of MAIL FROM with its arguments.
func (c *Conn) Sender() Path { return c.sender }

// Recipient returns the path of the last RCPT TO with its arguments.
func (c *Conn) Recipient() Path { return c.rcpt }

// Macro returns the value of a macro as it was at a stage, "" if the MTA did not send it: "i",
// "{auth_type}". A message never sees macros of the message before.
func (c *Conn) Macro(s Stage, name string) string {
	value, _ := c.macros.get(s, name)
	return value
}

// Latest returns the value of a macro at the last stage that had it, "" if none had. Postfix's
// {daemon_name} is right at CONNECT and MAIL only: ask for that with Macro.
func (c *Conn) Latest(name string) string { return c.macros.latest(name) }

// Busy reports whether a message is being looked at: from MAIL until its verdict has been written.
func (c *Conn) Busy() bool { return c.busy.Load() }

// Drain ends the connection as soon as no message is being looked at, at once if that is now.
func (c *Conn) Drain() {
	c.draining.Store(true)
	if !c.busy.Load() {
		c.finish(errDrained)
	}
}

// Context returns a context that ends with the connection, for what a callback waits for: the MTA
// may leave, or the connection be closed here, while a message is being judged.
func (c *Conn) Context() context.Context { return c.ctx }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.ctx.Done() }

// Err returns the reason why the connection ended, for the log. It is nil if the MTA sent
// QUIT or closed between two packets, if the connection was closed here, and while it is
// open.
func (c *Conn) Err() error {
	select {
	case <-c.ctx.Done():
		return c.err
	default:
		return nil
	}
}

// Close ends the connection. Answers that have not reached the network are lost, as they must be
// when the filter did not come to a verdict.
func (c *Conn) Close() error {
	c.finish(nil)
	return nil
}

// finish ends the connection, the first time for the reason given.
func (c *Conn) finish(err error) {
	c.once.Do(func() {
		// there is no reader left; a goroutine in the middle of a write is freed
		_ = c.framer.Close()
		c.StopProgress()
		c.busy.Store(false)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errDrained) {
			c.err = err
		}
		c.cancel()
	})
}

// LocalAddr returns the address at which the MTA called.
func (c *Conn) LocalAddr() net.Addr { return c.framer.nc.LocalAddr() }

// RemoteAddr returns the MTA's address.
func (c *Conn) RemoteAddr() net.Addr { return c.framer.nc.RemoteAddr() }

// SetDeadline sets both deadlines of the socket. The guard sets its own before each wait for the
// network, so that this bounds only what is being waited for now.
func (c *Conn) SetDeadline(t time.Time) error { return c.framer.nc.SetDeadline(t) }

// SetReadDeadline is as SetDeadline, for reading.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.framer.nc.SetReadDeadline(t) }

// SetWriteDeadline is as SetDeadline, for writing.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.framer.nc.SetWriteDeadline(t) }
