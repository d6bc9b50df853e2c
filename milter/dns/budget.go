package dns

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrBudget is the ErrFailure of a lookup beyond what WithBudget allows.
var ErrBudget = fmt.Errorf("%w: too many lookups for one message", ErrFailure)

// Budget is a Resolver for one message. It passes a limited number of lookups to the next Resolver;
// each further one fails with an error that wraps ErrBudget. Lookups that a cache answers count,
// too, so that the limit does not depend on earlier mail. It is safe for concurrent use.
type Budget struct {
	next  Resolver
	limit int
	used  atomic.Int64
	short atomic.Bool
}

// WithBudget returns a Budget of n questions to r.
func WithBudget(r Resolver, n int) *Budget {
	return &Budget{next: r, limit: n}
}

// WasShort reports whether a question was not asked because this host had nothing left to ask it
// with: an ErrShortage.
func (b *Budget) WasShort() bool { return b.short.Load() }

// Lookup implements Resolver.
func (b *Budget) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if b.used.Add(1) > int64(b.limit) {
		return Answer{}, fmt.Errorf("%w (%d): %s %s", ErrBudget, b.limit, t, name)
	}
	if !isCache(b.next) {
		announceWait(ctx)
	}
	a, err := b.next.Lookup(ctx, name, t)
	if errors.Is(err, ErrShortage) {
		b.short.Store(true)
	}
	return a, err
}

// isCache reports whether a resolver remembers answers, and so announces its waits itself.
func isCache(r Resolver) bool {
	switch r.(type) {
	case *Cache, *Gate:
		return true
	}
	return false
}

// BeforeWait returns a context with which a lookup calls f before it waits for an answer that is
// not remembered. F is called at most once, by the first such lookup through a Budget.
func BeforeWait(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, waitKey{}, &wait{call: f})
}

type waitKey struct{}

type wait struct {
	called atomic.Bool
	call   func()
}

// announceWait calls what BeforeWait has put into ctx.
func announceWait(ctx context.Context) {
	if w, ok := ctx.Value(waitKey{}).(*wait); ok && !w.called.Swap(true) {
		w.call()
	}
}

// Limit bounds how many lookups of several resolvers are in progress at the same time, for one
// message. A lookup waits only for other lookups of the same message.
type Limit struct{ places chan struct{} }

// NewLimit returns a Limit of n lookups at the same time.
func NewLimit(n int) Limit { return Limit{make(chan struct{}, n)} }

// Of returns a Resolver that asks r within the limit.
func (l Limit) Of(r Resolver) Resolver { return limited{l, r} }

type limited struct {
	limit Limit
	next  Resolver
}

// Lookup implements Resolver.
func (l limited) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	select {
	case l.limit.places <- struct{}{}:
		defer func() { <-l.limit.places }()
		return l.next.Lookup(ctx, name, t)
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("%s %s: %w", t, name, ctx.Err())
	}
}
