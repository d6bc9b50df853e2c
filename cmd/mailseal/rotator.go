package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
	"mailseal/milter/sign"
)

// lookupsAtOnce bounds how many names are asked for side by side, so that no name server takes us for an attack.
const lookupsAtOnce = 16

// rotator brings the keys of the state directory through their lives, for the command line and for the daemon.
type rotator struct {
	store  keylife.Store
	policy config.Rotation
	panel  *keydns.Panel
	now    func() time.Time
	taken  map[string]bool // the names of records that belong to keys of the configuration
}

// newRotator asks the servers that the configuration lists, else those of each domain. A rotator is for one command or
// one pass of the watch: it remembers which name servers a zone has, and no more of what they show than they are asked.
func newRotator(cfg *config.Config) (*rotator, error) {
	open := func(addresses []string) (dns.Resolver, error) {
		return dns.New(dns.Options{Servers: addresses, Timeout: cfg.DNS.Timeout, Tries: cfg.DNS.Tries})
	}
	_, host, err := assembly.NewResolver(cfg)
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
	taken := map[string]bool{}
	for _, k := range cfg.Keys {
		taken[domain.ASCII(k.Selector)+"._domainkey."+domain.ASCII(k.Domain)] = true
	}
	return &rotator{store: keylife.Store{Dir: cfg.StateDirectory}, policy: cfg.Rotation, panel: p, now: time.Now, taken: taken}, nil
}

// ask has only some servers asked, by address or name, instead of the configuration's or the domain's.
func (r *rotator) ask(ctx context.Context, servers []string) error {
	r.panel.Servers = nil
	for _, name := range servers {
		s := keydns.Server{Name: name}
		var err error
		if _, notAddress := netip.ParseAddr(name); notAddress == nil {
			s.Resolver, err = r.panel.Open([]string{name})
		} else if _, notPort := netip.ParseAddrPort(name); notPort == nil {
			s.Resolver, err = r.panel.Open([]string{name})
		} else {
			s, err = r.panel.Named(ctx, strings.TrimSuffix(name, "."))
		}
		if err != nil {
			return fmt.Errorf("--server %s: %w", name, err)
		}
		r.panel.Servers = append(r.panel.Servers, s)
	}
	return nil
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
				out[i].sight = keydns.Sum(out[i].seen, r.policy.MayBeSilent)
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
		Shown:  map[string]string{},
		Now:    r.now(),
		Usable: r.usable,
	}
	for _, k := range seen {
		v.Sights[k.Name()], v.Shown[k.Name()] = k.sight, keydns.Tell(k.seen)
		if k.err != nil {
			v.Shown[k.Name()] = k.err.Error()
		}
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
			done, err := r.rotateDomain(state, d, v)
			if err != nil {
				return err
			}
			events = append(events, done...)
		}
		return nil
	})
	return events, err
}

func (r *rotator) rotateDomain(state *keylife.State, d string, v keylife.View) ([]keylife.Event, error) {
	done, due := state.Rotate(d, v)
	if due {
		made, err := r.generation(state, d, r.policy.Algorithms, "")
		return append(done, made...), err
	}
	if len(done) == 0 {
		done = []keylife.Event{{Name: d, Note: state.Plan(d, v)}}
	}
	return done, nil
}

// update changes the state. Once that has reached the disk, the private halves of keys that are removed are destroyed;
// if it has not, those that were made are.
func (r *rotator) update(change func(*keylife.State) error) error {
	before := map[string]keys.Stage{}
	var after []keylife.Key
	err := r.store.Update(func(state *keylife.State) error {
		for _, k := range state.Keys {
			before[k.Name()] = k.Stage
		}
		err := change(state)
		after = state.Keys
		return err
	})
	errs := []error{err}
	for _, k := range after {
		stage, was := before[k.Name()]
		switch {
		case err != nil && !was:
			errs = append(errs, r.store.Discard(k))
		case err == nil && k.Stage == keys.Removed && (stage != keys.Removed || r.isLeft(k)):
			errs = append(errs, r.store.Destroy(k))
		}
	}
	return errors.Join(errs...)
}

// isLeft finds the private half of a key that was removed by a command which did not live to destroy it.
func (r *rotator) isLeft(k keylife.Key) bool {
	if k.Vendor {
		return false
	}
	_, err := r.store.Load(k)
	return err == nil
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
			return r.taken[s+"._domainkey."+domain] || r.store.Taken(state, domain, s)
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
