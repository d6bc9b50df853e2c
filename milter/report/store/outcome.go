package store

import (
	"slices"
	"time"

	"mailseal/milter/report"
)

// Outcome is the part of a row that the rollups keep, as bits: bit 0 is an aligned DKIM
// pass, bit 1 an aligned SPF pass, bits 2 and 3 are the receiver's action, bits 4 and 5 the
// reason why it differs from the requested policy.
type Outcome int64

// The parts of an Outcome.
const (
	dkimPass   Outcome = 1
	spfPass    Outcome = 2
	actionBit          = 2
	reasonBit          = 4
	reasonMask         = 3
)

// Reasons of an Outcome.
const (
	NoReason = iota
	MailingList
	Forwarded // or a trusted forwarder
	OtherReason
)

// actions are what receivers do, in the order of their numbers in an Outcome.
var actions = [...]report.Action{report.Delivered, report.Quarantined, report.Rejected,
	report.Unclear}

// NewOutcome returns the outcome of a row.
func NewOutcome(r *report.Row) Outcome {
	o := Outcome(slices.Index(actions[:], r.Action())) << actionBit
	if r.DKIM == "pass" {
		o |= dkimPass
	}
	if r.SPF == "pass" {
		o |= spfPass
	}
	return o | Outcome(reasonOf(r.Reasons))<<reasonBit
}

// reasonOf returns the reason that says most: that the mail was passed on.
func reasonOf(reasons []report.Override) int {
	out := NoReason
	for _, r := range reasons {
		switch r.Type {
		case "mailing_list":
			return MailingList
		case "forwarded", "trusted_forwarder":
			return Forwarded
		}
		out = OtherReason
	}
	return out
}

// DKIM reports whether DKIM passed for an aligned domain.
func (o Outcome) DKIM() bool { return o&dkimPass != 0 }

// SPF reports whether SPF passed for an aligned domain.
func (o Outcome) SPF() bool { return o&spfPass != 0 }

// Pass reports whether DMARC passed.
func (o Outcome) Pass() bool { return o&(dkimPass|spfPass) != 0 }

// Action returns what the receiver did with the messages.
func (o Outcome) Action() report.Action { return actions[o>>actionBit&3] }

// Reason is why the receiver did not do what the policy asks for: NoReason, MailingList, Forwarded
// or OtherReason.
func (o Outcome) Reason() int { return int(o >> reasonBit & reasonMask) }

// day returns the UTC day of a time, counted from 1 January 1970.
func day(t time.Time) int64 { return t.Unix() / 86400 }

// maxDays bounds the days that a report is spread over. The longest that was seen has six weeks.
const maxDays = 45

// spread divides count over the days of a period, each by the share of the period that it has. The
// sum is exactly count.
func spread(count int64, begin, end time.Time) map[int64]int64 {
	first, last := day(begin), day(end)
	if first >= last || last-first >= maxDays {
		return map[int64]int64{first: count}
	}
	out, done, whole := map[int64]int64{}, int64(0), end.Unix()-begin.Unix()+1
	for d := first; d <= last; d++ {
		until := min((d+1)*86400, end.Unix()+1) - begin.Unix()
		sum := count/whole*until + count%whole*until/whole // of all days up to d
		if n := sum - done; n > 0 {
			out[d] = n
		}
		done = sum
	}
	if len(out) == 0 {
		out[first] = count
	}
	return out
}
