package milter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/milter/guard"
)

// Options are the initial options of a Server. The zero value is usable. Adjust changes all
// of them except Log and Metrics.
type Options struct {
	Connections int          // open at once; more wait for others to end; 0: 1000
	Limits      guard.Limits // of each connection
	// after being told to stop: connections without a message are served for so long; 0: 30 s,
	// below 0: none
	DrainSoft time.Duration
	// the most that DrainSoft may be where no listener is systemd's, so that no one listens while
	// the Server drains; 0: 1 s
	DrainAlone time.Duration
	// after being told to stop: all connections end; 0: 60 s, below 0: at once; never before
	// DrainSoft
	DrainHard time.Duration
	Log       *slog.Logger // nil: nowhere
	Metrics   Metrics      // nil: nowhere
}

const (
	defaultConnections = 1000
	defaultDrainSoft   = 30 * time.Second
	defaultDrainAlone  = time.Second
	defaultDrainHard   = time.Minute
	defaultGrace       = 5 * time.Second
)

// Server serves a filter on any number of listeners.
type Server struct {
	options  atomic.Pointer[Options]
	log      logger
	metrics  Metrics
	settings atomic.Pointer[Settings]
	places   places // one for each open connection
	warned   hourly // limits the warnings about signatures that may break
	expected expected

	wg    sync.WaitGroup // connections, and what accepts them
	mu    sync.Mutex
	ctx   context.Context // of Serve; nil before
	lns   map[*Listener]struct{}
	conns map[*guard.Conn]*Listener
	phase phase
	grace time.Duration // what goroutines get to end after their connections were closed
}

// phase is how far a Server is on its way to the end.
type phase int

const (
	serving phase = iota
	draining
	closed
)

// New returns a Server that begins with the given settings.
func New(o Options, s Settings) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	srv := &Server{log: logger{o.Log}, metrics: o.Metrics, grace: defaultGrace}
	srv.conns, srv.lns = map[*guard.Conn]*Listener{}, map[*Listener]struct{}{}
	srv.Adjust(o)
	srv.Reload(s)
	return srv
}

// Adjust applies new limits: Connections and the times to drain at once, Limits to new connections.
// Log and Metrics stay.
func (s *Server) Adjust(o Options) {
	o.Connections = cmp.Or(max(o.Connections, 0), defaultConnections)
	o.DrainSoft = cmp.Or(o.DrainSoft, defaultDrainSoft)
	o.DrainAlone = cmp.Or(o.DrainAlone, defaultDrainAlone)
	o.DrainHard = max(cmp.Or(o.DrainHard, defaultDrainHard), o.DrainSoft)
	s.options.Store(&o)
	s.places.resize(o.Connections)
}

// Reload puts new settings into effect for every message that begins from now on. No connection
// notices.
func (s *Server) Reload(settings Settings) { s.settings.Store(settings.filled()) }

// ErrDrain means that some connections had not ended in time when the Server was stopped.
var ErrDrain = errors.New("connections did not end")

// Serve serves on the listeners until ctx ends. Then it closes them, which removes their sockets,
// and drains: open connections are served on; after Options.DrainSoft, at most Options.DrainAlone
// where no listener is systemd's, those without a message are closed, and the others as soon as
// theirs has its verdict; after Options.DrainHard all are. The error is nil or wraps ErrDrain. A
// Server serves once.
func (s *Server) Serve(ctx context.Context, listeners ...*Listener) error {
	s.mu.Lock()
	s.ctx = ctx
	early := slices.Collect(maps.Keys(s.lns))
	clear(s.lns)
	s.mu.Unlock()
	for _, l := range append(early, listeners...) {
		s.Add(l)
	}
	<-ctx.Done()
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.lns))
	clear(s.lns)
	s.mu.Unlock()
	for _, l := range open {
		s.closeListener(l)
	}
	return s.drain(s.options.Load().softTime(open))
}

// softTime is how long connections may go on with further messages after some listeners were
// closed. Where none is left, every new SMTP session is deferred until we are back. A socket of
// systemd's goes on listening, so that nothing is lost by waiting longer.
func (o *Options) softTime(closed []*Listener) time.Duration {
	if slices.ContainsFunc(closed, (*Listener).isInherited) {
		return o.DrainSoft
	}
	return min(o.DrainSoft, o.DrainAlone)
}

// Add serves one more listener, which the Server closes when Serve ends. Before Serve, the listener
// is kept until Serve begins; after the end of Serve, it is closed at once.
func (s *Server) Add(l *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := s.ctx
	if ctx == nil {
		s.lns[l] = struct{}{}
		return
	}
	if ctx.Err() != nil {
		s.closeListener(l)
		return
	}
	s.lns[l] = struct{}{}
	s.log.listening(l)
	s.wg.Go(func() { s.accept(ctx, l) })
}

// Remove closes a listener. Connections that came in there are served on.
func (s *Server) Remove(l *Listener) {
	s.mu.Lock()
	_, isServed := s.lns[l]
	delete(s.lns, l)
	s.mu.Unlock()
	if isServed {
		s.closeListener(l)
		s.log.closedListener(l)
	}
}

func (s *Server) closeListener(l *Listener) {
	if err := l.Close(); err != nil {
		s.log.Warn("a listening socket cannot be closed", "on", l.String(), "error", err)
	}
}

// Close ends all connections at once, for those who cannot wait for Serve to drain. Their messages
// are tempfailed by the MTA, if it is configured so.
func (s *Server) Close() { s.enter(closed, (*guard.Conn).Close) }

// drain returns when all connections have ended.
func (s *Server) drain(soft time.Duration) error {
	idle := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(idle)
	}()
	s.log.draining(s.open())
	o := s.options.Load()
	if isDone(idle, soft) {
		return nil
	}
	s.log.drained("idle", s.open())
	s.enter(draining, func(c *guard.Conn) error { c.Drain(); return nil })
	if isDone(idle, o.DrainHard-soft) {
		return nil
	}
	s.log.drained("all", s.open())
	s.Close()
	if isDone(idle, s.grace) {
		return nil
	}
	return fmt.Errorf("%w: %d of them", ErrDrain, s.open())
}

// isDone waits for idle, or for a time.
func isDone(idle <-chan struct{}, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-idle:
		return true
	case <-t.C:
		return false
	}
}

// enter goes on to a phase, in which each connection is to be ended in a certain way.
func (s *Server) enter(p phase, end func(*guard.Conn) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = max(s.phase, p)
	for c := range s.conns {
		_ = end(c) // the client is gone
	}
}

// add keeps book of a connection, which ends at once if it comes too late.
func (s *Server) add(c *guard.Conn, l *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = l
	switch s.phase {
	case draining:
		c.Drain()
	case closed:
		_ = c.Close()
	}
}

func (s *Server) remove(c *guard.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Listening returns the names of the listeners that are served, sorted.
func (s *Server) Listening() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{}
	for l := range s.lns {
		out = append(out, l.String())
	}
	slices.Sort(out)
	return out
}

// Peer is where MTAs connect from.
type Peer struct {
	Listener    string // where they connect to
	Address     string // an IP address, or "local" for a unix socket
	Connections int
	Busy        int // of them, those with a message in progress
}

// Peers returns who is connected, those with the most connections first.
func (s *Server) Peers() []Peer {
	type place struct{ listener, address string }
	found := map[place]Peer{}
	s.mu.Lock()
	for c, l := range s.conns {
		at := place{l.String(), hostOf(c)}
		p := found[at]
		p.Listener, p.Address = at.listener, at.address
		p.Connections++
		if c.Busy() {
			p.Busy++
		}
		found[at] = p
	}
	s.mu.Unlock()
	return slices.SortedFunc(maps.Values(found), func(a, b Peer) int {
		return cmp.Or(b.Connections-a.Connections, cmp.Compare(a.Listener, b.Listener),
			cmp.Compare(a.Address, b.Address))
	})
}

// hostOf is a peer without its port.
func hostOf(nc net.Conn) string {
	name := peerName(nc)
	if host, _, err := net.SplitHostPort(name); err == nil {
		return host
	}
	return name
}

func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// The pauses after a connection could not be accepted, doubled each time.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// accept serves one listener until that is closed. Any other error, such as too many open files,
// passes: it pauses and goes on.
func (s *Server) accept(ctx context.Context, l *Listener) {
	pause := firstPause
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = firstPause
			s.start(ctx, l, nc)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			s.metrics.Event(AcceptError)
			s.log.acceptFailed(l, err, pause)
			isDone(ctx.Done(), pause)
			pause = min(2*pause, lastPause)
		}
	}
}

// start serves a connection, once there is a place for it. Until then its MTA waits for the answer
// to its offer, and those behind it in the kernel's backlog.
func (s *Server) start(ctx context.Context, l *Listener, nc net.Conn) {
	if s.places.tryTake() {
		l.full = false
	} else {
		s.full(l)
		if !s.places.take(ctx) {
			_ = nc.Close() // the MTA has not been heard yet; it will call again
			return
		}
	}
	s.wg.Add(1) // release has the place given back
	go s.serve(l, nc)
}

// full counts a connection that has to wait, and says so if the one before it had not.
func (s *Server) full(l *Listener) {
	s.metrics.Event(AtLimit)
	if !l.full {
		l.full = true
		s.log.atLimit(l, s.places.size())
	}
}
