package rotation

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/domain"
)

// kinds are the values of rotation.algorithms.
var kinds = map[string]struct {
	algorithm keys.Algorithm
	bits      int
}{
	"rsa2048": {keys.RSA, 2048},
	"rsa3072": {keys.RSA, 3072},
	"rsa4096": {keys.RSA, 4096},
	"ed25519": {keys.Ed25519, 0},
}

// ErrAlgorithm reports a name that is not one of rotation.algorithms.
var ErrAlgorithm = errors.New("not an algorithm of rotation.algorithms")

// Generate makes a key of each algorithm for a domain, with selectors by a template; without
// algorithms or template, those of the options hold. The first events are about keys of the domain
// that were made before and do not sign yet, since the command may have been given twice.
func (r *Rotator) Generate(domain string, algorithms []string, template string) ([]keylife.Event,
	error) {
	if len(algorithms) == 0 {
		algorithms = r.o.Algorithms
	}
	var events []keylife.Event
	err := r.update(func(state *keylife.State) error {
		waiting := onTheirWay(state, domain)
		made, err := r.generation(state, domain, algorithms, cmp.Or(template, r.o.Selector))
		events = append(waiting, made...)
		return err
	})
	return events, err
}

// generation makes a key of each algorithm for a domain.
func (r *Rotator) generation(state *keylife.State, domain string, algorithms []string,
	template string) ([]keylife.Event, error) {
	var events []keylife.Event
	for _, name := range algorithms {
		kind, ok := kinds[name]
		if !ok {
			return nil, fmt.Errorf("%q is %w: rsa2048, rsa3072, rsa4096 or ed25519", name,
				ErrAlgorithm)
		}
		selector := keys.Selector(template, r.o.Now(), kind.algorithm, func(s string) bool {
			return r.o.Taken(s+"._domainkey."+domain) || r.o.Store.Taken(state, domain, s)
		})
		k, err := r.o.Store.Generate(state, domain, selector, kind.algorithm, kind.bits, r.o.Now())
		if err != nil {
			return nil, err
		}
		record := k.Record()
		e := keylife.Event{Name: k.Name(), Step: keys.Generated, Waits: waitsForRecord,
			Publish: &record}
		if wanted := keys.Selector(template, r.o.Now(), kind.algorithm, free); wanted != selector {
			e.Note = fmt.Sprintf("the selector %s is taken by another key, so %s was added", wanted,
				strings.TrimPrefix(selector, wanted))
		}
		events = append(events, e)
	}
	return events, nil
}

func free(string) bool { return false }

// waitsForRecord is what a new key waits for.
const waitsForRecord = "until all name servers show its record"

// onTheirWay names keys that were made before and do not sign yet.
func onTheirWay(state *keylife.State, domain string) []keylife.Event {
	var out []keylife.Event
	for _, k := range state.Of(domain, keys.Generated, keys.Published) {
		if k.Vendor {
			continue
		}
		note := fmt.Sprintf("was there before: %s since %s, and does not sign yet; if it is not "+
			"needed: mailseal keys remove %s", k.Stage, k.Since.Format("2006-01-02"), k.Name())
		out = append(out, keylife.Event{Name: k.Name(), Note: note})
	}
	return out
}

// AddVendor takes down a selector that a vendor signs with, whose record we only publish and watch.
// Text is the record, "" when it is not known; one that does not parse is ErrRecord.
func (r *Rotator) AddVendor(of, selector, text string) ([]keylife.Event, error) {
	var events []keylife.Event
	err := r.update(func(state *keylife.State) (err error) {
		events, err = r.vendor(state, of, selector, text)
		return err
	})
	return events, err
}

func (r *Rotator) vendor(state *keylife.State, of, selector, text string) ([]keylife.Event, error) {
	k := keylife.Key{Domain: of, Selector: domain.ASCII(strings.ToLower(selector)), Vendor: true,
		Text: text}
	if text != "" {
		record, err := dkim.ParseRecord(text)
		if err != nil {
			return nil, mark(ErrRecord, err)
		}
		k.Algorithm = keys.Algorithm(strings.TrimSuffix(record.Key.Algorithm(), "-sha256"))
		k.Bits = record.Key.Bits()
	}
	if err := state.Add(k, r.o.Now()); err != nil {
		return nil, err
	}
	e := keylife.Event{Name: k.Name(), Step: keys.Generated, Waits: waitsForRecord}
	if text != "" {
		record := k.Record()
		e.Publish = &record
	}
	return []keylife.Event{e}, nil
}
