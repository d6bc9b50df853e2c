package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/expression"
)

// checkExpressions compiles every expression, and warns of rules that do nothing, or more than was
// meant.
func (c *checker) checkExpressions() {
	for i := range c.Sign {
		r := &c.Sign[i]
		if r.If != "" {
			c.compile(r.placed, "if", r.If, expression.Signing, false)
		}
	}
	names := map[string]bool{}
	var before []policyRule
	for i := range c.Policy.Rules {
		r := &c.Policy.Rules[i]
		for _, needed := range []string{"name", "when", "action"} {
			if !r.has(needed) {
				c.problem(r.at, "needs %s", needed)
			}
		}
		if names[r.Name] && r.Name != "" {
			c.problem(r.at.key("name"), "%q is the name of another rule, too", r.Name)
		}
		names[r.Name] = true
		c.checkReplyText(r)
		if when := c.compile(r.placed, "when", r.When, expression.Judging, r.DryRun); when != nil {
			c.checkRuleReach(r, when, before)
			before = append(before, policyRule{r, when})
		}
	}
}

// policyRule is a rule of the policy whose expression is valid.
type policyRule struct {
	*PolicyRule
	when *expression.Condition
}

// compile reports the mistake in an expression, with the line and column where it is.
func (c *checker) compile(p placed, setting, text string, scope expression.Scope,
	isDryRun bool) *expression.Condition {
	at := p.at.key(setting)
	if !p.has(setting) || c.hasProblem(p.at, setting) {
		return nil
	}
	when, err := expression.Compile(text, scope)
	var mistake *expression.Error
	if errors.As(err, &mistake) {
		near := ""
		if mistake.Unknown != "" {
			near = c.guess.nearest(mistake.Unknown, slices.Values(expression.Names(scope)))
		}
		p := at.problem(fmt.Sprintf("column %d: %s%s", mistake.Column, mistake.Text, near))
		if p.Line > 0 {
			p.Line += mistake.Line - 1 + at.file.leadingLines(p.Line)
		}
		c.problems = append(c.problems, p)
		return nil
	}
	c.checkStrange(at, when, isDryRun)
	return when
}

// checkStrange reports a comparison with a word that a fact never is. One that is always true is a
// mistake: the rule would act on mail that it was written to spare. One that is always false has no
// effect, and so is worth a warning, as is anything in a rule that only logs.
func (c *checker) checkStrange(at place, when *expression.Condition, isDryRun bool) {
	strange, found := when.FindStrange()
	if !found {
		return
	}
	text := strange.Text
	if len(strange.Known) > 0 {
		text += c.guess.nearest(strange.Value, slices.Values(strange.Known))
	}
	if strange.AlwaysTrue && !isDryRun {
		c.problem(at, "%s", text)
		return
	}
	c.warn(at, "%s", text)
}

// checkReplyText wants a text only where there is a reply, and no names that stand for nothing in
// it.
func (c *checker) checkReplyText(r *PolicyRule) {
	if !r.has("text") {
		return
	}
	at := r.at.key("text")
	if action := r.Action.String(); r.Action.IsValid() && action != "reject" &&
		action != "tempfail" {
		c.problem(at, "has an effect only with the actions reject and tempfail; the action is %s",
			action)
	}
	_, err := expression.NewTemplate(r.Text)
	var unknown expression.UnknownPlaceholder
	switch {
	case errors.As(err, &unknown):
		near := c.guess.nearest(string(unknown), slices.Values(expression.Placeholders()))
		c.problem(at, "{%s} is not a known name%s", string(unknown), near)
	case err != nil:
		c.problem(at, "%s", strings.TrimPrefix(err.Error(), "expression: "))
	}
}

// checkRuleReach warns of a rule that never decides, and of one that lets forgeries pass.
func (c *checker) checkRuleReach(r *PolicyRule, when *expression.Condition, before []policyRule) {
	at := r.at.key("when")
	if never := when.NeverHolds(); never != "" {
		c.warn(at, "is never true: %s", never)
		return
	}
	for _, b := range before {
		if !b.DryRun && b.when.Covers(when) {
			c.warn(at, "is never used: whenever it is true, the rule %q in line %d, above it, is "+
				"true and decides",
				b.Name, b.at.file.line(b.at.path))
			return
		}
	}
	if r.Action.IsValid() && r.Action.String() == "accept" && when.ExcusesForgery() {
		c.warn(at, "accepts mail that its domain asks to reject, and a sender can choose "+
			"everything that the rule tests; add a condition that a sender cannot choose, such as in_network or "+
			"arc.sealer")
	}
}
