package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/config"
	"mailseal/config/mta"
	"mailseal/keys/keyfile"
	"mailseal/milter/dns"
)

// checkFlags is the command line of "mailseal check".
type checkFlags struct {
	config string
	json   bool
	dns    bool
	zone   string

	dnsScope
	mta mtaCheck
}

func newCheckCmd() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [--config FILE] [--dns] [--postfix DIR] [--sendmail DIR]",
		Short: "Find mistakes in the configuration, the keys, the sockets, and in how mail servers use them",
		Long: `Check reads the configuration and everything that it names, starts nothing, and says all that is wrong: each
problem with its file, line and setting. Errors would keep the daemon from starting, or a key from signing; then the
exit code is 1. Warnings alone leave it at 0.

Where Postfix or Sendmail is installed, it reads their configuration too, and says which mail will not come to Mailseal:
a socket that is not where a chrooted smtpd looks for it, or that the user postfix may not connect to, or that Sendmail
takes for unsafe; services without the filter; mail that passes unsigned while Mailseal is away; other filters that sign
as well, or that write what Mailseal removes. Each finding names file and line, what becomes of mail, and the line to
put or the command to run. It needs no root: what cannot be read is said, and is no error.

With --dns it compares each key with the record that is published, octet by octet: whether it is there, whole, at the
right name, alone and the right one, and whether the domain that signs is aligned with the authors of its rules. Each
finding comes with the record to publish. When the DNS does not answer, and nothing else is wrong, the exit code is 3.

Keys of a data base are compared one after the other if the source has a list_query, those of other sources for the
domains that --domain names. What is wrong is printed as it is found, and every thousand keys how far it has come.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.progress = cmd.ErrOrStderr()
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file (default "+defaultConfig+")")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&f.dns, "dns", false, "compare the keys with the DNS")
	cmd.Flags().StringVar(&f.zone, "zone", "", "answer all DNS questions from this zone file; implies --dns")
	f.dnsScope.flags(cmd)
	f.mta.define(cmd.Flags())
	return cmd
}

// checked is what was found.
type checked struct {
	File     string          `json:"file"`
	Errors   config.Problems `json:"errors"`
	Warnings config.Problems `json:"warnings"`
	Keys     []keySummary    `json:"keys"`
	Sources  []sourceSummary `json:"sources,omitempty"`
	Rules    int             `json:"rules"`
	Sockets  int             `json:"sockets"`
	DNS      *dnsChecked     `json:"dns,omitempty"` // nil when it was not asked for
	MTAs     []mta.Report    `json:"mtas,omitempty"`

	mta *mtaCheck

	asksDNS  bool
	scope    dnsScope
	resolver dns.Resolver // nil: the configuration's
	parts    *assembly.Parts
}

// keySummary is a key that can sign.
type keySummary struct {
	Name        string `json:"name"`
	Record      string `json:"record"` // the DNS name
	Fingerprint string `json:"fingerprint"`
}

func (f *checkFlags) run(ctx context.Context, out io.Writer) error {
	c := checked{File: orDefault(f.config), Errors: config.Problems{}, Warnings: config.Problems{}, Keys: []keySummary{}, mta: &f.mta}
	if err := f.openDNS(&c); err != nil {
		return err
	}
	if !f.json {
		c.scope.found = out
	}
	defer c.close()
	if err := c.load(ctx); err != nil {
		return couldNot(err)
	}
	if f.json {
		if err := json.NewEncoder(out).Encode(c); err != nil {
			return exit(exitUnknown, err)
		}
	} else {
		c.print(out)
		printMTAs(out, c.MTAs)
	}
	switch {
	case errors.Is(c.Errors, config.ErrUnread):
		return exit(exitUnknown, nil)
	case len(c.Errors) > 0 || hasError(c.MTAs):
		return exit(exitBad, nil)
	case c.DNS != nil:
		return c.DNS.exit()
	}
	return nil
}

// openDNS sets the resolver if one is wanted: the zone file, else, once the configuration is read, its own.
func (f *checkFlags) openDNS(c *checked) error {
	if err := f.parse(); err != nil {
		return err
	}
	c.asksDNS, c.scope = f.dns || f.zone != "" || f.isSet(), f.dnsScope
	if f.zone == "" {
		return nil
	}
	var err error
	c.resolver, err = openResolver(f.zone)
	return err
}

func (c *checked) load(ctx context.Context) error {
	cfg, err := config.Load(c.File)
	if errors.As(err, &c.Errors) {
		return nil
	}
	if err != nil {
		return err
	}
	c.Rules, c.Sockets = len(cfg.Sign), len(cfg.Listen)
	c.Warnings = append(c.Warnings, cfg.Warnings...)
	source := c.build(ctx, cfg)
	c.checkSources(ctx, cfg)
	if err := c.loadKeys(ctx, cfg, source); err != nil {
		return err
	}
	for _, l := range cfg.Listen {
		c.checkSocket(l)
	}
	c.checkSecrets(cfg)
	c.checkManaged(cfg)
	if c.MTAs, err = c.mta.look(cfg); err != nil {
		return err
	}
	if c.asksDNS && c.resolver != nil {
		found := checkDNS(ctx, cfg, assembly.NewKeyTable(cfg, source, c.parts.Sources), c.resolver, c.scope)
		c.DNS = &found
		c.walkSources(ctx, cfg)
	}
	return nil
}

// build makes the daemon's parts, which find what config cannot know, and returns their keys.
func (c *checked) build(ctx context.Context, cfg *config.Config) *keyfile.Source {
	_, resolver, err := assembly.NewResolver(cfg)
	c.add(err)
	if c.resolver == nil && err == nil {
		c.resolver = resolver
	}
	p, err := assembly.New(ctx, cfg, resolver, nil, nil, slog.New(slog.DiscardHandler))
	c.add(err)
	c.parts = p
	if p == nil || p.Keys == nil { // nobody signs; the keys are judged all the same
		return assembly.FileKeys(ctx, cfg, nil)
	}
	return p.Keys
}

// add takes apart what constructors say, which name the setting themselves.
func (c *checked) add(err error) {
	var list interface{ Unwrap() []error }
	switch {
	case err == nil:
	case errors.As(err, &list):
		for _, e := range list.Unwrap() {
			c.add(e)
		}
	default:
		c.Errors = append(c.Errors, config.Problem{File: c.File, Text: err.Error()})
	}
}

// loadKeys waits for every key, whatever their number.
func (c *checked) loadKeys(ctx context.Context, cfg *config.Config, source *keyfile.Source) error {
	findings, err := source.Findings(ctx)
	if err != nil {
		return err
	}
	broken, warnings := keyProblems(cfg, findings)
	c.Errors = append(c.Errors, broken...)
	c.Warnings = append(c.Warnings, warnings...)
	for _, k := range tryKeys(ctx, source) {
		if k.err != nil {
			c.Errors = append(c.Errors, cfg.Keys[k.Name].Problem("", k.err.Error()))
			continue
		}
		c.Keys = append(c.Keys, k.keySummary)
	}
	return nil
}

// keyProblems tells findings about keys by the settings that name them: keys that cannot sign, and warnings.
func keyProblems(cfg *config.Config, findings []keyfile.Finding) (broken, warnings config.Problems) {
	for _, f := range findings {
		k := cfg.Keys[f.Name]
		setting := "file"
		if k.File == "" {
			setting = "private_key"
		}
		p := k.Problem(setting, f.String())
		if f.Err != nil {
			broken = append(broken, p)
		} else {
			warnings = append(warnings, p)
		}
	}
	return broken, warnings
}

// checkSocket looks for what a unix socket needs.
func (c *checked) checkSocket(l config.Listener) {
	if l.Network != "unix" {
		return
	}
	info, err := os.Stat(filepath.Dir(l.Target))
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(l.Target, "/run/"):
		c.Warnings = append(c.Warnings, l.Problem("address", fmt.Sprintf("no directory %s yet; RuntimeDirectory= makes it when systemd starts the daemon", filepath.Dir(l.Target))))
	case errors.Is(err, fs.ErrNotExist):
		c.Errors = append(c.Errors, l.Problem("address", fmt.Sprintf("no directory %s; make it with: mkdir -p %[1]s", filepath.Dir(l.Target))))
	case err != nil:
		c.Errors = append(c.Errors, l.Problem("address", err.Error()))
	case !info.IsDir():
		c.Errors = append(c.Errors, l.Problem("address", filepath.Dir(l.Target)+" is no directory"))
	}
	if at, err := os.Lstat(l.Target); err == nil && at.Mode().Type() != fs.ModeSocket {
		c.Errors = append(c.Errors, l.Problem("address", l.Target+" is there, and is no socket"))
	}
	if l.User != "" {
		if _, err := user.Lookup(l.User); err != nil {
			c.Errors = append(c.Errors, l.Problem("user", fmt.Sprintf("no user %q on this host", l.User)))
		}
	}
	if l.Group != "" {
		if _, err := user.LookupGroup(l.Group); err != nil {
			c.Errors = append(c.Errors, l.Problem("group", fmt.Sprintf("no group %q on this host", l.Group)))
		}
	}
}

// checkSecrets judges the files of secrets other than keys: the configuration itself where it holds some, and those of
// sources.
func (c *checked) checkSecrets(cfg *config.Config) {
	for _, k := range cfg.Keys {
		if k.PrivateKey != "" {
			c.warnUnsafe(k.Problem("private_key", ""), k.Problem("", "").File)
			break
		}
	}
	for _, s := range cfg.Sources {
		if s.DSN != "" {
			c.warnUnsafe(s.Problem("dsn", ""), s.Problem("", "").File)
		}
		for setting, path := range map[string]string{"token_file": s.TokenFile, "client_key": s.ClientKey} {
			if path == "" {
				continue
			}
			if _, err := os.Stat(path); err != nil {
				c.Errors = append(c.Errors, s.Problem(setting, err.Error()))
				continue
			}
			c.warnUnsafe(s.Problem(setting, ""), path)
		}
	}
}

func (c *checked) warnUnsafe(at config.Problem, path string) {
	for _, f := range keyfile.Check(path) {
		at.Text = f.String()
		c.Warnings = append(c.Warnings, at)
	}
}

func (c *checked) print(out io.Writer) {
	if c.DNS != nil {
		c.DNS.print(out)
	}
	for _, s := range c.Sources {
		fmt.Fprintf(out, "source %s: %s\n", s.Name, s.Says)
	}
	for _, p := range c.Errors {
		fmt.Fprintln(out, "error:", p)
	}
	for _, p := range c.Warnings {
		fmt.Fprintln(out, "warning:", p)
	}
	if len(c.Errors) > 0 {
		fmt.Fprintf(out, "%s: errors: %d, warnings: %d\n", c.File, len(c.Errors), len(c.Warnings))
		return
	}
	fmt.Fprintf(out, "%s: good; keys: %d, rules: %d, sockets: %d, warnings: %d\n", c.File, len(c.Keys), c.Rules, c.Sockets, len(c.Warnings))
}
