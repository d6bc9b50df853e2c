package policy

import (
	"fmt"
	"strings"

	"mailseal/milter/message"
	"mailseal/milter/verify"
)

// sentences are what refused peers read, for each method and result: what was found, and nothing
// else. A person who has to correct it needs the truth. {domain} is the domain that was judged,
// {client} the peer's address, {name} the DNS name that did not answer.
var sentences = map[string]map[string]string{
	"spf": {
		"fail":      "SPF: {client} may not send mail for {domain}",
		"softfail":  "SPF: {client} probably may not send mail for {domain}",
		"neutral":   "SPF: {domain} does not say whether {client} may send mail for it",
		"none":      "SPF: {domain} has no SPF record",
		"permerror": "SPF: the SPF record of {domain} cannot be used",
		"temperror": "SPF: the DNS did not answer for {name}",
	},
	"helo": {
		"fail": "SPF: {client} may not use the name {domain} in HELO",
	},
	"iprev": {
		"fail":      "Reverse DNS: no name of {client} has this address",
		"permerror": "Reverse DNS: {client} has no name",
		"temperror": "Reverse DNS: the DNS did not answer for {name}",
	},
	"dkim": {
		"fail":      "DKIM: no signature matches the message",
		"policy":    "DKIM: no signature is acceptable to this host",
		"neutral":   "DKIM: no signature can be read",
		"none":      "DKIM: the message has no signature",
		"permerror": "DKIM: no signature can be verified",
		"temperror": "DKIM: the DNS did not answer for {name}",
	},
	"dmarc": {
		"reject":     "DMARC policy for {domain}",
		"quarantine": "DMARC policy for {domain}",
		"none":       "DMARC: the message fails for {domain}",
		"no_record":  "DMARC: {domain} has no DMARC record",
		"permerror":  "DMARC: the DMARC record of {domain} cannot be used",
		"temperror":  "DMARC: the DNS did not answer for {name}",
	},
	"from": {
		"none":     "The From field names no author",
		"too many": "The From field shows too many authors",
	},
}

// Other sentences.
const (
	textSeveral  = "Authentication failed: neither SPF nor DKIM authenticates the message"
	textOther    = "Authentication failed"
	textShortage = "This host is too busy to judge the message now, please try again later"
)

// unnamed replaces {domain} if there is no domain: a null sender, or a From that cannot be
// parsed.
const unnamed = "the sender"

// text is the sentence for the sender.
func (ts Texts) text(f finding, env *message.Envelope, r *verify.Results) string {
	s := ts.custom(f)
	if f.domain == "" && strings.Contains(s, "{domain}") {
		s = ts.Other
	}
	if s == "" {
		s = sentences[f.method][f.value]
	}
	if s == "" {
		s = textOther
	}
	name := f.domain
	if name == "" {
		name = unnamed
	}
	s = strings.NewReplacer("{domain}", name, "{client}", env.Client.String(), "{name}",
		unanswered(f, r)).Replace(s)
	if why := explanation(f, r); why != "" {
		s += fmt.Sprintf(" (%s explains: %s)", f.domain, why)
	}
	return ascii(s, 400)
}

// several is the sentence where SPF and DKIM failed both.
func (ts Texts) several() string {
	if ts.Other != "" {
		return ascii(ts.Other, 400)
	}
	return textSeveral
}

// custom is what the configuration says after a method, "" when it says nothing. It says nothing of
// a DNS that did not answer, which is neither the sender's fault nor a finding about the sender.
func (ts Texts) custom(f finding) string {
	if f.value == "temperror" {
		return ""
	}
	switch f.method {
	case "spf", "helo":
		return ts.SPF
	case "iprev":
		return ts.IPRev
	case "dkim":
		return ts.DKIM
	case "dmarc":
		return ts.DMARC
	}
	return ts.Other
}

// unanswered is the DNS name whose lookup made the result of a finding a temperror, as far as it is
// known.
func unanswered(f finding, r *verify.Results) string {
	if f.value != "temperror" {
		return ""
	}
	name := ""
	switch f.method {
	case "spf":
		name = r.SPF.Unanswered
	case "helo":
		name = r.HELO.Unanswered
	case "iprev":
		name = r.IPRev.Unanswered
	case "dkim":
		name = unansweredKey(r)
	case "dmarc":
		name = unansweredByDMARC(r)
	}
	if name == "" {
		return "a name that the result depends on"
	}
	return hostname(name)
}

// unansweredByDMARC is the name that DMARC asked for itself, or the one that SPF or DKIM asked for
// and would have told it that the message passes.
func unansweredByDMARC(r *verify.Results) string {
	if r.DMARC.Unanswered != "" {
		return r.DMARC.Unanswered
	}
	if key := unansweredKey(r); key != "" {
		return key
	}
	if r.SPF != nil && r.SPF.Value == "temperror" {
		return r.SPF.Unanswered
	}
	return ""
}

func unansweredKey(r *verify.Results) string {
	for _, s := range r.DKIM {
		if s.Value == "temperror" && s.Domain != "" && s.Selector != "" {
			return s.Selector + "._domainkey." + s.Domain
		}
	}
	return ""
}

// hostname makes a name from a stranger's message or record fit for a reply.
func hostname(name string) string {
	return ascii(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-',
			r == '_':
			return r
		}
		return '?'
	}, name), 253)
}

// explanation is what the domain says whose SPF record decided.
func explanation(f finding, r *verify.Results) string {
	switch f.method {
	case "spf":
		return r.SPF.Explanation
	case "helo":
		return r.HELO.Explanation
	}
	return ""
}

// ascii cuts what a domain's owner may have put into a reply down to one harmless line (RFC 7208
// section 11.5.2).
func ascii(s string, most int) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if b.Len() == most {
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		b.WriteByte(c)
	}
	return b.String()
}
