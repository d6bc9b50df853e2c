package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/remedy"
	"mailseal/keys"
	"mailseal/keys/keyfile"
)

// ownKey is the file of a domain where the key table has "%" in its path.
type ownKey struct{ domain, path string }

// ownKeys are the files of the domains in scope, of one entry of the key table.
func (c *checker) ownKeys(name string) []ownKey {
	domains := c.Domains
	if len(domains) == 0 {
		// an error is that of the directory, which domainKeys reports
		domains, _ = c.domains.List(name)
	}
	var out []ownKey
	for _, d := range domains {
		out = append(out, ownKey{d, strings.ReplaceAll(c.cfg.Keys[name].File, "%", d)})
	}
	return out
}

// keysOf are ownKeys, and those that domains in scope signed with lately.
func (c *checker) keysOf(name string, lately []string) []ownKey {
	out := c.ownKeys(name)
	for _, d := range lately {
		of := ownKey{d, strings.ReplaceAll(c.cfg.Keys[name].File, "%", d)}
		if c.inScope(d) && !slices.Contains(out, of) {
			out = append(out, of)
		}
	}
	return out
}

// domainKeys reads and tries the keys that domains have in files of their own, and looks for the
// directories that these are in.
func (c *checker) domainKeys(ctx context.Context) {
	if c.domains == nil {
		return
	}
	var lately []string
	if known := assembly.KnownKeys(c.cfg); known != nil {
		c.domains.Remember(known)
		lately = known.WithKeys()
	}
	reported := map[string]bool{} // a directory is on the way to many keys
	for _, name := range c.domains.Names() {
		setting := c.keySetting(name, "file")
		entry, _, _ := c.domains.Entry(name, "")
		if dir := entry.Directory(); !isDirectory(dir) {
			text := fmt.Sprintf("the directory %s does not exist: Mailseal cannot know which domains "+
				"have a key there, and defers their mail", dir)
			c.report(finding(KeyMissing, setting, text))
			continue
		}
		for _, of := range c.keysOf(name, lately) {
			if _, isStopped := c.stopAt(of.path); !isStopped {
				c.ownKey(ctx, name, of, reported)
			}
		}
	}
}

// ownKey reports what is wrong with the key of one domain.
func (c *checker) ownKey(ctx context.Context, name string, of ownKey, reported map[string]bool) {
	setting := c.keySetting(name, "file")
	k, err := c.domains.Look(ctx, name, of.domain)
	switch {
	case errors.Is(err, keys.ErrNone):
		return // whether that matters is for --dns to say
	case errors.Is(err, keyfile.ErrLost):
		c.report(finding(KeyMissing, setting, err.Error()))
		return
	case c.denied(setting, of.path, err):
		return
	case err != nil:
		c.report(finding(KeyUnusable, setting, err.Error()))
		return
	}
	for _, f := range keyfile.Check(of.path, c.asReader()) {
		if !reported[f.Path] {
			reported[f.Path] = true
			c.keyFile(f, setting, remedy.Key{File: of.path})
		}
	}
	k.Domain = strings.ReplaceAll(k.Domain, "%", of.domain)
	tried := tryKey(k)
	if tried.err != nil {
		c.report(finding(KeyFailsTest, setting, of.path+": "+tried.err.Error()))
		return
	}
	for _, f := range sizeFindings(tried, setting) {
		f.Text = of.path + ": " + f.Text
		c.report(f)
	}
	c.result.Keys = append(c.result.Keys, tried.Key)
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
