package main

import (
	"bytes"
	"context"
	"crypto"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"mailseal/contrib/bench/measure"
	"mailseal/keys"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/filter"
	"mailseal/milter/message"
	"mailseal/milter/sign"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// lab judges letters in this process, with a DNS that answers from memory.
type lab struct {
	keys  ring
	bases map[bool][]base
}

// base is what a message of some size with one signature costs.
type base struct {
	size int
	cost time.Duration
}

// baseSizes are those whose cost is measured; between them it is taken from the line.
var baseSizes = []int{1_500, 4_000, 16_000, 64_000, 250_000, 990_000}

func newLab() (*lab, error) {
	l := &lab{keys: ring{}, bases: map[bool][]base{}}
	for _, ours := range []bool{false, true} {
		for _, size := range baseSizes {
			text, err := l.ordinary(size, ours)
			if err != nil {
				return nil, err
			}
			cost, err := l.cost(text, ours, 15)
			if err != nil {
				return nil, err
			}
			l.bases[ours] = append(l.bases[ours], base{len(text.raw), cost})
		}
	}
	return l, nil
}

// ordinary is a message of about a size that "make bench" might send: for strangers' mail, with one
// RSA-2048 signature.
func (l *lab) ordinary(size int, ours bool) (letter, error) {
	w := &writer{recipe: plain, keys: l.keys, zone: &zone{}, named: map[string]bool{}}
	w.policies()
	raw := bytes.ReplaceAll(measure.Letter(max(size-1200, 10)), []byte("<user@example.com>"),
		[]byte("<user@"+author+">"))
	if ours {
		return letter{raw, w.zone}, nil
	}
	f, err := w.signature(raw, 0)
	return letter{onTop(raw, f), w.zone}, err
}

// baseCost is what an ordinary message of a size costs.
func (l *lab) baseCost(size int, ours bool) time.Duration {
	all := l.bases[ours]
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if size <= b.size || i == len(all)-1 {
			share := float64(size-a.size) / float64(b.size-a.size)
			return max(a.cost, a.cost+time.Duration(share*float64(b.cost-a.cost)))
		}
	}
	return all[0].cost
}

// ownKeys sign our mail.
type ownKeys struct{ signer crypto.Signer }

func (k ownKeys) Key(_ context.Context, name string) (keys.Key, error) {
	return keys.Key{Name: name, Domain: "example.com", Selector: "k0", Signer: k.signer}, nil
}

// filter returns all methods, with the DNS of a letter.
func (l *lab) filter(z *zone) (*filter.Filter, error) {
	published, err := z.publish()
	if err != nil {
		return nil, err
	}
	from, err := message.ParsePatterns([]string{"*@example.com", "*@*.example.com", "*@" + author})
	if err != nil {
		return nil, err
	}
	right, _ := l.keys.get(2048, 65537)
	rule := sign.Rule{Name: "sign[0]", From: from, Keys: []string{"k"}, OnKeyError: action.KeySkip}
	return &filter.Filter{
		ID:     ownID,
		Own:    filter.OwnFields{IDs: []string{ownID}},
		Signer: &sign.Signer{Table: sign.NewTable([]sign.Rule{rule}), Keys: ownKeys{right}},
		Verifier: &verify.Verifier{
			Resolver: dns.NewCache(published, dns.CacheOptions{}), IPRev: true, HELO: true,
			SPF: &spf.Checker{}, DKIM: &dkim.Verifier{}, ARC: &arc.Validator{}, DMARC: &dmarc.Checker{},
		},
		Unmatched: action.UnmatchedAccept,
		Malformed: action.MalformedSign,
		Senders:   filter.Senders{Require: action.SenderAny},
	}, nil
}

// pair is a field as a milter hands it over.
type pair struct{ name, value []byte }

// cost is the least processor time of judging a letter, or of signing it, in so many runs after the
// one that fills the DNS cache. It is 0 for a message of ours that leaves unsigned, which is no
// answer to what signing costs.
func (l *lab) cost(text letter, ours bool, runs int) (time.Duration, error) {
	f, err := l.filter(text.zone)
	if err != nil {
		return 0, err
	}
	fields, content, err := split(text.raw)
	if err != nil {
		return 0, err
	}
	least := time.Duration(math.MaxInt64)
	for i := range runs + 1 {
		began := processorTime()
		out := judge(f, fields, content, ours)
		if ours && len(out.Edits.Insert) == 0 {
			return 0, nil
		}
		if took := processorTime() - began; i > 0 {
			least = min(least, took)
		}
	}
	return least, nil
}

// split takes a message apart as an MTA does.
func split(raw []byte) (fields []pair, content []byte, err error) {
	m, err := read(raw, message.BodyHash{})
	if err != nil {
		return nil, nil, err
	}
	size := 0
	for _, f := range m.Header {
		fields = append(fields, pair{f.NameOctets(), f.Value()})
		size += len(f.Raw()) + 2
	}
	return fields, raw[min(size+2, len(raw)):], nil
}

// judge does what the server does with a message.
func judge(f *filter.Filter, fields []pair, content []byte, ours bool) milter.Outcome {
	ctx := context.Background()
	kept := message.NewCollector(headerLimit)
	for _, p := range fields {
		kept.AddBytes(p.name, p.value)
	}
	env := &message.Envelope{
		Client: netip.MustParseAddr(measure.Client), ClientName: "mx.example.com", Helo: "mx.example.com",
		Sender: sender, Recipients: []string{"r@example.net"},
	}
	mail := milter.Mail{Envelope: env, Role: action.RoleTheirs, Header: kept.Header()}
	if ours {
		mail.Role = action.RoleOurs
	}
	j := f.Begin(ctx, mail)
	digests := message.NewDigests(j.Wants().Hashes)
	const chunk = 64 << 10
	for len(content) > 0 {
		n := min(chunk, len(content))
		_, _ = digests.Write(content[:n]) // it fails once it is closed
		content = content[n:]
	}
	_ = digests.Close()
	out := j.Decide(ctx, &message.Message{Header: mail.Header, Body: digests}, nil)
	mail.Header.Ordinals(out.Edits.Remove)
	return out
}

// processorTime is that of this process, whatever goroutine it was spent in.
func processorTime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &now) // fails for clocks that do not exist
	return time.Duration(now.Nano())
}

// search returns the dearest message of a method that so many tries find.
func (l *lab) search(m method, o options) (finding, error) {
	random := rand.New(rand.NewPCG(o.seed, uint64(len(m.name))))
	best := finding{method: m}
	for i := range o.count {
		r := m.start
		switch {
		case i == 0:
		case i%4 == 1: // now and then from somewhere else
			r = r.mutated(random, m.among).mutated(random, m.among)
		case best.text.raw != nil:
			r = best.recipe.mutated(random, m.among)
		}
		f, fits, err := l.try(m, r, 2)
		if err != nil {
			return best, err
		}
		if fits && f.ratio() > best.ratio() {
			if f, _, err = l.try(m, r, 5); err != nil {
				return best, err
			}
			if f.ratio() > best.ratio() {
				best = f
			}
		}
	}
	best, _, err := l.try(m, best.recipe, 11)
	return best, err
}

// try measures one recipe; it is false when the message would be too large.
func (l *lab) try(m method, r recipe, runs int) (finding, bool, error) {
	text, fits, err := l.keys.write(r)
	if err != nil || !fits {
		return finding{}, false, err
	}
	cost, err := l.cost(text, m.ours, runs)
	return finding{method: m, recipe: r, text: text, cost: cost,
		base: l.baseCost(len(text.raw), m.ours)}, true, err
}
