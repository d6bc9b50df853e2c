package config

import (
	"fmt"
	"strings"

	"mailseal/milter/expression"
)

// RuleExample is a rule that the manual shows.
type RuleExample struct {
	Title string
	TOML  string
}

// RuleExamples are the rules that the manual shows. Tests run each of them.
var RuleExamples = []RuleExample{
	{"Refuse mail that the domain's owner asks to refuse, and say which message it was", `[[policy.rules]]
name = "published policy"
when = 'dmarc.result == "fail" and dmarc.policy == "reject"'
action = "reject"
text = "{dmarc.domain} asks to refuse this message, {message_id}"
`},
	{"Accept mail that a partner's forwarder has broken; put this rule above the first one", `[[policy.rules]]
name = "partner"
when = 'dmarc.result == "fail" and in_network(client.address, "192.0.2.25")'
action = "accept"
`},
	{"Hold mail from strangers whose From shows our domain, unless DMARC passes", `[[policy.rules]]
name = "our name"
when = 'below(author.domain, "example.com") and dmarc.result != "pass"'
action = "hold"
`},
	{"A key for each login; others sign with the key of the domain", `[[sign]]
from = "*@example.com"
keys = "shop._domainkey.example.com"
if = 'login == "shop"'

[[sign]]
from = "*@example.com"
keys = "mail._domainkey.example.com"
`},
	{"Do not sign mail that the web server sends without a login", `[[sign]]
from = "*@example.com"
keys = "mail._domainkey.example.com"
if = 'login != "" or not in_network(client.address, "192.0.2.80")'
`},
}

// manualExpressions is the section of the manual on expressions.
func manualExpressions() string {
	var b strings.Builder
	b.WriteString(`.SH EXPRESSIONS
policy.rules[].when and sign[].if contain expressions, such as
.PP
.EX
    dmarc.result == "fail" and not in_network(client.address, "192.0.2.0/24")
.EE
.PP
They consist of facts about the message, texts in double quotes, numbers, true and false, lists such as ["a", "b"], and
.BR == ,
.BR != ,
.BR < ,
.BR <= ,
.BR > ,
.BR >= ,
.BR and ,
.BR or ,
.BR not ,
.B in
(a list),
.BR contains ,
.BR startsWith ,
.BR endsWith
and
.B matches
(a regular expression in RE2 syntax; (?i) at its start ignores case). Parentheses group. Texts are compared byte by
byte; use lower() to ignore case. and, or and not may also be written &&, || and !. A fact that is not known is "" or 0.
An expression has at most 8 KiB and 500 names, constants and operators, and all rules of one message read at most 8 MiB
of its header; it has at most ten list functions, none inside another. An expression that exceeds these limits is a
mistake, reported with its line and column.
.PP
These facts are known once all methods have run (when). Those that are also known at the end of the header, and so can
be used in a signing rule (if), are marked with an asterisk.
`)
	early := map[string]bool{}
	for _, f := range expression.Facts(expression.Signing) {
		early[f.Name] = true
	}
	for _, f := range expression.Facts(expression.Judging) {
		mark := ""
		if early[f.Name] {
			mark = " *"
		}
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR (%s)%s\n%s\n", roff(f.Name), f.Type, mark, roff(f.Doc))
	}
	b.WriteString(".PP\nNames with [] are parts of the elements of a list: any(dkim, .aligned). The functions are:\n")
	for _, name := range expression.Functions() {
		use, meaning, _ := strings.Cut(expression.FunctionDocs[name], ": ")
		fmt.Fprintf(&b, ".TP\n%s\n%s\n", roff(use), roff(meaning))
	}
	b.WriteString(".SS Examples\n")
	for _, e := range RuleExamples {
		fmt.Fprintf(&b, ".PP\n%s:\n.PP\n.EX\n%s.EE\n", roff(e.Title), roff(e.TOML))
	}
	return b.String()
}
