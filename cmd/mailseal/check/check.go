package check

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/remedy"
	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keyfile"
	"mailseal/keys/keylife"
	"mailseal/milter/dns"
)

// Options say what is checked.
type Options struct {
	File       string // the configuration
	ConfigFlag string // the --config that printed commands need; "" when File is the default

	// the user with whose rights root judges files; "": the one that the unit names
	As      string
	Service *service.Service // the same, if it is not to be looked for

	DNS      bool         // compare the keys with the DNS
	Resolver dns.Resolver // asked instead of the configuration's, if not nil
	// A-labels: compare the keys of these domains only, and those that sources hold for them
	Domains []string
	Limit   int // compare so many keys of each source that can be listed; 0: all

	AgainstRunning bool // compare the domains that signed mail lately with the configuration

	MTA   MTAOptions
	Names *config.HostNames // this host's, if they are not to be asked for

	Report func(Finding) // gets each finding as soon as it is known, never two at a time
	// is called now and then while a source with many keys is walked through; may be nil
	Progress func(*Walk)
	// Report keeps what it gets: of sources, report no more than a bounded number
	Bounded bool
}

// Result counts the checks and their findings. The findings themselves went to
// Options.Report.
type Result struct {
	File     string
	Rules    int
	Sockets  int
	Keys     []Key    // those that can sign
	Sources  []Source // those that answer
	AskedDNS bool
	// what the DNS shows of the keys; with Options.Bounded those of sources that have findings, too
	Records []View
	Walks   []*Walk // of sources, with Options.DNS
	MTAs    []Server
	// the authserv-ids of our Authentication-Results fields, as far as they are known; nil if
	// nothing is judged
	IDs []string

	// mode contains "sign", as it does by default, but no rule signs anything
	SignsNothing bool

	Judged string // how files were judged, where it was not with our own rights

	counts map[Area]map[Severity]int
}

// Key is a key that can sign.
type Key struct {
	Name        string `json:"name"`
	Record      string `json:"record"` // the DNS name
	Fingerprint string `json:"fingerprint"`
}

// Count returns how many findings of a severity there are in an area, those included that were not
// reported since there were too many.
func (r *Result) Count(a Area, s Severity) int { return r.counts[a][s] }

// Verdict is the overall result of a check.
type Verdict int

// The verdicts.
const (
	Good Verdict = iota // no errors; there may be warnings
	Bad                 // at least one error
	// the configuration could not be read, or the DNS did not answer and there are no errors
	Undecided
)

// Verdict sums up all findings. Findings about a mail server that are unknown because rights are
// missing do not count.
func (r *Result) Verdict() Verdict {
	switch {
	case r.Count(Local, Error)+r.Count(DNS, Error)+r.Count(MTA, Error) > 0:
		return Bad
	case r.notFoundOut() > 0,
		slices.ContainsFunc(r.MTAs, Server.isPast):
		return Undecided
	}
	return Good
}

// Run checks the configuration and what it names. Its error says why it could not; mistakes are
// findings.
func Run(ctx context.Context, o Options) (*Result, error) {
	c := &checker{Options: o, result: &Result{File: o.File, counts: map[Area]map[Severity]int{}}}
	defer c.close()
	return c.result, c.run(ctx)
}

// checker is one run.
type checker struct {
	Options
	result  *Result
	cfg     *config.Config
	files   *keyfile.Source
	service *service.Service // with whose rights files are judged, nil: with our own
	isGuest bool             // we are neither root nor the daemon's user
	daemon  *service.Service // whom the daemon runs as, where isGuest; nil: not known
	// files that we may not read, and that a finding names
	deniedBefore map[string]bool
	stops        map[string]service.Stop // files that it cannot read or write, by path
	domains      *keyfile.Domains        // keys in a file for each domain; nil: none
	parts        *assembly.Parts         // sources, managed keys, and the table of all keys
}

func (c *checker) run(ctx context.Context) error {
	var mistakes config.Problems
	cfg, err := config.LoadPartial(c.File)
	if errors.As(err, &mistakes) {
		c.mistakes(mistakes)
		return c.filesOf(ctx, cfg)
	}
	if err != nil {
		return err
	}
	if c.Names != nil {
		cfg.Host = *c.Names
	}
	c.cfg, c.result.Rules, c.result.Sockets = cfg, len(cfg.Sign), len(cfg.Listen)
	c.result.SignsNothing = cfg.SignsNothing()
	for _, p := range cfg.Warnings {
		if p.Path != "ours.networks" || !c.allClientsOurs() { // which ours reports with a remedy
			c.problem(ConfigWarning, p)
		}
	}
	if err := c.findService(); err != nil {
		return err
	}
	c.domains = assembly.DomainKeys(cfg, c.asReader(), slog.New(slog.DiscardHandler))
	if err := c.probe(ctx); err != nil {
		return err
	}
	c.assemble(ctx)
	c.sources(ctx)
	if err := c.keys(ctx); err != nil {
		return err
	}
	c.domainKeys(ctx)
	c.sockets(ctx)
	c.ours()
	c.secrets()
	c.pages()
	c.spool()
	c.reportsStore(ctx)
	c.managed()
	if c.AgainstRunning {
		c.againstRunning(ctx)
	}
	if err := c.servers(); err != nil {
		return err
	}
	c.testAddress(ctx)
	c.identity()
	if c.DNS && c.Resolver != nil {
		c.compare(ctx)
	}
	return nil
}

// filesOf looks at the files that a configuration with mistakes names. Nothing else is known of
// such a configuration.
func (c *checker) filesOf(ctx context.Context, cfg *config.Config) error {
	if cfg == nil {
		return nil
	}
	c.cfg = cfg
	if err := c.findService(); err != nil {
		return err
	}
	c.files = assembly.FileKeysAs(ctx, cfg, nil, c.asReader())
	findings, err := c.files.Findings(ctx)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Kind == keyfile.Absent && cfg.Keys[f.Name].File != "" {
			c.keyFile(f, c.keySetting(f.Name, "file"), remedy.Key{})
		}
	}
	c.secrets()
	c.pages()
	return nil
}

// mistakes reports what keeps a configuration from being read.
func (c *checker) mistakes(ps config.Problems) {
	for _, p := range ps {
		if p.IsUnread() {
			c.problem(ConfigUnread, p)
		} else {
			c.problem(ConfigMistake, p)
		}
	}
}

// assemble makes the parts that the rest of the check asks: no filter, no verifier and no listener.
func (c *checker) assemble(ctx context.Context) {
	c.joined(ConfigRefused, assembly.Validate(c.cfg))
	_, resolver, err := assembly.NewResolver(c.cfg)
	c.joined(ResolverRefused, err)
	if c.Resolver == nil && err == nil {
		c.Resolver = resolver
	}
	quiet := slog.New(slog.DiscardHandler)
	c.files = assembly.FileKeysAs(ctx, c.cfg, nil, c.asReader())
	c.parts = &assembly.Parts{Config: c.cfg, Resolver: c.Resolver, Keys: c.files}
	c.parts.Sources, err = assembly.OpenSources(c.cfg, nil, quiet)
	c.joined(SourceRefused, err)
	switch err := c.parts.AddManaged(nil, quiet); {
	case c.denied(c.stateSetting(), c.cfg.StateDirectory, err):
	case errors.Is(err, keylife.ErrNoDirectory):
		err = keylife.Store{Dir: c.cfg.StateDirectory}.CheckDirectory()
		c.report(finding(StateUnread, c.stateSetting(), err.Error()))
	default:
		c.joined(StateUnread, err)
	}
	c.parts.Domains = c.domains
	c.parts.Table = assembly.NewKeyTable(c.cfg, c.files, c.parts.Sources).With(c.domains)
}

// close ends the connections to sources.
func (c *checker) close() {
	if c.parts == nil {
		return
	}
	for _, s := range c.parts.Sources {
		_ = s.Remote.Close() // at the end of the program
	}
}

// report counts a finding and passes it on.
func (c *checker) report(f Finding) {
	f.Text = keys.Plain(keys.Mask(f.Text))
	c.count(f)
	c.Report(f)
}

func (c *checker) count(f Finding) {
	area := f.Code.area()
	if c.result.counts[area] == nil {
		c.result.counts[area] = map[Severity]int{}
	}
	c.result.counts[area][f.Severity]++
}

// problem reports what package config has put into words and knows the place of.
func (c *checker) problem(code Code, p config.Problem) {
	c.report(finding(code, at(p), p.Text))
}

// at is the place of a problem.
func at(p config.Problem) place { return place{p.File, p.Line, p.Path} }

// joined reports each of the errors that a constructor has joined. They name the setting
// themselves.
func (c *checker) joined(code Code, err error) {
	var list interface{ Unwrap() []error }
	var placed config.Problem
	switch {
	case err == nil:
	case errors.As(err, &placed) && !errors.As(err, &list):
		c.problem(code, placed)
	case errors.As(err, &list):
		for _, e := range list.Unwrap() {
			c.joined(code, e)
		}
	default:
		c.report(finding(code, place{file: c.File}, err.Error()))
	}
}
