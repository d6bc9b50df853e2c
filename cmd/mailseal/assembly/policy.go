package assembly

import (
	"errors"
	"fmt"

	"mailseal/config"
	"mailseal/milter/domain"
	"mailseal/milter/policy"
)

// newPolicy turns the configuration's policy into rules.
func newPolicy(cfg *config.Config) (*policy.Rules, error) {
	p := cfg.Policy
	rules := &policy.Rules{
		DryRun:      p.DryRun,
		MarkHeader:  p.MarkHeader,
		Actions:     policy.Actions{SPF: p.SPF, IPRev: p.IPRev, DKIM: p.DKIM, DMARC: p.DMARC},
		NoAuthor:    p.NoAuthor,
		ManyAuthors: p.ManyAuthors,
		Texts:       policy.Texts(p.Texts),
	}
	var err1, err2 error
	rules.NotJudged.Networks = p.NotJudged.Networks
	rules.NotJudged.Senders, err1 = patterns("policy.not_judged.senders", p.NotJudged.Senders)
	rules.NotJudged.Recipients, err2 = patterns("policy.not_judged.recipients", p.NotJudged.Recipients)
	errs := []error{err1, err2}
	for i, name := range cfg.Verify.TrustedSealers {
		d, err := domain.Parse(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("verify.trusted_sealers[%d]: %w", i, err))
		}
		rules.TrustedSealers = append(rules.TrustedSealers, d)
	}
	for i, o := range p.Overrides {
		override, err := newOverride(fmt.Sprintf("policy.override[%d]", i), o)
		rules.Overrides, errs = append(rules.Overrides, override), append(errs, err)
	}
	return rules, errors.Join(errs...)
}

func newOverride(name string, o config.Override) (policy.Override, error) {
	var errs [3]error
	out := policy.Override{Name: name, Networks: o.Networks, Replace: o.Action}
	out.Actions = policy.Actions{SPF: o.SPF, IPRev: o.IPRev, DKIM: o.DKIM, DMARC: o.DMARC}
	out.Authors, errs[0] = patterns(name+".author_domains", o.AuthorDomains)
	out.ListIDs, errs[1] = patterns(name+".list_ids", o.ListIDs)
	out.Sealers, errs[2] = patterns(name+".sealers", o.Sealers)
	return out, errors.Join(errs[:]...)
}
