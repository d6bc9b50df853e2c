package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	wire "github.com/miekg/dns"
)

// Options say how a Client asks. The zero value asks the servers of /etc/resolv.conf.
type Options struct {
	Servers []string // "192.0.2.1", "[2001:db8::1]:5353"; none: those of ResolvConf
	// who is asked for what aliases lead to, where a reply leaves that out; nil: the same servers
	Targets    Resolver
	ResolvConf string // "" means /etc/resolv.conf; read again within 5 s of a change
	// for one query to one server, TCP after truncation included; 0: as resolv.conf says, else 5 s
	Timeout time.Duration
	Tries   int // rounds over the servers; 0: as resolv.conf says, else 2
	// how long a query over UDP waits before it is sent again; 0: 0.3 s
	Resend time.Duration
	// queries in progress at once, a socket each; more fail with ErrShortage. 0 means 4096
	Concurrency int
	Now         func() time.Time // nil means time.Now
	// asks validating resolvers not to validate (the CD bit, RFC 4035 section 3.2.2): then they
	// answer names that they refuse as bogus. It is for finding out why there is no answer,
	// never for trusting one.
	Unchecked bool
}

// Client asks DNS servers, in the order given, over UDP and, when a reply is truncated, TCP. It
// implements Resolver and remembers only which servers are dead. Safe for concurrent use.
type Client struct {
	Counters ClientCounters

	servers servers
	timeout time.Duration
	tries   int
	resend  time.Duration
	targets Resolver
	places  chan struct{}
	now     func() time.Time

	unchecked bool
}

// ClientCounters count since the start of the program.
type ClientCounters struct {
	Queries   atomic.Uint64 // sent over UDP
	Resent    atomic.Uint64 // queries sent once more, since no reply had come
	Truncated atomic.Uint64 // replies that sent us to TCP
	Timeouts  atomic.Uint64 // queries that no reply came to in time
}

// New returns a Client. The error names the server that is not an IP address, or the reason
// why resolv.conf cannot be read. If there is no resolv.conf, or no server in it, the
// Client queries 127.0.0.1, as the C library does.
func New(o Options) (*Client, error) {
	c := &Client{
		timeout: o.Timeout,
		tries:   o.Tries,
		resend:  cmp.Or(max(0, o.Resend), defaultResend),
		targets: o.Targets,
		now:     o.Now,

		unchecked: o.Unchecked,
	}
	if c.now == nil {
		c.now = time.Now
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 4096 // the Gate before us is what shares them out
	}
	c.places = make(chan struct{}, o.Concurrency)
	return c, c.servers.configure(o)
}

// The timeout of a query and the rounds over the servers, where neither the options nor resolv.conf
// say otherwise.
const (
	defaultTimeout = 5 * time.Second
	defaultTries   = 2
)

// patience is how long a query may take, and how often the servers are asked: as the options say,
// else as resolv.conf does.
func (c *Client) patience() (timeout time.Duration, tries int) {
	said := c.servers.said(c.now())
	timeout = cmp.Or(max(0, c.timeout), said.timeout, defaultTimeout)
	tries = cmp.Or(max(0, c.tries), said.attempts, defaultTries)
	return timeout, tries
}

// maxQuestions bounds how often a lookup asks again for what an alias leads to. Servers that leave
// out the target are few; a chain of several, each of which does so, is a trap.
const maxQuestions = 8

// Lookup implements Resolver. A server that does not answer, or answers with a failure, is followed
// by the next one; NXDOMAIN and no data are answers. In the second round only those are asked again
// that gave no answer at all. Where a reply holds an alias and nothing about its target, that is
// asked for.
func (c *Client) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	a, rest, err := c.part(ctx, name, t)
	for asked := 1; err == nil && rest != ""; asked++ {
		if asked == maxQuestions {
			return Answer{}, fmt.Errorf("%w: %s %s: more than %d aliases without their targets",
				ErrFailure, t, name, maxQuestions-1)
		}
		a, rest, err = c.chase(ctx, a, rest, t)
	}
	if err != nil {
		return Answer{}, err
	}
	return a, nil
}

// chase puts what a name at the end of some aliases holds in place of an answer that does not say
// so.
func (c *Client) chase(ctx context.Context, before Answer, name string, t Type) (a Answer,
	rest string, err error) {
	if c.targets != nil {
		a, err = c.targets.Lookup(ctx, name, t)
	} else {
		a, rest, err = c.part(ctx, name, t)
	}
	if err != nil {
		return Answer{}, "", err
	}
	if len(before.Aliases)+len(a.Aliases) > maxAliases {
		return Answer{}, "", errAliases
	}
	a.Aliases = slices.Concat(before.Aliases, a.Aliases)
	a.Secure = a.Secure && before.Secure
	a.TTL = min(a.TTL, before.TTL)
	return a, rest, nil
}

// part asks the servers about one name. Rest is a name that is still to be asked for, "" when the
// answer is whole.
func (c *Client) part(ctx context.Context, name string, t Type) (a Answer, rest string, err error) {
	canonical, ok := Canonical(name)
	if !ok {
		return Answer{Status: NXDomain}, "", nil
	}
	failed := &lookupError{name: canonical, typ: t}
	order := c.servers.order(c.now())
	timeout, tries := c.patience()
	for range tries {
		var silent []*server
		for _, s := range order {
			a, rest, err := c.ask(ctx, s, timeout, canonical, t)
			if err == nil {
				return a, rest, nil
			}
			if errors.Is(err, ErrShortage) {
				return Answer{}, "", fmt.Errorf("%w (%s %s)", err, t, canonical)
			}
			if ctx.Err() != nil {
				return Answer{}, "", fmt.Errorf("%s %s: %w", t, canonical, ctx.Err())
			}
			failed.add(s.addr, err)
			if isSilence(err) {
				silent = append(silent, s)
			}
		}
		order = silent
	}
	return Answer{}, "", failed
}

// ask puts the question to one server and keeps in mind whether it is alive.
func (c *Client) ask(
	ctx context.Context,
	s *server,
	timeout time.Duration,
	name string,
	t Type,
) (a Answer, rest string, err error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	default:
		return Answer{}, "", fmt.Errorf("%w: %d queries are in progress", ErrShortage,
			cap(c.places))
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.queries.Add(1)
	began := time.Now()
	question := Question(name, t)
	question.CheckingDisabled = c.unchecked
	m, err := c.exchange(limited, s.addr, question)
	switch {
	case err == nil:
		s.alive()
		s.replied(time.Since(began))
		return readPart(m, name, t)
	case isShortage(err):
		err = fmt.Errorf("%w: %w", ErrShortage, err)
	case ctx.Err() == nil && isSilence(err):
		s.silent.Add(1)
		s.dead(c.now())
	}
	return Answer{}, "", err
}

// exchange asks over UDP, over TCP when the reply is truncated, and without EDNS when the server
// does not know that (RFC 6891 section 7).
func (c *Client) exchange(ctx context.Context, addr string, q *wire.Msg) (*wire.Msg, error) {
	c.Counters.Queries.Add(1)
	m, err := c.overUDP(ctx, addr, q)
	if err == nil && len(q.Extra) > 0 && (m.Rcode == wire.RcodeFormatError ||
		m.Rcode == wire.RcodeNotImplemented) {
		q.Extra = nil
		return c.exchange(ctx, addr, q)
	}
	if err == nil && m.Truncated {
		c.Counters.Truncated.Add(1)
		m, err = overTCP(ctx, addr, q)
	}
	if isTimeout(err) {
		c.Counters.Timeouts.Add(1)
		return nil, ErrTimeout
	}
	return m, err
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// isShortage recognises the errors of sockets that tell of this host and not of the server: no
// descriptor or memory is left.
func isShortage(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// isSilence tells the failure to get an answer from an answer that is a failure.
func isSilence(err error) bool {
	return !errors.Is(err, ErrFailure) || errors.Is(err, ErrTimeout)
}

// lookupError lists for each server why it gave no answer.
type lookupError struct {
	name   string
	typ    Type
	causes []string
	heard  bool // some server gave a reason
}

func (e *lookupError) add(addr string, err error) {
	e.heard = e.heard || !errors.Is(err, ErrTimeout)
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the addresses of the socket tell nothing
	}
	cause := addr + ": " + strings.TrimPrefix(err.Error(), ErrFailure.Error()+": ")
	if len(e.causes) == 0 || e.causes[len(e.causes)-1] != cause {
		e.causes = append(e.causes, cause)
	}
}

// Error returns a text such as "dns: lookup failed: TXT example.com: 192.0.2.1:53: SERVFAIL".
func (e *lookupError) Error() string {
	return fmt.Sprintf("%v: %s %s: %s", ErrFailure, e.typ, e.name, strings.Join(e.causes, "; "))
}

func (e *lookupError) Unwrap() error {
	if e.heard {
		return ErrFailure
	}
	return ErrTimeout
}
