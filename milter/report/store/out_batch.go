package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"time"

	"mailseal/milter/report"
)

// OutBatch holds the sums of some segments of one partition, counted in memory.
type OutBatch struct {
	index    map[outKey]uint32
	domains  map[outDay][]uint32 // the policies of a domain and day, at most maxPolicies
	policies []outPolicy
	rows     map[string]int64 // the number of a policy, and report.Evaluation.AppendKey
	keyBytes int              // of the keys of rows
	key      []byte           // of the row that is counted: memory to write it in
	friends  map[string]int64 // domain, day
	failures map[string]*outFailing
	own      own
	near     int // of failures: kinds whose host is related to the domain by name
	strange  int // and others
}

// outKey tells policies and days apart: all else follows from the text.
type outKey struct {
	day                     int64
	domain, text, discovery string
}

// outDay is a domain on one day.
type outDay struct {
	day    int64
	domain string
}

// outPolicy is a policy on one day.
type outPolicy struct {
	day    int64
	policy report.Policy
	passed int64          // messages
	folded int64          // messages whose rows are summed
	nets   []netip.Prefix // of messages that failed, at most maxNets
}

// maxNets is how many networks of failing mail are remembered of a domain: the gate of relation
// asks for two.
const maxNets = 2

// maxBatchKeys is how many bytes the keys of a batch may have: a segment is packed, so that a small
// one may hold very long rows. Beyond, new rows are summed by client, and beyond twice as much by
// wide network.
const maxBatchKeys = 32 << 20

// NewOutBatch returns an empty batch.
func NewOutBatch() *OutBatch {
	return &OutBatch{
		index:    map[outKey]uint32{},
		domains:  map[outDay][]uint32{},
		rows:     map[string]int64{},
		friends:  map[string]int64{},
		failures: map[string]*outFailing{},
		own:      newOwn(),
	}
}

// Day is the number of a UTC day since 1 January 1970.
func Day(t time.Time) int64 { return t.Unix() / 86400 }

// DayStart is when a day begins.
func DayStart(day int64) time.Time { return time.Unix(day*86400, 0).UTC() }

// Add counts a message.
func (b *OutBatch) Add(e *report.Evaluation) {
	n, isOwn := b.policyOf(e)
	p := &b.policies[n]
	if !isOwn {
		other := under(*e, &p.policy)
		e = &other
	}
	b.count(n, e)
	if e.Passes() {
		p.passed++
		return
	}
	net := allocation(e.Client)
	if len(p.nets) < maxNets && !slices.Contains(p.nets, net) {
		p.nets = append(p.nets, net)
	}
}

// policyOf is the number of the policy under which a message is counted, and whether it is the one
// that it was judged by.
func (b *OutBatch) policyOf(e *report.Evaluation) (n uint32, isOwn bool) {
	key := outKey{Day(e.Time), e.Policy.Domain, e.Policy.Text, e.Policy.Discovery}
	if n, isKnown := b.index[key]; isKnown {
		return n, true
	}
	day := outDay{key.day, key.domain}
	has := b.domains[day]
	if len(has) >= maxPolicies {
		return has[len(has)-1], false
	}
	n = uint32(len(b.policies))
	b.index[key] = n
	b.domains[day] = append(has, n)
	b.policies = append(b.policies, outPolicy{day: key.day, policy: e.Policy})
	return n, true
}

// count counts a message in a row of a policy.
func (b *OutBatch) count(n uint32, e *report.Evaluation) {
	b.setKey(n, e)
	_, isKnown := b.rows[string(b.key)]
	if !isKnown && b.keyBytes+len(b.key) > maxBatchKeys {
		b.policies[n].folded++
		sum := e.Folded()
		if b.keyBytes > 2*maxBatchKeys {
			sum = ofNetwork(sum, 1)
		}
		b.setKey(n, &sum)
		_, isKnown = b.rows[string(b.key)]
	}
	if !isKnown {
		b.keyBytes += len(b.key)
	}
	b.rows[string(b.key)]++
}

func (b *OutBatch) setKey(n uint32, e *report.Evaluation) {
	b.key = binary.BigEndian.AppendUint32(b.key[:0], n)
	b.key = e.AppendKey(b.key)
}

// Wrote counts a domain that one of our users wrote to.
func (b *OutBatch) Wrote(domain string, at time.Time) {
	b.friends[domain] = max(b.friends[domain], Day(at))
}

// each calls do with the rows of each policy, in the order of their keys.
func (b *OutBatch) each(do func(*outPolicy, []report.KeyCount) error) error {
	keys := slices.Sorted(maps.Keys(b.rows))
	var rows []report.KeyCount
	for i, key := range keys {
		rows = append(rows, report.KeyCount{Key: []byte(key[4:]), N: b.rows[key]})
		if i+1 < len(keys) && keys[i+1][:4] == key[:4] {
			continue
		}
		p := &b.policies[binary.BigEndian.Uint32([]byte(key))]
		if err := do(p, rows); err != nil {
			return err
		}
		rows = rows[:0]
	}
	return nil
}

func policyHash(p *report.Policy) string {
	sum := sha256.Sum256([]byte(p.Domain + "\x00" + p.Text + "\x00" + p.Discovery))
	return hex.EncodeToString(sum[:16])
}

// allocation is the network that counts as one sender of failing mail: /16, or /32 of IPv6, which
// is what a hoster or an access provider has. Anyone can rent two smaller ones, and would have this
// host send reports to a domain of theirs.
func allocation(a netip.Addr) netip.Prefix {
	bits := 16
	if a.Is6() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// network is what counts as one client network: /24, or /64 of IPv6. A wider one, where a flood
// comes from very many, is /8.
func network(a netip.Addr, wider int) netip.Prefix {
	bits := 24
	switch {
	case wider > 0:
		bits = 8
	case a.Is6():
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
