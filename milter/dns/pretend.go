package dns

import (
	"context"
	"strings"
)

// Pretend answers for the TXT records of one name as if Text were published there and nothing else,
// and for all other names as Resolver does. It shows what a record would do before it is published.
type Pretend struct {
	Resolver
	Name, Text string
}

// Lookup implements Resolver.
func (p Pretend) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if t == TXT && strings.EqualFold(strings.TrimSuffix(name, "."), p.Name) {
		return Answer{Status: Found, Texts: []string{p.Text}}, nil
	}
	return p.Resolver.Lookup(ctx, name, t)
}
