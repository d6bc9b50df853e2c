package opendkim

import (
	"fmt"
	"slices"
	"strings"
)

// oneEach gives each key of a rule its own i= tag where the rows differ in it, as one more key of the table. It tells
// whether it could: not for keys that are many in one, nor for tags that suit some of the senders only.
func (t *translation) oneEach(out *outRule, r rule) bool {
	same := func(row row) bool { return row.signer == r.rows[0].signer }
	if out.unsigned || !slices.ContainsFunc(r.rows, func(row row) bool { return !same(row) }) {
		return false
	}
	var names []string
	for _, row := range r.rows {
		if k, ok := t.table.keys[row.key]; ok && k.useless {
			continue
		}
		name := t.ruleName(row)
		if row.signer != "" {
			i, why := identifierOf(row)
			if why != "" || !t.suits(r.from, i, row) {
				return false
			}
			if name = t.alias(name, i, row); name == "" {
				return false
			}
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	out.keys = names
	return true
}

// suits tells whether a row may write i= for all of some senders.
func (t *translation) suits(ps []pattern, i string, row row) bool {
	_, left := restrict(ps, i[strings.LastIndexByte(i, '@')+1:], t.signsAs(row))
	return !left
}

// alias finds or makes the key that is the one of that name, with an i= tag of its own. It is "" if it is not one key.
func (t *translation) alias(name, i string, of row) string {
	known := "\x00" + name + "\x00" + i
	if n := t.named[known]; n != "" {
		return n
	}
	at := slices.IndexFunc(t.keys, func(k outKey) bool { return k.name == name })
	if at < 0 || strings.Contains(name, "%") {
		return ""
	}
	k := t.keys[at]
	k.name, k.identifier, k.place = t.name(known, name+" i="+strings.ReplaceAll(i, "%", "author")), i, of.place
	t.keys = append(t.keys, k)
	return k.name
}

// identifier returns the i= tag of a rule, "" when it has none that Mailseal can write.
func (t *translation) identifier(r rule) string {
	for _, row := range r.rows[1:] {
		if row.signer != r.rows[0].signer {
			t.tell(Changed, row.place, "the lines for these senders differ in the i= tag, and not all suit all of them: here none is written")
			return ""
		}
	}
	if r.rows[0].signer == "" {
		return ""
	}
	i, why := identifierOf(r.rows[0])
	if why != "" {
		t.tell(Changed, r.rows[0].place, "%s", why)
	}
	return i
}

// identifierOf returns the i= tag that a row asks for, or why it cannot be written.
func identifierOf(r row) (identifier, why string) {
	at := strings.LastIndexByte(r.signer, '@')
	if at < 0 {
		return "", fmt.Sprintf("%q is no i= tag, for it has no @: OpenDKIM lets this mail go unsigned, Mailseal signs it without i=", r.signer)
	}
	user, domain := r.signer[:at], strings.ToLower(r.signer[at+1:])
	if domain != "%" && !isDomain(domain) || strings.ContainsAny(user, " \t;") {
		return "", fmt.Sprintf("i=%s cannot be written here: it is left out", r.signer)
	}
	return user + "@" + domain, ""
}

// split tells the senders of a rule whose i= tag is at or below d=, as it must be, from the others, for whom OpenDKIM
// leaves it out.
func (t *translation) split(r rule, identifier string) (with, without []pattern) {
	of := identifier[strings.LastIndexByte(identifier, '@')+1:]
	for _, p := range r.from {
		inside, outside := []pattern{p}, false
		for _, row := range r.rows {
			d := t.signsAs(row)
			var left bool
			inside, left = restrict(inside, of, d)
			outside = outside || left
		}
		with = append(with, inside...)
		if outside {
			without = append(without, p)
		}
	}
	if len(without) > 0 {
		t.tell(Taken, r.rows[0].place, "i=%s is left out for authors whom it does not suit, as OpenDKIM does: it must be at or below d=", identifier)
	}
	return with, without
}

// signsAs returns the d= of a row, "%" for the author's domain, "" if that is not known here.
func (t *translation) signsAs(r row) string {
	if r.key != "%" {
		return t.table.keys[r.key].domain
	}
	for _, k := range t.table.list {
		name := strings.ToLower(k.name)
		if isDomain(name) && strings.Contains(name, ".") && k.fault == "" && k.domain != "%" && !within(name, k.domain) {
			return ""
		}
	}
	return "%" // or above it
}

// restrict leaves of some patterns the senders for which i=@of is good in a signature of d, and tells whether that are
// not all.
func restrict(ps []pattern, of, d string) (inside []pattern, left bool) {
	switch {
	case of == "%" && d == "%", of != "%" && d != "%" && d != "" && within(of, d):
		return ps, false
	case of != "%" && d == "%":
		for _, p := range ps {
			if p.domain != "" && !p.below && within(of, p.domain) {
				inside = append(inside, p)
				continue
			}
			left = true
			for up := of; up != ""; up = parent(up) {
				if part := (pattern{p.local, up, false}); p.holds(part) {
					inside = append(inside, part)
				}
			}
		}
		return inside, left
	case of != "%" || d == "":
		return nil, true
	}
	for _, p := range ps {
		if p.domain != "" && within(p.domain, d) {
			inside = append(inside, p)
			continue
		}
		left = true
		for _, part := range []pattern{{p.local, d, false}, {p.local, d, true}} {
			if p.holds(part) {
				inside = append(inside, part)
			}
		}
	}
	return inside, left
}
