package dkim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"mailseal/milter/dns"
)

// maxRecords is how many TXT records of one name are read. One is right; two or three happen while keys change.
const maxRecords = 4

// Lookup is what asking the DNS for one key came to.
type Lookup struct {
	State   KeyState
	Records []Record // those that can be used; more than one is undefined in RFC 6376 section 3.6.2.2, and we try each
	Text    string   // of the first usable record or, if there is none, of the first record
	Reason  string   // for a postmaster, why there is no usable record
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

// LookupKeys asks for the keys at names, each once and all at the same time, and returns when all have been answered.
func LookupKeys(ctx context.Context, r dns.Resolver, names []string) map[string]Lookup {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) == 1 { // as nearly always: no goroutine for what is probably in a cache
		return map[string]Lookup{names[0]: lookupKey(ctx, r, names[0])}
	}
	answers := make([]Lookup, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { answers[i] = lookupKey(ctx, r, name) })
	}
	wait.Wait()
	found := make(map[string]Lookup, len(names))
	for i, name := range names {
		found[name] = answers[i]
	}
	return found
}

// lookupKey never panics: it may run in a goroutine of its own, where a fault of a resolver would end the process.
func lookupKey(ctx context.Context, r dns.Resolver, name string) (l Lookup) {
	defer func() {
		if p := recover(); p != nil {
			l = Lookup{State: KeyUnreached, Reason: fmt.Sprintf("looking up the key at %s broke down: %v", name, p)}
		}
	}()
	answer, err := r.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return Lookup{State: KeyUnreached, Reason: unreached(name, err)}
	}
	if len(answer.Texts) == 0 {
		return Lookup{State: KeyMissing, Reason: "there is no key at " + name}
	}
	return readRecords(name, answer.Texts)
}

func unreached(name string, err error) string {
	if errors.Is(err, dns.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return "the DNS did not answer in time for the key at " + name
	}
	return "the DNS failed for the key at " + name
}

// readRecords keeps the records that can be used. If there is none, the first one's fault is told, but what the owner
// said of a key record (revoked, too short) before what is wrong with a record that is perhaps no key record.
func readRecords(name string, texts []string) Lookup {
	l := Lookup{Text: texts[0]}
	for _, text := range texts[:min(len(texts), maxRecords)] {
		record, err := records.read(text)
		if err == nil {
			l.Records = append(l.Records, record)
			continue
		}
		var fault *RecordError
		if errors.As(err, &fault) && (l.State == KeyUnknown || l.State == KeyInvalid && fault.State != KeyInvalid) {
			l.State, l.Reason, l.Text = fault.State, fault.Reason+" ("+name+")", text
		}
	}
	if len(l.Records) > 0 {
		l.State, l.Reason, l.Text = KeyUsable, "", l.Records[0].Text
	}
	return l
}
