package check

import (
	"context"
	"maps"
	"slices"

	"mailseal/cmd/mailseal/assembly"
)

// Source is a source of keys that answers.
type Source struct {
	Name string `json:"name"`
	Says string `json:"says"`
}

// lister is a source whose keys can be listed.
type lister interface {
	CanList() bool
	List(ctx context.Context, after string) ([]string, error)
}

// sources asks each source something, and for the keys of the key table that it should hold. That a source cannot be
// made has been reported already.
func (c *checker) sources(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(c.parts.Sources)) {
		s := c.parts.Sources[name]
		said, err := s.Remote.Check(ctx)
		if err != nil {
			c.report(finding(SourceAway, at(c.cfg.Sources[name].Problem("", "")), err.Error()))
			continue
		}
		if l, ok := s.Remote.(lister); ok && l.CanList() { // which the daemon itself never does
			if _, err := l.List(ctx, ""); err != nil {
				c.report(finding(SourceNoList, at(c.cfg.Sources[name].Problem("list_query", "")), err.Error()))
			} else {
				said += " and list_query"
			}
		}
		c.result.Sources = append(c.result.Sources, Source{name, said})
		c.held(ctx, s)
	}
}

// held fetches and tries the keys of the key table that are in one source.
func (c *checker) held(ctx context.Context, s *assembly.Source) {
	table := assembly.NewKeyTable(c.cfg, nil, c.parts.Sources)
	for _, name := range table.HeldBy(s) {
		k, err := table.Key(ctx, name)
		var tried triedKey
		if err == nil {
			tried = tryKey(k)
			err = tried.err
		}
		if err != nil {
			c.report(finding(SourceNoKey, at(c.cfg.Keys[name].Problem("source", "")), err.Error()))
			continue
		}
		c.keySize(tried)
		c.result.Keys = append(c.result.Keys, tried.Key)
	}
}
