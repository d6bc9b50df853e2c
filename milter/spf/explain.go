package spf

import (
	"strings"

	"mailseal/milter/dns"
)

// maxExplanation bounds an explanation: it has to fit into a line of an SMTP reply, 512 octets,
// with what goes before.
const maxExplanation = 400

// explain returns the words of the domain whose record failed the client, "" when they cannot be
// had (RFC 7208 section 6.2). The lookup counts towards no limit; the result is found already.
func (e *evaluation) explain(spec, domain string) string {
	e.final = true
	name, err := e.target(spec, domain, &Step{})
	if err != nil || name == "" {
		return ""
	}
	answer, err := e.ask(name, dns.TXT)
	if err != nil || len(answer.Texts) != 1 {
		return ""
	}
	text := answer.Texts[0]
	if _, err := checkMacros(text, explainLetters); err != nil || !isPrintable(text) {
		return ""
	}
	out := string(e.expand(nil, text, domain, maxExplanation))
	if !isPrintable(out) {
		return ""
	}
	return cut(out, maxExplanation)
}

// isPrintable reports whether s is what an explanation may be: visible ASCII and spaces.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
