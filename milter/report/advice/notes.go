package advice

import "slices"

// notes are findings beside the ladder: how the SPF record ends, which of its terms can go, keys
// that are missing.
func notes(h History) []Note {
	var out []Note
	for _, s := range h.Selectors {
		if s.Missing && s.Messages > 0 {
			out = append(out, Note{"key-missing", true,
				Plural(s.Messages, "message is", "messages are") +
					" signed with a key that is not in DNS: " + s.Name + ".",
				"Publish the key at " + s.Name + ", or stop signing with it."})
		}
	}
	out = append(out, passing(h)...)
	out = append(out, tags(h)...)
	// The step after quarantine; t=y enforces, and -all must have gone before.
	switch enforcing := h.Policy.Step >= QuarantineTest; {
	case h.Parked && (h.NoSPF || len(h.Terms) > 0 || h.SPFAll != "" && h.SPFAll != "-all"):
		out = append(out, Note{"spf-parked", true,
			h.Domain + " sends no mail, and its SPF record does not say so.",
			"Publish \"v=spf1 -all\" at " + h.Domain + "."})
		return out
	case h.Parked || h.SPFAll == "":
	case enforcing && h.SPFAll == "-all":
		out = append(out, Note{"spf-hard", false,
			"The SPF record ends with -all: receivers that refuse at MAIL FROM never see the " +
				"signature, and do not report the message (RFC 9989 section 7.1).",
			"End the SPF record with ~all: the DMARC policy applies all the same."})
	case h.SPFAll == "+all":
		out = append(out, Note{"spf-open", true,
			"The SPF record ends with +all: every host passes SPF as " + h.Domain + ".",
			"End the SPF record with ~all."})
	}
	for _, t := range h.Terms {
		switch {
		case t.Foreign:
			out = append(out, Note{"spf-foreign", false,
				t.Text + " is for a service that uses its own envelope domain, so SPF cannot " +
					"align.",
				"Remove " + t.Text + "."})
		case t.Messages == 0 && !t.OwnHost && observed(h) >= windowDays &&
			len(unmet(enough(h))) == 0:
			out = append(out, Note{"spf-unused", false,
				t.Text + " matched no mail in 90 days of reports, and is not an address of this " +
					"host.",
				removal(t.Text)})
		}
	}
	return out
}

func removal(term string) string { return "Remove " + term + "." }

// Unused reports whether a note says that a term of the SPF record matched no mail and can go.
func (a Advice) Unused(term string) bool {
	return slices.ContainsFunc(a.Notes, func(n Note) bool {
		return n.Code == "spf-unused" && n.Fix == removal(term)
	})
}

// observed counts the days from the first report on to the end of the period.
func observed(h History) int {
	if len(h.Reported) == 0 {
		return 0
	}
	return int(h.To-slices.Min(h.Reported)) + 1
}

// passing finds mail that passes DMARC although a person judged that it is not the domain's: the
// SPF record or a key lets a stranger send as the domain.
func passing(h History) []Note {
	var out []Note
	for i := range h.Sources {
		s := &h.Sources[i]
		if s.Class != NotOurs || s.Pass == 0 {
			continue
		}
		fix := "Remove what lets " + s.Name + " in from the SPF record of " + h.Domain + "."
		if s.DKIM > 0 {
			fix = "Withdraw the DKIM keys that " + s.Name + " signs with."
		}
		out = append(out, Note{"passes-not-ours", true, Plural(s.Pass, "message", "messages") +
			" of " + s.Name + " passed DMARC, although the source is judged not yours.", fix})
	}
	return out
}

// tags finds tags of the record that weaken it, or that nothing reads any more.
func tags(h History) []Note {
	var out []Note
	p, _ := h.Policy.Step.policy()
	if h.Policy.Step < Quarantine && !h.Parked {
		return legacy(h)
	}
	for _, below := range []struct{ tag, value, what string }{
		{"sp", h.Policy.SP, "subdomains of " + h.Domain},
		{"np", h.Policy.NP, "names below " + h.Domain + " that do not exist"},
	} {
		if below.value == "" || strength(below.value) >= strength(p) {
			continue
		}
		out = append(out, Note{below.tag + "-weaker", false, "The policy is p=" + p +
			", but for " + below.what + " it is " + below.tag + "=" + below.value +
			": a forger takes one of these.",
			"Remove " + below.tag + "=" + below.value + " from the DMARC record once the mail " +
				"of these names passes."})
	}
	return append(out, legacy(h)...)
}

// legacy finds pct, which RFC 9989 removed.
func legacy(h History) []Note {
	if !hasTag(h.Policy.Text, "pct") {
		return nil
	}
	return []Note{{"pct", false, "The DMARC record has pct, which RFC 9989 removed: older " +
		"receivers apply the policy to a part of the mail, others to all of it.",
		"Remove pct; t=y is what tests a policy."}}
}
