package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/keys"
	"mailseal/keys/keysql"
	"mailseal/milter/domain"
)

// sqlImportFlags is the command line of "mailseal sql-import".
type sqlImportFlags struct {
	config, source, dsn, domain string
	dryRun                      bool
}

func newSQLImportCmd() *cobra.Command {
	var f sqlImportFlags
	cmd := &cobra.Command{
		Use:   "sql-import DIR --source NAME [--dsn DSN]",
		Short: "Put a directory of keys into a data base",
		Long: `Sql-import reads the keys DIR/DOMAIN/SELECTOR.pem (or .private, as OpenDKIM's tools name them) and puts them into the
tables of contrib/sql (installed in share/mailseal/sql), each under the name SELECTOR._domainkey.DOMAIN and with a row that
has it sign for its domain. All are put in, or none: a key that cannot be read, or one directly in DIR, which belongs to no
domain, is an error. --domain says which domain keys directly in DIR are for. A name that is in the table already is left
as it is, so that the command can be repeated. Keys further down are passed over, and named.

The data base is that of a source of the configuration. The daemon's user can only read it, as it should: --dsn reaches
it as somebody who may write.`,
		Example: `  mailseal sql-import /var/lib/mailseal/keys --source hosting --dsn "dbname=mail user=postgres"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().StringVar(&f.source, "source", "", "name of the source in [sources]")
	cmd.Flags().StringVar(&f.dsn, "dsn", "", "how to reach the data base, instead of the source's own")
	cmd.Flags().StringVar(&f.domain, "domain", "", "domain of the keys directly in DIR")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "read the keys, and leave the data base alone")
	_ = cmd.MarkFlagRequired("source")
	return cmd
}

func (f *sqlImportFlags) run(ctx context.Context, dir string, out io.Writer) error {
	cfg, err := loadConfig(f.config)
	if err != nil {
		return err
	}
	s, ok := cfg.Sources[f.source]
	if !ok || s.Driver == "http" {
		return exit(exitUsage, fmt.Errorf("--source %q is no data base of the configuration", f.source))
	}
	entries, err := readKeys(dir, f.domain)
	if err != nil {
		return exit(exitBad, err)
	}
	for _, path := range keyFiles(dir, "*", "*") {
		fmt.Fprintf(out, "passed over %s, which is no DOMAIN/SELECTOR.pem\n", path)
	}
	if f.dryRun {
		for _, e := range entries {
			fmt.Fprintln(out, e.Key)
		}
		return nil
	}
	o := assembly.SQLOptions(f.source, s)
	if f.dsn != "" {
		o.DSN = f.dsn
	}
	added, err := keysql.Import(ctx, o, entries)
	if err != nil {
		return exit(exitUnknown, err)
	}
	for _, name := range added {
		fmt.Fprintln(out, "added", name)
	}
	fmt.Fprintf(out, "keys: %d, added: %d\n", len(entries), len(added))
	return nil
}

// readKeys reads DIR/DOMAIN/SELECTOR.pem and .private, and DIR/SELECTOR.pem for a domain that is not "". One that cannot
// be read is an error: nothing is imported by halves.
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
			errs = append(errs, fmt.Errorf("%s: of which domain is it? --domain says so, or move it to DOMAIN/%s", path, filepath.Base(path)))
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
	text, err := os.ReadFile(path)
	if err != nil {
		return keysql.Entry{}, err
	}
	signer, err := keys.Parse(text)
	if err != nil {
		return keysql.Entry{}, err
	}
	base := filepath.Base(path)
	k := keys.Key{Selector: domain.ASCII(strings.TrimSuffix(base, filepath.Ext(base))), Domain: domain.ASCII(dom), Signer: signer}
	k.Name = k.Selector + "._domainkey." + k.Domain
	if _, err := domain.Parse(k.Name); err != nil {
		return keysql.Entry{}, fmt.Errorf("%q is no domain, or its name no selector: %w", dom, err)
	}
	return keysql.Entry{Key: k, Text: text}, nil
}
