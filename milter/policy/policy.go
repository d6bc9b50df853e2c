// Package policy decides what becomes of a message from what the methods found: accept, mark, hold, tempfail or reject.
// It alone decides what a temperror means. Its zero Rules refuse nothing (RFC 9989 section 7.4).
package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// Action is what is done with a message. A larger Action is a harsher one; of several the harshest is taken.
type Action uint8

const (
	Accept   Action = iota // deliver as it is
	Mark                   // deliver with a field that says what was found
	Hold                   // the MTA keeps it in its quarantine for a person to look at
	Tempfail               // 4xx: the sender comes again; for what may pass, such as a DNS that does not answer
	Reject                 // 5xx: the sender is told, nobody else ever sees it
)

var actionNames = [...]string{"accept", "mark", "hold", "tempfail", "reject"}

func (a Action) String() string { return actionNames[a] }

// ParseAction reads the name of an action as the configuration writes it.
func ParseAction(s string) (Action, error) {
	if i := slices.Index(actionNames[:], s); i >= 0 {
		return Action(i), nil
	}
	return Accept, fmt.Errorf("policy: no action %q (there are %s)", s, strings.Join(actionNames[:], ", "))
}

// Actions say what is done for what a method found. What a map lacks is accepted, and so is every pass.
type Actions struct {
	SPF   map[string]Action // by the result for MAIL FROM: fail, softfail, neutral, none, permerror, temperror
	HELO  map[string]Action // by that for HELO, likewise
	IPRev map[string]Action // fail, permerror, temperror
	DKIM  map[string]Action // by the best result of the message's signatures; none when it has none
	// DMARC is by the disposition that the author's domain asks for, once its checks fail: none, quarantine, reject;
	// and by no_record, permerror and temperror.
	DMARC map[string]Action
}

// Rules are a whole policy.
type Rules struct {
	Actions
	DryRun      bool   // decide, say so, do nothing
	MarkHeader  string // the name of the field that marks a message
	NoAuthor    Action // no From, or one that cannot be read (RFC 9989 section 11.5)
	ManyAuthors Action // a From of several domains
	NotJudged   Exempt
	Overrides   []Override
	// TrustedSealers are the domains whose ARC sets may excuse a DMARC failure (RFC 8617 section 7.2.1).
	TrustedSealers []domain.Name
	Texts          Texts
}

// Override replaces the policy for the messages that it matches: those for which every list that is not empty has a
// member that fits.
type Override struct {
	Name     string // its place in the configuration, for the log
	Networks []netip.Prefix
	Authors  message.Patterns // the author's domain
	ListIDs  message.Patterns // the identifier of List-Id
	Sealers  message.Patterns // the newest sealer of a chain that passes
	Replace  *Action          // instead of whatever else but Accept was decided; nil leaves it to Actions
	Actions
}

// Exempt names the messages that no policy is applied to.
type Exempt struct {
	Networks   []netip.Prefix
	Senders    message.Patterns
	Recipients message.Patterns // every recipient must be named
}

// Texts are the sentences that a refused peer reads. {domain} is the domain that was judged, {client} the peer's
// address.
type Texts struct {
	SPF, DKIM, DMARC, IPRev, Other string
}

// Decision is what becomes of a message, and why.
type Decision struct {
	Action   Action // what is done; Accept in a dry run
	Wanted   Action // what the rules say
	Method   string // whose result decided: "spf", "helo", "iprev", "dkim", "dmarc", "from"; "" when nothing asked for anything
	Code     int    // of the SMTP reply that Wanted asks for, 550 or 451; 0 when the message is to be taken
	Enhanced string // RFC 3463, RFC 7372: "5.7.23"
	Text     string // of the SMTP reply: one line of ASCII
	Reason   string // for the log, the mark and the quarantine
	Override string // what replaced the decision, "" when nothing did
	// Disposition is what was made of the DMARC policy after all options, for policy.dmarc (RFC 9989 section 9.1):
	// none, quarantine or reject.
	Disposition string
}

// Match tells whether the message is exempt.
func (e Exempt) Match(env *message.Envelope) bool {
	return within(e.Networks, env.Client) || e.Senders.MatchPath(env.Sender) ||
		len(env.Recipients) > 0 && !slices.ContainsFunc(env.Recipients, func(r string) bool { return !e.Recipients.MatchPath(r) })
}

func within(networks []netip.Prefix, client netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(client.Unmap()) })
}
