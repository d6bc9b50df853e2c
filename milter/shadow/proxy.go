package shadow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/milter/guard"
)

// Options configure a Proxy. Upstream, Judge and Recorder are required.
type Options struct {
	Upstream Dial // the old milter
	Judge    Dial // the new one, of which the MTA gets nothing
	Recorder *Recorder
	Log      *slog.Logger // of what goes wrong; nil: nowhere

	// connections that are judged at a time; others are only handed on; 0: 200
	Judged      int
	Memory      int           // octets that wait to be judged, of one connection; 0: 8 MiB
	TotalMemory int           // of all connections; 0: 64 MiB
	Patience    time.Duration // for an answer of the new milter; 0: 1 min
	// for reaching the upstream; 0: 30 s, Postfix's milter_connect_timeout
	Connect time.Duration
	// after being told to stop: connections without a message are served for so long; 0: 30 s,
	// below 0: none
	DrainSoft time.Duration
	// after being told to stop: all connections end; 0: 60 s, below 0: at once; never before
	// DrainSoft
	DrainHard time.Duration
}

func (o Options) filled() Options {
	o.Judged = cmp.Or(o.Judged, 200)
	o.Memory = cmp.Or(o.Memory, 8<<20)
	o.TotalMemory = cmp.Or(o.TotalMemory, 64<<20)
	o.Patience = cmp.Or(o.Patience, time.Minute)
	o.Connect = cmp.Or(o.Connect, 30*time.Second)
	o.DrainSoft = cmp.Or(o.DrainSoft, 30*time.Second)
	o.DrainHard = max(cmp.Or(o.DrainHard, time.Minute), o.DrainSoft)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Proxy serves MTAs in front of an upstream.
type Proxy struct {
	options Options
	slots   chan struct{} // one for each connection that is judged
	memory  atomic.Int64
	wg      sync.WaitGroup  // connections and mirrors
	hard    context.Context // ends when all connections are to
	cut     func()

	mu      sync.Mutex
	conns   map[*relay]struct{}
	leaving bool // connections end with their message

	muSaid sync.Mutex
	said   map[string]time.Time // what trouble was told, and when
}

// New returns a Proxy.
func New(o Options) *Proxy {
	o = o.filled()
	p := &Proxy{options: o, slots: make(chan struct{}, o.Judged), conns: map[*relay]struct{}{},
		said: map[string]time.Time{}}
	p.hard, p.cut = context.WithCancel(context.Background())
	return p
}

// Close ends all connections at once, for those who cannot wait for Serve to drain.
func (p *Proxy) Close() { p.cut() }

// Serve serves the MTAs that connect to l until ctx ends. Then it closes l and drains: open
// connections continue; after Options.DrainSoft it closes those without a message, and the others
// as soon as their message has its verdict; after Options.DrainHard it closes all. It returns when
// all connections are closed and all waiting messages are judged. A Proxy serves once.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	defer p.cut()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	err := p.accept(ctx, l)
	ended := make(chan struct{})
	go func() {
		p.wg.Wait()
		close(ended)
	}()
	for _, phase := range []struct {
		after time.Duration
		end   func()
	}{{p.options.DrainSoft, p.leave}, {p.options.DrainHard - p.options.DrainSoft, p.cut}} {
		select {
		case <-ended:
			return err
		case <-time.After(phase.after):
			phase.end()
		}
	}
	<-ended
	return err
}

// pause follows a connection that could not be accepted, as with too many open files.
const pause = 50 * time.Millisecond

func (p *Proxy) accept(ctx context.Context, l net.Listener) error {
	for {
		mta, err := l.Accept()
		switch {
		case err == nil:
			p.wg.Go(func() { p.serve(p.hard, mta) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			p.trouble("a connection of the MTA cannot be accepted", err)
			time.Sleep(pause)
		}
	}
}

// serve serves one MTA's connection. Without the upstream it is closed, as if nothing listened
// here: what happens to the mail is for the MTA's configuration to say.
func (p *Proxy) serve(ctx context.Context, mta net.Conn) {
	defer mta.Close()
	defer p.recover()
	left, cancel := untilLeft(ctx, mta)
	defer cancel()
	upstream, err := p.reach(left)
	if err != nil {
		p.options.Recorder.unreached(err)
		p.trouble("the old milter (--upstream) cannot be reached, so the connection of the MTA is closed", err)
		return
	}
	defer upstream.Close()
	c := newRelay(mta, upstream, p.options.Recorder)
	c.log, c.why = p.trouble, whyBusy
	defer p.attach(c)()
	defer context.AfterFunc(left, c.close)()
	if c.negotiate() == nil {
		defer p.reflect(ctx, c)()
		c.serve()
	}
}

// reach connects to the upstream.
func (p *Proxy) reach(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.options.Connect)
	defer cancel()
	upstream, err := p.options.Upstream(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errLeft) {
		return nil, errLeft
	}
	return upstream, err
}

func (p *Proxy) recover() {
	if v := recover(); v != nil {
		p.trouble("panic: a bug in Mailseal, please report this line", panicError(v))
	}
}

// attach keeps book of a connection and gives it a mirror if there is a place for one.
func (p *Proxy) attach(c *relay) (detach func()) {
	p.mu.Lock()
	p.conns[c] = struct{}{}
	c.leaving.Store(p.leaving)
	p.mu.Unlock()
	m := newMirror(&p.options, &p.memory)
	m.log = p.trouble
	select {
	case p.slots <- struct{}{}:
		c.mirror, m.release = m, func() { <-p.slots }
	default:
	}
	return func() {
		p.detach(c)
		if m.release != nil && !m.running {
			m.release()
		}
	}
}

// reflect runs a connection's mirror, now that it is known what the MTA shows.
func (p *Proxy) reflect(ctx context.Context, c *relay) (end func()) {
	m := c.mirror
	if m == nil {
		return func() {}
	}
	m.running = true
	p.wg.Go(func() {
		defer m.release()
		m.run(ctx, c.agreed.mta.Has(guard.LeadingSpace))
	})
	return m.close
}

func (p *Proxy) detach(c *relay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// leave ends the connections that have no message, and the others after theirs.
func (p *Proxy) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaving = true
	for c := range p.conns {
		c.leave()
	}
}

// The same trouble is told once in a while, not for every connection, and no more kinds of it are
// remembered than that.
const (
	quietFor  = time.Minute
	quietMost = 100
)

func (p *Proxy) trouble(what string, err error) {
	if p.isNews(what+": "+err.Error(), time.Now()) {
		p.options.Log.Warn(what, "error", err)
	}
}

func (p *Proxy) isNews(trouble string, now time.Time) bool {
	p.muSaid.Lock()
	defer p.muSaid.Unlock()
	if said, known := p.said[trouble]; known && now.Sub(said) < quietFor {
		return false
	}
	if len(p.said) >= quietMost {
		clear(p.said)
	}
	p.said[trouble] = now
	return true
}

func panicError(v any) error { return fmt.Errorf("panic: %v", v) }
