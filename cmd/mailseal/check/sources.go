package check

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
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

// sources asks each source something, and for the keys of the key table that it should hold. That a
// source cannot be made has been reported already.
func (c *checker) sources(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(c.parts.Sources)) {
		s := c.parts.Sources[name]
		c.keyDirectory(c.cfg.Sources[name])
		if c.lacksSecret(c.cfg.Sources[name]) { // which secrets() reports
			continue
		}
		said, err := s.Remote.Check(ctx)
		if file := c.cfg.Sources[name].DatabaseFile(); c.cannotOpen(file) && c.denied(
			at(c.cfg.Sources[name].Problem("dsn", "")), file, fs.ErrPermission) {
			continue
		}
		if err != nil {
			c.report(finding(SourceAway, at(c.cfg.Sources[name].Problem("", "")), err.Error()))
			continue
		}
		if l, ok := s.Remote.(lister); ok && l.CanList() { // which the daemon itself never does
			if _, err := l.List(ctx, ""); err != nil {
				c.report(finding(SourceNoList, at(c.cfg.Sources[name].Problem("list_query", "")),
					err.Error()))
			} else {
				said += " and list_query"
			}
		}
		c.result.Sources = append(c.result.Sources, Source{name, said})
		c.held(ctx, s)
	}
}

// keyDirectory reports a directory of keys that is not there: each path that the source answers
// with is an error then.
func (c *checker) keyDirectory(s config.Source) {
	if s.KeyDir != "" && !isDirectory(s.KeyDir) {
		c.report(finding(SecretMissing, at(s.Problem("key_dir", "")), "no directory "+s.KeyDir))
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

// cannotOpen reports whether the permissions of a file keep us from reading it.
func (c *checker) cannotOpen(file string) bool {
	return file != "" && errors.Is(unix.Access(file, unix.R_OK), fs.ErrPermission)
}

// lacksSecret reports whether a file that a source needs to reach its server is not there.
func (c *checker) lacksSecret(s config.Source) bool {
	return slices.ContainsFunc([]string{string(s.TokenFile), string(s.ClientKey)},
		func(path string) bool {
			if path == "" {
				return false
			}
			_, err := os.Stat(path)
			return err != nil
		})
}
