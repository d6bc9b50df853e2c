package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	wire "github.com/miekg/dns"
)

// errMalformed is the cause of a reply with our id that cannot be read.
var errMalformed = fmt.Errorf("%w: the reply cannot be read", ErrFailure)

// packets are buffers for UDP replies; larger than what we ask for, since servers may have their
// own mind.
var packets = sync.Pool{New: func() any { return new([4096]byte) }}

// overUDP sends the query from a new socket, so that the kernel picks a random port and
// drops packets from other addresses, and waits for the reply. Replies with other IDs or
// questions are guesses of an attacker: they are ignored, and the wait continues.
func (c *Client) overUDP(ctx context.Context, addr string, q *wire.Msg) (*wire.Msg, error) {
	packed, err := q.Pack()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailure, err)
	}
	conn, stop, err := dial(ctx, "udp", addr, packed)
	if err != nil {
		return nil, err
	}
	defer stop()
	defer c.sendAgain(conn, packed)()
	buf := packets.Get().(*[4096]byte)
	defer packets.Put(buf)
	for {
		n, err := conn.Read(buf[:])
		if err != nil {
			return nil, err
		}
		if m, err := parse(buf[:n], q); err == nil || errors.Is(err, errMalformed) {
			return m, err
		}
	}
}

// defaultResend is where the options say nothing. A server on this host or beside it answers what
// it knows in milliseconds; one that has to ask others first recognises a query that it has
// already.
const defaultResend = 300 * time.Millisecond

// sendAgain sends the same packet from the same socket again and again while no reply comes, each
// time after twice the wait of before, until stop is called. A datagram is lost without a word when
// the buffer of a server's socket is full, as it is when many messages begin at the same moment;
// without this, mail would wait for the whole timeout of a query. Chance makes each wait longer, up
// to twice as long, so that the queries that were lost together do not come back together.
func (c *Client) sendAgain(conn net.Conn, packed []byte) (stop func()) {
	var mu sync.Mutex // guards timer, which may be due before AfterFunc has returned it
	var timer *time.Timer
	wait := c.resend
	withChance := func() time.Duration { return wait + rand.N(wait) }
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(withChance(), func() {
		if _, err := conn.Write(packed); err != nil {
			return // the reader finds out why
		}
		c.Counters.Resent.Add(1)
		wait *= 2
		mu.Lock()
		defer mu.Unlock()
		timer.Reset(withChance())
	})
	return func() { timer.Stop() }
}

// overTCP asks on a new connection (RFC 7766).
func overTCP(ctx context.Context, addr string, q *wire.Msg) (*wire.Msg, error) {
	packed, err := q.Pack()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailure, err)
	}
	packed = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	conn, stop, err := dial(ctx, "tcp", addr, packed)
	if err != nil {
		return nil, err
	}
	defer stop()
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, fmt.Errorf("over TCP: %w", err)
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, fmt.Errorf("over TCP: %w", err)
	}
	m, err := parse(buf, q)
	if err == nil && m.Truncated {
		return nil, fmt.Errorf("%w: truncated over TCP", ErrFailure)
	}
	return m, err
}

// dial connects and sends the query. The end of ctx ends all reads and writes; stop closes the
// connection.
func dial(ctx context.Context, network, addr string, packed []byte) (net.Conn, func(), error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, nil, err
	}
	release := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	stop := func() {
		release()
		conn.Close()
	}
	if _, err := conn.Write(packed); err != nil {
		stop()
		return nil, nil, err
	}
	return conn, stop, nil
}

var errNotOurs = errors.New("a reply to another question")

// parse reads a reply and makes sure that it answers q.
func parse(packet []byte, q *wire.Msg) (*wire.Msg, error) {
	if len(packet) < 12 || binary.BigEndian.Uint16(packet) != q.Id {
		return nil, errNotOurs
	}
	m := new(wire.Msg)
	if err := m.Unpack(packet); err != nil && !m.Truncated {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if !m.Response || m.Opcode != wire.OpcodeQuery || !sameQuestion(m, q) {
		return nil, errNotOurs
	}
	return m, nil
}

// sameQuestion compares without regard to case. A server that refuses may leave the question out.
func sameQuestion(m, q *wire.Msg) bool {
	if len(m.Question) == 0 {
		return m.Rcode != wire.RcodeSuccess && m.Rcode != wire.RcodeNameError
	}
	got, want := m.Question[0], q.Question[0]
	return len(m.Question) == 1 && strings.EqualFold(got.Name, want.Name) &&
		got.Qtype == want.Qtype && got.Qclass == want.Qclass
}
