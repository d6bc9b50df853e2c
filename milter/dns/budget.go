package dns

import (
	"context"
	"fmt"
	"sync/atomic"
)

// ErrBudget is the ErrFailure of a look-up beyond what WithBudget allows.
var ErrBudget = fmt.Errorf("%w: too many look-ups for one message", ErrFailure)

// WithBudget returns a Resolver for one message: the first n questions go to r, every later one fails with an error that
// wraps ErrBudget. What a cache answers counts as well: what a message costs must not depend on the mail before it. Safe
// for concurrent use.
func WithBudget(r Resolver, n int) Resolver {
	return &budget{next: r, limit: n}
}

type budget struct {
	next  Resolver
	limit int
	used  atomic.Int64
}

func (b *budget) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if b.used.Add(1) > int64(b.limit) {
		return Answer{}, fmt.Errorf("%w (%d): %s %s", ErrBudget, b.limit, t, name)
	}
	return b.next.Lookup(ctx, name, t)
}
