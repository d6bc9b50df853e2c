package assembly

import (
	"context"
	"errors"
	"slices"
	"strings"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// Coverage is how much of a domain's mail the rules sign, with a key that can be loaded.
type Coverage int

// The coverages, from the least.
const (
	Uncovered Coverage = iota
	Partly             // that of some users, clients or recipients
	Wholly
)

// Coverages finds out how much of each domain's mail the rules of a configuration sign. It queries
// the key sources that it does not share with another configuration. A key that a source does not
// return counts as signing, since the source may return it when mail arrives.
type Coverages struct {
	parts  *Parts
	shared func(*Source) bool
	exempt message.Patterns
	rules  []coveringRule
	exact  map[string][]int // rules by the domain of a pattern
	below  map[string][]int // rules by the domain that a pattern is for all names below
	any    []int            // rules for all authors
	signer map[string][]int // rules by the d= that they sign as

	away map[*Source]bool
}

// coveringRule is a rule of the configuration with its patterns.
type coveringRule struct {
	config.Rule
	from message.Patterns
}

// NewCoverages prepares the rules of p. Shared, when not nil, reports whether a source is that of
// the configuration before as well, and need not be asked.
func NewCoverages(p *Parts, shared func(*Source) bool) *Coverages {
	c := &Coverages{
		parts: p, shared: shared, exact: map[string][]int{}, below: map[string][]int{}, signer: map[string][]int{},
		away: map[*Source]bool{},
	}
	if !p.Config.Signs() {
		return c
	}
	l, _ := newLists(p.Config) // mistakes have kept p from being made
	c.exempt = l.exempt
	for i, r := range p.Config.Sign {
		from, _ := patterns("", r.From)
		c.rules = append(c.rules, coveringRule{r, from})
		c.index(i, r, from)
	}
	return c
}

func (c *Coverages) index(i int, r config.Rule, from message.Patterns) {
	if len(from) == 0 { // a source says itself for whom
		c.any = append(c.any, i)
	}
	for _, p := range from {
		place := p.Place()
		tree, isBelow := strings.CutPrefix(place, "*.")
		switch {
		case place == "*":
			c.any = append(c.any, i)
		case isBelow:
			c.below[tree] = append(c.below[tree], i)
		default:
			c.exact[place] = append(c.exact[place], i)
		}
	}
	for _, author := range AuthorDomains(r) {
		for _, d := range SigningDomains(c.parts.Config, r, author) {
			c.signer[d] = append(c.signer[d], i)
		}
	}
}

// Author returns how much of the mail of an author's domain is signed.
func (c *Coverages) Author(ctx context.Context, name string) Coverage {
	if c.exempt.MatchDomain(domain.Name(name)) {
		return Uncovered
	}
	found := Uncovered
	for _, i := range c.candidates(name) {
		r := c.rules[i]
		isWhole := r.isUnconditional() && (len(r.from) == 0 ||
			r.from.MatchDomain(domain.Name(name)))
		switch {
		case !c.usable(ctx, r.Rule, name):
		case isWhole:
			return Wholly
		default:
			found = Partly
		}
		if isWhole && c.parts.Config.Signing.Match == config.MatchFirst {
			return found // no rule behind this one sees the domain's mail
		}
	}
	return found
}

// candidates returns the rules that may fit mail of a domain, in the order of the file.
func (c *Coverages) candidates(name string) []int {
	out := slices.Concat(c.exact[name], c.any)
	for rest := name; ; {
		_, above, ok := strings.Cut(rest, ".")
		if !ok {
			break
		}
		out = append(out, c.below[above]...)
		rest = above
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// isUnconditional reports whether a rule signs whatever the client and the recipients are.
func (r coveringRule) isUnconditional() bool {
	w := r.When
	return len(w.Recipients)+len(w.Networks)+len(w.DaemonNames)+len(w.Logins)+len(w.Senders)+
		len(w.ListIDs) == 0
}

// Signer reports whether any rule signs as a domain, with a key that can be loaded.
func (c *Coverages) Signer(ctx context.Context, name string) bool {
	for _, i := range c.signer[name] {
		if c.signsAs(ctx, c.rules[i].Rule, name) {
			return true
		}
	}
	for _, i := range c.signer["%"] {
		if slices.Contains(c.candidates(name), i) && c.usable(ctx, c.rules[i].Rule, name) {
			return true
		}
	}
	return slices.ContainsFunc(c.rules, func(r coveringRule) bool {
		return r.Source != "" &&
			// whose d= only it knows
			(r.Domain == "" || r.Domain == "%" || domain.ASCII(r.Domain) == name)
	})
}

// signsAs reports whether a rule has a key that can be loaded for one d=.
func (c *Coverages) signsAs(ctx context.Context, r config.Rule, name string) bool {
	if r.Managed != "" {
		return c.usable(ctx, r, name)
	}
	for _, key := range r.Keys {
		for _, author := range AuthorDomains(r) {
			of, k, ok := entryOf(c.parts.Config, key, author)
			if ok && signsAs(r, k, author) == name && c.hasKey(ctx, r, of, author) {
				return true
			}
		}
	}
	return false
}

// Signs reports whether any rule has a key that can be loaded.
func (c *Coverages) Signs(ctx context.Context) bool {
	return slices.ContainsFunc(c.rules, func(r coveringRule) bool {
		switch {
		case r.Source != "":
			return true
		case r.Managed == "%":
			return c.parts.Managed != nil && c.parts.Managed.Any()
		}
		for _, author := range AuthorDomains(r.Rule) {
			if c.usable(ctx, r.Rule, author) {
				return true
			}
		}
		return slices.ContainsFunc(r.Keys, func(name string) bool {
			return strings.Contains(name, "%") && c.anyKey(ctx, name) || c.parts.anyDomain(name)
		})
	})
}

// anyKey reports whether there is a key whose name is like that of a rule, with a domain for "%".
func (c *Coverages) anyKey(ctx context.Context, pattern string) bool {
	for name := range c.parts.Config.Keys {
		if _, ok := authorIn(pattern, name); ok && c.hasKey(ctx, config.Rule{}, name, "") {
			return true
		}
	}
	return false
}

// usable reports whether a rule has a key for mail of an author's domain.
func (c *Coverages) usable(ctx context.Context, r config.Rule, author string) bool {
	switch {
	case r.Managed != "":
		return c.hasManaged(r, author)
	case len(r.Keys) > 0:
		return slices.ContainsFunc(r.Keys, func(name string) bool {
			return c.hasKey(ctx, r, strings.ReplaceAll(name, "%", author), author)
		})
	}
	s := c.parts.Sources[r.Source]
	return s != nil && c.ask(s, func() (bool, error) {
		found, err := s.Choose(ctx, keys.Query{Domain: author})
		return len(found) > 0, err
	})
}

func (c *Coverages) hasManaged(r config.Rule, author string) bool {
	if c.parts.Managed == nil {
		return false
	}
	of := domain.ASCII(r.Managed)
	if of == "%" {
		of = author
	}
	found, err := c.parts.Managed.Keys(of)
	return err == nil && len(found) > 0
}

// hasKey reports whether a key can be loaded that a rule names for an author's domain.
func (c *Coverages) hasKey(ctx context.Context, r config.Rule, name, author string) bool {
	held := c.parts.Sources[r.Source]
	if held == nil {
		held = c.parts.Sources[c.parts.Config.Keys[name].Source]
	}
	if held == nil {
		_, err := look(ctx, c.parts.Table, name, author)
		return err == nil
	}
	return c.ask(held, func() (bool, error) {
		_, err := held.Key(ctx, name)
		if errors.Is(err, keys.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
}

// ask asks a source, unless it is shared or has failed before. No answer counts as a good one.
func (c *Coverages) ask(s *Source, question func() (bool, error)) bool {
	if c.away[s] || c.shared != nil && c.shared(s) {
		return true
	}
	has, err := question()
	if err != nil && !errors.Is(err, keys.ErrAnswer) {
		c.away[s] = true
		return true
	}
	return has
}
