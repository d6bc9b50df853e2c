package domains

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"mailseal/milter/dns"
)

// question is a name in lower case without final dot, and a type.
type question struct {
	name string
	kind dns.Type
}

// reply is the reply of the DNS to a question.
type reply struct {
	answer dns.Answer
	err    error
}

// memory looks up each question once, and remembers the reply.
type memory struct {
	next    dns.Resolver
	mu      sync.Mutex
	known   map[question]reply
	guessed map[question]bool // failures that do not cause findings
	queries int
}

func newMemory(next dns.Resolver) *memory {
	return &memory{next: next, known: map[question]reply{}, guessed: map[question]bool{}}
}

// guess looks up a name at which something may be by a slip, and needs not be. A failure is not
// listed, unless the same is looked up otherwise, too.
func (m *memory) guess(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	q := question{strings.ToLower(strings.TrimSuffix(name, ".")), t}
	m.mu.Lock()
	_, isKnown := m.known[q]
	m.mu.Unlock()
	a, err := m.Lookup(ctx, name, t)
	if err != nil && !isKnown {
		m.mu.Lock()
		m.guessed[q] = true
		m.mu.Unlock()
	}
	return a, err
}

// Lookup implements dns.Resolver.
func (m *memory) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	q := question{strings.ToLower(strings.TrimSuffix(name, ".")), t}
	m.mu.Lock()
	r, isKnown := m.known[q]
	delete(m.guessed, q)
	m.mu.Unlock()
	if isKnown {
		return r.answer, r.err
	}
	r.answer, r.err = m.next.Lookup(ctx, name, t)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[q] = r
	m.queries++
	return r.answer, r.err
}

// failure is a question that was not answered.
type failure struct {
	question
	err error
}

func (m *memory) failures() []failure {
	var out []failure
	for _, q := range m.questions() {
		if r := m.known[q]; r.err != nil && !m.guessed[q] {
			out = append(out, failure{q, r.err})
		}
	}
	return out
}

// failedBelow reports whether a name below another one got no answer.
func (m *memory) failedBelow(above string) bool {
	for q, r := range m.known {
		if r.err != nil && !m.guessed[q] && within(q.name, above) {
			return true
		}
	}
	return false
}

func (m *memory) questions() []question {
	return slices.SortedFunc(maps.Keys(m.known), func(a, b question) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	})
}

// seen lists the answers that hold something, and those that failed, by name and type; and apart
// the questions to which there is nothing. What answers say of DNSSEC is repeated where it is
// trusted only.
func (m *memory) seen(trusted bool) (out, absent []Seen) {
	for _, q := range m.questions() {
		r := m.known[q]
		s := Seen{
			Name:   q.name,
			Type:   q.kind.String(),
			Status: r.answer.Status.String(),
			Values: values(r.answer),
			Secure: trusted && r.answer.Secure,
		}
		switch {
		case m.guessed[q]:
		case r.err != nil:
			s.Status = "failed"
			out = append(out, s)
		case r.answer.Status == dns.Found:
			out = append(out, s)
		default:
			absent = append(absent, s)
		}
	}
	return out, absent
}

// values are an answer's records in an order that does not change from one answer to the next.
func values(a dns.Answer) []string {
	out := slices.Concat(a.Texts, a.Names)
	for _, addr := range a.Addrs {
		out = append(out, addr.String())
	}
	for _, x := range a.Exchanges {
		out = append(out, exchangeText(x))
	}
	slices.Sort(out)
	return out
}
