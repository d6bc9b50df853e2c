package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keydns"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/sign"
)

// rotator brings the keys of the state directory through their lives, for the command line and for the daemon.
type rotator struct {
	store  keylife.Store
	policy config.Rotation
	panel  *keydns.Panel
	now    func() time.Time
}

// newRotator asks the servers that the configuration lists, else those of each domain. A rotator is for one command or
// one pass of the watch: it remembers which name servers a zone has, and no more of what they show than they are asked.
func newRotator(cfg *config.Config) (*rotator, error) {
	open := func(addresses []string) (dns.Resolver, error) {
		return dns.New(dns.Options{Servers: addresses, Timeout: cfg.DNS.Timeout, Tries: cfg.DNS.Tries})
	}
	_, host, err := buildResolver(cfg)
	if err != nil {
		return nil, err
	}
	p := &keydns.Panel{Resolver: host, Open: open}
	for _, a := range cfg.Rotation.Servers {
		r, err := open([]string{a.String()})
		if err != nil {
			return nil, fmt.Errorf("rotation.servers: %w", err)
		}
		p.Servers = append(p.Servers, keydns.Server{Name: a.String(), Resolver: r})
	}
	return &rotator{store: keylife.Store{Dir: cfg.StateDirectory}, policy: cfg.Rotation, panel: p, now: time.Now}, nil
}

// seenKey is a key and what each server shows of it.
type seenKey struct {
	keylife.Key
	sight keys.Sight
	seen  []keydns.Sighting
	err   error // nobody could be asked
}

// look asks the servers about keys.
func (r *rotator) look(ctx context.Context, ks []keylife.Key) []seenKey {
	out := make([]seenKey, len(ks))
	var workers errgroup.Group
	workers.SetLimit(lookupsAtOnce)
	for i, k := range ks {
		workers.Go(func() error {
			out[i] = seenKey{Key: k, sight: keys.SightUnknown}
			if out[i].seen, out[i].err = r.panel.Look(ctx, keys.Record{Name: k.Name(), Text: k.Text, Fingerprint: k.Fingerprint}, k.Domain); out[i].err == nil {
				out[i].sight = keydns.Sum(out[i].seen)
			}
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	return out
}

// view is the moment of a decision about some keys, named by record or domain; all of them for none.
func (r *rotator) view(ctx context.Context, names []string) (keylife.View, []seenKey, error) {
	state, err := r.store.Read()
	if err != nil {
		return keylife.View{}, nil, err
	}
	var wanted []keylife.Key
	for _, k := range state.Keys {
		if k.Stage != keys.Removed && isWanted(k, names) {
			wanted = append(wanted, k)
		}
	}
	seen := r.look(ctx, wanted)
	v := keylife.View{
		Policy: keylife.Policy{Every: r.policy.Every, Publish: r.policy.Publish, Overlap: r.policy.Overlap},
		Sights: map[string]keys.Sight{},
		Now:    r.now(),
		Usable: r.usable,
	}
	for _, k := range seen {
		v.Sights[k.Name()] = k.sight
	}
	return v, seen, ctx.Err()
}

// usable has a key sign a probe that go-msgauth must verify.
func (r *rotator) usable(k keylife.Key) error {
	private, err := r.store.Load(k)
	if err != nil {
		return err
	}
	return sign.TestKey(private, dkim.SignOptions{})
}

// rotate makes the steps that are due for some domains, all of them for none. A step that needs more than one look, such
// as a key that is made and published at once, comes with the next call.
func (r *rotator) rotate(ctx context.Context, domains []string) ([]keylife.Event, error) {
	v, _, err := r.view(ctx, domains)
	if err != nil {
		return nil, err
	}
	var events []keylife.Event
	err = r.update(func(state *keylife.State) error {
		events = nil
		if len(domains) == 0 {
			domains = state.Domains()
		}
		for _, d := range domains {
			done, due := state.Rotate(d, v)
			events = append(events, done...)
			if !due {
				continue
			}
			made, err := r.generation(state, d, r.policy.Algorithms, "")
			if err != nil {
				return err
			}
			events = append(events, made...)
		}
		return nil
	})
	return events, err
}

// update changes the state and, once that has reached the disk, destroys the private halves of keys that are removed.
func (r *rotator) update(change func(*keylife.State) error) error {
	var removed []keylife.Key
	err := r.store.Update(func(state *keylife.State) error {
		there := map[string]bool{}
		for _, k := range state.Keys {
			there[k.Name()] = k.Stage != keys.Removed
		}
		if err := change(state); err != nil {
			return err
		}
		for _, k := range state.Keys {
			if there[k.Name()] && k.Stage == keys.Removed {
				removed = append(removed, k)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, k := range removed {
		errs = append(errs, r.store.Destroy(k))
	}
	return errors.Join(errs...)
}

// kinds are the values of rotation.algorithms.
var kinds = map[string]struct {
	algorithm keys.Algorithm
	bits      int
}{"rsa2048": {keys.RSA, 2048}, "rsa3072": {keys.RSA, 3072}, "rsa4096": {keys.RSA, 4096}, "ed25519": {keys.Ed25519, 0}}

// generation makes a key of each algorithm for a domain. Template is "" for the configuration's.
func (r *rotator) generation(state *keylife.State, domain string, algorithms []string, template string) ([]keylife.Event, error) {
	if template == "" {
		template = r.policy.Selector
	}
	var events []keylife.Event
	for _, name := range algorithms {
		kind, ok := kinds[name]
		if !ok {
			return nil, fmt.Errorf("%q is no algorithm of rotation.algorithms: rsa2048, rsa3072, rsa4096 or ed25519", name)
		}
		selector := keys.Selector(template, r.now(), kind.algorithm, func(s string) bool {
			return state.Find(s+"._domainkey."+domain) != nil
		})
		k, err := r.store.Generate(state, domain, selector, kind.algorithm, kind.bits, r.now())
		if err != nil {
			return nil, err
		}
		record := k.Record()
		events = append(events, keylife.Event{Name: k.Name(), Step: keys.Generated, Waits: "its record at all name servers", Publish: &record})
	}
	return events, nil
}
