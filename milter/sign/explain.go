package sign

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/domain"
)

// Consideration is one rule of the table and why it signs a message, or does not.
type Consideration struct {
	Rule  *Rule
	Signs bool
	Why   string
}

// Explain returns the rules that have a pattern for the author, in their order, and for each why it
// signs or does not. Those that sign are those that Match returns.
func (t *Table) Explain(q Query) []Consideration {
	var out []Consideration
	taken := ""
	for _, i := range t.candidates(q.Author) {
		c := Consideration{Rule: &t.rules[i]}
		switch lacking := c.Rule.lacks(q); {
		case lacking != "":
			c.Why = lacking
		case taken != "":
			c.Why = "it would sign, but " + taken + " comes first"
		case t.all:
			c.Signs, c.Why = true, "it matches "+q.Author.String()+c.Rule.by(q)+
				", and all rules that match sign"
		default:
			c.Signs, c.Why = true, "it is the first rule that matches "+q.Author.String()+c.Rule.by(q)
			taken = c.Rule.Name
		}
		out = append(out, c)
	}
	return out
}

// Unrelated returns the first rules, at most a number of them, that have no pattern for the author:
// those that Explain does not return. Why names their patterns, and the one that is missing where
// the author is below one of their domains.
func (t *Table) Unrelated(q Query, most int) []Consideration {
	candidates := t.candidates(q.Author)
	var out []Consideration
	for i := range t.rules {
		if len(out) == most {
			break
		}
		if _, has := slices.BinarySearch(candidates, int32(i)); has {
			continue
		}
		r := &t.rules[i]
		out = append(out, Consideration{Rule: r, Why: r.without(q)})
	}
	return out
}

// without describes the patterns of a rule, none of which matches the author.
func (r *Rule) without(q Query) string {
	const most = 5
	var names []string
	missing := ""
	for i, p := range r.From {
		if i < most {
			names = append(names, p.String())
		}
		above := domain.Name(p.Place())
		if missing == "" && q.Author.Domain != above && q.Author.Domain.Within(above) {
			missing = "; to include " + q.Author.Domain.String() + ", add \"*@*." + above.String() +
				"\" to its from"
		}
	}
	if len(r.From) > most {
		names = append(names, "and others")
	}
	return "it is for " + strings.Join(names, ", ") + " only" + missing
}

// by names the first of the rule's patterns that holds the author.
func (r *Rule) by(q Query) string {
	for _, p := range r.From {
		if p.Match(q.Author) {
			return ", by " + p.String()
		}
	}
	return ""
}

// lacks returns the first condition of the rule that does not hold, "" when all do.
func (r *Rule) lacks(q Query) string {
	if lacking := r.When.lacks(q); lacking != "" {
		return lacking
	}
	switch holds, err := r.holds(q); {
	case err != nil:
		return "its if cannot be evaluated, so that the message is deferred: " + err.Error()
	case !holds:
		return "its if is false: " + r.If.String()
	}
	return ""
}

// lacks returns the first condition that does not hold, "" when all do.
func (w When) lacks(q Query) string {
	switch {
	case len(w.Networks) > 0 && !slices.ContainsFunc(w.Networks,
		func(p netip.Prefix) bool { return p.Contains(q.Client.Unmap()) }):
		return fmt.Sprintf("the client %s is not in when.networks", q.Client)
	case len(w.DaemonNames) > 0 && !slices.Contains(w.DaemonNames, q.DaemonName):
		return fmt.Sprintf("the daemon name %q is not in when.daemon_names (%s)", q.DaemonName,
			strings.Join(w.DaemonNames, ", "))
	case len(w.Logins) > 0 && q.Login == "":
		return "no user logged in, and when.logins asks for that"
	case len(w.Logins) > 0 && !slices.Contains(w.Logins, q.Login) &&
		!slices.Contains(w.Logins, "*"):
		return fmt.Sprintf("the login %q is not in when.logins", q.Login)
	case len(w.Recipients) > 0 && !slices.ContainsFunc(q.Recipients, w.Recipients.MatchPath):
		return "no recipient is in when.recipients"
	case (w.NullSender || len(w.Senders) > 0) && !w.fromSender(q.Sender):
		return fmt.Sprintf("the envelope sender <%s> is not in when.senders", q.Sender)
	case len(w.ListIDs) > 0 && q.ListID == "":
		return "there is no List-Id field, but the rule has when.list_ids"
	case len(w.ListIDs) > 0 && !w.ListIDs.MatchDomain(q.ListID):
		return fmt.Sprintf("the list %q is not in when.list_ids", q.ListID)
	}
	return ""
}

// fromSender reports whether an envelope sender fits.
func (w When) fromSender(sender string) bool {
	if sender == "" {
		return w.NullSender
	}
	return w.Senders.MatchPath(sender)
}
