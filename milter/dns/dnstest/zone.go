// Package dnstest is a DNS without a network: a Zone answers lookups from a zone file or a map,
// remembers what it was asked, and can be served on loopback to a program under test.
package dnstest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	wire "github.com/miekg/dns"

	"mailseal/milter/dns"
)

// Query is one question that a Zone was asked: the name in lower case without final dot, and the
// type.
type Query struct {
	Name string
	Type dns.Type
}

// String returns the query as "TXT example.com".
func (q Query) String() string { return q.Type.String() + " " + q.Name }

// Zone is the whole DNS of a test. It implements dns.Resolver: CNAMEs are followed, wildcards match
// names that do not exist (RFC 4592), a name above another exists even without records of its own,
// and what is not in the zone is NXDOMAIN, from the root down. The zero Zone has no names. Safe for
// concurrent use; it may change while it serves.
type Zone struct {
	mu      sync.RWMutex
	names   map[string]*node // canonical names of the library's, with the final dot
	secure  bool
	queries []Query
}

// node is one name: its records by type and the types that fail. A node without records is an empty
// non-terminal.
type node struct {
	records map[uint16][]wire.RR
	fails   map[uint16]failure
}

type failure uint8

const (
	servfail failure = iota + 1
	timeout
)

// anyType is the key in node.fails of a name for which every lookup fails.
const anyType uint16 = wire.TypeANY

// Lookup implements dns.Resolver. A name that times out does so at once, with an error that wraps
// dns.ErrTimeout.
func (z *Zone) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if err := ctx.Err(); err != nil {
		return dns.Answer{}, err
	}
	canonical, ok := dns.Canonical(name)
	if !ok {
		return dns.Answer{Status: dns.NXDomain}, nil
	}
	m, ok := z.reply(dns.Question(canonical, t))
	if !ok {
		return dns.Answer{}, fmt.Errorf("%s %s: %w", t, canonical, dns.ErrTimeout)
	}
	a, err := dns.Read(m, canonical, t)
	if err != nil {
		return dns.Answer{}, fmt.Errorf("%s %s: %w", t, canonical, err)
	}
	return a, nil
}

// Queries returns what was asked since the last Reset, in order, whether by Lookup or through a
// Server.
func (z *Zone) Queries() []Query {
	z.mu.RLock()
	defer z.mu.RUnlock()
	return slices.Clone(z.queries)
}

// Reset forgets the queries.
func (z *Zone) Reset() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.queries = nil
}

// SetSecure makes all answers come with AD set, as from a resolver that validated them.
func (z *Zone) SetSecure(secure bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.secure = secure
}

// Replace gives z the names of other in place of its own, in one step: a key rotation, a record
// withdrawn. What was asked so far stays remembered. Other must not be used afterwards.
func (z *Zone) Replace(other *Zone) {
	other.mu.Lock()
	names := other.names
	other.names = nil
	other.mu.Unlock()
	z.mu.Lock()
	defer z.mu.Unlock()
	z.names = names
}

// reply builds the answer to a question; false when the name times out.
func (z *Zone) reply(q *wire.Msg) (*wire.Msg, bool) {
	m := new(wire.Msg).SetReply(q)
	m.RecursionAvailable = true
	name, t := normal(q.Question[0].Name), q.Question[0].Qtype
	z.mu.Lock()
	defer z.mu.Unlock()
	z.queries = append(z.queries, Query{strings.TrimSuffix(name, "."), dns.Type(t)})
	m.AuthenticatedData = z.secure
	return m, z.fill(m, name, t)
}

// maxChase bounds the CNAMEs followed inside the zone: one more than dns.Read follows, so that it
// can be tested.
const maxChase = 17

// fill answers name and type from the zone; false when a name on the way times out.
func (z *Zone) fill(m *wire.Msg, name string, t uint16) bool {
	for range maxChase {
		n := z.find(name)
		if n == nil {
			m.Rcode = wire.RcodeNameError
			z.deny(m, name)
			return true
		}
		switch n.failure(t) {
		case servfail:
			m.Answer, m.Rcode = nil, wire.RcodeServerFailure
			return true
		case timeout:
			return false
		}
		alias := n.records[wire.TypeCNAME]
		if len(n.records[t]) > 0 || len(alias) == 0 {
			m.Answer = append(m.Answer, owned(n.records[t], name)...)
			if len(n.records[t]) == 0 {
				z.deny(m, name)
			}
			return true
		}
		m.Answer = append(m.Answer, owned(alias[:1], name)...)
		name = normal(alias[0].(*wire.CNAME).Target)
	}
	return true
}

// find returns what name is in the zone: its own node, else the wildcard of the nearest name above
// that exists (RFC 4592 section 3.3.1), else nil.
func (z *Zone) find(name string) *node {
	if n := z.names[name]; n != nil {
		return n
	}
	for up := parent(name); up != ""; up = parent(up) {
		if z.names[up] != nil {
			return z.names[wildcard(up)]
		}
	}
	return nil
}

// deny puts the SOA of the nearest zone above name into a negative answer, if the zone has one.
func (z *Zone) deny(m *wire.Msg, name string) {
	for up := name; up != ""; up = parent(up) {
		if n := z.names[up]; n != nil && len(n.records[wire.TypeSOA]) > 0 {
			m.Ns = append(m.Ns, n.records[wire.TypeSOA][0])
			return
		}
	}
}

func (n *node) failure(t uint16) failure {
	if f := n.fails[t]; f != 0 {
		return f
	}
	return n.fails[anyType]
}

// owned returns the records under the name asked for, which differs from their own for a
// wildcard's.
func owned(rrs []wire.RR, name string) []wire.RR {
	out := make([]wire.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = wire.Copy(rr)
		out[i].Header().Name = name
	}
	return out
}

// normal brings a name to the one text form that the library gives to names from the wire: lower
// case, one way to escape.
func normal(name string) string {
	buf := make([]byte, 256)
	name = wire.CanonicalName(name)
	if _, err := wire.PackDomainName(name, buf, 0, nil, false); err != nil {
		return name
	}
	if s, _, err := wire.UnpackDomainName(buf, 0); err == nil {
		return wire.CanonicalName(s)
	}
	return name
}

// parent returns the name one label up, "." above a single label and "" above that.
func parent(name string) string {
	if name == "." {
		return ""
	}
	i, end := wire.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

func wildcard(name string) string {
	if name == "." {
		return "*."
	}
	return "*." + name
}
