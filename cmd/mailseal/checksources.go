package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"

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
	sources, _ := buildSources(cfg, nil, slog.New(slog.DiscardHandler))
	table := buildTable(cfg, nil, sources)
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		s := sources[name]
		said, err := s.remote.Check(ctx)
		if err != nil {
			c.Errors = append(c.Errors, cfg.Sources[name].Problem("", err.Error()))
			continue
		}
		c.Sources = append(c.Sources, sourceSummary{name, said})
		c.checkHeld(ctx, cfg, s, table)
	}
	for _, s := range sources {
		_ = s.remote.Close() // at the end of the program
	}
}

// checkHeld fetches and tries the keys of the key table that are in one source.
func (c *checked) checkHeld(ctx context.Context, cfg *config.Config, s *source, table keyTable) {
	for _, name := range slices.Sorted(maps.Keys(table.remote)) {
		if table.remote[name].source != s {
			continue
		}
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
