package examine

import (
	"fmt"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/policy"
)

// decided is what the daemon would do with a message that comes from a client.
type decided struct {
	Role   string `json:"role"`             // ours, theirs or relay
	By     string `json:"by"`               // what decided the role
	Action string `json:"action,omitempty"` // what is done; "" where the daemon does not judge
	// what the policy says, where that is something else (policy.dry_run)
	Wanted   string `json:"wanted,omitempty"`
	Reason   string `json:"reason,omitempty"`   // which result decided
	Override string `json:"override,omitempty"` // what took the policy's place
	Rule     string `json:"rule,omitempty"`     // of policy.rules, which decided
	// what rules with dry_run would have decided
	WouldRules []string `json:"rules_dry_run,omitempty"`
	Code       int      `json:"code,omitempty"` // of the SMTP reply
	Text       string   `json:"text,omitempty"` // of the SMTP reply

	policy string      // for policy.dmarc
	rules  []triedRule // all of policy.rules, explained
}

// decide asks the policy of the configuration, nil without one or without a client.
func (e *Examiner) decide(env *message.Envelope, m *Message) (*decided, error) {
	if e.Config == nil || !env.Client.IsValid() {
		return nil, nil
	}
	role, by := assembly.NewRoles(e.Config).Of(action.RoleAuto, env,
		func(string) string { return "" })
	out := &decided{Role: role.String(), By: string(by)}
	if role != action.RoleTheirs || !e.Config.Verifies() {
		return out, nil
	}
	rules, err := assembly.NewPolicy(e.Config)
	if err != nil {
		return nil, err
	}
	d, facts := e.byPolicy(rules, env, m)
	out = newDecided(role, string(by), d)
	out.rules = explainRules(rules, facts, d)
	return out, nil
}

// newDecided writes a decision of the policy in words.
func newDecided(role action.Role, by string, d policy.Decision) *decided {
	out := &decided{Role: role.String(), By: by, Action: d.Action.String(), Reason: d.Reason,
		Override: d.Override}
	out.policy, out.Code, out.Text = d.Disposition, d.Code, d.Text
	out.Rule, out.WouldRules = d.Ruled.Name, d.Ruled.Would
	if d.Wanted != d.Action {
		out.Wanted = d.Wanted.String()
	}
	return out
}

// disposition is what was made of the DMARC policy, "" where the daemon was not asked.
func (d *decided) disposition() string {
	if d == nil {
		return ""
	}
	return d.policy
}

func (d *decided) String() string {
	if d.Action == "" {
		return fmt.Sprintf("does not judge it: the mail is %s (%s)", d.Role, d.By)
	}
	s := d.Action
	if d.Wanted != "" {
		s += ", since this is a dry run; else " + d.Wanted
	}
	if d.Reason != "" {
		s += ": " + d.Reason
	}
	if d.Override != "" && d.Reason == "" {
		s += " (" + d.Override + ")"
	}
	if d.Code != 0 {
		s += fmt.Sprintf(", reply %d %s", d.Code, d.Text)
	}
	return s
}
