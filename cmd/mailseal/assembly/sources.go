package assembly

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keyfile"
	"mailseal/keys/keyhttp"
	"mailseal/keys/keysql"
	"mailseal/milter/domain"
	"mailseal/milter/sign"
)

// Source is a source of keys at work: what asks, and the memory before it. It survives reloads that
// leave its settings alone, and with it its connections and what it remembers; its memory survives
// those that leave its driver and its queries alone.
type Source struct {
	*keys.Cache
	Name   string
	Remote Remote // what asks

	wanted  sourceOptions
	answers atomic.Bool // it passed its check
	tested  *testedKeys
	foreign *foreignRows
	log     *slog.Logger
}

// Remote is the interface that keysql and keyhttp share.
type Remote interface {
	keys.Remote
	Check(ctx context.Context) (string, error)
	Close() error
}

// sourceOptions are all settings of a source, to be compared.
type sourceOptions struct {
	sql                              keysql.Options
	http                             keyhttp.Options
	timeout, ttl, negativeTTL, stale time.Duration
	bytes                            int
	otherDomains                     config.OtherDomains
}

func newSourceOptions(name string, c config.Source) sourceOptions {
	o := sourceOptions{
		timeout:      c.Timeout,
		ttl:          c.TTL,
		negativeTTL:  c.NegativeTTL,
		stale:        c.Stale,
		bytes:        int(c.CacheSize),
		otherDomains: c.OtherDomains,
	}
	if c.Driver == "http" {
		o.http = keyhttp.Options{
			Name:      name,
			KeyDir:    c.KeyDir,
			URL:       string(c.URL),
			TokenFile: string(c.TokenFile),
			TLS:       clientTLS(c),
			Timeout:   c.Timeout,
		}
		return o
	}
	o.sql = SQLOptions(name, c)
	return o
}

// SQLOptions returns the options for opening a configured database.
func SQLOptions(name string, c config.Source) keysql.Options {
	return keysql.Options{
		Name:         name,
		Driver:       keysql.Driver(c.Driver),
		DSN:          string(c.DSN),
		TLS:          clientTLS(c),
		KeyQuery:     c.KeyQuery,
		SigningQuery: c.SigningQuery,
		ListQuery:    c.ListQuery,
		KeyDir:       c.KeyDir,
		Timeout:      c.Timeout,
	}
}

func clientTLS(c config.Source) keys.TLS {
	return keys.TLS{CAFile: c.CAFile, Certificate: c.ClientCertificate, Key: string(c.ClientKey)}
}

// OpenSources makes the sources of a configuration, or takes them over from old, which may be nil.
// Nothing is asked yet.
func OpenSources(cfg *config.Config, old *Parts, log *slog.Logger) (map[string]*Source, error) {
	out := map[string]*Source{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Sources)) {
		wanted := newSourceOptions(name, cfg.Sources[name])
		if old != nil && old.Sources[name] != nil && old.Sources[name].wanted == wanted {
			out[name] = old.Sources[name]
			continue
		}
		s, err := newSource(name, wanted, log)
		if err != nil {
			errs = append(errs, cfg.Sources[name].Problem("", err.Error()))
			continue
		}
		if before := predecessor(cfg, old, name, wanted); before != nil {
			s.inherit(before)
		}
		out[name] = s
	}
	return out, errors.Join(errs...)
}

func newSource(name string, o sourceOptions, log *slog.Logger) (*Source, error) {
	var r Remote
	var err error
	if o.http.URL != "" {
		r, err = keyhttp.New(o.http)
	} else {
		r, err = keysql.New(o.sql)
	}
	if err != nil {
		return nil, err
	}
	return cached(name, o, r, log), nil
}

// cached puts the memory before what asks.
func cached(name string, o sourceOptions, r Remote, log *slog.Logger) *Source {
	s := &Source{Name: name, Remote: r, wanted: o, tested: &testedKeys{}, foreign: &foreignRows{},
		log: log}
	s.Cache = keys.NewCache(r, keys.CacheOptions{
		TTL:         o.ttl,
		NegativeTTL: o.negativeTTL,
		Stale:       o.stale,
		Bytes:       o.bytes,
		Timeout:     o.timeout,
		Turned:      func(err error) { logAvailability(log, name, err) },
		Test:        func(k keys.Key) error { return s.tested.test(k) },
		Unusable: func(err error) {
			log.Error("a source of keys gave an invalid answer: correct the row. Until then the "+
				"previous answer is used, for the time in stale at most",
				"source", name, "error", err)
		},
	})
	return s
}

func logAvailability(log *slog.Logger, name string, err error) {
	if err == nil {
		log.Info("a source of keys is available again", "source", name)
		return
	}
	log.Error("a source of keys is unavailable: cached keys sign, and other mail that depends on "+
		"it is deferred", "source",
		name, "error", err)
}

// Key returns a key as the DNS will be asked for it. A domain or selector that is not a name is not
// signed with: it would be in a header.
func (s *Source) Key(ctx context.Context, name string) (keys.Key, error) {
	k, err := s.Cache.Key(ctx, name)
	if err != nil {
		return k, err
	}
	return s.Usable(k, "", "")
}

// Choose returns the keys that sign for q; those that came whole are checked as Key does.
func (s *Source) Choose(ctx context.Context, q keys.Query) ([]keys.Key, error) {
	found, err := s.Cache.Choose(ctx, q)
	if err != nil {
		return nil, err
	}
	found = slices.Clone(found) // the cache's own
	for i, k := range found {
		if k.Signer == nil {
			continue
		}
		if found[i], err = s.Usable(k, "", ""); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// Usable puts domain and selector of the key table, where they are set, in place of the source's,
// in A-labels.
func (s *Source) Usable(k keys.Key, dom, selector string) (keys.Key, error) {
	if dom != "" {
		k.Domain = dom
	}
	if selector != "" {
		k.Selector = selector
	}
	at := k.Domain
	if at == "%" {
		at = "example.com"
	}
	k.Domain, k.Selector = domain.ASCII(k.Domain), domain.ASCII(k.Selector)
	if _, err := domain.Parse(k.Selector + "._domainkey." + domain.ASCII(at)); err != nil ||
		!strings.Contains(at, ".") ||
		k.Selector == "" {
		return keys.Key{}, fmt.Errorf(
			"source %q: key %q: %w: selector %q and domain %q do not form a DNS name",
			s.Name, k.Name, keys.ErrAnswer, k.Selector, k.Domain)
	}
	return k, nil
}

// choose answers for a rule without keys.
func (s *Source) choose(ctx context.Context, q sign.Query) ([]keys.Key, error) {
	return s.Choose(
		ctx,
		keys.Query{
			Domain:  string(q.Author.Domain),
			Address: q.Author.Local + "@" + string(q.Author.Domain),
			Login:   q.Login,
		},
	)
}

// KeyTable is the key table: keys in files, and keys that sources hold under the same name.
type KeyTable struct {
	files   keys.Source
	domains *keyfile.Domains // nil for none
	remote  map[string]remoteKey
}

// With returns the table with the keys that are stored in a file for each domain.
func (t KeyTable) With(d *keyfile.Domains) KeyTable {
	t.domains = d
	return t
}

// KeyFor implements keys.ByDomain.
func (t KeyTable) KeyFor(ctx context.Context, name, domain string) (keys.Key, error) {
	if !t.isOfDomain(name, domain) {
		return t.Key(ctx, name)
	}
	return t.domains.KeyFor(ctx, name, domain)
}

// Look is KeyFor for those who only want to know: that the domain has a key is not remembered.
func (t KeyTable) Look(ctx context.Context, name, domain string) (keys.Key, error) {
	if !t.isOfDomain(name, domain) {
		return t.Key(ctx, name)
	}
	return t.domains.Look(ctx, name, domain)
}

// isOfDomain reports whether a name means a separate file of the domain. An entry with
// exactly that name takes precedence.
func (t KeyTable) isOfDomain(name, domain string) bool {
	if t.domains == nil || t.has(name) {
		return false
	}
	_, _, ok := t.domains.Entry(name, domain)
	return ok
}

// has reports whether the table itself has a key of that name.
func (t KeyTable) has(name string) bool {
	if _, ok := t.remote[name]; ok {
		return true
	}
	held, ok := t.files.(interface{ Has(name string) bool })
	return ok && held.Has(name)
}

// HeldBy returns the names of the keys that a source holds, sorted.
func (t KeyTable) HeldBy(s *Source) []string {
	var out []string
	for name, k := range t.remote {
		if k.source == s {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// remoteKey is an entry of the key table that names a source.
type remoteKey struct {
	source           *Source
	domain, selector string // where set, instead of the source's
}

// Key implements keys.Source.
func (t KeyTable) Key(ctx context.Context, name string) (keys.Key, error) {
	r, ok := t.remote[name]
	if !ok {
		return t.files.Key(ctx, name)
	}
	k, err := r.source.Cache.Key(ctx, name)
	if err != nil {
		return keys.Key{}, err
	}
	if r.domain == "" {
		if err := r.source.matchesName(k, name); err != nil {
			return keys.Key{}, err
		}
	}
	return r.source.Usable(k, r.domain, r.selector)
}

// NewKeyTable puts the keys of files and of sources into one table. Sources that could not be made
// are an error elsewhere.
func NewKeyTable(cfg *config.Config, files keys.Source, sources map[string]*Source) KeyTable {
	t := KeyTable{files: files, remote: map[string]remoteKey{}}
	for name, k := range cfg.Keys {
		if s := sources[k.Source]; s != nil {
			t.remote[name] = remoteKey{s, k.Domain, k.Selector}
		}
	}
	return t
}

// ReopenSources makes the sources that p took over from old open new connections, with the present
// files of certificates and passwords. Their cached answers stay, but a file that may have been
// replaced is queried again.
func (p *Parts) ReopenSources(old *Parts) {
	for name, s := range p.Sources {
		r, ok := s.Remote.(interface{ Reopen() bool })
		if ok && old.Sources[name] == s && r.Reopen() {
			s.Cache.Outdate()
		}
	}
}

// CloseSources closes the sources of p that other does not use, after a time in which messages in
// progress may still query them.
func (p *Parts) CloseSources(other *Parts, after time.Duration, log *slog.Logger) {
	for name, s := range p.Sources {
		if other.Sources[name] == s {
			continue
		}
		time.AfterFunc(after, func() {
			if err := s.Remote.Close(); err != nil {
				log.Warn("the connections to a source of keys cannot be closed", "source", name,
					"error", err)
			}
		})
	}
}
