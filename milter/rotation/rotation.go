// Package rotation moves DKIM keys through their stages, each step when the DNS is ready for it,
// and monitors whether the name servers show the keys that sign. The daemon and the command line
// use it; it does not know the configuration.
package rotation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mailseal/keys"
	"mailseal/keys/keylife"
	"mailseal/milter/dkim"
	"mailseal/milter/keydns"
	"mailseal/milter/sign"
)

// Errors of a Rotator, beside those of keylife.
var (
	// the state of the keys was not read, or not written
	ErrUnknown = errors.New("could not find out")
	ErrNoKey   = errors.New("no such key")
	ErrEmpty   = fmt.Errorf("%w: there are no keys yet", ErrNoKey)
	ErrRecord  = errors.New("not a key record")
)

// marked is an error that is also a sentinel, and keeps its own text.
type marked struct {
	error
	as error
}

func (m marked) Unwrap() []error { return []error{m.error, m.as} }

// mark makes an error wrap a sentinel. Nil stays nil.
func mark(as, err error) error {
	if err == nil {
		return nil
	}
	return marked{err, as}
}

// Done is what a command did, and what stopped it.
type Done struct {
	Events  []keylife.Event
	Refused bool // the DNS is not ready for a step, or it is too early
	Silent  bool // a step waits for a name server that does not answer
}

// Options say how keys are rotated.
type Options struct {
	Store       keylife.Store
	Policy      keylife.Policy // how long a key stays at each stage
	MayBeSilent int            // name servers that may leave a question unanswered
	Algorithms  []string       // of a new generation: rsa2048, rsa3072, rsa4096, ed25519
	Selector    string         // template of the selectors of a new generation
	Panel       *keydns.Panel  // the name servers that must show each record

	// Taken reports whether a record's name belongs to a key outside the store, so that no new key
	// may have it.
	Taken func(record string) bool
	Now   func() time.Time // nil: time.Now
}

// Rotator brings the keys of a store through their lives. It is for one command or one pass of the
// watch: its panel remembers which name servers a zone has.
type Rotator struct{ o Options }

// New returns a Rotator.
func New(o Options) *Rotator {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Taken == nil {
		o.Taken = func(string) bool { return false }
	}
	return &Rotator{o}
}

// Servers makes a panel's servers of addresses and names. A name that does not resolve is an error.
func Servers(ctx context.Context, p *keydns.Panel, names []string) ([]keydns.Server, error) {
	var out []keydns.Server
	for _, name := range names {
		s, err := server(ctx, p, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func server(ctx context.Context, p *keydns.Panel, name string) (keydns.Server, error) {
	_, notAddress := netip.ParseAddr(name)
	_, notPort := netip.ParseAddrPort(name)
	if notAddress != nil && notPort != nil {
		return p.Named(ctx, strings.TrimSuffix(name, "."))
	}
	r, err := p.Open([]string{name})
	return keydns.Server{Name: name, Resolver: r}, err
}

// Seen is a key, and what each server shows of it.
type Seen struct {
	keylife.Key
	Sight   keys.Sight // what all servers show together
	Servers []keydns.Sighting
	Err     error // no server could be asked
}

// lookupsAtOnce bounds how many names are looked up side by side, so that no name server takes us
// for an attack.
const lookupsAtOnce = 16

// Look asks the servers about keys.
func (r *Rotator) Look(ctx context.Context, ks []keylife.Key) []Seen {
	out := make([]Seen, len(ks))
	var workers errgroup.Group
	workers.SetLimit(lookupsAtOnce)
	for i, k := range ks {
		workers.Go(func() error {
			out[i] = r.lookOne(ctx, k)
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	return out
}

func (r *Rotator) lookOne(ctx context.Context, k keylife.Key) Seen {
	record := keys.Record{Name: k.Name(), Text: k.Text, Fingerprint: k.Fingerprint}
	servers, err := r.o.Panel.Look(ctx, record, k.Domain)
	if err != nil {
		return Seen{Key: k, Sight: keys.SightUnknown, Err: err}
	}
	return Seen{Key: k, Sight: keydns.Sum(servers, r.o.MayBeSilent), Servers: servers}
}

// Keys lists the keys of the store that are named by record or by domain, all of them for no name.
func (r *Rotator) Keys(names []string) ([]keylife.Key, error) {
	state, err := r.o.Store.Read()
	if err != nil {
		return nil, mark(ErrUnknown, err)
	}
	var out []keylife.Key
	for _, k := range state.Keys {
		if isNamed(k, names) {
			out = append(out, k)
		}
	}
	return out, nil
}

// Wanted returns the records that the name servers have to show now of the keys that are named by
// record or by domain, of all of them for no name, and the names at which there must be nothing any
// more. It says what Rotate waits for, and looks at the name servers only where a key is about to
// be revoked: its successor must be there. No keys at all are ErrNoKey: who publishes what is
// wanted, and asks in the wrong place, must not take all records down for that.
func (r *Rotator) Wanted(ctx context.Context, names []string) (records []keys.Record, gone []string,
	err error) {
	state, err := r.o.Store.Read()
	if err != nil {
		return nil, nil, mark(ErrUnknown, err)
	}
	if !slices.ContainsFunc(state.Keys, func(k keylife.Key) bool { return isNamed(k, names) }) {
		if len(names) > 0 {
			return nil, nil, fmt.Errorf("%s: %w in %s", strings.Join(names, ", "), ErrNoKey,
				r.Dir())
		}
		return nil, nil, fmt.Errorf("%w in %s", ErrEmpty, r.Dir())
	}
	v := keylife.View{Policy: r.o.Policy, Now: r.o.Now()}
	if ending := endingDomains(state, names, v); len(ending) > 0 {
		if v, _, err = r.view(ctx, ending); err != nil {
			return nil, nil, err
		}
	}
	for i := range state.Keys {
		k := &state.Keys[i]
		if !isNamed(*k, names) {
			continue
		}
		record, isWanted := state.Wanted(k, v)
		switch {
		case isWanted:
			records = append(records, record)
		case k.Stage == keys.Revoked:
			gone = append(gone, k.Name())
		}
	}
	return records, gone, nil
}

// endingDomains are those that have a key which might be revoked by now.
func endingDomains(state *keylife.State, names []string, v keylife.View) []string {
	var out []string
	for i := range state.Keys {
		k := &state.Keys[i]
		if isNamed(*k, names) && k.Stage == keys.Retiring && !k.Vendor && v.IsOver(k) {
			out = append(out, k.Domain)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Dir is the directory of the store.
func (r *Rotator) Dir() string { return r.o.Store.Dir }

// view is the moment of a decision about some keys, named by record or by domain; all of them for
// no name.
func (r *Rotator) view(ctx context.Context, names []string) (keylife.View, []Seen, error) {
	all, err := r.Keys(names)
	if err != nil {
		return keylife.View{}, nil, err
	}
	var wanted []keylife.Key
	for _, k := range all {
		if k.Stage != keys.Removed {
			wanted = append(wanted, k)
		}
	}
	fallBack, err := r.o.Store.ReadFallBack()
	if err != nil {
		return keylife.View{}, nil, mark(ErrUnknown, err)
	}
	seen := r.Look(ctx, wanted)
	v := keylife.View{
		Policy: r.o.Policy,
		Sights: map[string]keys.Sight{},
		Shown:  map[string]string{},
		Now:    r.o.Now(),
		Until:  fallBack.Until,
		Others: map[string]time.Time{},
		Usable: r.usable,
	}
	for _, k := range seen {
		if ttl := k.other(); ttl > 0 {
			v.Others[k.Name()] = v.Now.Add(ttl)
		}
		v.Sights[k.Name()], v.Shown[k.Name()] = k.Sight, keydns.Describe(k.Servers)
		if k.Err != nil {
			v.Shown[k.Name()] = k.Err.Error()
		}
	}
	return v, seen, mark(ErrUnknown, ctx.Err())
}

// other is how long resolvers may remember another record than the key's that a server shows, 0 if
// none does.
func (s Seen) other() time.Duration {
	ttl := 0
	for _, server := range s.Servers {
		v := server.View
		if len(v.Texts) > 0 && (v.State != keydns.Shown || v.Harm()) {
			ttl = max(ttl, v.TTL, 1)
		}
	}
	return time.Duration(ttl) * time.Second
}

// usable has a key sign a probe that an independent implementation must verify.
func (r *Rotator) usable(k keylife.Key) error {
	private, err := r.o.Store.Load(k)
	if err != nil {
		return err
	}
	return sign.TestKey(private, dkim.SignOptions{})
}

// Rotate takes the steps that are due for some domains, or for all if none is named. A step that
// needs more than one DNS check, such as that of a key that is made and published at once, is taken
// at the next call. A domain without keys is ErrNoKey.
func (r *Rotator) Rotate(ctx context.Context, names []string) (Done, error) {
	domains := domainsOf(names)
	if err := r.haveKeys(domains); err != nil {
		return Done{}, err
	}
	v, _, err := r.view(ctx, domains)
	if err != nil {
		return Done{}, err
	}
	var events []keylife.Event
	err = r.update(func(state *keylife.State) error {
		events = nil
		state.Observe(v)
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
	silent := slices.ContainsFunc(events, func(e keylife.Event) bool { return e.Unknown })
	return Done{Events: events, Silent: silent}, mark(ErrUnknown, err)
}

// Begin brings the first keys of domains on their way to signing, as Rotate does, where none has
// ever signed. Without such domains no server is asked.
func (r *Rotator) Begin(ctx context.Context) (Done, error) {
	state, err := r.o.Store.Read()
	if err != nil {
		return Done{}, mark(ErrUnknown, err)
	}
	beginning := slices.DeleteFunc(state.Domains(),
		func(d string) bool { return !state.IsBeginning(d) })
	if len(beginning) == 0 {
		return Done{}, nil
	}
	return r.Rotate(ctx, beginning)
}

// HasSigned reports whether a key of a domain signs now or has signed.
func (r *Rotator) HasSigned(domain string) (bool, error) {
	state, err := r.o.Store.Read()
	if err != nil {
		return false, mark(ErrUnknown, err)
	}
	return state.HasSigned(domain), nil
}

// haveKeys wants each domain to have keys in the store that are not removed.
func (r *Rotator) haveKeys(domains []string) error {
	state, err := r.o.Store.Read()
	if err != nil {
		return mark(ErrUnknown, err)
	}
	have := state.Domains()
	for _, d := range domains {
		if !slices.Contains(have, d) {
			return errNoKeys([]string{d})
		}
	}
	return nil
}

func (r *Rotator) rotateDomain(state *keylife.State, d string, v keylife.View) ([]keylife.Event,
	error) {
	done, due := state.Rotate(d, v)
	if due {
		made, err := r.generation(state, d, r.o.Algorithms, r.o.Selector)
		return append(done, made...), err
	}
	if len(done) == 0 {
		done = []keylife.Event{{Name: d, Note: state.Plan(d, v)}}
	}
	return done, nil
}

// update changes the state. Once that has reached the disk, the private keys of keys that are
// removed are destroyed; if it has not, those that were made are.
func (r *Rotator) update(change func(*keylife.State) error) error {
	before := map[string]keys.Stage{}
	var after []keylife.Key
	err := r.o.Store.Update(func(state *keylife.State) error {
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
			errs = append(errs, r.o.Store.Discard(k))
		case err == nil && k.Stage == keys.Removed && (stage != keys.Removed || r.isLeft(k)):
			errs = append(errs, r.o.Store.Destroy(k))
		}
	}
	return errors.Join(errs...)
}

// isLeft reports whether the private key of a removed key is still there, since the command that
// removed the key did not live to destroy it.
func (r *Rotator) isLeft(k keylife.Key) bool {
	if k.Vendor {
		return false
	}
	_, err := r.o.Store.Load(k)
	return err == nil
}
