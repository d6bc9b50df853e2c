// Package policy decides what happens to a message from the results of the methods: accept, mark,
// hold, tempfail or reject. It alone decides what a temperror means. A result for which the Rules
// have no valid action defers the message; the zero Rules, which have none, accept messages that
// pass and defer all others.
package policy

import (
	"net/netip"
	"slices"

	"mailseal/milter/action"
	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// Actions say what is done for what a method found.
type Actions struct {
	SPF   action.SPF
	IPRev action.IPRev
	DKIM  action.DKIM
	DMARC action.DMARC
}

// Rules are a whole policy.
type Rules struct {
	Actions
	DryRun      bool          // decide, say so, do nothing
	MarkHeader  string        // the name of the field that marks a message
	NoAuthor    action.Action // From shows no author (RFC 9989 section 11.5)
	ManyAuthors action.Action // From shows more domains than DMARC judges
	NotJudged   Exempt
	Overrides   []Override
	Rules       []Rule        // what the operator wrote; ApplyRules asks them
	OnError     action.Action // where a rule cannot be evaluated: Accept, Reject or Tempfail
	// TrustedSealers are the domains whose ARC sets may excuse a DMARC failure (RFC 8617 section
	// 7.2.1).
	TrustedSealers []domain.Name
	Texts          Texts
}

// Override replaces the policy for the messages that it matches: those for which every list that is
// not empty has a member that fits.
type Override struct {
	Name     string // its place in the configuration, for the log
	Networks []netip.Prefix
	Hosts    message.Hosts    // the client's verified name
	Senders  SenderPatterns   // the envelope sender
	To       message.Patterns // every recipient
	Authors  message.Patterns // the author's domain
	ListIDs  message.Patterns // the identifier of List-Id
	Sealers  message.Patterns // the newest sealer of a chain that passes
	// instead of whatever else but Accept was decided; invalid leaves it to Actions
	Replace action.Action
	// what a DMARC report says; invalid: what follows from the conditions
	Reason action.OverrideReason
	Actions
}

// Exempt names the messages that no policy is applied to.
type Exempt struct {
	Networks   []netip.Prefix
	Hosts      message.Hosts // the client's verified name
	Senders    SenderPatterns
	Recipients message.Patterns // every recipient must be named
	Authors    message.Patterns // the author's domain
}

// SenderPatterns are a set of envelope senders, which may hold the null sender.
type SenderPatterns struct {
	message.Patterns
	Null bool
}

// isSet reports whether the set holds any sender.
func (s SenderPatterns) isSet() bool { return s.Null || len(s.Patterns) > 0 }

// match reports whether the set holds an envelope sender, "" for the null sender.
func (s SenderPatterns) match(sender string) bool {
	return sender == "" && s.Null || s.MatchPath(sender)
}

// Texts are the sentences that a refused peer reads after a method, instead of one for each of its
// results; "" for those. A temperror always has its own. {domain} is the domain that was judged,
// {client} the peer's address.
type Texts struct {
	SPF, DKIM, DMARC, IPRev, Other string
}

// Shortage is the Method of a Decision that this host made because it was too busy to look up what
// it needs.
const Shortage = "shortage"

// Decision is the action for a message, with its reason.
type Decision struct {
	Action action.Action // what is done; Accept in a dry run
	Wanted action.Action // what the rules say
	// whose result decided: "spf", "helo", "iprev", "dkim", "dmarc", "from", Shortage, RulesMethod;
	// "" when nothing asked for anything
	Method string
	// of the SMTP reply that Wanted asks for, 550 or 451; 0 when the message is to be taken
	Code     int
	Enhanced string // RFC 3463, RFC 7372: "5.7.23"
	Text     string // of the SMTP reply: one line of ASCII
	Reason   string // for the log, the mark and the quarantine
	Override string // what replaced the decision, "" when nothing did
	// Disposition is what was made of the DMARC policy after all options, for policy.dmarc (RFC
	// 9989 section 9.1): none, quarantine or reject.
	Disposition string
	Exempt      bool  // NotJudged names the message
	Ruled       Ruled // what the rules made of it
	// Reported is what a DMARC report says of the message.
	Reported Reported
}

// Match reports whether the message is exempt. The author is "" where From names none, or several.
func (e Exempt) Match(env *message.Envelope, author domain.Name) bool {
	return within(e.Networks, env.Client) || e.Hosts.Has(env.ClientName) ||
		e.Senders.match(env.Sender) ||
		e.Authors.MatchDomain(author) || allMatch(e.Recipients, env.Recipients)
}

// allMatch reports whether every recipient, of one at least, is in a set.
func allMatch(set message.Patterns, recipients []string) bool {
	return len(recipients) > 0 && !slices.ContainsFunc(recipients,
		func(r string) bool { return !set.MatchPath(r) })
}

func within(networks []netip.Prefix, client netip.Addr) bool {
	return slices.ContainsFunc(networks,
		func(p netip.Prefix) bool { return p.Contains(client.Unmap()) })
}
