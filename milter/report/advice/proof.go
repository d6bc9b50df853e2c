package advice

import "strings"

// proof is what a finding rests on, as numbers that add up from the sources of the period.
func proof(h History) string {
	var dkim, all int64
	list := own(h)
	for _, s := range list {
		all += s.Messages
		dkim += s.DKIM
	}
	return Plural(int64(len(h.Reported)), "day", "days") + ", " +
		Plural(all, "message", "messages") + " of " +
		Plural(int64(len(list)), "own source", "own sources") + ", " +
		Rate(dkim, all) + "% by aligned DKIM"
}

// basis is proof as a separate sentence. If the reports are too few it has no rate.
func basis(h History) string {
	if len(unmet(enough(h))) == 0 && len(own(h)) > 0 {
		return "The reports: " + proof(h) + "."
	}
	var dkim, all int64
	list := own(h)
	for _, s := range list {
		all += s.Messages
		dkim += s.DKIM
	}
	if len(list) == 0 {
		return "The reports of " + Plural(int64(len(h.Reported)), "day", "days") +
			" show no message of a source of your own."
	}
	return "The reports are few: " + Plural(int64(len(h.Reported)), "day", "days") + ", " +
		Plural(all, "message", "messages") + " of " +
		Plural(int64(len(list)), "own source", "own sources") + ", " +
		Count(dkim) + " by aligned DKIM."
}

// lost counts the messages that a policy obeyed by everyone would cost: one's own, and those passed
// on.
func lost(h History) (own, forwarded int64) {
	for i := range h.Sources {
		mine, passedOn := h.Sources[i].lost()
		own += mine
		forwarded += passedOn
	}
	return own, forwarded
}

// lost splits the failures of a source into those that left it so and those that were passed on,
// which is where they lost their proof. Forgeries and what a person judged not ours are neither.
func (s *Source) lost() (own, forwarded int64) {
	switch s.Class {
	case Ours, Service, Unknown:
		passedOn := min(s.Fail(), s.Forwarded+s.Listed)
		return s.Fail() - passedOn, passedOn
	case Forwarding:
		return 0, s.Fail()
	}
	return 0, 0
}

// whose names how many messages of one's own sources failed without having been passed on, and how
// many of sources that may be one's own.
func whose(h History) string {
	var mine, unknown int64
	for i := range h.Sources {
		s := &h.Sources[i]
		n, _ := s.lost()
		if s.Class == Unknown {
			unknown += n
		} else {
			mine += n
		}
	}
	text := Plural(mine, "message", "messages") + " of your own sources"
	if unknown > 0 {
		text += ", " + Count(unknown) + " of unknown sources"
	}
	return text
}

// cost describes what the policy would have done to mail that failed in the period, by source.
func cost(h History, a Advice, step Step) string {
	verb := "marked"
	if step >= RejectTest {
		verb = "refused"
	}
	var names []string
	for i := range h.Sources {
		if n, _ := h.Sources[i].lost(); n > 0 {
			names = append(names, Count(n)+" of "+h.Sources[i].Name)
		}
	}
	passedOn := Plural(a.Forwarded, "forwarded message", "forwarded messages")
	switch {
	case a.OwnLost == 0 && a.Forwarded == 0:
		return "No message of your own would have been " + verb + "."
	case a.OwnLost == 0:
		return "No message that comes from your own sources directly would have been " + verb +
			", but " + passedOn + "."
	}
	text := Plural(a.OwnLost, "message", "messages") + " would have been " + verb + ": " +
		List(names, 3)
	if a.Forwarded > 0 {
		text += "; and " + passedOn
	}
	return text + "."
}

// effectOf describes how receivers treat a policy with t=y.
func effectOf(s Step) string {
	switch s {
	case QuarantineTest:
		return "With t=y receivers treat it as none (RFC 9989 section 4.7)."
	case RejectTest:
		return "With t=y receivers treat it as quarantine (RFC 9989 section 4.7)."
	}
	return ""
}

// sentences joins what is not empty.
func sentences(list ...string) string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}
