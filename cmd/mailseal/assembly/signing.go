package assembly

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mailseal/config"
	"mailseal/milter/dkim"
	"mailseal/milter/domain"
	"mailseal/milter/expression"
	"mailseal/milter/filter"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// addSigning builds what signs and seals.
func (p *Parts) addSigning(f *filter.Filter) error {
	if p.Config.Seal.Key != "" {
		f.Sealer = &sign.Sealer{Keys: p.Table, Key: p.Config.Seal.Key, Domain: p.Config.Seal.Domain,
			Selector: domain.ASCII(p.Config.Seal.Selector)}
	}
	if !p.Config.Signs() {
		return nil
	}
	var err error
	f.Signer, err = p.Signer()
	return err
}

// NewSigner makes the signer of a configuration alone, without what judging needs. Nothing is
// logged.
func NewSigner(ctx context.Context, cfg *config.Config) (*sign.Signer, error) {
	p := &Parts{Config: cfg, Keys: FileKeys(ctx, cfg, nil)}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	p.Sources, err = OpenSources(cfg, nil, quiet)
	if err = errors.Join(err, p.AddManaged(nil, quiet)); err != nil {
		return nil, err
	}
	p.Domains = DomainKeys(cfg, nil, quiet)
	if known := KnownKeys(cfg); known != nil {
		p.RememberKeys(known)
	}
	p.Table = NewKeyTable(cfg, p.Keys, p.Sources).With(p.Domains)
	return p.Signer()
}

// Signer makes the signer of p's configuration, which asks p's sources of keys.
func (p *Parts) Signer() (*sign.Signer, error) {
	var rules []sign.Rule
	var errs []error
	for i, r := range p.Config.Sign {
		rule, err := newRule(fmt.Sprintf("sign[%d]", i), r)
		if from := p.Sources[r.Source]; from != nil {
			rule.Source, rule.Suits = from, from.matchesAuthor(r)
			if len(r.Keys) == 0 {
				rule.Choose = from.choose
			}
		}
		if r.Managed != "" {
			rule.Choose = chooseManaged(p.Managed, r)
		}
		rules, errs = append(rules, rule), append(errs, err)
	}
	table, err := newSigningTable(p.Config.Signing.Match, rules)
	return &sign.Signer{Table: table, Keys: p.Table, Identifiers: identifiers(p.Config.Keys)},
		errors.Join(append(errs, err)...)
}

// newSigningTable makes the signing table in which the first rule that fits signs, or all that fit.
func newSigningTable(m config.Match, rules []sign.Rule) (*sign.Table, error) {
	switch m {
	case config.MatchFirst:
		return sign.NewTable(rules), nil
	case config.MatchAll:
		return sign.NewTableOfAll(rules), nil
	}
	return nil, fmt.Errorf("signing.match: unknown value %q", m)
}

// identifiers returns the i= tags that are set for single keys.
func identifiers(table map[string]config.Key) map[string]string {
	out := map[string]string{}
	for name, k := range table {
		if k.Identifier != "" {
			out[name] = k.Identifier
		}
	}
	return out
}

func newRule(name string, r config.Rule) (sign.Rule, error) {
	from, err1 := patterns(name+".from", r.From)
	to, err2 := patterns(name+".when.recipients", r.When.Recipients)
	senders, err4 := senderPatterns(name+".when.senders", r.When.Senders)
	lists, err5 := patterns(name+".when.list_ids", r.When.ListIDs)
	options, err3 := SignOptions(r.SignOptions)
	condition, err6 := newCondition(name+".if", r.If, expression.Signing)
	return sign.Rule{
		Name:   name,
		From:   from,
		Keys:   r.Keys,
		Domain: r.Domain,
		When: sign.When{
			Recipients: to, Networks: r.When.Networks, DaemonNames: r.When.DaemonNames, Logins: r.When.Logins,
			Senders: senders.Patterns, NullSender: senders.Null, ListIDs: lists,
		},
		Options:      options,
		SkipIfSigned: r.SkipIfSigned,
		RemoveOld:    r.RemoveOldSignatures,
		Resign:       r.Resign,
		OnKeyError:   r.OnKeyError,
		If:           condition,
	}, errors.Join(err1, err2, err3, err4, err5, err6)
}

func SignOptions(o config.SignOptions) (dkim.SignOptions, error) {
	h, b, err := message.ParseCanonicalization(o.Canonicalization)
	out := dkim.SignOptions{
		SimpleHeader:    h == message.Simple,
		SimpleBody:      b == message.Simple,
		Fields:          o.Headers,
		Oversign:        orNone(o.Oversign),
		OversignPresent: orNone(o.OversignPresent),
		KeepPlain:       !o.OversignMIME,
		Expiry:          o.Expiry,
		Identifier:      o.Identifier,
		RequestReports:  o.RequestReports,
	}
	out.Expiry = NegativeIfZero(o.Expiry)
	return out, err
}

// NegativeIfZero returns a negative duration for zero. In the packages that use these options zero
// means the default, and a negative duration means never.
func NegativeIfZero(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// orNone returns a list that is empty and not nil where config, which has put its defaults in, has
// none: to dkim nil means defaults of its own.
func orNone(names []string) []string { return append([]string{}, names...) }
