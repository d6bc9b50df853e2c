package dkim

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"mailseal/milter/dns"
)

// maxRecords is how many TXT records of one name are read. One is right; two or three happen while
// keys change.
const maxRecords = 4

// Busy begins the reason of a key that was not looked up because of a shortage of this host.
const Busy = "this host was too busy"

// Lookup is the outcome of the DNS lookup of one key.
type Lookup struct {
	State KeyState
	// those that can be used; more than one is undefined in RFC 6376 section 3.6.2.2, and we try
	// each
	Records []Record
	Text    string // of the first usable record, or else of the first record
	Reason  string // for a postmaster, why no record is usable
	IsShort bool   // KeyUnreached because of a shortage of this host
}

// For returns the records whose key goes with an algorithm.
func (l Lookup) For(algorithm string) []Record {
	var fit []Record
	for _, r := range l.Records {
		if r.Key.Algorithm() == algorithm {
			fit = append(fit, r)
		}
	}
	return fit
}

// KeysAtOnce is how many keys of a message are looked up at the same time. Honest mail has one to
// four; a message that names many takes no more places than one that names few.
const KeysAtOnce = 4

// Keys are the answers for the keys of a message, as they come.
type Keys struct {
	found map[string]*pendingKey
	all   sync.WaitGroup
}

// pendingKey is an answer, to be read when done is closed.
type pendingKey struct {
	name   string
	done   chan struct{}
	answer Lookup
}

// LookupKeys begins to ask for the keys at names, each once, in their order, KeysAtOnce at the same
// time.
func LookupKeys(ctx context.Context, r dns.Resolver, names []string) *Keys {
	k := &Keys{found: make(map[string]*pendingKey, len(names))}
	var order []*pendingKey
	for _, name := range names {
		if k.found[name] == nil {
			k.found[name] = &pendingKey{name: name, done: make(chan struct{})}
			order = append(order, k.found[name])
		}
	}
	if len(order) == 1 { // as nearly always: no goroutine for what is probably in a cache
		order[0].ask(ctx, r)
		return k
	}
	queue := make(chan *pendingKey, len(order))
	for _, p := range order {
		queue <- p
	}
	close(queue)
	for range min(len(order), KeysAtOnce) {
		k.all.Go(func() {
			for p := range queue {
				p.ask(ctx, r)
			}
		})
	}
	return k
}

func (p *pendingKey) ask(ctx context.Context, r dns.Resolver) {
	p.answer = lookupKey(ctx, r, p.name)
	close(p.done)
}

// At returns the answer for a name, once it is there. The zero Lookup belongs to a name that was
// not asked for.
func (k *Keys) At(name string) Lookup {
	p := k.found[name]
	if p == nil {
		return Lookup{}
	}
	<-p.done
	return p.answer
}

// Wait returns when all answers are there.
func (k *Keys) Wait() { k.all.Wait() }

// lookupKey never panics: it may run in a separate goroutine, where a panic of a resolver
// would end the process.
func lookupKey(ctx context.Context, r dns.Resolver, name string) (l Lookup) {
	defer func() {
		if p := recover(); p != nil {
			l = Lookup{State: KeyUnreached,
				Reason: fmt.Sprintf("a bug in Mailseal stopped the lookup of the key at %s: %v",
					name, p)}
		}
	}()
	answer, err := r.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return Lookup{State: KeyUnreached, Reason: unreached(name, err),
			IsShort: errors.Is(err, dns.ErrShortage)}
	}
	if len(answer.Texts) == 0 {
		return Lookup{State: KeyMissing, Reason: "there is no key at " + name}
	}
	return readRecords(name, answer.Texts)
}

func unreached(name string, err error) string {
	if errors.Is(err, dns.ErrShortage) {
		return Busy + " to look up the key at " + name
	}
	if errors.Is(err, dns.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return "the DNS did not answer in time for the key at " + name
	}
	return "the DNS failed for the key at " + name
}

// readRecords keeps the usable records. If there is none, it reports the first fault, but
// prefers an owner's statement in a key record (revoked, too short) to a fault of a record
// that may not be a key record.
func readRecords(name string, texts []string) Lookup {
	l := Lookup{Text: texts[0]}
	for _, text := range texts[:min(len(texts), maxRecords)] {
		record, err := ParseRecord(text)
		if err == nil {
			l.Records = append(l.Records, record)
			continue
		}
		var fault *RecordError
		if errors.As(err, &fault) && (l.State == KeyUnknown || l.State == KeyInvalid &&
			fault.State != KeyInvalid) {
			l.State, l.Reason, l.Text = fault.State, fault.Reason+" ("+name+")", text
		}
	}
	if len(l.Records) > 0 {
		l.State, l.Reason, l.Text = KeyUsable, "", l.Records[0].Text
	}
	return l
}
