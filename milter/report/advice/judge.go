package advice

import (
	"slices"
	"strings"
)

// Judge returns which step of the ladder comes next for a domain, and what that step needs.
func Judge(h History) Advice {
	if h.Use == UseUnknown && h.Replies > 0 {
		h.Use = UsePeople // until a person says otherwise
	}
	a := Advice{Now: h.Policy.Step, End: end(h)}
	a.OwnLost, a.Forwarded = lost(h)
	a.Notes = notes(h)
	if h.Parked {
		return parked(h, a)
	}
	if a.Now > a.End && a.Now >= RejectTest {
		return retreat(h, a)
	}
	if a.Now >= a.End {
		return done(h, a)
	}
	a.Next = a.Now + 1
	a.Record = WithStep(h.Policy.Text, a.Next)
	a.Back = WithStep(h.Policy.Text, a.Now)
	a.BackText = "To go back from " + a.Next.String() + ", publish today's record again."
	data := enough(h)
	a.Conditions = slices.Concat(data, elapsed(h, a), sources(h, a), people(h, a))
	// Conditions that a person can meet now come before those that only need time.
	faults := unmet(slices.Concat(sources(h, a), people(h, a)))
	waits := unmet(elapsed(h, a))
	switch missing := unmet(data); {
	case len(missing) > 0:
		return tooLittle(h, a, missing)
	case len(faults)+len(waits) > 0:
		return stay(h, a, faults, waits)
	}
	return ready(h, a)
}

// end returns the last step for the domain: quarantine where people write from it, or may do so,
// and reject where a person said that only machines do and nothing contradicts it (RFC 9989 section
// 7.4).
func end(h History) Step {
	if h.Parked {
		return Reject
	}
	if h.Use == UseMachines && !writesToLists(h) {
		return Reject
	}
	return Quarantine
}

// writesToLists reports whether mail of the domain was seen to go through mailing lists.
func writesToLists(h History) bool {
	return h.ToLists > 0 || listed(h) > 0
}

// listed counts messages of the domain's own that lists passed on: they carried a signature of it,
// or failed at a list.
func listed(h History) int64 {
	var n int64
	for i := range h.Sources {
		if s := &h.Sources[i]; s.Class != NotOurs && s.Class != Scanner && s.Class != Spoof {
			n += s.Listed
		}
	}
	return n
}

// lost counts the messages that a policy obeyed by everyone would cost: one's own, and those passed
// on.
func lost(h History) (own, forwarded int64) {
	for i := range h.Sources {
		switch s := &h.Sources[i]; s.Class {
		case Ours, Service, Unknown:
			passedOn := min(s.Fail(), s.Forwarded+s.Listed)
			own += s.Fail() - passedOn
			forwarded += passedOn
		case Forwarding:
			forwarded += s.Fail()
		}
	}
	return own, forwarded
}

func unmet(conditions []Condition) []Condition {
	return slices.DeleteFunc(slices.Clone(conditions), func(c Condition) bool { return c.Met })
}

func total(h History) int64 {
	var n int64
	for i := range h.Sources {
		n += h.Sources[i].Messages
	}
	return n
}

// own returns the sources that the domain's own mail comes from.
func own(h History) []*Source {
	var out []*Source
	for i := range h.Sources {
		if h.Sources[i].Class.IsOwn() {
			out = append(out, &h.Sources[i])
		}
	}
	return out
}

func parked(h History, a Advice) Advice {
	a.Next = Reject
	for _, s := range own(h) {
		if s.Pass > 0 {
			a.Kind = Stay
			a.Title = "Not parked"
			a.Sentence = h.Domain + " is configured as parked, but " + Plural(s.Pass, "message",
				"messages") +
				" of " + s.Name + " passed DMARC in its name. First find out who sends them."
			a.Conditions = []Condition{{Code: "parked",
				Text: "No source of your own sends mail", Found: s.Name}}
			return a
		}
	}
	if a.Now == Reject {
		a.Kind = Done
		a.Title = "Nothing stricter is possible"
		a.Sentence = h.Domain + " sends no mail and says so with p=reject."
		return a
	}
	a.Kind = Ready
	a.Title = "Ready for reject"
	a.Sentence = h.Domain + " sends no mail, and no message of your own was seen in its name: " +
		"publish p=reject. A parked domain needs no intermediate steps."
	a.Opposite = "It costs nothing as long as the domain sends nothing."
	a.Record = WithStep(h.Policy.Text, Reject)
	a.Back = h.Policy.Text
	a.BackText = "To go back, publish today's record again."
	return a
}

func done(h History, a Advice) Advice {
	a.Kind = Done
	a.Next = a.Now
	a.Title = "Stay at " + a.Now.String()
	if a.End == Reject {
		a.Sentence = h.Domain + " is at reject, the last step for a domain that only machines " +
			"write from."
		return a
	}
	a.Sentence = h.Domain + " is at " + a.Now.String() + ", the last step for a domain that " +
		"people write from. " +
		lists(h) + " RFC 9989 section 7.4 says that such domains should not publish p=reject."
	if h.Use == UseUnknown && !writesToLists(h) {
		a.Conditions = []Condition{askUse(h)}
		a.Sentence = h.Domain + " is at quarantine. Reports cannot show whether reject may " +
			"follow: that depends on whether people write mail from it, also to mailing lists. " +
			"Unless you answer no, quarantine is the last step."
	}
	if a.OwnLost > 0 {
		a.Sentence += " " + Plural(a.OwnLost, "message", "messages") +
			" of your own sources failed in " +
			lookedAt(h) + ": see the problems."
	}
	return a
}

func lists(h History) string {
	switch n := listed(h); {
	case h.ToLists > 0:
		return "This host sent " + Plural(h.ToLists, "message", "messages") + " to mailing lists."
	case h.Replies > 0 && h.UseBy == "":
		return "This host sent " + Plural(h.Replies, "reply", "replies") +
			" to other mail, and replies are written by people."
	case n > 0:
		return "Receivers reported that " + Plural(n, "message", "messages") +
			" came through mailing lists."
	}
	return "People write from it" + answeredBy(h) + ", and lists break their signatures."
}

func answeredBy(h History) string {
	if h.UseBy == "" {
		return ""
	}
	return ", as " + h.UseBy + " said on " + h.UseSince.Short(h.To)
}

// retreat is for a policy that RFC 9989 advises against for this domain.
func retreat(h History, a Advice) Advice {
	a.Kind = Retreat
	a.Next = Quarantine
	a.Title = "Go back to quarantine"
	a.Record = WithStep(h.Policy.Text, Quarantine)
	a.Back = h.Policy.Text
	a.BackText = "To go back, publish today's record again."
	if h.Use == UseUnknown && !writesToLists(h) {
		a.Title = "Answer who writes mail from it"
		a.Conditions = []Condition{askUse(h)}
		a.Sentence = h.Domain + " is at " + a.Now.String() +
			". RFC 9989 section 7.4 advises against it for domains whose users write to mailing " +
			"lists. Answer whether they do. If so, or if you do not know, publish quarantine."
	} else {
		a.Sentence = h.Domain + " is at " + a.Now.String() + ", but people write from it: " +
			lists(h) +
			" RFC 9989 section 7.4 says that such domains should not publish p=reject. " +
			"Quarantine also protects against forgeries, and receivers can still deliver mail " +
			"from mailing lists."
	}
	a.Opposite = Plural(a.Forwarded, "forwarded message", "forwarded messages") + " and " +
		Plural(a.OwnLost, "of your own", "of your own") + " failed in " + lookedAt(h) +
		" and could have been refused."
	return a
}

func tooLittle(h History, a Advice, missing []Condition) Advice {
	a.Kind = TooLittle
	a.Title = "Not enough reports"
	a.Record = ""
	found := make([]string, len(missing))
	for i, c := range missing {
		found[i] = c.Found
	}
	a.Sentence = "The reports are not enough to decide whether " + h.Domain + " can go to " +
		a.Next.String() +
		": " + List(found, 4) + "."
	if n := fullDays - len(h.Reported); n > 0 {
		a.Sentence += " At least " + Plural(int64(n), "more day", "more days") +
			" of reports are needed."
	}
	return a
}

func stay(h History, a Advice, faults, waits []Condition) Advice {
	a.Kind = Stay
	a.Title = "Stay at " + a.Now.String()
	var why []string
	for _, c := range slices.Concat(waits, faults) {
		why = append(why, c.Found)
	}
	a.Sentence = "Not ready for " + a.Next.String() + ": " + List(why, 4) + "."
	a.Opposite = cost(h, a)
	return a
}

func ready(h History, a Advice) Advice {
	a.Kind = Ready
	a.Title = "Ready for " + a.Next.String()
	var pass, dkim, all int64
	for _, s := range own(h) {
		all += s.Messages
		pass += s.Pass
		dkim += s.DKIM
	}
	a.Sentence = a.Title + ": " + Plural(int64(len(h.Reported)), "day", "days") + ", " +
		Plural(all, "message", "messages") + " of " + Plural(int64(len(own(h))), "own source",
		"own sources") + ", " +
		Rate(dkim, all) + "% by aligned DKIM."
	a.Opposite = cost(h, a)
	if effect := effectOf(a.Next); effect != "" {
		a.Opposite += " " + effect
	}
	return a
}

func effectOf(s Step) string {
	switch s {
	case QuarantineTest:
		return "With t=y receivers treat it as none (RFC 9989 section 4.7)."
	case RejectTest:
		return "With t=y receivers treat it as quarantine (RFC 9989 section 4.7)."
	}
	return ""
}

// cost describes what the policy would have done to mail that failed in the period, by source.
func cost(h History, a Advice) string {
	var names []string
	for i := range h.Sources {
		s := &h.Sources[i]
		if s.Fail() > 0 && (s.Class.IsOwn() || s.Class == Unknown) {
			names = append(names, Count(s.Fail())+" of "+s.Name)
		}
	}
	verb := "marked"
	if a.Next >= RejectTest {
		verb = "refused"
	}
	text := "No message of your own would have been " + verb + "."
	if a.OwnLost > 0 {
		text = Plural(a.OwnLost, "message", "messages") + " would have been " + verb + ": " +
			List(names, 3) + "."
	}
	if a.Forwarded > 0 {
		text += " " + Plural(a.Forwarded, "forwarded message", "forwarded messages") +
			" would have been " +
			verb + ", too."
	}
	return text
}

// WithStep returns a DMARC record with the policy of step: p and t are set, everything else stays
// as it is.
func WithStep(record string, step Step) string {
	p, testing := step.policy()
	var out []string
	hasP := false
	for part := range strings.SplitSeq(record, ";") {
		part = strings.TrimSpace(part)
		name, _, _ := strings.Cut(part, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "":
		case "t":
		case "p":
			hasP = true
			out = append(out, "p="+p)
			if testing {
				out = append(out, "t=y")
			}
		default:
			out = append(out, part)
		}
	}
	if len(out) == 0 {
		out = []string{"v=DMARC1"}
	}
	if !hasP {
		tags := []string{"p=" + p}
		if testing {
			tags = append(tags, "t=y")
		}
		out = slices.Insert(out, 1, tags...)
	}
	return strings.Join(out, "; ")
}

// lookedAt names the period of h: pages show it beside numbers of shorter ones.
func lookedAt(h History) string {
	return Plural(int64(h.To-h.From)+1, "day", "days")
}
