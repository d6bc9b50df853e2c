package domains

import (
	"cmp"
	"context"
	"fmt"

	"mailseal/milter/dmarc"
)

// older reports where receivers that follow RFC 7489 see another policy, or another
// organizational domain, than those that follow RFC 9989. It uses the daemon's evaluator,
// in its mode for the Public Suffix List.
func (c *checker) older(ctx context.Context, now dmarc.Result) {
	list := &dmarc.Checker{Resolver: c.Resolver, PublicSuffixList: true}
	then := list.Discover(ctx, []dmarc.Author{{Domain: c.result.Domain}}).Weigh(ctx, nil)
	if now.Value == dmarc.Temperror || then.Value == dmarc.Temperror {
		return
	}
	at := "_dmarc." + c.name
	if now.Requested != then.Requested {
		c.report(OlderPolicy, at, fmt.Sprintf(
			"receivers that follow RFC 7489 see %s; those that follow RFC 9989 see %s",
			seenPolicy(then), seenPolicy(now),
		))
		return
	}
	if now.Record == nil {
		return
	}
	below := cmp.Or(now.Record.Subdomain, now.Record.Policy)
	if np := now.Record.NonExistent; np != "" && !c.inherited && weight(np) > weight(below) &&
		weight(below) >= weight(now.Record.Policy) && !c.hasNull {
		c.report(OlderPolicy, at, fmt.Sprintf(
			"for names that do not exist, receivers that follow RFC 7489 apply p=%s; those that "+
				"follow RFC 9989 apply np=%s",
			below, np,
		))
	}
	was, is := then.OrganizationalDomain, now.OrganizationalDomain
	if was != "" && is != "" && was != is && now.Record.PSD != dmarc.Organizational {
		c.report(OtherTree, at, fmt.Sprintf(
			"for receivers that follow RFC 7489 the organizational domain is %s; for those that "+
				"follow RFC 9989 it is %s",
			was, is))
	}
	if now.Record.PSD == dmarc.Organizational && !c.inherited {
		c.report(OwnTree, at, "for receivers that follow RFC 9989, psd=n makes "+c.name+
			" an organizational domain of its own")
	}
}

func seenPolicy(r dmarc.Result) string {
	if r.Record == nil {
		return "no policy"
	}
	return fmt.Sprintf("%s=%s at _dmarc.%s", r.Tag, r.Requested, r.PolicyDomain)
}

// weight orders policies from the weakest.
func weight(p dmarc.Policy) int {
	switch p {
	case dmarc.Quarantine:
		return 1
	case dmarc.Reject:
		return 2
	}
	return 0
}
