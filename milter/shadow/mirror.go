package shadow

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"mailseal/milter/guard"
)

// Why a message is not judged by us, as the log says it.
const (
	whyBusy    = "too many connections at a time"
	whyBehind  = "fell behind"
	whyUnseen  = "the upstream decided before the message was shown"
	whyEnded   = "the connection ended"
	whyPlain   = "the negotiation could not be read"
	whyPanic   = "panic"
	whyStopped = "stopped"
	whyBroken  = "the upstream ended the connection"
)

// item is a packet for the new filter, or, with one of the two codes below, a word to the mirror.
type item struct {
	code guard.Code
	data []byte
	pair *pair // the message that begins, with MAIL
}

// The words, which are no commands of the protocol.
const (
	// the upstream let the message pass, no more of it comes: judge what there is
	finish guard.Code = 1
	// the upstream refused it: no more of it comes, and there is nothing to judge
	forget guard.Code = 2
)

// itemCost is what an item counts beside its octets.
const itemCost = 64

// mirror shows one connection's packets to the new filter, in its own time.
type mirror struct {
	options *Options
	total   *atomic.Int64 // octets in the queues of all mirrors
	log     func(what string, err error)
	release func() // gives the place back; nil: there is none
	running bool   // run will

	mu     sync.Mutex
	queue  []item
	size   int
	over   string // why no more is taken, "" as long as it is
	closed bool   // nothing more comes
	wake   chan struct{}
}

func newMirror(o *Options, total *atomic.Int64) *mirror {
	return &mirror{options: o, total: total, wake: make(chan struct{}, 1)}
}

// offer takes a packet without ever waiting. One for which there is no room ends the mirror: a
// stream with a hole in it is not what the MTA said.
func (m *mirror) offer(code guard.Code, data []byte, p *pair) {
	it := item{code, bytes.Clone(data), p}
	cost := len(data) + itemCost
	m.mu.Lock()
	if m.over == "" && (m.size+cost > m.options.Memory ||
		m.total.Load()+int64(cost) > int64(m.options.TotalMemory)) {
		m.over = whyBehind
	}
	over := m.over
	if over == "" {
		m.queue = append(m.queue, it)
		m.size += cost
		m.total.Add(int64(cost))
	}
	m.mu.Unlock()
	m.rouse()
	if over != "" && p != nil {
		p.giveUp(over)
	}
}

// close says that nothing more comes. What is queued is still judged.
func (m *mirror) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.rouse()
}

func (m *mirror) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take waits for the next item. It is false when there will be none.
func (m *mirror) take(ctx context.Context) (item, bool) {
	for {
		if it, ok, end := m.next(); ok || end {
			return it, ok
		}
		select {
		case <-m.wake:
		case <-ctx.Done():
			m.stop(whyStopped)
			return item{}, false
		}
	}
}

func (m *mirror) next() (it item, ok, end bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over != "" {
		return item{}, false, true
	}
	if len(m.queue) == 0 {
		return item{}, false, m.closed
	}
	it, m.queue[0] = m.queue[0], item{}
	m.queue = m.queue[1:]
	m.pay(len(it.data) + itemCost)
	return it, true, false
}

func (m *mirror) pay(cost int) {
	m.size -= cost
	m.total.Add(-int64(cost))
}

// isEmpty reports whether nothing waits.
func (m *mirror) isEmpty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue) == 0
}

// stop ends the mirror and gives up every message that waits.
func (m *mirror) stop(why string) {
	m.mu.Lock()
	if m.over == "" {
		m.over = why
	}
	why = m.over
	queue := m.queue
	m.queue = nil
	m.pay(m.size)
	m.mu.Unlock()
	for _, it := range queue {
		if it.pair != nil {
			it.pair.giveUp(why)
		}
	}
}

// run shows the new filter what is offered, until close or until the filter cannot follow. spaces
// reports whether values come with their leading space.
func (m *mirror) run(ctx context.Context, spaces bool) {
	v := &replayer{mirror: m, spaces: spaces}
	why := whyEnded
	defer func() {
		if p := recover(); p != nil {
			why = whyPanic
			m.log("panic: a bug in Mailseal, please report this line", fmt.Errorf("%v", p))
		}
		m.stop(why)
		m.mu.Lock()
		why = m.over
		m.mu.Unlock()
		v.leave(why)
	}()
	err := v.watch(ctx, m.options.Judge)
	switch {
	case ctx.Err() != nil:
		why = whyStopped
	case err != nil:
		why = "our filter: " + err.Error()
		m.log("Mailseal stopped judging a connection; its mail is not affected", err)
	}
}

// Dial opens a connection to the new filter.
type Dial func(ctx context.Context) (net.Conn, error)
