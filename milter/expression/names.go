package expression

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Fact is a name that an expression may use.
type Fact struct {
	Name string // "dmarc.result"; of an element of a list "dkim[].result"
	Type string // "text", "number", "true or false", "list of texts"
	Doc  string // for the manual
}

// Facts returns all facts of a scope in the order of the types, but for functions.
func Facts(scope Scope) []Fact { return factsOf(reflect.TypeOf(scope.facts()), "") }

// docs describes each fact for the manual. A test compares them with the types.
var docs = map[string]string{
	"client.address": "the address of the SMTP client; \"\" for mail that a process on " +
		"this host submits",
	"client.name": "its host name, as the MTA verified it, in lower case; \"\" if " +
		"there is none",
	"client.helo":            "the name in HELO",
	"envelope.sender":        "the envelope sender; \"\" for a bounce",
	"envelope.sender_domain": "the envelope sender's domain, in lower case; international names in the form xn--...",
	"envelope.recipients":    "the envelope recipients",
	"login":                  "the name that the client logged in with; \"\" if it did not",
	"role":                   "whose mail it is: ours, theirs or relay",
	"daemon":                 "the name of the MTA's listener, {daemon_name}",
	"tls.version":            "the TLS version of the client's connection, such as TLSv1.3; \"\" without TLS",
	"tls.cipher":             "the cipher of that connection, such as TLS_AES_256_GCM_SHA384",
	"author.address":         "the only address in From; \"\" if there is none or several",
	"author.domain":          "the author's domain, in lower case; international names in the form xn--...",
	"time.date": "the date on which the message is judged, such as 2026-01-31; all " +
		"times are local times of this host",
	"time.hour":    "the hour, 0 to 23",
	"time.weekday": "the day of the week, such as monday",
	"size":         "the size of the message in bytes, header and body",
	"spf.result":   "the SPF result for spf.domain: pass, fail, softfail, neutral, none, temperror or permerror",
	"spf.domain":   "the domain of the envelope sender, or of HELO for a bounce",
	"spf.aligned":  "SPF passes, and spf.domain is aligned with the author's domain",
	"helo.result":  "the SPF result for the name in HELO",
	"helo.domain":  "the name in HELO",
	"helo.aligned": "always false, since DMARC does not use this result",
	"iprev.result": "the result for the client's reverse name: pass, fail, temperror or " +
		"permerror",
	"iprev.name": "the client's reverse name",
	"dkim[].result": "the result of each signature: pass, fail, policy, neutral, " +
		"temperror or permerror",
	"dkim[].domain":       "the domain that signed (d=)",
	"dkim[].selector":     "the selector of the signature (s=)",
	"dkim[].algorithm":    "the algorithm of the signature, such as rsa-sha256",
	"dkim[].bits":         "the size of the key; 0 if it was not found",
	"dkim[].aligned":      "the signature passes, and its domain is aligned with the author's domain",
	"dmarc.result":        "the DMARC result: pass, fail, none, temperror or permerror",
	"dmarc.domain":        "the author's domain that was judged",
	"dmarc.record_domain": "the domain whose DMARC record applies",
	"dmarc.policy": "the published policy: none, quarantine or reject; \"\" without a " +
		"policy",
	"dmarc.disposition": "the action that the domain's owner asks for: none unless the message " +
		"fails",
	"dmarc.record":  "the policy record as it is published; \"\" without one",
	"dmarc.testing": "the record has t=y",
	"arc.result":    "the result of the ARC chain: pass, fail or none",
	"arc.sealer":    "the domain of the newest seal of a chain that passes; \"\" otherwise",
	"arc.sealers":   "the domains of all seals of a chain that passes, the newest first",
}

// words are the values that facts with few values have.
var words = map[string][]string{
	"role":              {"ours", "theirs", "relay"},
	"spf.result":        {"", "pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"},
	"helo.result":       {"", "pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"},
	"iprev.result":      {"", "pass", "fail", "temperror", "permerror"},
	"dkim[].result":     {"pass", "fail", "policy", "neutral", "temperror", "permerror"},
	"dmarc.result":      {"", "pass", "fail", "none", "temperror", "permerror"},
	"dmarc.policy":      {"", "none", "quarantine", "reject"},
	"dmarc.disposition": {"", "none", "quarantine", "reject"},
	"arc.result":        {"", "pass", "fail", "none"},
	"time.weekday":      {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"},
}

// FunctionDocs describes each function for the manual.
var FunctionDocs = map[string]string{
	"all": "all(LIST, CONDITION): the condition is true for every element. In the " +
		"condition, # is the element, and .result its part: all(dkim, .aligned), " +
		"all(envelope.recipients, # endsWith \"@example.com\")",
	"any":  "any(LIST, CONDITION): the condition is true for at least one element",
	"none": "none(LIST, CONDITION): the condition is true for no element",
	"one":  "one(LIST, CONDITION): the condition is true for exactly one element",
	"count": "count(LIST, CONDITION): the number of elements for which the condition is " +
		"true",
	"len":          "len(LIST or TEXT): the number of elements, or of characters",
	"lower":        "lower(TEXT): the text in lower case",
	"trim":         "trim(TEXT): the text without white space around it",
	"in_network":   "in_network(client.address, \"192.0.2.0/24\", ...): the address is in one of the networks",
	"below":        "below(author.domain, \"example.com\", ...): the domain is one of these, or below one",
	"header":       "header(\"Subject\"): the first field of the name, unfolded; \"\" without one",
	"headers":      "headers(\"Received\"): all fields of the name, from the top",
	"header_count": "header_count(\"Received\"): the number of fields of the name",
}

func factsOf(t reflect.Type, prefix string) []Fact {
	var out []Fact
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("expr")
		switch {
		case f.Anonymous:
			out = append(out, factsOf(f.Type, prefix)...)
		case f.Type.Kind() == reflect.Func:
		case f.Type.Kind() == reflect.Struct:
			out = append(out, factsOf(f.Type, name+".")...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			out = append(out, factsOf(f.Type.Elem(), name+"[].")...)
		default:
			out = append(out, Fact{name, typeName(f.Type), docs[name]})
		}
	}
	return out
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list of texts"
	}
	return "text"
}

// What the library says of a name that it does not know.
var (
	unknownName  = regexp.MustCompile(`^unknown name ([A-Za-z0-9_]+)`)
	unknownField = regexp.MustCompile(`^type .* has no field ([A-Za-z0-9_]+)`)
)

// unknown returns the unknown name that an error of the library is about, "" where it is about
// something else.
func unknown(text string) string {
	for _, pattern := range []*regexp.Regexp{unknownName, unknownField} {
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}

// Names returns the names that an expression of a scope may be made of, sorted: functions, facts,
// and parts of facts.
func Names(scope Scope) []string {
	names := Functions()
	for _, f := range Facts(scope) {
		names = append(
			names,
			strings.FieldsFunc(f.Name, func(r rune) bool {
				return strings.ContainsRune(".[]",
					r)
			})...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
