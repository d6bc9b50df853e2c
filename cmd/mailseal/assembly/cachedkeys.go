package assembly

import (
	"strings"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// remembered are the keys of sources in memory by which rules without a key table sign, each with
// the domain that it signs as. Nothing is asked of a source.
func (p *Parts) Remembered() []keys.Key {
	found := map[string]keys.Key{}
	memories := map[*Source]memory{}
	for _, r := range p.Config.Sign {
		s := p.Sources[r.Source]
		if s == nil {
			continue
		}
		if _, ok := memories[s]; !ok {
			memories[s] = memoryOf(s)
		}
		for _, k := range memories[s].signing(r) {
			if k.Signer == nil || k.Domain == "" || strings.Contains(k.Domain, "%") {
				continue
			}
			if fingerprint, err := k.Fingerprint(); err == nil {
				found[k.Selector+"._domainkey."+k.Domain+" "+fingerprint] = k
			}
		}
	}
	out := make([]keys.Key, 0, len(found))
	for _, k := range found {
		out = append(out, k)
	}
	return out
}

// memory is what a source's cache holds.
type memory struct {
	byName  map[string]keys.Key
	queries []keys.Held // about senders
}

func memoryOf(s *Source) memory {
	m := memory{byName: map[string]keys.Key{}}
	for _, h := range s.Held() {
		if h.Name == "" {
			m.queries = append(m.queries, h)
		} else if k, err := s.Usable(h.Keys[0], "", ""); err == nil {
			m.byName[h.Name] = k
		}
	}
	return m
}

// signing are the keys by which a rule has mail signed, placed at their domains.
func (m memory) signing(r config.Rule) []keys.Key {
	var out []keys.Key
	for _, name := range r.Keys {
		out = append(out, m.named(r, name)...)
	}
	if len(r.Keys) > 0 {
		return out
	}
	from, err := message.ParsePatterns(r.From)
	for _, h := range m.queries {
		if err != nil || !from.MatchDomain(domain.Name(h.Query.Domain)) &&
			!from.MatchPath(h.Query.Address) {
			continue
		}
		for _, k := range h.Keys {
			if k.Signer == nil {
				k = m.byName[k.Name]
			}
			out = append(out, SignedAs(r, k, h.Query.Domain))
		}
	}
	return out
}

// named returns the keys that one name of a rule means.
func (m memory) named(r config.Rule, name string) []keys.Key {
	if !strings.Contains(name, "%") {
		return []keys.Key{SignedAs(r, m.byName[name], "%")}
	}
	var out []keys.Key
	for of, k := range m.byName {
		if author, ok := authorIn(name, of); ok {
			out = append(out, SignedAs(r, k, author))
		}
	}
	return out
}

// authorIn reports whether a key's name is one that a rule names, and which author's domain is
// there for "%".
func authorIn(rule, name string) (string, bool) {
	before, after, _ := strings.Cut(rule, "%")
	if len(name) <= len(before)+len(after) || !strings.HasPrefix(name, before) {
		return "", false
	}
	author := name[len(before) : len(name)-len(after)]
	return author, strings.ReplaceAll(rule, "%", author) == name
}

// signedAs settles the d= of a key for an author.
func SignedAs(r config.Rule, k keys.Key, author string) keys.Key {
	if r.Domain != "" {
		k.Domain = domain.ASCII(r.Domain)
	}
	k.Domain = strings.ReplaceAll(k.Domain, "%", author)
	return k
}
