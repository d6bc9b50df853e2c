// Package assembly makes the working parts of Mailseal from a configuration: the resolver, the
// sources of keys, the signing table, the verifier, the policy and the filter. The daemon runs
// them, the checks and the other commands ask them; none of them makes its own.
package assembly

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keyfile"
	"mailseal/keys/keylife"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/filter"
	"mailseal/milter/message"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// Parts are the objects that one configuration requires. A reload makes new ones, and
// reuses the old ones whose settings have not changed.
type Parts struct {
	Config   *config.Config
	Resolver dns.Resolver
	Keys     *keyfile.Source // nil when nothing is signed or sealed
	Sources  map[string]*Source
	// keys that are stored in a file for each domain; nil if there are none
	Domains *keyfile.Domains
	Table   keys.Source     // Keys, Domains, and those that Sources hold
	Managed *keylife.Source // nil when no rule signs with keys of the state directory
	// wraps keylife.ErrGone if the state of the keys is missing; the previous keys still sign
	Gone     error
	Settings milter.Settings
}

// New makes the parts of a configuration. It reuses the keys of unchanged files from old,
// which may be nil. The error contains all mistakes of the configuration. A key that cannot
// be used is not among them: the others sign.
func New(
	ctx context.Context,
	cfg *config.Config,
	resolver dns.Resolver,
	old *Parts,
	counters filter.Counters,
	log *slog.Logger,
) (*Parts, error) {
	p := &Parts{Config: cfg, Resolver: resolver}
	if cfg.Signs() || cfg.Seal.Key != "" {
		p.Keys = FileKeys(ctx, cfg, old)
	}
	var sourcesErr error
	p.Sources, sourcesErr = OpenSources(cfg, old, log)
	p.addDomains(old, log)
	p.Table = NewKeyTable(cfg, p.Keys, p.Sources).With(p.Domains)
	daemon := &filter.Filter{
		ID:          cfg.AuthservID,
		Host:        cfg.ServerName(),
		Own:         newOwnFields(cfg),
		Unmatched:   cfg.Ours.Unmatched,
		Redirected:  cfg.Signing.Redirected,
		Malformed:   cfg.Signing.MalformedFrom,
		AuthResult:  cfg.AuthenticationResults.Auth,
		ReceivedSPF: cfg.Verify.ReceivedSPF,
		SelfCheck:   filter.SelfCheck{Share: cfg.Signing.SelfCheck, Action: cfg.Signing.SelfCheckAction},
		Counters:    counters,
		Test: filter.Test{
			Local: cfg.Test.Local(), Domain: cfg.Test.Domain(), Accept: cfg.Test.Reply == config.TestAccept,
			PageURL: strings.TrimRight(cfg.Test.PageURL, "/"), Now: time.Now,
		},
	}
	err := errors.Join(sourcesErr, p.AddManaged(old, log), p.addLists(daemon), p.addSigning(daemon),
		p.addJudging(daemon, log))
	p.Settings = milter.Settings{
		Filter:          daemon,
		Roles:           NewRoles(cfg),
		Exempt:          milter.Exempt{Networks: cfg.Exempt.Networks, Hosts: cfg.Exempt.Hosts},
		HeaderLimit:     int(cfg.Limits.HeaderSize),
		Deadline:        cfg.Limits.MessageDeadline,
		OnInternalError: cfg.OnInternalError,
		QuietFragile:    quietFragile(cfg.Signing.FragileWarnings),
	}
	return p, err
}

// RecordReports has what DMARC reports are made of written down by r. It is called before the parts
// are in effect.
func (p *Parts) RecordReports(r filter.Recorder, lists *filter.Lists) error {
	f, ok := p.Settings.Filter.(*filter.Filter)
	if !ok || !p.Config.Reports.Collect {
		return nil
	}
	addresses, err := patterns("reports.addresses", p.Config.Reports.Addresses)
	if err != nil {
		return err
	}
	f.Reports = filter.Reports{
		Recorder:  r,
		Lists:     lists,
		Domain:    domain.Name(p.Config.Reports.Domain()),
		Addresses: addresses,
		Relations: p.Config.Reports.Relation != action.RelationListed,
		Now:       time.Now,
		Failures:  p.Config.Reports.Failure.Takes(),
		Subject:   p.Config.Reports.Failure.Subject,
	}
	return nil
}

// KeepTests has what is found of mail to the address for tests kept by k, for pages. It is called
// before the parts are in effect.
func (p *Parts) KeepTests(k filter.Keeper) {
	if f, ok := p.Settings.Filter.(*filter.Filter); ok && p.Config.Test.HasPages() {
		f.Test.Keeper = k
	}
}

// quietFragile returns the causes of broken signatures that are not warned of.
func quietFragile(warned []string) []milter.Event {
	return slices.DeleteFunc(
		[]milter.Event{milter.LongLine, milter.Rewritten, milter.EightBit},
		func(e milter.Event) bool {
			return slices.Contains(warned, string(e))
		},
	)
}

func newOwnFields(cfg *config.Config) filter.OwnFields {
	own := filter.OwnFields{KeepResults: cfg.Ours.KeepResults, IDs: ownIDs(cfg),
		Names: []string{cfg.Policy.MarkHeader}}
	if cfg.Verify.ReceivedSPF {
		own.Names = append(own.Names, "Received-SPF")
	}
	return own
}

// ownIDs are the authserv-ids that no stranger may use: those that are configured, and the names of
// this host, which readers may take for ours even where another is configured.
func ownIDs(cfg *config.Config) []string {
	var ids []string
	add := func(names ...string) {
		for _, name := range names {
			if name != "" && !slices.Contains(ids, name) {
				ids = append(ids, name)
			}
		}
	}
	add(cfg.AuthservID)
	add(cfg.AuthenticationResults.RemoveIDs...)
	add(cfg.Host.Full, cfg.Host.Name, domain.FirstLabel(cfg.Host.Name))
	return ids
}

// NewRoles returns the rules of a configuration that decide which mail is ours.
func NewRoles(cfg *config.Config) milter.Roles {
	return milter.Roles{
		Authenticated: cfg.Ours.Authenticated,
		DaemonNames:   cfg.Ours.DaemonNames,
		Macros:        cfg.Ours.Macros,
		Relays:        cfg.Relays.Networks,
		Networks:      cfg.Ours.Networks,
		Hosts:         cfg.Ours.Hosts,
	}
}

// addLists puts the lists of addresses into the filter.
func (p *Parts) addLists(f *filter.Filter) error {
	l, err := newLists(p.Config)
	f.ExemptAuthors, f.UnsignedRecipients, f.Senders = l.exempt, l.unsigned, l.senders
	return err
}

// lists are the lists of addresses of a configuration.
type lists struct {
	exempt   message.Patterns // authors whose mail is let alone
	unsigned message.Patterns // recipients whose mail is not signed
	senders  filter.Senders
}

// newLists reads the lists of addresses. config has checked each pattern; one that this package
// cannot read all the same must not pass in silence.
func newLists(cfg *config.Config) (l lists, err error) {
	var errs [3]error
	l.exempt, errs[0] = patterns("exempt.author_domains", cfg.Exempt.AuthorDomains)
	l.unsigned, errs[1] = patterns("signing.unsigned_recipients", cfg.Signing.UnsignedRecipients)
	l.senders, errs[2] = newSenders(cfg.Senders)
	return l, errors.Join(errs[:]...)
}

func patterns(path string, texts []string) (message.Patterns, error) {
	ps, err := message.ParsePatterns(texts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ps, nil
}

func newSenders(c config.Senders) (filter.Senders, error) {
	out := filter.Senders{Require: c.Require, Action: c.Action,
		Logins: map[string]message.Patterns{}}
	for login, may := range c.Logins {
		ps, err := patterns("senders.logins."+login, may)
		if err != nil {
			return out, err
		}
		out.Logins[login] = ps
	}
	return out, nil
}

// addJudging builds what verifies, and the policy.
func (p *Parts) addJudging(f *filter.Filter, log *slog.Logger) error {
	if !p.Config.Verifies() {
		return nil
	}
	var err error
	if f.Policy, err = NewPolicy(p.Config); err != nil {
		return err
	}
	v, err := ConfiguredVerifier(p.Config, p.Resolver, time.Now)
	if err != nil {
		return err
	}
	if !p.Config.Verify.ARC && f.Sealer == nil {
		v.ARC = nil
	}
	v.Bug = func(method string, err error) {
		log.Error("panic: a bug in Mailseal, please "+
			"report this line", "in", method, "error", err)
	}
	f.Verifier = v
	return nil
}

// ConfiguredVerifier judges as a configuration says, but that it always validates ARC.
func ConfiguredVerifier(cfg *config.Config, r dns.Resolver, now func() time.Time) (*verify.Verifier,
	error) {
	c := cfg.Verify
	v := NewVerifier(r, now)
	v.Deadline = cfg.Limits.MessageDeadline
	v.IPRev, v.HELO = c.Iprev, c.SPFHelo
	v.DKIM.MaxSignatures, v.DKIM.MinRSABits = c.MaxSignatures, c.MinRSABits
	v.DKIM.AcceptUnsignedBody, v.DKIM.ClockSkew = c.AcceptUnsignedBody, NegativeIfZero(c.ClockSkew)
	v.SPF.Receiver = cfg.ServerName()
	switch c.OrganizationalDomain {
	case action.TreeWalk:
	case action.PublicSuffixList:
		v.DMARC.PublicSuffixList = true
	default:
		return nil, fmt.Errorf("verify.organizational_domain: %s", c.OrganizationalDomain)
	}
	switch c.UncoveredDuplicates {
	case action.UncoveredPolicy:
	case action.UncoveredNote:
		v.DKIM.NoteUncovered = true
	default:
		return nil, fmt.Errorf("verify.uncovered_duplicates: %s", c.UncoveredDuplicates)
	}
	switch {
	case !c.SPF && !c.DMARC:
		v.SPF = nil
	// DMARC without SPF would fail the honest mail of domains that SPF alone authenticates
	case !c.SPF:
		v.OnlyDMARC = true
	}
	if !c.DMARC {
		v.DMARC = nil
	}
	return v, nil
}

// NewVerifier runs every method with its defaults.
func NewVerifier(r dns.Resolver, now func() time.Time) *verify.Verifier {
	return &verify.Verifier{
		Resolver: r,
		IPRev:    true,
		SPF:      &spf.Checker{Now: now},
		HELO:     true,
		DKIM:     &dkim.Verifier{Resolver: r, Now: now},
		ARC:      &arc.Validator{Resolver: r, Now: now},
		DMARC:    &dmarc.Checker{},
	}
}

// NewResolver makes the resolver: the client, and the gate that everything goes through, which
// shares its places out and has the cache behind it. They outlive every reload.
func NewResolver(cfg *config.Config) (*dns.Client, *dns.Gate, error) {
	var servers []string
	for _, a := range cfg.DNS.Servers {
		servers = append(servers, a.String())
	}
	client, err := dns.New(dns.Options{Servers: servers, Timeout: cfg.DNS.Timeout,
		Tries: cfg.DNS.Tries})
	if err != nil {
		return nil, nil, fmt.Errorf("the name servers: %w", err)
	}
	cache := dns.NewCache(client, cacheOptions(cfg.DNS.CacheSize))
	return client, dns.NewGate(cache, dns.GateOptions{}), nil
}

// cacheOptions bound the cache of the DNS. Without entries it remembers nothing, and those who ask
// the same at a time still wait for one answer.
func cacheOptions(entries int) dns.CacheOptions {
	if entries == 0 {
		return dns.CacheOptions{Nothing: true}
	}
	return dns.CacheOptions{Entries: entries}
}
