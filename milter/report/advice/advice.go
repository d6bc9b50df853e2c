// Package advice interprets a domain's DMARC reports: who a source belongs to, why its mail fails,
// which policy comes next and what it needs, and what another policy would have done to the same
// messages.
//
// Everything here is pure: a History goes in, sentences and records come out. RFC 9989 sections 7.4
// and 8 set the limits: a domain that people write to mailing lists from should not publish
// p=reject, and p=reject must not rest on SPF alone.
package advice

import "net/netip"

// Step is a rung of the ladder of DMARC policies, from the weakest to the strictest.
type Step int

// The ladder. A policy with t=y asks receivers for the rung below it (RFC 9989 section 4.7), so
// RejectTest protects as Quarantine does and QuarantineTest as None does.
const (
	None Step = iota
	QuarantineTest
	Quarantine
	RejectTest
	Reject
)

// String returns the policy as the record says it.
func (s Step) String() string {
	return [...]string{"none", "quarantine; t=y", "quarantine", "reject; t=y", "reject"}[s]
}

// policy returns the p tag of the step and whether t=y goes with it.
func (s Step) policy() (p string, testing bool) {
	switch s {
	case QuarantineTest:
		return "quarantine", true
	case Quarantine:
		return "quarantine", false
	case RejectTest:
		return "reject", true
	case Reject:
		return "reject", false
	}
	return "none", false
}

// Days that a domain stays on a rung before the next one (RFC 9989 section 7.4 asks for a month at
// none and as long at quarantine; the test rungs are for noticing that a receiver does more than it
// is asked).
const (
	fullDays = 30
	testDays = 14
)

// Days returns how many days a domain stays on a step before the next one.
func (s Step) Days() int {
	if _, testing := s.policy(); testing {
		return testDays
	}
	return fullDays
}

// Bounds below which reports say too little (see enough).
const (
	leastMessages  = 100
	leastReceivers = 3
	silentDays     = 3  // days without a report of a receiver that reports daily
	goneDays       = 30 // after these it is not missed any more: others made a month of reports
	leastDaily     = 7
	fewMessages    = 20
	windowDays     = 90 // of reports that advice looks at
)

// Use answers whether people write from a domain, and with them to mailing lists.
type Use int

// Who writes from a domain.
const (
	UseUnknown Use = iota
	UsePeople
	UseMachines
)

// Policy has the parts of a published DMARC record that advice uses.
type Policy struct {
	Step  Step
	Since Day    // the first day of this policy
	Text  string // the record
	ADKIM string // "r" or "s"
	ASPF  string
	SP    string // "" is as p
	NP    string // "" is as sp
}

// Receiver is one that reports on the domain.
type Receiver struct {
	Name     string
	Messages int64
	Last     Day  // the last day it reported on
	Daily    bool // it reports on nearly every day
}

// Term is a term of the domain's SPF record, with what the reports of 90 days say about it.
type Term struct {
	Text     string
	Messages int64          // of addresses that it matches, with an envelope of the domain
	OwnHost  bool           // it names an address of this host
	Foreign  bool           // its addresses send with an envelope domain that is not aligned
	Nets     []netip.Prefix // that it alone matches, if they are known
}

// Selector is a DKIM key that reports name and DNS was asked for.
type Selector struct {
	Name     string // selector._domainkey.domain
	Messages int64
	Missing  bool // DNS has no key there now
}

// History has the facts about a domain: its policy and a period of reports.
type History struct {
	Domain    string
	From, To  Day // the period, both included; days whose reports are still coming in are left out
	Policy    Policy
	Parked    bool // the operator says that it sends no mail
	Use       Use  // answered by a person
	UseBy     string
	UseSince  Day
	ToLists   int64 // our own outbound messages from the domain to mailing lists
	Replies   int64 // our own outbound messages that answer others, as people do
	Reported  []Day // days on which at least one receiver reported
	Receivers []Receiver
	Sources   []Source
	SPFAll    string // how the SPF record ends: "-all", "~all", "?all", "+all"; "" is unknown
	NoSPF     bool   // the DNS has no SPF record
	Terms     []Term
	Selectors []Selector
}

// Kind is the kind of an Advice.
type Kind int

// What an advice amounts to.
const (
	TooLittle Kind = iota // the reports say too little
	Stay                  // something must be done, or time must pass, before the next step
	Ready                 // the next record can be published
	Done                  // the last step for this domain is reached
	Retreat               // the policy is stricter than RFC 9989 allows for this domain
)

// String returns the word of the kind, as JSON output has it.
func (k Kind) String() string {
	return [...]string{"too little", "stay", "ready", "done", "retreat"}[k] // stable: JSON has it
}

// Condition is something that the next step needs.
type Condition struct {
	Code  string // a stable name
	Text  string
	Met   bool
	Found string
}

// Advice is the recommended next step for a domain's policy.
type Advice struct {
	Kind       Kind
	Now, Next  Step
	End        Step // the last step for this domain
	Title      string
	Sentence   string      // the finding with its proof
	Brief      string      // the finding alone, for a list of domains
	Opposite   string      // what it costs
	Conditions []Condition // what the next step needs
	Record     string      // to publish for Next; "" if there is nothing to publish
	Back       string      // the record of the way back
	BackText   string
	OwnLost    int64 // messages of one's own that a stricter policy would have held or refused
	// messages that lost their proof on the way and would have been held or refused
	Forwarded int64
	Notes     []Note
}

// Note is a finding beside the ladder: the end of the SPF record, terms that can go, keys that are
// missing.
type Note struct {
	Code  string
	Alarm bool
	Text  string
	Fix   string
}

// Blockers returns the codes of the conditions that do not hold.
func (a Advice) Blockers() []string {
	var out []string
	for _, c := range a.Conditions {
		if !c.Met {
			out = append(out, c.Code)
		}
	}
	return out
}
