package advice

import "slices"

// parked is for a domain that sends no mail: it needs no intermediate steps, and no data.
func parked(h History, a Advice) Advice {
	a.Next = Reject
	for i := range h.Sources {
		if s := &h.Sources[i]; s.Pass > 0 {
			return notParked(h, a, s, Plural(s.Pass, "message", "messages")+" of "+s.Name+
				" passed DMARC in its name", "With p=reject they pass all the same; they would be "+
				"refused once the SPF record and the keys are gone.")
		}
	}
	for _, s := range own(h) {
		return notParked(h, a, s, Plural(s.Messages, "message", "messages")+" of "+s.Name+
			", a source of your own, used its name, and none passed DMARC",
			"With p=reject they are refused.")
	}
	var forged int64
	for i := range h.Sources {
		forged += h.Sources[i].Messages
	}
	seen := "No report shows a message in its name."
	if forged > 0 {
		seen = "In " + lookedAt(h) + " " + Plural(forged, "message", "messages") +
			" used its name, and none passed."
	}
	if a.Now == Reject {
		a.Kind = Done
		a.Title = "Nothing stricter is possible"
		a.Sentence = h.Domain + " sends no mail and says so with p=reject. " + seen
		a.Opposite = "It costs nothing as long as the domain sends nothing."
		a.wayBack(h, Quarantine)
		return a
	}
	a.Kind = Ready
	a.Title = "Ready for reject"
	a.Sentence = h.Domain + " sends no mail, and no message of your own was seen in its name: " +
		"publish p=reject. A parked domain needs no intermediate steps. " + seen
	a.Opposite = "It costs nothing as long as the domain sends nothing."
	a.Record = WithStep(h.Policy.Text, Reject)
	a.today(h)
	return a
}

// notParked is for a domain that is said to send no mail, where s sends mail in its name.
func notParked(h History, a Advice, s *Source, what, cost string) Advice {
	a.Kind = Stay
	a.Title = "Not parked"
	a.Sentence = h.Domain + " is configured as parked, but " + what +
		". First find out who sends them."
	a.Opposite = cost
	a.Conditions = []Condition{{Code: "parked", Text: "No source of your own sends mail",
		Found: s.Name}}
	a.wayBack(h, max(a.Now-1, None))
	return a
}

// done is for a domain at its last step.
func done(h History, a Advice) Advice {
	a.Kind = Done
	a.Next = a.Now
	a.Title = "Stay at " + a.Now.String()
	a.wayBack(h, a.Now-1)
	if a.End == Reject {
		a.Sentence = h.Domain + " is at reject, the last step for a domain that only machines " +
			"write from. " + basis(h)
		a.Opposite = cost(h, a, Reject)
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
	a.Sentence += " " + basis(h)
	if a.OwnLost > 0 {
		a.Sentence += " " + whose(h) + " failed in " + lookedAt(h) + ": see the problems."
	}
	a.Opposite = "With p=reject: " + lower(cost(h, a, Reject))
	return a
}

// retreat is for a policy that RFC 9989 advises against for this domain.
func retreat(h History, a Advice) Advice {
	a.Kind = Retreat
	a.Next = Quarantine
	a.Title = "Go back to quarantine"
	a.Record = WithStep(h.Policy.Text, Quarantine)
	a.today(h)
	if h.Use == UseUnknown && !writesToLists(h) {
		a.Title = "Answer who writes mail from it"
		a.Conditions = []Condition{askUse(h)}
		a.Brief = h.Domain + " is at " + a.Now.String() +
			", and it is not known whether people write from it."
		a.Sentence = h.Domain + " is at " + a.Now.String() +
			". RFC 9989 section 7.4 advises against it for domains whose users write to mailing " +
			"lists. Answer whether they do. If so, or if you do not know, publish quarantine."
	} else {
		a.Brief = h.Domain + " is at " + a.Now.String() + ", but people write from it: " + lists(h)
		a.Sentence = h.Domain + " is at " + a.Now.String() + ", but people write from it: " +
			lists(h) +
			" RFC 9989 section 7.4 says that such domains should not publish p=reject. " +
			"Quarantine also protects against forgeries, and receivers can still deliver mail " +
			"from mailing lists."
	}
	a.Sentence += " " + basis(h)
	a.Opposite = failed(h, a)
	return a
}

// unsigned is for p=reject where mail of the domain's own has no aligned signature: the policy must
// not rest on SPF alone (RFC 9989 sections 7.4 and 8).
func unsigned(h History, a Advice, c Condition) Advice {
	a.Kind = Retreat
	a.Next = Quarantine
	a.Title = "Sign all mail, or go back to quarantine"
	a.Record = WithStep(h.Policy.Text, Quarantine)
	a.today(h)
	a.Conditions = unmet([]Condition{c, spfOnly(h)})
	a.Brief = h.Domain + " is at reject, but not all of its mail is signed: " + c.Found + "."
	a.Sentence = a.Brief +
		" p=reject must not rest on SPF alone (RFC 9989 section 8). Sign this mail; until then " +
		"publish quarantine. "
	if slices.ContainsFunc(h.Sources, func(s Source) bool { return s.SPFAccepted }) {
		a.Sentence += "That you accept mail by SPF alone excuses at most 1% of a source. "
	}
	a.Sentence += basis(h)
	a.Opposite = failed(h, a)
	return a
}

// failed describes what a policy that is stricter than it should be has cost.
func failed(h History, a Advice) string {
	verb := "refused"
	if a.Now == RejectTest {
		verb = "held"
	}
	return sentences(whose(h)+" and "+
		Plural(a.Forwarded, "forwarded message", "forwarded messages")+" failed in "+lookedAt(h)+
		" and could have been "+verb+".", effectOf(a.Now))
}

// lists describes how it is known that people write from the domain.
func lists(h History) string {
	switch n := listed(h); {
	case h.ToLists > 0:
		return "This host sent " + Plural(h.ToLists, "message", "messages") + " to mailing lists."
	case n > 0:
		return "Receivers reported that " + Plural(n, "message", "messages") +
			" came through mailing lists."
	case h.Replies > 0 && h.UseBy == "":
		return "This host sent " + Plural(h.Replies, "reply", "replies") +
			" to other mail, and replies are written by people."
	}
	return "People write from it" + answeredBy(h) + ", and lists break their signatures."
}

func answeredBy(h History) string {
	if h.UseBy == "" {
		return ""
	}
	return ", as " + h.UseBy + " said on " + h.UseSince.Short(h.To)
}

// tooLittle describes the missing data and how long it takes to get them; it never gives a
// rate.
func tooLittle(h History, a Advice, missing []Condition) Advice {
	a.Kind = TooLittle
	a.Title = "Too little to know"
	a.Record = ""
	// Rates of sources would be rates of too few messages.
	a.Conditions = slices.DeleteFunc(a.Conditions,
		func(c Condition) bool { return c.Code == "dkim" || c.Code == "failing" })
	found := make([]string, len(missing))
	for i, c := range missing {
		found[i] = c.Found
	}
	a.Sentence = "The reports are too little to know whether " + h.Domain + " can go to " +
		a.Next.String() + ": " + List(found, 4) + "."
	a.Sentence = sentences(a.Sentence, moreDays(h))
	a.Opposite = "Until then, what a stricter policy would cost is not known."
	a.wayBack(h, a.Now-1)
	return a
}

// moreDays describes how many more days of reports are needed, as far as that can be
// foreseen.
func moreDays(h History) string {
	need := int64(max(fullDays-len(h.Reported), 0))
	n, days := total(h), int64(observed(h))
	if n < leastMessages && days >= fullDays {
		if n*windowDays < leastMessages*days {
			return "At this volume " + Count(windowDays) + " days of reports never hold " +
				Count(leastMessages) + " messages: decide by what you know of its senders."
		}
		need = max(need, ((leastMessages-n)*days+n-1)/n)
	}
	if need == 0 {
		return ""
	}
	return "At least " + Plural(need, "more day of reports is", "more days of reports are") +
		" needed."
}

// stay describes what must be done, or waited for, before the next step.
func stay(h History, a Advice, faults, waits []Condition) Advice {
	a.Kind = Stay
	a.Title = "Stay at " + a.Now.String()
	var why []string
	for _, c := range slices.Concat(waits, faults) {
		why = append(why, c.Found)
	}
	a.Brief = "Not ready for " + a.Next.String() + ": " + List(why, 4) + "."
	a.Sentence = a.Brief + " " + basis(h)
	a.Opposite = sentences(cost(h, a, a.Next), effectOf(a.Next))
	a.wayBack(h, a.Now-1)
	return a
}

// ready describes what can be published, the reasons for it, and its cost.
func ready(h History, a Advice) Advice {
	a.Kind = Ready
	a.Title = "Ready for " + a.Next.String()
	a.Sentence = a.Title + ": " + proof(h) + "."
	a.Opposite = sentences(cost(h, a, a.Next), effectOf(a.Next))
	a.today(h)
	a.BackText = "To go back from " + a.Next.String() + ", publish today's record again."
	return a
}
