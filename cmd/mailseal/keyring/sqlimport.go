package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/files"
	"mailseal/keys/keysql"
	"mailseal/milter/domain"
)

// ImportOptions say where "mailseal sql-import" puts keys.
type ImportOptions struct {
	Source string // a database of the configuration's [sources]
	DSN    string // how to reach it; "": the source's own
	Domain string // of the keys directly in the directory
	DryRun bool   // read the keys, but do not change the database
}

// ImportSQL puts the keys of a directory into a database, all of them or none, and says which it
// added.
func ImportSQL(ctx context.Context, cfg *config.Config, dir string, o ImportOptions,
	out io.Writer) error {
	s, ok := cfg.Sources[o.Source]
	if !ok || s.Driver == "http" {
		return answer.NewUsage(fmt.Errorf("--source %q is not a database of the configuration, "+
			"which has %s", o.Source, databases(cfg)))
	}
	entries, err := readKeys(dir, o.Domain)
	if err != nil {
		return answer.NewBad(err)
	}
	for _, path := range keyFiles(dir, "*", "*") {
		fmt.Fprintf(out, "skipped %s, which is not named DOMAIN/SELECTOR.pem\n", path)
	}
	if o.DryRun {
		for _, e := range entries {
			fmt.Fprintln(out, e.Key)
		}
		return nil
	}
	database := assembly.SQLOptions(o.Source, s)
	if o.DSN != "" {
		database.DSN = o.DSN
	}
	added, err := keysql.Import(ctx, database, entries)
	if err != nil {
		return answer.NewUnknown(err)
	}
	for _, name := range added {
		fmt.Fprintln(out, "added", name)
	}
	fmt.Fprintf(out, "keys: %d, added: %d\n", len(entries), len(added))
	return nil
}

// readKeys reads DIR/DOMAIN/SELECTOR.pem and .private, and DIR/SELECTOR.pem for a domain that is
// not "". One that cannot be read is an error: nothing is imported by halves.
func readKeys(dir, dom string) ([]keysql.Entry, error) {
	var out []keysql.Entry
	var errs []error
	add := func(path, dom string) {
		e, err := readKey(path, dom)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			return
		}
		out = append(out, e)
	}
	for _, path := range keyFiles(dir) {
		if dom == "" {
			errs = append(
				errs,
				fmt.Errorf("%s: its domain is not known; use --domain, or move the file to "+
					"DOMAIN/%s",
					path, filepath.Base(path)),
			)
			continue
		}
		add(path, dom)
	}
	for _, path := range keyFiles(dir, "*") {
		add(path, filepath.Base(filepath.Dir(path)))
	}
	if len(out)+len(errs) == 0 {
		return nil, fmt.Errorf("no DOMAIN/SELECTOR.pem or .private in %s", dir)
	}
	return out, errors.Join(errs...)
}

// keyFiles lists the files of keys below a directory, at the depth of the patterns.
func keyFiles(dir string, below ...string) []string {
	var out []string
	for _, pattern := range []string{"*.pem", "*.private"} {
		path := filepath.Join(append(append([]string{escapeGlob(dir)}, below...), pattern)...)
		files, _ := filepath.Glob(path) // the pattern is well formed
		out = append(out, files...)
	}
	return out
}

// escapeGlob takes the meaning from the characters of a name that a pattern gives one to.
func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

func readKey(path, dom string) (keysql.Entry, error) {
	text, err := files.Read(path, keys.MaxSize)
	if err != nil {
		return keysql.Entry{}, err
	}
	signer, err := keys.Parse(text)
	if err != nil {
		return keysql.Entry{}, err
	}
	base := filepath.Base(path)
	k := keys.Key{
		Selector: domain.ASCII(strings.TrimSuffix(base, filepath.Ext(base))),
		Domain:   domain.ASCII(dom),
		Signer:   signer,
	}
	k.Name = k.Selector + "._domainkey." + k.Domain
	if _, err := domain.Parse(k.Name); err != nil {
		return keysql.Entry{}, fmt.Errorf("%q is not a domain, or its name is not a selector: %w",
			dom, err)
	}
	return keysql.Entry{Key: k, Text: text}, nil
}

// databases lists the names of the sources that are databases.
func databases(cfg *config.Config) string {
	var out []string
	for name, s := range cfg.Sources {
		if s.Driver != "http" {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
