package milter

import (
	"context"
	"sync"
)

// places are what connections need to be served: one each. Who comes when all are taken waits, in
// the order of coming.
type places struct {
	mu      sync.Mutex
	most    int
	taken   int
	waiting []chan struct{} // closed when its owner has a place
}

// tryTake takes a place if there is one and no other waits for it.
func (p *places) tryTake() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.most || len(p.waiting) > 0 {
		return false
	}
	p.taken++
	return true
}

// take waits for a place. It reports false when ctx ended before there was one.
func (p *places) take(ctx context.Context) bool {
	mine := make(chan struct{})
	p.mu.Lock()
	p.waiting = append(p.waiting, mine)
	p.admit()
	p.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
		return p.leave(mine)
	}
}

// leave gives up waiting, and reports whether there was a place all the same.
func (p *places) leave(mine chan struct{}) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.waiting {
		if w == mine {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return false
		}
	}
	return true
}

// give gives a place back.
func (p *places) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.admit()
}

// resize changes how many places there are. With fewer of them no connection ends: places that are
// given back are gone.
func (p *places) resize(most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = most
	p.admit()
}

// admit gives free places to those who wait. The lock is held.
func (p *places) admit() {
	for p.taken < p.most && len(p.waiting) > 0 {
		p.taken++
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
	}
}

func (p *places) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

func (p *places) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}
