package tables

import (
	"slices"
	"strings"
)

// identifier returns the i= tag of a rule, "" when it has none that Mailseal can write.
func (t *translation) identifier(r rule) string {
	if r.signer == "" {
		return ""
	}
	i, why := identifierOf(r.row)
	if why != "" {
		t.tell(why, r.Place, r.signer)
		return ""
	}
	tag, d := i[strings.LastIndexByte(i, '@')+1:], t.signsAs(r.row)
	if slices.ContainsFunc(r.from, func(p pattern) bool { return !suits(p, tag, d) }) {
		t.tell("identifier-left-out", r.Place, i)
	}
	if !strings.Contains(tag, "%") && d != "%" && d != "" && !within(tag, d) {
		return "" // it suits no author
	}
	return i
}

// identifierOf returns the i= tag that a row asks for, or why it cannot be written.
func identifierOf(r row) (identifier string, why Code) {
	at := strings.LastIndexByte(r.signer, '@')
	if at < 0 {
		return "", "identifier-without-at"
	}
	user, domain := r.signer[:at], strings.ToLower(r.signer[at+1:])
	if !IsDomain(ofAuthor(domain, "example.com")) || strings.ContainsAny(user, " \t;") {
		return "", "identifier-unwritable"
	}
	return user + "@" + domain, ""
}

// signsAs returns the d= of a row, "%" for the author's domain, "" if that is not known here.
func (t *translation) signsAs(r row) string {
	if r.key != "%" {
		return t.table.keys[r.key].domain
	}
	for _, k := range t.table.list {
		name := strings.ToLower(k.name)
		if IsDomain(name) && strings.Contains(name, ".") && k.fault == "" && k.domain != "%" &&
			!within(name, k.domain) {
			return ""
		}
	}
	return "%" // or above it
}

// ofAuthor substitutes an author's domain for each "%".
func ofAuthor(text, author string) string { return strings.ReplaceAll(text, "%", author) }

// suits reports whether the domain of an i= tag is at or below d for every sender of a pattern. "%"
// stands for the author's domain, and may have labels around it: news.%.
func suits(p pattern, tag, d string) bool {
	isBelowAuthor := tag == "%" || strings.HasSuffix(tag, ".%")
	switch {
	case d == "":
		return false
	case p.domain != "" && !p.below: // there is one author's domain
		return within(ofAuthor(tag, p.domain), ofAuthor(d, p.domain))
	case isBelowAuthor:
		return d == "%" || p.domain != "" && within(p.domain, d)
	}
	return d != "%" && within(tag, d)
}
