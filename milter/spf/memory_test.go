package spf

import (
	"context"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// memory answers what a recorder saw.
type memory map[dnstest.Query]remembered

type remembered struct {
	answer dns.Answer
	err    error
}

func (m memory) Lookup(_ context.Context, name string, t dns.Type) (dns.Answer, error) {
	r := m[dnstest.Query{Name: name, Type: t}]
	return r.answer, r.err
}

// recorder passes questions on and remembers the answers.
type recorder struct {
	next dns.Resolver
	seen memory
}

func (r recorder) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	answer, err := r.next.Lookup(ctx, name, t)
	r.seen[dnstest.Query{Name: name, Type: t}] = remembered{answer, err}
	return answer, err
}
