package dns

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrBudget is the ErrFailure of a look-up beyond what WithBudget allows.
var ErrBudget = fmt.Errorf("%w: too many look-ups for one message", ErrFailure)

// Budget is a Resolver for one message: so many questions go on to the next one, every later one fails with an error that
// wraps ErrBudget. What a cache answers counts as well: what a message costs must not depend on the mail before it. Safe
// for concurrent use, but for Recall.
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

// WasShort reports whether a question was not asked because this host had nothing left to ask it with: an ErrShortage.
func (b *Budget) WasShort() bool { return b.short.Load() }

// Lookup implements Resolver.
func (b *Budget) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if b.used.Add(1) > int64(b.limit) {
		return Answer{}, fmt.Errorf("%w (%d): %s %s", ErrBudget, b.limit, t, name)
	}
	a, err := b.next.Lookup(ctx, name, t)
	if errors.Is(err, ErrShortage) {
		b.short.Store(true)
	}
	return a, err
}

// Recall calls f and tells whether all that it looked up with the context that it is given, here or in another Budget
// before the same Cache, was remembered by the Cache. If not, what f found is void and has not been counted, and f has
// to be called anew with a context that may wait. It never waits itself; without a Cache f is not called. Nothing else
// may use b meanwhile.
func (b *Budget) Recall(ctx context.Context, f func(context.Context)) bool {
	switch b.next.(type) {
	case *Cache, *Gate:
	default:
		return false
	}
	used := b.used.Load()
	var r recall
	f(context.WithValue(ctx, recallKey{}, &r))
	if r.failed.Load() {
		b.used.Store(used)
		return false
	}
	return true
}

// recall is what a context carries while only remembered answers are wanted.
type recall struct{ failed atomic.Bool }

type recallKey struct{}

// errForgotten is the ErrFailure of a look-up that would have to ask somebody. It never leaves Recall.
var errForgotten = fmt.Errorf("%w: not remembered", ErrFailure)

// mustRecall tells whether a look-up must not ask anybody, and notes that it had to.
func mustRecall(ctx context.Context) bool {
	r, ok := ctx.Value(recallKey{}).(*recall)
	if ok {
		r.failed.Store(true)
	}
	return ok
}

// Limit bounds how many lookups of several resolvers are under way at the same time, for one message. Who waits for it
// waits for lookups of the same message.
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
		return Answer{}, fmt.Errorf("dns: %s %s: %w", t, name, ctx.Err())
	}
}
