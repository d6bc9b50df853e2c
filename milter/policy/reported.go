package policy

import (
	"fmt"
	"strconv"
	"strings"

	"mailseal/milter/action"
	"mailseal/milter/dmarc"
	"mailseal/milter/verify"
)

// Reported is what a DMARC report states about a message: the action, and the reason why it
// is not the action that the domain requests.
type Reported struct {
	// Disposition is "none", "quarantine" or "reject"; "" where no policy was found, or where it is
	// not known which. A message that is only marked reaches the recipient's mailbox as usual: that
	// is none.
	Disposition string
	Reasons     []Reason
}

// Reason is one reason of a report (RFC 9990 section 3.1.6).
type Reason struct {
	Type    string // "policy_test_mode", or a word of action.OverrideReason
	Comment string // one clause for people, printable ASCII; "" for none
}

// The reason that follows from the record alone.
const testMode = "policy_test_mode"

// Comments of reasons. They are the same for all messages, so that a report has few rows.
const (
	commentDefault   = "this host's policy for mail that fails differs from the published one"
	commentMarked    = "this host marks mail that fails, and does not refuse it"
	commentDryRun    = "this host only tests its policy"
	commentNotJudged = "this host applies no policy to this mail"
	commentOverride  = "this host has a policy of its own for this mail"
)

// because is a reason that the rules give for their decision.
type because struct {
	comment string
	reason  action.OverrideReason
}

// because returns what an override that matched says to the domain.
func (o *Override) because(r *verify.Results) *because {
	switch {
	case o.Reason.IsValid():
		return &because{commentOverride, o.Reason}
	case len(o.ListIDs) > 0:
		return &because{commentOverride, action.ReasonMailingList}
	case len(o.Sealers) > 0:
		return &because{arcComment(r), action.ReasonLocalPolicy}
	}
	return &because{commentOverride, action.ReasonLocalPolicy}
}

// arcComment names the sets of a chain that was believed (RFC 8617 section 7.2.2), the newest
// first, at most three.
func arcComment(r *verify.Results) string {
	var b strings.Builder
	b.WriteString("arc=pass")
	if r.ARC == nil {
		return b.String()
	}
	sets := r.ARC.Sets
	for i := len(sets) - 1; i >= 0 && i >= len(sets)-3; i-- {
		n := strconv.Itoa(i + 1)
		fmt.Fprintf(&b, " as[%s].d=%s", n, sets[i].Sealer)
	}
	return b.String()
}

// reported returns the content of a report if a was applied for DMARC's own result. Why is
// nil if the rules give no other reason.
func reported(r *verify.Results, a action.Action, why *because) Reported {
	if disposition(r, a) == "" {
		return Reported{}
	}
	out := Reported{Disposition: applied(r, a)}
	if r.DMARC.Value != dmarc.Fail || out.Disposition == string(r.DMARC.Requested) {
		return out
	}
	if r.DMARC.Testing() {
		out.Reasons = append(out.Reasons, Reason{Type: testMode})
		if out.Disposition == string(r.DMARC.Disposition) {
			return out
		}
	}
	reason := Reason{Type: action.ReasonLocalPolicy.String(), Comment: commentDefault}
	switch {
	case why != nil:
		reason = Reason{Type: why.reason.String(), Comment: why.comment}
	case a == action.Mark:
		reason.Comment = commentMarked
	}
	out.Reasons = append(out.Reasons, reason)
	return out
}

// applied is the disposition of a report where a was done for a message with a policy.
func applied(r *verify.Results, a action.Action) string {
	switch {
	case r.DMARC.Value == dmarc.Pass:
		return "none"
	case a == action.Reject || a == action.Discard:
		return "reject"
	case a == action.Hold:
		return "quarantine"
	}
	return "none"
}
