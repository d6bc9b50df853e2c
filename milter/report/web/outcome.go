package web

// outcome is the DMARC result and the action of the receiver, as the store packs it: bit 0 is the
// aligned DKIM pass, bit 1 the aligned SPF pass, bits 2 and 3 the action (none, quarantine, reject,
// another word), bits 4 and 5 the reason that the receiver gave (none, mailing_list, forwarded,
// another one).
type outcome int64

func (o outcome) dkim() bool  { return o&1 != 0 }
func (o outcome) spf() bool   { return o&2 != 0 }
func (o outcome) pass() bool  { return o&3 != 0 }
func (o outcome) action() int { return int(o >> 2 & 3) }
func (o outcome) reason() int { return int(o >> 4 & 3) }

// The words of actions and reasons, by their numbers.
var (
	actions = [4]string{"none", "quarantine", "reject", "other"}
	reasons = [4]string{"", "mailing_list", "forwarded", "other"}
)

// result says what became of the messages, as Filter.Result does.
func (o outcome) result() string {
	switch {
	case o.pass():
		return "pass"
	case o.action() == 1:
		return "held"
	case o.action() == 2:
		return "refused"
	}
	return "delivered"
}

// countsOf returns the sums of n messages with an outcome.
func countsOf(o outcome, n int64) Counts {
	return sumsOf(n, o.dkim(), o.spf(), o.result(), reasons[o.reason()])
}

// sumsOf returns the sums of n messages with the same DMARC result, the same action, and the same
// reason that the receiver gave.
func sumsOf(n int64, dkim, spf bool, became, reason string) Counts {
	c := Counts{Messages: n}
	if dkim {
		c.DKIM = n
	}
	if spf {
		c.SPF = n
	}
	switch became {
	case "pass":
		c.Pass = n
		return c
	case "held":
		c.Held = n
	case "refused":
		c.Refused = n
	default:
		c.Delivered = n
	}
	switch reason {
	case "mailing_list":
		c.Listed = n
	case "forwarded":
		c.Forwarded = n
	}
	return c
}
