package advice

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
	switch enforcing := h.Policy.Step >= Quarantine; {
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
		case t.Messages == 0 && !t.OwnHost && len(h.Reported) >= 90:
			out = append(out, Note{"spf-unused", false,
				t.Text + " matched no mail in 90 days of reports, and is not an address of this " +
					"host.",
				"Remove " + t.Text + "."})
		}
	}
	return out
}
