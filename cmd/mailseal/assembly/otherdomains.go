package assembly

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter/domain"
	"mailseal/milter/sign"
)

// errOtherDomain means that a source returned a key of another domain than the requested
// one, and that other_domains forbids that.
var errOtherDomain = errors.New("the key belongs to a domain other than the expected one")

// maxForeign bounds the rows that are remembered as reported; beyond, all of them may be reported
// once more.
const maxForeign = 10_000

// foreignRows are the rows of a source whose domain is another than the one asked for, as far as
// that has been logged.
type foreignRows struct {
	mu   sync.Mutex
	said map[string]struct{}
}

// isNew reports whether a row is logged for the first time.
func (f *foreignRows) isNew(row string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.said[row]; ok {
		return false
	}
	if f.said == nil || len(f.said) >= maxForeign {
		f.said = map[string]struct{}{}
	}
	f.said[row] = struct{}{}
	return true
}

// matchesAuthor is the sign.Rule.Suits of a source: its answer about a sender is to be a key of the
// sender's domain, or of one above it, which DMARC counts for it by default. Keys that a rule names
// itself were not asked for by domain.
func (s *Source) matchesAuthor(r config.Rule) func(keys.Key, sign.Query) error {
	if r.Domain != "" {
		return nil // d= is not the row's
	}
	named := map[string]bool{}
	for _, name := range r.Keys {
		named[name] = true
	}
	return func(k keys.Key, q sign.Query) error {
		if named[k.Name] || q.Author.Domain.Within(domain.Name(k.Domain)) {
			return nil
		}
		return s.otherDomain(k, string(q.Author.Domain))
	}
}

// matchesName compares the domain of a key that the key table has from a source with the one in its
// name, if that is the name of a record.
func (s *Source) matchesName(k keys.Key, name string) error {
	_, asked, ok := strings.Cut(name, "._domainkey.")
	if !ok || k.Domain == "%" || domain.ASCII(k.Domain) == domain.ASCII(asked) {
		return nil
	}
	return s.otherDomain(k, asked)
}

// otherDomain logs a row that is of another domain than the one asked for, once, or returns why it
// must not sign.
func (s *Source) otherDomain(k keys.Key, asked string) error {
	switch s.wanted.otherDomains {
	case config.OtherDomainsAccept:
		return nil
	case config.OtherDomainsWarn:
	default:
		return fmt.Errorf("source %q: key %q of domain %q for %q: %w (other_domains)", s.Name,
			k.Name, k.Domain, asked, errOtherDomain)
	}
	if s.foreign.isNew(k.Name + "\x00" + k.Domain) {
		s.log.Warn("the key of a source belongs to a domain other than the expected one: it "+
			"signs, but DMARC does not accept its signature for the author's domain. Correct the "+
			"row, or set other_domains to \"accept\" or \"refuse\"",
			"source", s.Name, "key", k.Name, "domain", k.Domain, "asked", asked)
	}
	return nil
}
