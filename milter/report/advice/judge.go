package advice

import "slices"

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
	least := int64(0)
	if len(unmet(enough(h))) > 0 {
		least = fewMessages // one message of two proves nothing
	}
	if c := signedOf(h, least); a.Now == Reject && !c.Met {
		return unsigned(h, a, c)
	}
	if a.Now >= a.End {
		return done(h, a)
	}
	a.Next = a.Now + 1
	a.Record = WithStep(h.Policy.Text, a.Next)
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

func unmet(conditions []Condition) []Condition {
	return slices.DeleteFunc(slices.Clone(conditions), func(c Condition) bool { return c.Met })
}

// total counts the messages that a decision rests on: those of the domain's own sources, not what
// forwarders passed on, and not forgeries, however many. Where no source of its own is known all
// count: that none of many messages is its own is a finding, too.
func total(h History) int64 {
	var n, all int64
	for i := range h.Sources {
		s := &h.Sources[i]
		all += s.Messages
		if s.Class.IsOwn() {
			n += s.Messages
		}
	}
	if len(own(h)) == 0 {
		return all
	}
	return n
}

// own returns the sources that the domain's own mail comes from.
func own(h History) []*Source {
	var out []*Source
	for i := range h.Sources {
		if h.Sources[i].Class.IsOwn() && h.Sources[i].Messages > 0 {
			out = append(out, &h.Sources[i])
		}
	}
	return out
}

// lookedAt names the period of h: pages show it beside numbers of shorter ones.
func lookedAt(h History) string {
	return Plural(int64(h.To-h.From)+1, "day", "days")
}
