package examine

import (
	"fmt"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/milter/action"
	"mailseal/milter/message"
)

// decided is what the daemon would do with a message that comes from a client.
type decided struct {
	Role     string `json:"role"`               // ours, theirs or relay
	By       string `json:"by"`                 // what decided the role
	Action   string `json:"action,omitempty"`   // what is done; "" where the daemon does not judge
	Wanted   string `json:"wanted,omitempty"`   // what the policy says, where that is something else (policy.dry_run)
	Reason   string `json:"reason,omitempty"`   // which result decided
	Override string `json:"override,omitempty"` // what took the policy's place
	Code     int    `json:"code,omitempty"`     // of the SMTP reply
	Text     string `json:"text,omitempty"`     // of the SMTP reply

	policy string // for policy.dmarc
}

// decide asks the policy of the configuration, nil without one or without a client.
func (e *Examiner) decide(env *message.Envelope, m *Message) (*decided, error) {
	if e.Config == nil || !env.Client.IsValid() {
		return nil, nil
	}
	role, by := assembly.NewRoles(e.Config).Of(action.RoleAuto, env, func(string) string { return "" })
	out := &decided{Role: role.String(), By: string(by)}
	if role != action.RoleTheirs || !e.Config.Verifies() {
		return out, nil
	}
	rules, err := assembly.NewPolicy(e.Config)
	if err != nil {
		return nil, err
	}
	d := rules.Decide(env, m.message.Header, m.results)
	out.Action, out.Reason, out.Override, out.policy = d.Action.String(), d.Reason, d.Override, d.Disposition
	out.Code, out.Text = d.Code, d.Text
	if d.Wanted != d.Action {
		out.Wanted = d.Wanted.String()
	}
	return out, nil
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
	if d.Override != "" {
		s += " (" + d.Override + ")"
	}
	if d.Code != 0 {
		s += fmt.Sprintf(", reply %d %s", d.Code, d.Text)
	}
	return s
}
