package milter

import (
	"log/slog"

	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// SenderRule says what ties the From of our users to who they are.
type SenderRule uint8

const (
	AnySender      SenderRule = iota // nothing
	EnvelopeDomain                   // From is in the domain of the envelope sender
	LoginMap                         // From is one of what the login may use
)

// Senders checks whether a user of ours may use the From that the message has. Mail with the null sender is exempt from
// EnvelopeDomain, mail without a login from LoginMap: both are told apart by others.
type Senders struct {
	Rule   SenderRule
	Action Action                      // Reject, Tempfail, or Accept, which leaves the message unsigned
	Logins map[string]message.Patterns // login → the addresses that it may use
}

// Allow tells whether the author may be who From says, and if not, why.
func (s Senders) Allow(env *message.Envelope, author message.Address) (string, bool) {
	switch s.Rule {
	case EnvelopeDomain:
		return s.byEnvelope(env, author.Domain)
	case LoginMap:
		if env.AuthUser != "" && !s.Logins[env.AuthUser].Match(author) {
			return "login " + env.AuthUser + " may not use " + author.String(), false
		}
	}
	return "", true
}

func (s Senders) byEnvelope(env *message.Envelope, author domain.Name) (string, bool) {
	if env.Sender == "" {
		return "", true
	}
	path, err := message.ParsePath(env.Sender)
	if err != nil || path.Domain != author {
		return "From is in " + string(author) + ", the envelope sender is " + env.Sender, false
	}
	return "", true
}

// outcome is what becomes of a message whose From is not its sender's.
func (s Senders) outcome(c common, reason string) Outcome {
	out := c.pass()
	out.Details = append(out.Details, slog.String("sender", reason))
	switch s.Action {
	case Reject:
		out.Action, out.Edits = Reject, message.Edits{}
		out.Reply = Reply{Code: 550, Enhanced: "5.7.1", Text: "You may not send as " + author(c)}
	case Tempfail:
		out.Action, out.Edits = Tempfail, message.Edits{}
		out.Reply = Reply{Code: 451, Enhanced: "4.7.1", Text: "You may not send as " + author(c)}
	default:
		c.s.count(func(n Counters) { n.Unsigned("sender") })
		out.Details = append(out.Details, slog.String("unsigned", "sender"))
	}
	return out
}

// author is the author for a reply: an address from a header may hold anything.
func author(c common) string {
	if c.author.Domain == "" {
		return "this author"
	}
	return "an author of " + string(c.author.Domain)
}
