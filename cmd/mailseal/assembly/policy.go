package assembly

import (
	"errors"
	"fmt"
	"slices"

	"mailseal/config"
	"mailseal/milter/domain"
	"mailseal/milter/expression"
	"mailseal/milter/policy"
)

// NewPolicy turns the configuration's policy into rules.
func NewPolicy(cfg *config.Config) (*policy.Rules, error) {
	p := cfg.Policy
	rules := &policy.Rules{
		DryRun:      p.DryRun,
		MarkHeader:  p.MarkHeader,
		Actions:     policy.Actions{SPF: p.SPF, IPRev: p.IPRev, DKIM: p.DKIM, DMARC: p.DMARC},
		NoAuthor:    p.NoAuthor,
		ManyAuthors: p.ManyAuthors,
		Texts:       policy.Texts(p.Texts),
	}
	var err1, err2, err3 error
	rules.NotJudged.Networks, rules.NotJudged.Hosts = p.NotJudged.Networks, p.NotJudged.Hosts
	rules.NotJudged.Senders, err1 = senderPatterns("policy.not_judged.senders", p.NotJudged.Senders)
	rules.NotJudged.Recipients, err2 = patterns("policy.not_judged.recipients",
		p.NotJudged.Recipients)
	rules.NotJudged.Authors, err3 = patterns("policy.not_judged.author_domains",
		p.NotJudged.AuthorDomains)
	errs := []error{err1, err2, err3}
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
	rules.OnError = cfg.OnInternalError
	for i, r := range p.Rules {
		rule, err := newPolicyRule(fmt.Sprintf("policy.rules[%d]", i), r)
		rules.Rules, errs = append(rules.Rules, rule), append(errs, err)
	}
	return rules, errors.Join(errs...)
}

func newPolicyRule(path string, r config.PolicyRule) (policy.Rule, error) {
	when, err1 := newCondition(path+".when", r.When, expression.Judging)
	text, err2 := expression.NewTemplate(r.Text)
	return policy.Rule{Name: r.Name, When: when, Action: r.Action, Text: text, Reason: r.Reason,
		DryRun: r.DryRun}, errors.Join(err1, err2)
}

// newCondition compiles an expression of the configuration, nil for "".
func newCondition(path, text string, scope expression.Scope) (*expression.Condition, error) {
	if text == "" {
		return nil, nil
	}
	c, err := expression.Compile(text, scope)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func newOverride(name string, o config.Override) (policy.Override, error) {
	var errs [5]error
	out := policy.Override{Name: name, Networks: o.Networks, Hosts: o.Hosts, Replace: o.Action,
		Reason: o.Reason}
	out.Actions = policy.Actions{SPF: o.SPF, IPRev: o.IPRev, DKIM: o.DKIM, DMARC: o.DMARC}
	out.Authors, errs[0] = patterns(name+".author_domains", o.AuthorDomains)
	out.ListIDs, errs[1] = patterns(name+".list_ids", o.ListIDs)
	out.Sealers, errs[2] = patterns(name+".sealers", o.Sealers)
	out.Senders, errs[3] = senderPatterns(name+".senders", o.Senders)
	out.To, errs[4] = patterns(name+".recipients", o.Recipients)
	return out, errors.Join(errs[:]...)
}

// nullSender is how the configuration writes the envelope sender of bounces.
const nullSender = "<>"

// senderPatterns reads a list of envelope senders.
func senderPatterns(path string, texts []string) (out policy.SenderPatterns, err error) {
	others := slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == nullSender })
	out.Null = len(others) < len(texts)
	out.Patterns, err = patterns(path, others)
	return out, err
}
