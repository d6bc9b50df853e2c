package main

import (
	"context"
	"maps"
	"slices"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
)

// sourceSummary is a source of keys that answers.
type sourceSummary struct {
	Name string `json:"name"`
	Says string `json:"says"`
}

// checkSources asks each source something, and for the keys of the key table that it should hold. That a source cannot
// be made is among the errors already.
func (c *checked) checkSources(ctx context.Context, cfg *config.Config) {
	table := assembly.NewKeyTable(cfg, nil, c.parts.Sources)
	for _, name := range slices.Sorted(maps.Keys(c.parts.Sources)) {
		s := c.parts.Sources[name]
		said, err := s.Remote.Check(ctx)
		if err != nil {
			c.Errors = append(c.Errors, cfg.Sources[name].Problem("", err.Error()))
			continue
		}
		if l, ok := s.Remote.(lister); ok && l.CanList() { // which the daemon itself never does
			if _, err := l.List(ctx, ""); err != nil {
				c.Errors = append(c.Errors, cfg.Sources[name].Problem("list_query", err.Error()))
			} else {
				said += " and list_query"
			}
		}
		c.Sources = append(c.Sources, sourceSummary{name, said})
		c.checkHeld(ctx, cfg, s, table)
	}
}

// close ends the connections to sources.
func (c *checked) close() {
	if c.parts == nil {
		return
	}
	for _, s := range c.parts.Sources {
		_ = s.Remote.Close() // at the end of the program
	}
}

// checkHeld fetches and tries the keys of the key table that are in one source.
func (c *checked) checkHeld(ctx context.Context, cfg *config.Config, s *assembly.Source, table assembly.KeyTable) {
	for _, name := range table.HeldBy(s) {
		k, err := table.Key(ctx, name)
		if err != nil {
			c.Errors = append(c.Errors, cfg.Keys[name].Problem("source", err.Error()))
			continue
		}
		tried := tryKey(k)
		if tried.err != nil {
			c.Errors = append(c.Errors, cfg.Keys[name].Problem("source", tried.err.Error()))
			continue
		}
		c.Keys = append(c.Keys, tried.keySummary)
	}
}
