package examine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/milter/action"
	"mailseal/milter/expression"
	"mailseal/milter/message"
	"mailseal/milter/policy"
)

// Tried is the result of applying the rules of a policy to one message.
type Tried struct {
	File     string      `json:"file"`
	Rules    []triedRule `json:"rules"`
	Decision *decided    `json:"decision"`

	by string // what made the decision, for people
}

// triedRule is a rule and what its expression comes to.
type triedRule struct {
	Name    string            `json:"name"`
	Action  string            `json:"action"`
	DryRun  bool              `json:"dry_run,omitempty"`
	Holds   bool              `json:"holds"`
	Decides bool              `json:"decides"` // the first that holds
	Error   string            `json:"error,omitempty"`
	Steps   []expression.Step `json:"steps"`
}

// Try judges a message of a stranger, and asks every rule about it.
func (e *Examiner) Try(ctx context.Context, name string, raw []byte) (*Tried, error) {
	m, err := e.Examine(ctx, name, raw)
	if err != nil {
		return nil, err
	}
	rules, err := assembly.NewPolicy(e.Config)
	if err != nil {
		return nil, err
	}
	env := &message.Envelope{Client: e.Client, Helo: e.Helo, Sender: e.From, Recipients: e.To}
	d, facts := e.byPolicy(rules, env, m)
	out := &Tried{File: name, Rules: explainRules(rules, facts, d)}
	out.Decision = newDecided(action.RoleTheirs, "policy try", d)
	out.by = decider(d)
	return out, nil
}

// decider names what made a decision.
func decider(d policy.Decision) string {
	switch {
	case d.Ruled.Name != "" && d.Ruled.Failed == nil:
		return fmt.Sprintf("by the rule %q", d.Ruled.Name)
	case d.Exempt:
		return "no rule decides, and policy.not_judged names the message"
	case d.Method != "":
		return "no rule decides; by the result of " + d.Method
	}
	return "no rule decides, and no result has another action in [policy]"
}

// byPolicy decides as the daemon does for strangers' mail.
func (e *Examiner) byPolicy(
	rules *policy.Rules, env *message.Envelope, m *Message,
) (policy.Decision, *expression.Judged) {
	author, _ := m.results.From.Author() // none: there are no facts of an author
	known := expression.NewKnown(env, m.message.Header, author, action.RoleTheirs, e.now())
	facts := policy.Facts(known, int64(len(crlf(m.raw))), m.results)
	return rules.ApplyRules(rules.Decide(env, m.message.Header, m.results), facts, m.results), facts
}

// explainRules asks every rule, those too that stand behind the one that decided.
func explainRules(rules *policy.Rules, facts *expression.Judged, d policy.Decision) []triedRule {
	out := []triedRule{}
	for _, r := range rules.Rules {
		t := triedRule{Name: r.Name, Action: r.Action.String(), DryRun: r.DryRun,
			Steps: r.When.Explain(facts)}
		var err error
		if t.Holds, err = r.When.Holds(facts); err != nil {
			t.Error = answer.Text(err)
		}
		t.Decides = d.Ruled.Name == r.Name && d.Ruled.Failed == nil
		out = append(out, t)
	}
	return out
}

// JSON writes what was tried as one object and line.
func (t *Tried) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(t) }

// Text writes what was tried for people.
func (t *Tried) Text(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", t.File)
	writeRules(&b, t.Rules, "  ")
	fmt.Fprintf(&b, "  decision: %s (%s)\n", t.Decision, t.by)
	_, err := w.Write(b.Bytes())
	return err
}

func writeRules(b *bytes.Buffer, rules []triedRule, indent string) {
	for _, r := range rules {
		fmt.Fprintf(b, "%s%s: %s\n", indent, r.Name, r.verdict())
		for _, s := range r.Steps {
			fmt.Fprintf(b, "%s    %s%s = %s\n", indent, strings.Repeat("  ", s.Depth),
				oneLine(s.Text), s.Value)
		}
	}
}

func (r triedRule) verdict() string {
	switch {
	case r.Error != "":
		return "cannot be evaluated: " + r.Error
	case !r.Holds:
		return "is false"
	case r.DryRun:
		return "is true, but dry_run is set: it would " + r.Action
	case r.Decides:
		return "is true, and decides: " + r.Action
	}
	return "is true, but an earlier rule decided"
}

// oneLine makes an expression that was written on several lines one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
