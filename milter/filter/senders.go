package filter

import (
	"log/slog"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// Senders checks whether a user of ours may use the From that the message has. Mail with the null
// sender is exempt from SenderEnvelopeDomain, mail without a login from SenderLogin: other settings
// are for those.
type Senders struct {
	Require action.SenderRule
	Action  action.Action               // Reject or Tempfail; Accept leaves the message unsigned
	Logins  map[string]message.Patterns // login → the addresses that it may use
}

// isKnown reports whether the rule is one of those that Allow knows.
func (s Senders) isKnown() bool {
	switch s.Require {
	case action.SenderAny, action.SenderEnvelopeDomain, action.SenderLogin:
		return true
	}
	return false
}

// Allow reports whether the author may be who From says, and if not, why. others are more addresses
// of From: a login must be allowed to use each, since readers of a malformed field show any of
// them. Under an unknown rule no author may.
func (s Senders) Allow(env *message.Envelope, author message.Address,
	others ...message.Address) (string, bool) {
	switch s.Require {
	case action.SenderAny:
		return "", true
	case action.SenderEnvelopeDomain:
		return s.byEnvelope(env, author.Domain)
	case action.SenderLogin:
		return s.byLogin(env.AuthUser, append([]message.Address{author}, others...))
	}
	return s.Require.String(), false
}

// anyLogin is the entry of Logins for what every login may use.
const anyLogin = "*"

func (s Senders) byLogin(login string, all []message.Address) (string, bool) {
	if login == "" {
		return "", true
	}
	for _, a := range all {
		if !s.Logins[login].Match(a) && !s.Logins[anyLogin].Match(a) {
			return "login " + login + " may not use " + a.String(), false
		}
	}
	return "", true
}

func (s Senders) byEnvelope(env *message.Envelope, author domain.Name) (string, bool) {
	if env.Sender == "" {
		return "", true
	}
	path, err := message.ParsePath(env.Sender)
	switch {
	case author == "":
		return "From has no address or several; the envelope sender is " + env.Sender, false
	case err != nil || path.Domain != author:
		return "From is in " + string(author) + ", the envelope sender is " + env.Sender, false
	}
	return "", true
}

// outcome is what happens to a message whose From is not its sender's.
func (s Senders) outcome(ml mail, reason string) milter.Outcome {
	if !s.isKnown() {
		return ml.invalid("senders.require", s.Require)
	}
	out := ml.pass()
	out.Details = append(out.Details, slog.String("sender", reason))
	text := refusal(ml)
	switch s.Action {
	case action.Accept:
		ml.filter.count(func(n Counters) { n.Unsigned(notTheSender) })
		out.Details = append(out.Details, slog.String("unsigned", notTheSender))
		return out
	case action.Reject:
		out.Action = action.Reject
		out.Reply = milter.Reply{Code: 550, Enhanced: "5.7.1", Text: text}
	case action.Tempfail:
		out.Action = action.Tempfail
		out.Reply = milter.Reply{Code: 451, Enhanced: "4.7.1", Text: text}
	default:
		return ml.invalid("senders.action", s.Action)
	}
	out.Edits = message.Edits{}
	return out
}

// refusal is the text of the reply: it has no address from the header, which may contain anything.
func refusal(ml mail) string {
	if ml.author.Domain == "" {
		return "The From field has no address that you may use"
	}
	return "You may not use an address at " + string(ml.author.Domain) + " in From"
}
