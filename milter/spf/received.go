package spf

import (
	"fmt"
	"strings"
)

// Field returns the name and the value of a Received-SPF field (RFC 7208 section 9.1) by the host
// called receiver. The value begins with a space and is folded with CRLF and a tab. What comes from
// strangers is printable ASCII in quotes, and cut; the field has less than 900 octets.
func (r Result) Field(receiver string) (name, value string) {
	text := fmt.Sprintf("%s (%s: %s) %s", r.Value, fieldText(receiver, 80), r.comment(),
		strings.Join(r.pairs(receiver), "; "))
	var b strings.Builder
	column := len("Received-SPF:")
	for word := range strings.FieldsSeq(text) {
		if column+1+len(word) >= 78 {
			b.WriteString("\r\n\t" + word)
			column = 8 + len(word)
			continue
		}
		b.WriteString(" " + word)
		column += 1 + len(word)
	}
	return "Received-SPF", b.String()
}

// pairs are the key-value pairs that are needed to check again.
func (r Result) pairs(receiver string) []string {
	pairs := []string{"identity=" + string(r.Scope)}
	if r.identity.IP.IsValid() {
		pairs = append(pairs, "client-ip="+fieldWord(r.identity.IP.String()))
	}
	pairs = append(pairs, "helo="+fieldWord(r.identity.Helo))
	if r.Scope == MailFrom {
		pairs = append(pairs, "envelope-from="+fieldQuoted(r.Sender))
	}
	pairs = append(pairs, "receiver="+fieldWord(receiver))
	switch r.Value {
	case Pass, Fail, Softfail, Neutral:
		mechanism := r.Mechanism
		if mechanism == "" {
			mechanism = "default"
		}
		return append(pairs, "mechanism="+fieldWord(mechanism))
	case Temperror, Permerror:
		return append(pairs, "problem="+fieldQuoted(r.Reason))
	}
	return pairs
}

// comment returns the result for people.
func (r Result) comment() string {
	name, ip := fieldText(string(r.Domain), 80), r.identity.IP.String()
	switch r.Value {
	case Pass:
		return fmt.Sprintf("%s permits %s", name, ip)
	case Fail:
		return fmt.Sprintf("%s does not permit %s", name, ip)
	case Softfail:
		return fmt.Sprintf("%s probably does not permit %s", name, ip)
	case Neutral:
		return fmt.Sprintf("%s does not say whether it permits %s", name, ip)
	case Temperror:
		return "the DNS did not tell"
	case Permerror:
		return fmt.Sprintf("the records of %s cannot be understood", name)
	}
	if name == "" {
		return "there is not a domain to ask"
	}
	return name + " does not say who may send for it"
}

// fieldWord writes a value as a dot-atom, else as a quoted-string.
func fieldWord(s string) string {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool {
			return r > '~' || !isAlnum(byte(r)) && !strings.ContainsRune("!#$%&'*+-/?^_`{|}~", r)
		}) {
			return fieldQuoted(s)
		}
	}
	return fieldText(s, 100)
}

func fieldQuoted(s string) string { return `"` + fieldText(s, 100) + `"` }

// fieldText masks what only the grammar would keep apart: some readers split at semicolons and know
// no quotes. A text that is too long loses its beginning, since the end of a name is what it is
// known by.
func fieldText(s string, n int) string {
	if len(s) > n {
		s = "..." + s[len(s)-n+len("..."):]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\();`, r) {
			return '?'
		}
		return r
	}, s)
}

// Property returns what Authentication-Results may say about the identity (RFC 8601 section 2.7.2):
// "helo" or "mailfrom", and the domain. The local part comes with it only when a record looked at
// it. The null sender is its HELO name: there is nothing else to say of it. The value is a
// stranger's where there is not a domain.
func (r Result) Property() (name, value string) {
	if r.Scope == Helo || r.identity.MailFrom == "" {
		name, value = string(Helo), r.identity.Helo
	} else if r.Local {
		return string(MailFrom), r.Sender
	} else {
		name, value = string(MailFrom), r.identity.MailFrom
		value = value[strings.LastIndexByte(value, '@')+1:]
	}
	if r.Domain != "" {
		value = r.Domain.String()
	}
	return name, value
}
