package advice

import (
	"slices"
	"strings"
)

// enough holds the conditions for giving any rate: enough days, messages and receivers. A receiver
// whose reports are all empty has seen none of the mail.
func enough(h History) []Condition {
	days := len(h.Reported)
	messages := total(h)
	counted := Plural(messages, "message", "messages")
	if len(own(h)) > 0 {
		counted += " of your own"
	}
	var names, silent []string
	big := false
	for _, r := range h.Receivers {
		if r.Messages == 0 {
			continue
		}
		names = append(names, r.Name)
		big = big || isBig(r.Name)
		if gap := h.To - r.Last; r.Daily && gap > silentDays && gap <= goneDays {
			silent = append(silent, r.Name)
		}
	}
	receivers := Plural(int64(len(names)), "receiver", "receivers")
	if len(names) > 0 {
		receivers += ", " + List(names, 3)
	}
	if len(names) > 0 && !big {
		receivers += ", none of them Google, Microsoft or Yahoo"
	}
	quiet := "none is silent"
	latest := latestDay(h.Reported)
	switch {
	case len(silent) > 0:
		quiet = List(silent, 3) + " silent for more than 3 days"
	case days > 0 && h.To-latest > silentDays:
		silent = names
		quiet = "no receiver reported on a day after " + latest.Short(h.To)
	}
	return []Condition{
		{"days", "Full days with reports, 30 or more", days >= fullDays,
			Plural(int64(days), "day", "days") + " with reports"},
		{"messages", "Messages of your own sources, 100 or more", messages >= leastMessages,
			counted},
		{"receivers", "Receivers, 3 or more, one of them Google, Microsoft or Yahoo",
			len(names) >= leastReceivers && big, receivers},
		{"silent", "No receiver that reports daily is silent for more than 3 days",
			len(silent) == 0, quiet},
	}
}

// IsDaily reports whether a receiver that reported on so many days from first to last does so
// nearly daily. When it stopped does not matter.
func IsDaily(days int, first, last Day) bool {
	return days >= leastDaily && days*10 >= 7*(int(last-first)+1)
}

func latestDay(days []Day) Day {
	if len(days) == 0 {
		return 0
	}
	return slices.Max(days)
}

// bigDomains are those that the largest receivers report from.
var bigDomains = []string{"google.com", "microsoft.com", "outlook.com", "yahoo.com", "yahooinc.com"}

// isBig reports whether a receiver is one of the largest, by its domain. A domain that merely
// contains such a name can belong to anyone.
func isBig(receiver string) bool {
	receiver = strings.ToLower(receiver)
	return slices.ContainsFunc(bigDomains, func(d string) bool {
		return receiver == d || strings.HasSuffix(receiver, "."+d)
	})
}

// elapsed holds how long the domain has been on its rung.
func elapsed(h History, a Advice) []Condition {
	need := a.Now.Days()
	have := max(int(h.To-h.Policy.Since)+1, 0)
	if h.Policy.Since == 0 { // no report has named the policy
		have = 0
	}
	found := Plural(int64(have), "day", "days") + " of " + Count(int64(need)) + " at " +
		a.Now.String()
	return []Condition{{"time", "Full days at " + a.Now.String() + ", " + Count(int64(need)) +
		" or more", have >= need, found}}
}

// sources holds the conditions on the domain's own sources for the next step.
func sources(h History, a Advice) []Condition {
	out := []Condition{rhythm(h), judged(h), failing(h)}
	if a.Next >= RejectTest {
		out = append(out, signed(h), spfOnly(h))
	}
	if missing := missingKeys(h); len(missing) > 0 {
		out = append(out, Condition{"keys", "Every key in use is in DNS", false,
			"no key in DNS at " + List(missing, 2)})
	}
	return out
}

// rhythm asks that each own source was seen twice: a monthly run that is seen once may be all wrong
// next time.
func rhythm(h History) Condition {
	var once []string
	for _, s := range own(h) {
		if s.Messages >= fewMessages && bursts(s.Days) < 2 && len(s.Days) < 10 {
			once = append(once, s.Name)
		}
	}
	found := "all were"
	if len(once) > 0 {
		found = List(once, 3) + " seen only once"
	}
	return Condition{"rhythm", "Weekly and monthly senders were seen twice", len(once) == 0, found}
}

// bursts counts runs of days that are five or more days apart.
func bursts(days []Day) int {
	days = slices.Clone(days)
	slices.Sort(days)
	n := 0
	for i, d := range days {
		if i == 0 || d-days[i-1] >= 5 {
			n++
		}
	}
	return n
}

// judged asks about each unknown source of some size, and about the small ones where they are more
// than 1 % of the mail together: many that fail a little can be most of it.
func judged(h History) Condition {
	var open []string
	var small, few, all int64
	for i := range h.Sources {
		s := &h.Sources[i]
		unknown := s.Class == Unknown && !s.Judged
		switch {
		case unknown && s.Messages >= fewMessages:
			open = append(open, s.Name)
		case unknown && s.Messages > 0:
			small++
			few += s.Messages
		}
		if unknown || s.Class.IsOwn() {
			all += s.Messages
		}
	}
	found := "no unknown source sent 20 messages or more"
	if few >= fewMessages && few > all/100 {
		open = append(open, Plural(small, "small unknown source", "small unknown sources")+" with "+
			Plural(few, "message", "messages")+" together")
	}
	if len(open) > 0 {
		found = List(open, 4) + " not judged"
	}
	return Condition{"judged", "Every unknown source of 20 messages or more is judged, and the " +
		"smaller ones are 1% of the mail at most, or below 20 messages, together",
		len(open) == 0, found}
}

// failing asks that at least 99 % of each own source's mail passes DMARC.
func failing(h History) Condition {
	var bad []string
	for _, s := range own(h) {
		if n, _ := s.lost(); n*100 > s.Messages {
			bad = append(bad, Count(n)+" of "+s.Name+" fail")
		}
	}
	found := "all do"
	if len(own(h)) == 0 {
		return Condition{"own", "At least one source of your own is known", false,
			"no source of your own was seen"}
	}
	if len(bad) > 0 {
		found = List(bad, 3)
	}
	return Condition{"failing", "99% of each own source's mail passes DMARC", len(bad) == 0, found}
}

// signed asks for aligned DKIM, not for a DMARC pass: p=reject must not rest on SPF alone (RFC 9989
// sections 7.4 and 8).
func signed(h History) Condition { return signedOf(h, 0) }

// signedOf is signed for the sources of so many messages or more.
func signedOf(h History, least int64) Condition {
	var bad []string
	for _, s := range own(h) {
		if s.Messages >= least && s.DKIM*100 < s.Messages*99 {
			bad = append(bad, s.Name+" "+Count(s.DKIM)+" of "+Count(s.Messages)+
				" by aligned DKIM")
		}
	}
	found := "all do"
	if len(bad) > 0 {
		found = List(bad, 3)
	}
	return Condition{"dkim", "Aligned DKIM for 99% of the mail of each own source",
		len(bad) == 0, found}
}

// spfOnly asks that no mail rests on SPF alone, of sources of any class: what an SPF record vouches
// for is the domain's own until the term is removed. What a person accepts excuses the remainder
// alone: p=reject must not rest solely on SPF (RFC 9989 section 8), accepted or not.
func spfOnly(h History) Condition {
	var bad []string
	for i := range h.Sources {
		s := &h.Sources[i]
		if n := s.SPFOnly(); n > 0 && !(s.SPFAccepted && s.SPFIsRemainder()) {
			bad = append(bad, Count(n)+" of "+s.Name+" by SPF alone")
		}
	}
	found := "none"
	if len(bad) > 0 {
		found = List(bad, 3)
	}
	return Condition{"spf-only", "No message passes by SPF alone, but for 1% of a source at " +
		"most if you accept that", len(bad) == 0, found}
}

func missingKeys(h History) []string {
	var out []string
	for _, s := range h.Selectors {
		if s.Missing && s.Messages > 0 {
			out = append(out, s.Name)
		}
	}
	return out
}

// people is the condition, before a step towards reject, that no person writes to lists from the
// domain.
func people(h History, a Advice) []Condition {
	if a.Next < RejectTest {
		return nil
	}
	found := "only machines do" + answeredBy(h)
	if h.Replies > 0 { // the person knows better, but should know this
		found += "; this host sent " + Plural(h.Replies, "reply", "replies") + " to other mail"
	}
	return []Condition{{"people", "No person writes to mailing lists from it", true, found}}
}

func askUse(h History) Condition {
	return Condition{"people", "Do people write from " + h.Domain + ", also to mailing lists?",
		false, "not answered"}
}
