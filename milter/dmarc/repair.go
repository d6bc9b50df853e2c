package dmarc

import (
	"regexp"
	"slices"
	"strings"

	"mailseal/milter/lint"
	"mailseal/milter/taglist"
)

// unseparated finds a tag that no semicolon separates from what is before it.
var unseparated = regexp.MustCompile(
	`(?i)([^;\s])[\s,]+((?:p|sp|np|adkim|aspf|t|psd|fo|rua|ruf|pct|rf|ri)\s*=)`)

// colon finds a tag with a colon in place of the equals sign.
var colon = regexp.MustCompile(`(?i)(^|;)(\s*(?:p|sp|np|adkim|aspf|t|psd|fo|rua|ruf))\s*:`)

// Repair returns the policy record that an owner will have meant by a text with mistakes, and
// whether there is one: tags that mean nothing left out, the policy behind the version, addresses
// with their mailto:. It changes no wish.
func Repair(text string) (string, bool) {
	if lint.Loses(text) {
		return "", false
	}
	clean := lint.Clean(text)
	if at := strings.Index(strings.ToLower(clean), "v=dmarc1"); at > 0 {
		clean = clean[at:] // a name or the like before the record
	}
	clean = unseparated.ReplaceAllString(clean, "$1; $2")
	clean = colon.ReplaceAllString(clean, "$1$2=")
	tags, _ := taglist.ParseLenient(clean)
	p, _ := tags.Value("p")
	counts := counting(text)
	if value, given := counts["p"]; given {
		p = value
	}
	p = repairValue("p", p)
	if _, ok := policy(p); !ok {
		return "", false
	}
	out := []string{"v=DMARC1", "p=" + strings.ToLower(p)}
	failure, _ := tags.Value("ruf")
	hasFailure := repairURIs(failure) != ""
	for _, t := range tags {
		if value, given := counts[t.Name]; given {
			t.Value = value
		}
		switch {
		case slices.Contains([]string{"v", "p", "pct", "rf", "ri"}, t.Name), t.Name == "fo" &&
			!hasFailure:
		case t.Name == "rua" || t.Name == "ruf":
			if list := repairURIs(t.Value); list != "" {
				out = append(out, t.Name+"="+list)
			}
		case slices.Contains(known, t.Name) && isValue(t.Name, repairValue(t.Name, t.Value)):
			value := t.Value
			if !isValue(t.Name, value) {
				value = repairValue(t.Name, value)
			}
			out = append(out, t.Name+"="+value)
		}
	}
	repaired := strings.Join(out, "; ")
	_, err := Parse(repaired)
	return repaired, err == nil
}

// counting returns the policies, by tag, of a record that is valid without a correction: a
// repaired record must request the same, whatever else the text contains.
func counting(text string) map[string]string {
	out := map[string]string{}
	r, err := Parse(text)
	if err != nil || r.Broken != "" {
		return out
	}
	for name, p := range map[string]Policy{"p": r.Policy, "sp": r.Subdomain, "np": r.NonExistent} {
		if p != "" {
			out[name] = string(p)
		}
	}
	return out
}

func repairURIs(value string) string {
	var out []string
	for item := range strings.SplitSeq(value, ",") {
		uri, _ := withoutSize(strings.Trim(item, wsp))
		uri = strings.NewReplacer("<", "", ">", "", "mailto://", "mailto:", ": ", ":").Replace(uri)
		if first, _, found := strings.Cut(strings.Trim(uri, wsp), " "); found &&
			strings.Contains(first, "@") {
			uri = first // text that was left behind the address
		}
		uri = strings.ReplaceAll(uri, " ", "")
		if !strings.Contains(uri, ":") && strings.Contains(uri, "@") {
			uri = "mailto:" + uri
		}
		if isURI(uri) && strings.HasPrefix(strings.ToLower(uri), "mailto:") &&
			!slices.Contains(out, uri) {
			out = append(out, uri)
		}
	}
	return strings.Join(out, ",")
}
