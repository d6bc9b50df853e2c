package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ourWords replace errors of the library that mention its internals. The first pattern that
// matches counts; $1 is the match of its group.
var ourWords = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`^unexpected token Operator\("="\)`), "write == to compare, or matches for a pattern"},
	{regexp.MustCompile(`^unexpected token Operator\("&"\)`), "write and"},
	{regexp.MustCompile(`^unexpected token Identifier\("(?i:and)"\)`), "write and in lower case"},
	{regexp.MustCompile(`^unexpected token Identifier\("(?i:or)"\)`), "write or in lower case"},
	{regexp.MustCompile(`^unexpected token Identifier\("(?i:not)"\)`), "write not in lower case"},
	{regexp.MustCompile(`^unexpected token Identifier\("(\w+)"\)`),
		`$1 is not an operator; those for texts are ==, !=, in, contains, startsWith, endsWith and matches`},
	{regexp.MustCompile(`^unexpected token EOF`), "the expression ends too early"},
	{regexp.MustCompile(`^unexpected token (?:String|Number)\("(.*)"\)`),
		`a comma or an operator such as == is missing before "$1"`},
	{regexp.MustCompile(`^unexpected token \w+\("(.*)"\)`), `$1 is not allowed here`},
	{regexp.MustCompile(`^unrecognized character.*[\x{201C}\x{201D}\x{201E}\x{2018}\x{2019}]`),
		`these are typographic quotation marks; write "`},
	{regexp.MustCompile(`^unrecognized character: U\+007E`),
		"~ is not an operator; write matches for a pattern"},
	{regexp.MustCompile(`^array elements can only be selected`),
		`this is a list; ask of its elements, such as any(dkim, .result == "pass")`},
	{regexp.MustCompile(`: (not|!) \(mismatched type`),
		"$1 applies to the next word only; put parentheses around the condition: not (size > 5)"},
	{regexp.MustCompile(`mismatched types .*\[\]string`),
		`one side is a list; write "a" in LIST, or any(LIST, # == "a")`},
	{regexp.MustCompile(`" in "|in \(mismatched types`), `what follows in must be a list, such as ["a", "b"]`},
	{regexp.MustCompile(`mismatched types`),
		"a text, a number and true or false cannot be compared with each other; " +
			"a fact with parts needs one of them, such as dmarc.result"},
	{regexp.MustCompile(`^expected bool, but got`), "this is not a condition; compare it with something"},
	{regexp.MustCompile(`^bad number syntax`), "this is not a number; sizes are in bytes, such as 10 * 1024"},
}

// others are names that people try, and what they stand for here.
var others = map[string]string{
	"null": `"": every name has a value`, "nil": `"": every name has a value`,
	"True": "true", "False": "false",
	"from": "author.address or author.domain", "subject": `header("Subject")`, "to": "envelope.recipients",
	"ip": "client.address", "sender": "envelope.sender", "recipient": "envelope.recipients",
	"recipients": "envelope.recipients", "user": "login", "domain": "author.domain", "hour": "time.hour",
	"weekday": "time.weekday", "hostname": "client.name",
}

// inOurWords replaces an error that only those understand who know the library.
func inOurWords(text string) string {
	if name := unknown(text); name != "" && strings.HasPrefix(text, "unknown name") {
		return unknownInOurWords(name)
	}
	if name := unknown(text); name != "" {
		if strings.HasPrefix(text, "type func(string)") {
			return `write the name of a field in quotes: header("Subject")`
		}
		return "unknown name " + name
	}
	for _, w := range ourWords {
		if m := w.pattern.FindStringSubmatch(text); m != nil {
			if len(m) > 1 {
				return strings.ReplaceAll(w.text, "$1", m[1])
			}
			return w.text
		}
	}
	return text
}

func unknownInOurWords(name string) string {
	if other := others[name]; other != "" {
		return fmt.Sprintf("unknown name %s; write %s", name, other)
	}
	for _, values := range words {
		if slices.Contains(values, name) {
			return fmt.Sprintf("unknown name %s; write a text in double quotes: %q", name, name)
		}
	}
	for _, f := range Facts(Judging) {
		if _, part, ok := strings.Cut(f.Name, "[]."); ok && part == name {
			return fmt.Sprintf("unknown name %s; of an element of a list it is .%s", name, name)
		}
	}
	return "unknown name " + name
}
