package assembly

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"mailseal/config"
	"mailseal/keys/keyhttp"
	"mailseal/keys/keysql"
)

// reach is what decides whether a source answers at all. Its name does not.
func (o sourceOptions) reach() sourceOptions {
	out := sourceOptions{sql: o.sql, http: o.http, timeout: o.timeout}
	out.sql.Name, out.http.Name = "", ""
	return out
}

// asks is what the answers of a source depend on: the same questions to a database that has moved
// have the same answers.
func (o sourceOptions) asks() sourceOptions {
	return sourceOptions{
		sql: keysql.Options{
			Driver: o.sql.Driver, KeyQuery: o.sql.KeyQuery, SigningQuery: o.sql.SigningQuery,
			KeyDir: o.sql.KeyDir,
		},
		http: keyhttp.Options{URL: o.http.URL, KeyDir: o.http.KeyDir},
	}
}

// predecessor is the source that one takes the place of at a reload: that of the same name, or one
// that is reached in the same way and has been renamed; nil when there is none.
func predecessor(cfg *config.Config, old *Parts, name string, wanted sourceOptions) *Source {
	if old == nil {
		return nil
	}
	if s := old.Sources[name]; s != nil {
		return s
	}
	for _, before := range slices.Sorted(maps.Keys(old.Sources)) {
		_, isKept := cfg.Sources[before]
		if s := old.Sources[before]; !isKept && s.wanted.reach() == wanted.reach() {
			return s
		}
	}
	return nil
}

// inherit takes over what a source before has remembered, if it asked the same.
func (s *Source) inherit(before *Source) {
	if s.wanted.asks() != before.wanted.asks() {
		return
	}
	s.Cache.Inherit(before.Cache)
	s.tested, s.foreign = before.tested, before.foreign
	s.answers.Store(before.answers.Load())
}

// HasAnswered reports whether the source, or the one that it replaced, has answered since it was
// made.
func (s *Source) HasAnswered() bool { return s.answers.Load() || s.Cache.HasAnswered() }

// ExamineSources tries each source that old does not have, or reaches otherwise, and logs what it
// finds. A database that is away does not keep the daemon from starting. On a reload it is an error
// when a query can never work, and when a source does not answer that has answered with the
// settings in effect: those are the better ones.
func (p *Parts) ExamineSources(ctx context.Context, old *Parts, log *slog.Logger) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.Sources)) {
		s := p.Sources[name]
		before := predecessor(p.Config, old, name, s.wanted)
		if before != nil && before.wanted.reach() == s.wanted.reach() {
			continue
		}
		said, err := s.Remote.Check(ctx)
		switch {
		case err == nil:
			s.answers.Store(true)
			log.Info("source of keys: "+said, "source", name)
		case old != nil && errors.Is(err, keysql.ErrQuery):
			errs = append(errs, err)
		case before != nil && before.HasAnswered():
			errs = append(errs, fmt.Errorf("sources.%s: the reload is refused, because the source "+
				"answers with the present settings but not with the new ones (a restart would use "+
				"the new ones in any case): %w", name, err))
		default:
			s.Counters.Failures.Add(1)
			log.Error("a source of keys cannot be used, so mail that depends on it is deferred",
				"source", name,
				"error", err)
		}
	}
	return errors.Join(errs...)
}
