package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mailseal/config"
	"mailseal/config/opendkim"
	"mailseal/keys"
	"mailseal/keys/keyfile"
	"mailseal/keys/keylife"
	"mailseal/milter"
	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/message"
	"mailseal/milter/sign"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// defaultConfig is where the configuration is looked for when nobody says.
const defaultConfig = "/etc/mailseal/mailseal.toml"

// loadConfig reads the configuration at path, or the default one for "". Mistakes in it are a bad answer; a file that
// cannot be read is none.
func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		path = defaultConfig
	}
	cfg, err := opendkim.Load(path)
	switch {
	case errors.Is(err, config.ErrUnread):
		return nil, exit(exitUnknown, err)
	case err != nil:
		return nil, exit(exitBad, err)
	}
	return cfg, nil
}

// parts are what a daemon is made of: what survives a reload, and what a reload builds anew.
type parts struct {
	cfg      *config.Config
	resolver dns.Resolver
	keys     *keyfile.Source // nil when nothing is signed or sealed
	sources  map[string]*source
	table    keys.Source     // keys, and those that sources hold
	managed  *keylife.Source // nil when no rule signs with keys of the state directory
	settings milter.Settings
}

// build makes the parts that a configuration asks for; keys of unchanged files are taken over from old, which may be
// nil. All mistakes of the configuration are in the error. A key that cannot be used is none of them: the others sign.
func build(ctx context.Context, cfg *config.Config, resolver dns.Resolver, old *parts, counters milter.Counters, log *slog.Logger) (*parts, error) {
	p := &parts{cfg: cfg, resolver: resolver}
	if cfg.Signs() || cfg.Seal.Key != "" {
		p.keys = buildKeys(ctx, cfg, old)
	}
	var sourcesErr error
	p.sources, sourcesErr = buildSources(cfg, old, log)
	p.table = buildTable(cfg, p.keys, p.sources)
	steps := &milter.Steps{
		ID:             cfg.AuthservID,
		Own:            buildOwn(cfg),
		JudgeUnmatched: cfg.Ours.Unmatched == config.UnmatchedJudge,
		AuthResult:     cfg.AuthenticationResults.Auth,
		ReceivedSPF:    cfg.Verify.ReceivedSPF,
		SelfCheck:      milter.SelfCheck{Share: cfg.Signing.SelfCheck, Tempfail: cfg.Signing.SelfCheckAction == config.Tempfail},
		Counters:       counters,
	}
	err := errors.Join(sourcesErr, p.addManaged(old, log), p.addLists(steps), p.addSigning(steps), p.addJudging(steps, log))
	p.settings = milter.Settings{
		Filter:          steps,
		Roles:           buildRoles(cfg),
		Exempt:          milter.Exempt{Networks: cfg.Exempt.Networks, Hosts: cfg.Exempt.Hosts},
		HeaderLimit:     int(cfg.Limits.HeaderSize),
		Deadline:        cfg.Limits.MessageDeadline,
		OnInternalError: milter.Action(cfg.OnInternalError),
	}
	return p, err
}

func buildOwn(cfg *config.Config) milter.Own {
	own := milter.Own{IDs: append([]string{cfg.AuthservID}, cfg.AuthenticationResults.RemoveIDs...), Fields: []string{cfg.Policy.MarkHeader}}
	if cfg.Verify.ReceivedSPF {
		own.Fields = append(own.Fields, "Received-SPF")
	}
	return own
}

func buildRoles(cfg *config.Config) milter.Roles {
	return milter.Roles{
		Authenticated: cfg.Ours.Authenticated,
		DaemonNames:   cfg.Ours.DaemonNames,
		Macros:        cfg.Ours.Macros,
		Relays:        cfg.Relays.Networks,
		Networks:      cfg.Ours.Networks,
		Hosts:         cfg.Ours.Hosts,
	}
}

// addLists reads the lists of addresses. config has checked each pattern; one that this package cannot read all the
// same must not pass in silence.
func (p *parts) addLists(s *milter.Steps) error {
	var errs [3]error
	s.ExemptAuthors, errs[0] = patterns("exempt.author_domains", p.cfg.Exempt.AuthorDomains)
	s.UnsignedRecipients, errs[1] = patterns("signing.unsigned_recipients", p.cfg.Signing.UnsignedRecipients)
	s.Senders, errs[2] = buildSenders(p.cfg.Senders)
	return errors.Join(errs[:]...)
}

func patterns(path string, texts []string) (message.Patterns, error) {
	ps, err := message.ParsePatterns(texts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ps, nil
}

func buildSenders(c config.Senders) (milter.Senders, error) {
	rules := map[config.SenderCheck]milter.SenderRule{
		config.SenderAny: milter.AnySender, config.SenderEnvelopeDomain: milter.EnvelopeDomain, config.SenderLogin: milter.LoginMap,
	}
	out := milter.Senders{Rule: rules[c.Require], Action: milter.Action(c.Action), Logins: map[string]message.Patterns{}}
	for login, may := range c.Logins {
		ps, err := patterns("senders.logins."+login, may)
		if err != nil {
			return out, err
		}
		out.Logins[login] = ps
	}
	return out, nil
}

// addSigning builds what signs and seals.
func (p *parts) addSigning(s *milter.Steps) error {
	if p.cfg.Seal.Key != "" {
		s.Sealer = &sign.Sealer{Keys: p.table, Key: p.cfg.Seal.Key, Domain: p.cfg.Seal.Domain}
	}
	if !p.cfg.Signs() {
		return nil
	}
	var err error
	s.Signer, err = buildSigner(p)
	return err
}

// buildSigner makes the signer of a configuration.
func buildSigner(p *parts) (*sign.Signer, error) {
	var rules []sign.Rule
	var errs []error
	for i, r := range p.cfg.Sign {
		rule, err := buildRule(fmt.Sprintf("sign[%d]", i), r)
		if from := p.sources[r.Source]; from != nil {
			rule.Source = from
			if len(r.Keys) == 0 {
				rule.Choose = from.choose
			}
		}
		if r.Managed != "" {
			rule.Choose = chooseManaged(p.managed, ascii(r.Managed))
		}
		rules, errs = append(rules, rule), append(errs, err)
	}
	return &sign.Signer{Table: sign.NewTable(rules), Keys: p.table, Identifiers: identifiers(p.cfg.Keys)}, errors.Join(errs...)
}

// identifiers are the i= tags that keys have of their own.
func identifiers(table map[string]config.Key) map[string]string {
	out := map[string]string{}
	for name, k := range table {
		if k.Identifier != "" {
			out[name] = k.Identifier
		}
	}
	return out
}

func buildRule(name string, r config.Rule) (sign.Rule, error) {
	from, err1 := patterns(name+".from", r.From)
	to, err2 := patterns(name+".when.recipients", r.When.Recipients)
	options, err3 := buildSignOptions(r.SignOptions)
	return sign.Rule{
		Name:         name,
		From:         from,
		Keys:         r.Keys,
		Domain:       r.Domain,
		When:         sign.When{Recipients: to, Networks: r.When.Networks, DaemonNames: r.When.DaemonNames, Logins: r.When.Logins},
		Options:      options,
		SkipIfSigned: r.SkipIfSigned,
		RemoveOld:    r.RemoveOldSignatures,
		Resign:       r.Resign,
		OnKeyError:   onKeyError[r.OnKeyError],
	}, errors.Join(err1, err2, err3)
}

var onKeyError = map[config.OnKeyError]sign.OnKeyError{
	config.KeySkip: sign.Skip, config.KeyTempfail: sign.Tempfail, config.KeyReject: sign.Refuse, config.KeyAccept: sign.Unsigned,
}

func buildSignOptions(o config.SignOptions) (dkim.SignOptions, error) {
	h, b, err := message.ParseCanonicalization(o.Canonicalization)
	out := dkim.SignOptions{
		SimpleHeader:    h == message.Simple,
		SimpleBody:      b == message.Simple,
		Fields:          o.Headers,
		Oversign:        orNone(o.Oversign),
		OversignPresent: orNone(o.OversignPresent),
		Expiry:          o.Expiry,
		Identifier:      o.Identifier,
	}
	if o.Expiry == 0 {
		out.Expiry = -1 // dkim's word for "no x="
	}
	return out, err
}

// orNone returns a list that is empty and not nil where config, which has put its defaults in, has none: to dkim nil means
// defaults of its own.
func orNone(names []string) []string { return append([]string{}, names...) }

// addJudging builds what verifies, and the policy.
func (p *parts) addJudging(s *milter.Steps, log *slog.Logger) error {
	if !p.cfg.Verifies() {
		return nil
	}
	var err error
	if s.Policy, err = buildPolicy(p.cfg); err != nil {
		return err
	}
	c := p.cfg.Verify
	v := fullVerifier(p.resolver, time.Now)
	v.Deadline = p.cfg.Limits.MessageDeadline
	v.IPRev, v.HELO = c.Iprev, c.SPFHelo
	v.DKIM.MaxSignatures, v.DKIM.MinRSABits = c.MaxSignatures, c.MinRSABits
	v.DKIM.AcceptUnsignedBody, v.DKIM.ClockSkew = c.AcceptUnsignedBody, c.ClockSkew
	v.SPF.Receiver = p.cfg.AuthservID
	v.DMARC.PublicSuffixList = c.OrganizationalDomain == "psl"
	if !c.SPF {
		v.SPF = nil
	}
	if !c.DMARC {
		v.DMARC = nil
	}
	if !c.ARC && s.Sealer == nil {
		v.ARC = nil
	}
	v.Bug = func(method string, err error) { log.Error("panic", "in", method, "error", err) }
	s.Verifier = v
	return nil
}

// fullVerifier runs every method with its defaults.
func fullVerifier(r dns.Resolver, now func() time.Time) *verify.Verifier {
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

// buildResolver makes the resolver and its cache, which outlive every reload.
func buildResolver(cfg *config.Config) (*dns.Client, *dns.Cache, error) {
	var servers []string
	for _, a := range cfg.DNS.Servers {
		servers = append(servers, a.String())
	}
	client, err := dns.New(dns.Options{Servers: servers, Timeout: cfg.DNS.Timeout, Tries: cfg.DNS.Tries})
	if err != nil {
		return nil, nil, fmt.Errorf("dns: %w", err)
	}
	return client, dns.NewCache(client, dns.CacheOptions{Entries: cfg.DNS.CacheSize}), nil
}
