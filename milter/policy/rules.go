package policy

import (
	"cmp"
	"fmt"

	"mailseal/milter/action"
	"mailseal/milter/expression"
	"mailseal/milter/verify"
)

// Rule is a rule that the operator wrote: the action for messages for which an expression is true.
// The first rule that is true decides, in place of the actions for the results of the methods.
type Rule struct {
	Name   string
	When   *expression.Condition
	Action action.Action // Accept, Mark, Hold, Reject or Tempfail
	// of the reply; the zero one: a sentence that says nothing of the rule
	Text   expression.Template
	Reason action.OverrideReason // what a DMARC report says; invalid: local_policy
	DryRun bool                  // say what the rule would do, and go on with the next one
}

// RulesMethod is the Method of a Decision that a rule made, or that is made since a rule could not
// be evaluated.
const RulesMethod = "rule"

// The replies of a rule that refuses mail and has no text.
const (
	textRuleReject   = "The local policy refuses this message"
	textRuleTempfail = "The local policy defers this message, please try again later"
	textRuleError    = "This host cannot judge the message at the moment, please try again later"
)

// Ruled is the result of applying the rules to a message.
type Ruled struct {
	Name   string   // the rule that decided; "" for none
	Would  []string // rules with DryRun that would have decided, each "name=action"
	Failed error    // why a rule could not be evaluated; nil
}

// ApplyRules returns the decision of the rules for a message, or d if no rule matches. A
// message that policy.not_judged names keeps d, and so does one that this host could not
// verify.
//
// A rule that cannot be evaluated ends the search with OnError: a sender that makes one
// rule fail must not reach a more permissive rule below it.
func (rs *Rules) ApplyRules(d Decision, f *expression.Judged, r *verify.Results) Decision {
	if len(rs.Rules) == 0 || d.Method == Shortage || d.Exempt {
		return d
	}
	var ruled Ruled
	for i := range rs.Rules {
		rule := &rs.Rules[i]
		holds, err := rule.When.Holds(f)
		switch {
		case err != nil && rule.DryRun:
			ruled.Would = append(ruled.Would, rule.Name+"=error")
		case err != nil:
			ruled.Name, ruled.Failed = rule.Name, err
			return rs.failedRule(d, ruled, r)
		case holds && rule.DryRun:
			ruled.Would = append(ruled.Would, rule.Name+"="+rule.Action.String())
		case holds:
			ruled.Name = rule.Name
			return rs.byRule(rule, ruled, f, r)
		}
	}
	d.Ruled = ruled
	return d
}

// byRule is the decision of a rule that holds.
func (rs *Rules) byRule(rule *Rule, ruled Ruled, f *expression.Judged, r *verify.Results) Decision {
	d := Decision{Wanted: rule.Action, Method: RulesMethod, Override: "rule " + rule.Name,
		Ruled: ruled}
	if !rule.Action.IsValid() {
		d.Wanted = action.Tempfail
	}
	if d.Action = d.Wanted; rs.DryRun {
		d.Action = action.Accept
	}
	d.Disposition = disposition(r, d.Action)
	d.Reported = reported(r, d.Action, rs.because(rule))
	if d.Wanted == action.Accept {
		return d
	}
	d.Reason = fmt.Sprintf("rule=%q", rule.Name)
	switch d.Wanted {
	case action.Reject:
		d.Code, d.Enhanced = 550, "5.7.1"
		d.Text = ascii(cmp.Or(rule.Text.Fill(f), textRuleReject), 400)
	case action.Tempfail:
		d.Code, d.Enhanced = 451, "4.7.1"
		d.Text = ascii(cmp.Or(rule.Text.Fill(f), textRuleTempfail), 400)
	}
	return d
}

// because returns what a rule says to the domain whose message it decided about.
func (rs *Rules) because(rule *Rule) *because {
	switch {
	case rs.DryRun:
		return &because{commentDryRun, action.ReasonLocalPolicy}
	case rule.Reason.IsValid():
		return &because{commentOverride, rule.Reason}
	}
	return &because{commentOverride, action.ReasonLocalPolicy}
}

// failedRule is the decision where a rule could not be evaluated: OnError, unless what was decided
// before is harsher. A sender who makes a rule fail gains nothing. A dry run of the policy is one
// of this, too.
func (rs *Rules) failedRule(before Decision, ruled Ruled, r *verify.Results) Decision {
	d := Decision{Wanted: rs.OnError, Method: RulesMethod, Ruled: ruled}
	d.Reason = fmt.Sprintf("rule=%q cannot be evaluated", ruled.Name)
	switch rs.OnError {
	case action.Accept:
	case action.Reject:
		d.Code, d.Enhanced, d.Text = 550, "5.3.0", "This host cannot judge the message"
	default:
		d.Wanted, d.Code, d.Enhanced, d.Text = action.Tempfail, 451, "4.3.0", textRuleError
	}
	if before.Wanted > d.Wanted {
		before.Ruled = ruled
		return before
	}
	if d.Action = d.Wanted; rs.DryRun {
		d.Action = action.Accept
	}
	d.Disposition = disposition(r, d.Action)
	d.Reported = reported(r, d.Action, &because{commentOverride, action.ReasonOther})
	return d
}
