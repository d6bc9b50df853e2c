package assembly

import (
	"maps"
	"slices"
	"strings"

	"mailseal/config"
	"mailseal/milter/domain"
)

// Placement is a key and a domain that it signs as.
type Placement struct {
	Key    string // its name in the key table
	Domain string
}

// placements are all keys of a configuration with the domains that they sign as, sorted: those of
// the rules, and keys that no rule names at their own.
func Placements(cfg *config.Config) []Placement {
	found := map[Placement]bool{}
	used := map[string]bool{}
	for _, r := range cfg.Sign {
		for _, author := range AuthorDomains(r) {
			for _, name := range r.Keys {
				name, k, ok := entryOf(cfg, name, author)
				if ok {
					used[name] = true
					found[Placement{name, signsAs(r, k, author)}] = true
				}
			}
		}
	}
	for name, k := range cfg.Keys {
		if !used[name] {
			found[Placement{name, domain.ASCII(k.Domain)}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b Placement) int {
		return strings.Compare(a.Key+"\x00"+a.Domain, b.Key+"\x00"+b.Domain)
	})
}

// entryOf returns the entry of the key table that a name in a rule means for mail from an
// author's domain, and the entry's name: with that domain, or with "%" for every domain.
func entryOf(cfg *config.Config, name, author string) (string, config.Key, bool) {
	of := strings.ReplaceAll(name, "%", author)
	if k, ok := cfg.Keys[of]; ok {
		return of, k, true
	}
	k, ok := cfg.Keys[name]
	return name, k, ok && k.IsPerDomain()
}

// authorDomains are the domains that a rule's patterns name, "%" where they name none.
func AuthorDomains(r config.Rule) []string {
	var out []string
	for _, from := range r.From {
		name := strings.TrimPrefix(from[strings.LastIndexByte(from, '@')+1:], "*")
		if name = strings.TrimPrefix(name, "."); name == "" {
			name = "%"
		}
		out = append(out, domain.ASCII(name))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// signsAs is the d= tag for an author: the rule's, or the key's.
func signsAs(r config.Rule, k config.Key, author string) string {
	d := r.Domain
	if d == "" {
		d = k.Domain
	}
	return strings.ReplaceAll(domain.ASCII(d), "%", author)
}

// domainsOf are the d= tags of a rule's signatures for an author.
func SigningDomains(cfg *config.Config, r config.Rule, author string) []string {
	var out []string
	if r.Managed != "" {
		out = append(out, signsAs(r, config.Key{Domain: r.Managed}, author))
	}
	for _, name := range r.Keys {
		if _, k, ok := entryOf(cfg, name, author); ok {
			out = append(out, signsAs(r, k, author))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// usedBy are the placements of keys that rules name: a key that no rule signs with need not be
// published.
func UsedPlacements(cfg *config.Config) []Placement {
	var out []Placement
	used := map[string]bool{}
	for _, r := range cfg.Sign {
		for _, name := range r.Keys {
			used[name] = true
		}
	}
	for _, p := range Placements(cfg) {
		if used[p.Key] {
			out = append(out, p)
		}
	}
	return out
}
