package assembly

import (
	"context"
	"log/slog"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/cmd/mailseal/signed"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keyfile"
	"mailseal/milter/domain"
)

// DomainKeys returns the source of keys that are stored in a file for each domain, or nil
// if the configuration has none. As is the user that the daemon runs as; nil means that of
// this process.
func DomainKeys(cfg *config.Config, as *keyfile.Reader, log *slog.Logger) *keyfile.Domains {
	entries := domainEntries(cfg)
	if len(entries) == 0 {
		return nil
	}
	tested := &testedKeys{}
	return keyfile.NewDomains(entries, keyfile.DomainOptions{
		RequireSafe: cfg.RequireSafeKeys,
		As:          as,
		Test:        tested.test,
		Note: func(f keyfile.Finding) {
			fix := remedy.KeyFile(f, remedy.Self(), remedy.Key{})
			log.Warn(fix.Sentence(f.Text), "key", f.Name)
		},
	})
}

// addDomains makes the source of keys of domains, or takes over that of old, which may be nil, with
// all that it has read and tried.
func (p *Parts) addDomains(old *Parts, log *slog.Logger) {
	if old != nil && old.Domains.Is(domainEntries(p.Config), p.Config.RequireSafeKeys) {
		p.Domains = old.Domains
		return
	}
	p.Domains = DomainKeys(p.Config, nil, log)
}

// domainEntries returns the entries of the key table with a separate file for each domain.
func domainEntries(cfg *config.Config) map[string]keyfile.DomainEntry {
	entries := map[string]keyfile.DomainEntry{}
	for name, k := range cfg.Keys {
		if k.IsPerDomain() {
			entries[name] = keyfile.DomainEntry{
				Domain: k.Domain, Selector: domain.ASCII(k.Selector), File: k.File,
			}
		}
	}
	return entries
}

// RememberKeys sets the Memory of domains that recently had separate keys.
func (p *Parts) RememberKeys(m keyfile.Memory) {
	if p.Domains != nil {
		p.Domains.Remember(m)
	}
}

// KnownKeys returns the daemon's list of domains that recently had separate keys, or nil if
// it cannot be read. Additions to it are not written to the file.
func KnownKeys(cfg *config.Config) *signed.List {
	list := signed.New(nil)
	if err := list.Read(cfg.StateDirectory); err != nil {
		return nil
	}
	return list
}

// Expand replaces each placement with "%" by those of all domains that have a separate key.
func (p *Parts) Expand(places []Placement) []Placement {
	if p.Domains == nil {
		return places
	}
	var out []Placement
	for _, place := range places {
		if place.Domain != "%" || !p.Config.Keys[place.Key].IsPerDomain() {
			out = append(out, place)
			continue
		}
		found, err := p.Domains.List(place.Key)
		if err != nil {
			continue // the signer reports it
		}
		for _, d := range found {
			out = append(out, Placement{Key: place.Key, Domain: d})
		}
	}
	return out
}

// anyDomain reports whether any domain has a separate key under a name of the key table.
func (p *Parts) anyDomain(name string) bool {
	if p.Domains == nil {
		return false
	}
	found, err := p.Domains.List(name)
	return err != nil || len(found) > 0
}

// look asks for a key without the source's remembering that the domain has one.
func look(ctx context.Context, s keys.Source, name, domain string) (keys.Key, error) {
	if t, ok := s.(KeyTable); ok {
		return t.Look(ctx, name, domain)
	}
	return s.Key(ctx, name)
}
