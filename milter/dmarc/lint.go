package dmarc

import (
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/lint"
	"mailseal/milter/taglist"
)

// The codes of Lint.
const (
	FlawNearMiss   = "dmarc-near-miss"
	FlawPasted     = "dmarc-pasted"
	FlawSyntax     = "dmarc-syntax"
	FlawTwice      = "dmarc-tag-twice"
	FlawValue      = "dmarc-value"
	FlawNoPolicy   = "dmarc-policy-missing"
	FlawOrder      = "dmarc-policy-not-second"
	FlawSubdomain  = "dmarc-subdomains-weaker"
	FlawNonExist   = "dmarc-nonexistent-weaker"
	FlawNoNP       = "dmarc-np-missing"
	FlawPercent    = "dmarc-pct"
	FlawFormat     = "dmarc-rf"
	FlawInterval   = "dmarc-ri"
	FlawSized      = "dmarc-report-size"
	FlawTesting    = "dmarc-testing"
	FlawNoReports  = "dmarc-no-rua"
	FlawAddress    = "dmarc-report-address"
	FlawAddresses  = "dmarc-many-report-addresses"
	FlawUnknownTag = "dmarc-unknown-tag"
	FlawFailure    = "dmarc-fo-without-ruf"
	FlawOptions    = "dmarc-fo-value"
	FlawPSD        = "dmarc-psd"
	FlawLong       = "dmarc-long"
	FlawMonitoring = "dmarc-monitoring"
)

// longRecord is how many bytes of a record fit with all else into an answer of 512 bytes.
const longRecord = 450

// IsRecord reports whether a TXT record is a DMARC policy record, good or not.
func IsRecord(text string) bool { return isRecord(text) }

// Resembles reports whether a text that is not a policy record was meant to be one, and what keeps
// it from that.
func Resembles(text string) (flaw lint.Flaw, ok bool) {
	clean := strings.ToLower(strings.ReplaceAll(lint.Clean(text), " ", ""))
	if isRecord(text) {
		return lint.Flaw{}, false
	}
	if !strings.HasPrefix(clean, "v=dmarc") && !strings.HasPrefix(clean, "dmarc1") &&
		!strings.HasPrefix(clean, "p=") {
		return misspelled(text)
	}
	if clause, start, end := lint.Pasted(text); clause != "" {
		return lint.Flaw{Code: FlawPasted, Text: clause +
			", so receivers do not see a DMARC record",
			Start: start, End: end}, true
	}
	clause := "a DMARC record begins with v=DMARC1 and a semicolon"
	first, _, _ := strings.Cut(text, ";")
	switch {
	case strings.Contains(strings.TrimSpace(first), " "):
		at := strings.Index(first, strings.TrimSpace(first)) +
			strings.Index(strings.TrimSpace(first), " ")
		return lint.Flaw{
			Code: FlawNearMiss, Text: "there is no semicolon after v=DMARC1, so receivers do not " +
				"see a DMARC record",
			Start: at, End: at + 1,
		}, true
	case strings.HasPrefix(clean, "v=dmarc1"):
		clause += ", with DMARC1 in capitals"
	}
	return lint.Flaw{Code: FlawNearMiss, Text: clause + "; this one does not and is ignored",
		End: min(len(first), len(text))}, true
}

// misspelled finds a record with other text before it, such as its name, and one that begins with
// nearly v=DMARC1.
func misspelled(text string) (flaw lint.Flaw, ok bool) {
	const begin = "v=dmarc1"
	if at := strings.Index(lint.Lower(text), begin); at > 0 &&
		strings.ContainsRune(" \"\t", rune(text[at-1])) {
		return lint.Flaw{
			Code: FlawNearMiss, End: at,
			Text: "there is text before v=DMARC1, so receivers do not see a DMARC record: the " +
				"value must begin with v=DMARC1",
		}, true
	}
	first, _, _ := strings.Cut(text, ";")
	if lint.Nearest(strings.TrimSpace(first), begin) == "" {
		return lint.Flaw{}, false
	}
	return lint.Flaw{
		Code: FlawNearMiss, End: len(first),
		Text: "a DMARC record begins with v=DMARC1 and a semicolon; this one does not and is " +
			"ignored",
	}, true
}

// Lint returns the flaws in the text of a policy record. IsOwn means that the record is at the
// organizational domain itself; elsewhere sp and np have no effect. A text that is not a policy
// record has the flaw of Resembles, or none. Everything that Parse notes is a flaw.
func Lint(text string) []lint.Flaw {
	r, err := Parse(text)
	if err != nil {
		if f, ok := Resembles(text); ok {
			return []lint.Flaw{f}
		}
		return nil
	}
	l := linter{text: text, record: r}
	if clause, start, end := lint.Pasted(text); clause != "" {
		l.flaws.Add(FlawPasted, clause, start, end)
		return l.flaws
	}
	l.tags, l.skipped = taglist.ParseLenient(text)
	l.syntax()
	l.policies()
	l.reports()
	if len(text) > longRecord {
		l.flaws.Add(FlawLong, fmt.Sprintf("the record has %d bytes; with more than %d, some "+
			"answers do not fit into a packet", len(text), longRecord), 0, 0)
	}
	return l.flaws
}

// linter goes through the tags of one record.
type linter struct {
	text    string
	record  Record
	tags    taglist.List
	skipped []string
	flaws   lint.List
}

// at adds a flaw about a tag.
func (l *linter) at(code, name, clause string) {
	for _, t := range l.tags {
		if t.Name == name {
			l.flaws.Add(code, clause, strings.LastIndex(lint.Lower(l.text[:t.Start]), name), t.End)
			return
		}
	}
	l.flaws.Add(code, clause, 0, 0)
}

func (l *linter) has(name string) bool {
	_, given := l.tags.Value(name)
	return given
}

var known = []string{
	"v", "p", "sp", "np", "adkim", "aspf", "t", "psd", "fo", "rua", "ruf", "pct", "rf", "ri",
}

// obsolete are tags that RFC 9989 has removed, and why they can go.
var obsolete = []struct{ code, name, clause string }{
	{FlawPercent, "pct", "RFC 9989 removed pct=, and receivers never agreed on its meaning: " +
		"delete it; t=y asks for a test"},
	{FlawFormat, "rf", "RFC 9989 removed rf=, since there is only one format: delete it"},
	{FlawInterval, "ri", "RFC 9989 removed ri=, and receivers always sent reports once a day: " +
		"delete it"},
}

func (l *linter) syntax() {
	for _, s := range l.skipped {
		start := strings.LastIndex(l.text, s)
		name, _, _ := strings.Cut(s, "=")
		name = strings.ToLower(strings.Trim(name, wsp))
		if l.has(name) {
			l.flaws.Add(FlawTwice, name+"= appears twice, and only the first one "+
				"counts", start, start+len(s))
		} else {
			clause := fmt.Sprintf("%q is not a tag with a value, and "+
				"%s", clip(strings.Trim(s, wsp)), l.becomes(name))
			if tag, _, ok := strings.Cut(name, ":"); ok &&
				slices.Contains(known, strings.Trim(tag, wsp)) {
				clause += "; = must follow " + strings.Trim(tag, wsp)
			}
			l.flaws.Add(FlawSyntax, clause, start, start+len(s))
		}
	}
	for _, o := range obsolete {
		if l.has(o.name) {
			l.at(o.code, o.name, o.clause)
		}
	}
	for _, t := range l.tags {
		if !slices.Contains(known, t.Name) {
			l.at(FlawUnknownTag, t.Name, clip(t.Name)+"= is not a DMARC tag and is ignored")
		}
	}
	for _, name := range []string{"adkim", "aspf", "t", "psd", "fo", "p", "sp", "np"} {
		if value, given := l.tags.Value(name); given && !isValue(name, value) {
			code := FlawValue
			if name == "fo" { // which asks for failure reports alone, that few receivers send
				code = FlawOptions
			}
			l.at(code, name, fmt.Sprintf("%s=%s is not a valid %s, and %s%s",
				name, clip(value), name, l.becomes(name), suggestion(name, value)))
		}
	}
}

// becomes describes how receivers treat a tag that they cannot parse. Policies are an
// exception: an invalid one makes the whole record unusable (RFC 9989 section 4.10.1).
func (l *linter) becomes(name string) string {
	switch {
	case l.record.Broken == "" || !slices.Contains([]string{"p", "sp", "np"}, name):
		return "is ignored"
	case len(l.record.Aggregate) > 0:
		return "receivers treat the whole record as p=none"
	}
	return "the whole record is invalid"
}

// suggestion guesses what a value that a tag cannot have should have been.
func suggestion(name, value string) string {
	if unseparated.MatchString(value) {
		return "; a semicolon is missing"
	}
	if v := repairValue(name, value); v != value {
		return fmt.Sprintf("; probably %s=%s was intended", name, v)
	}
	return ""
}

// repairValue corrects the slips in a value that can only mean one thing, and returns others as
// they are.
func repairValue(name, value string) string {
	bare := strings.ToLower(strings.Trim(value, "'`<>. "))
	switch name {
	case "p", "sp", "np":
		if near := lint.Nearest(bare, "none", "quarantine", "reject"); near != "" {
			return near
		}
	case "adkim", "aspf":
		if bare == "strict" || bare == "relaxed" {
			return bare[:1]
		}
	case "fo":
		if options := repairOptions(bare); isValue(name, options) {
			return options
		}
	}
	if isValue(name, bare) {
		return bare
	}
	return value
}

// repairOptions corrects a list of failure options: with 1, 0 asks for nothing more.
func repairOptions(list string) string {
	var out []string
	for option := range strings.SplitSeq(strings.NewReplacer(",", ":", " ", "", ";",
		":").Replace(list), ":") {
		if option != "" && !slices.Contains(out, option) {
			out = append(out, option)
		}
	}
	if slices.Contains(out, "1") {
		out = slices.DeleteFunc(out, func(option string) bool { return option == "0" })
	}
	return strings.Join(out, ":")
}

// isValue reports whether a tag may have a value.
func isValue(name, value string) bool {
	ok := true
	switch name {
	case "p", "sp", "np":
		_, ok = policy(value)
	case "adkim", "aspf":
		_, ok = either(value, "r", "s")
	case "t":
		_, ok = either(value, "n", "y")
	case "psd":
		_, ok = psd(value)
	case "fo":
		_, ok = failureOptions(value)
	}
	return ok
}

func (l *linter) policies() {
	r := l.record
	switch {
	case !l.has("p"):
		clause := "the record has no p=, so the whole record is invalid"
		if len(r.Aggregate) > 0 {
			clause = "the record has no p=: receivers treat it as p=none"
		}
		l.flaws.Add(FlawNoPolicy, clause, 0, 0)
		return
	case r.Policy == "":
		return
	case len(l.tags) > 1 && l.tags[1].Name != "p":
		l.at(FlawOrder, "p", "p= does not directly follow v=; receivers that know only RFC 7489 "+
			"may ignore the record")
	}
	rank := func(p Policy) int { return slices.Index(policies, p) }
	sub := r.Policy
	if r.Subdomain != "" {
		sub = r.Subdomain
		if rank(sub) < rank(r.Policy) {
			l.at(FlawSubdomain, "sp", fmt.Sprintf("sp=%s is weaker than p=%s: forgers will use a "+
				"subdomain", sub, r.Policy))
		}
	}
	switch {
	case r.NonExistent != "" && rank(r.NonExistent) < rank(sub):
		l.at(FlawNonExist, "np", fmt.Sprintf("np=%s is weaker for names that do not exist "+
			"than the policy for those that do", r.NonExistent))
	case !l.has("np") && r.Policy != None && rank(sub) < rank(Reject):
		l.flaws.Add(FlawNoNP, "np=reject would protect the names below the domain that do not "+
			"exist, and affects no mail of yours", 0, 0)
	}
	switch {
	case r.Testing && r.Policy != None:
		l.at(FlawTesting, "t", "t=y asks receivers to apply the policy one level below p")
	case r.Policy == None:
		l.at(FlawMonitoring, "p", "p=none only asks for reports: forged mail is delivered")
	}
	if r.PSD == PublicSuffix {
		l.at(FlawPSD, "psd", "psd=y says that the domain is a public suffix, such as co.uk, and "+
			"that domains below it belong to others")
	}
}

func (l *linter) reports() {
	if !l.has("rua") {
		l.flaws.Add(FlawNoReports, "the record has no rua=, so no receiver tells you who sends "+
			"in your name", 0, 0)
	}
	for _, name := range []string{"rua", "ruf"} {
		value, given := l.tags.Value(name)
		if given {
			l.addresses(name, value)
		}
	}
	if l.has("fo") && !l.has("ruf") {
		l.at(FlawFailure, "fo", "fo= has no effect without ruf=")
	}
}

func (l *linter) addresses(name, value string) {
	seen := map[string]bool{}
	for item := range strings.SplitSeq(value, ",") {
		item = strings.Trim(item, wsp)
		uri, sized := withoutSize(item)
		switch {
		case !isURI(uri) && strings.Contains(uri, "@") && !strings.Contains(uri, ":"):
			l.at(FlawAddress, name, fmt.Sprintf("%s needs mailto: before it, and is "+
				"ignored", clip(item)))
		case !isURI(uri):
			l.at(FlawAddress, name, fmt.Sprintf("%q is not an address that reports can be sent "+
				"to, and is ignored", clip(item)))
		case !strings.HasPrefix(strings.ToLower(uri), "mailto:"):
			l.at(FlawAddress, name, fmt.Sprintf("%s is not a mailto: address, and receivers "+
				"send reports nowhere else", clip(item)))
		case seen[strings.ToLower(uri)]:
			l.at(FlawAddress, name, clip(item)+" appears twice")
		case sized:
			l.at(FlawSized, name, fmt.Sprintf("RFC 9989 removed the size limit in %q: delete "+
				"it", clip(item)))
		}
		seen[strings.ToLower(uri)] = true
	}
	if len(seen) > 2 {
		l.at(FlawAddresses, name, fmt.Sprintf("%s= names %d addresses, and receivers need not "+
			"send to more than two", name, len(seen)))
	}
}
