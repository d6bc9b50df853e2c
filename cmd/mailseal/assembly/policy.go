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
		Actions:     newActions(p.SPF, p.IPRev, p.DKIM, p.DMARC),
		NoAuthor:    action(p.NoAuthor),
		ManyAuthors: action(p.ManyAuthors),
		Texts:       policy.Texts{SPF: p.Texts.SPF, DKIM: p.Texts.DKIM, DMARC: p.Texts.DMARC, IPRev: p.Texts.IPRev, Other: p.Texts.Other},
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
	out := policy.Override{Name: name, Networks: o.Networks, Actions: newActions(o.SPF, o.IPRev, o.DKIM, o.DMARC)}
	out.Authors, errs[0] = patterns(name+".author_domains", o.AuthorDomains)
	out.ListIDs, errs[1] = patterns(name+".list_ids", o.ListIDs)
	out.Sealers, errs[2] = patterns(name+".sealers", o.Sealers)
	if o.Action != "" {
		replace := action(o.Action)
		out.Replace = &replace
	}
	return out, errors.Join(errs[:]...)
}

func newActions(s config.SPFActions, i config.IPRevActions, k config.DKIMActions, d config.DMARCPolicy) policy.Actions {
	return policy.Actions{
		SPF: actions(map[string]config.Action{
			"fail": s.Fail, "softfail": s.Softfail, "neutral": s.None, "none": s.None,
			"permerror": s.Permerror, "temperror": s.Temperror,
		}),
		HELO:  actions(map[string]config.Action{"fail": s.HeloFail}),
		IPRev: actions(map[string]config.Action{"fail": i.Fail, "permerror": i.Permerror, "temperror": i.Temperror}),
		DKIM: actions(map[string]config.Action{
			"fail": k.Fail, "policy": k.Policy, "neutral": k.Neutral, "none": k.None,
			"permerror": k.Permerror, "temperror": k.Temperror,
		}),
		DMARC: actions(map[string]config.Action{
			"reject": d.Reject, "quarantine": d.Quarantine, "none": d.None, "no_record": d.NoRecord,
			"permerror": d.Permerror, "temperror": d.Temperror,
		}),
	}
}

func actions(from map[string]config.Action) map[string]policy.Action {
	to := make(map[string]policy.Action, len(from))
	for result, a := range from {
		to[result] = action(a)
	}
	return to
}

// action translates an action that config has checked; "" is Accept.
func action(a config.Action) policy.Action {
	out, err := policy.ParseAction(string(a))
	if err != nil {
		return policy.Accept
	}
	return out
}
