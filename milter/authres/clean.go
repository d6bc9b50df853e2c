package authres

import (
	"strings"

	"mailseal/milter/domain"
)

// All text may come from the sender, and is read by programs that are simpler than the
// grammar: they split at every semicolon or space, or search for "dmarc=pass" anywhere.
// Therefore text that only the grammar keeps apart is not written at all: no value has a
// quote, backslash, semicolon or parenthesis inside, a control character or an octet above
// 126 (UTF-8 is valid in internationalized mail only), or anything that resembles another
// result.

// unknown replaces an empty name: that would be our own mistake, and must not make the
// field unreadable.
const unknown = "unknown"

// masked replaces an octet that is not written.
const masked = '?'

// cut marks a value that lost its beginning, or a text that lost its end.
const cut = "..."

// keyword makes s a Keyword of RFC 5321 section 4.1.2: letters, digits and hyphens, lower case, at
// most 24 octets.
func keyword(s string) string {
	k := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, s[:min(len(s), 24)])
	if k = strings.Trim(k, "-"); k == "" {
		return unknown
	}
	return k
}

// cleanID is the authserv-id in A-labels, without what could end it early.
func cleanID(s string) string { return tail(printable(last(aLabels(s), 1024)), 256) }

// aLabels turns the U-labels of a domain, alone or behind an @, into A-labels. Other texts stay as
// they are.
func aLabels(s string) string {
	at := strings.LastIndexByte(s, '@') + 1
	if name, err := domain.Parse(s[at:]); err == nil && strings.ContainsFunc(s[at:], isHigh) {
		return s[:at] + name.String()
	}
	return s
}

// cleanValue makes s what may stand as a pvalue of at most limit octets (RFC 8601 section 2.2):
// [local@]domain with its local part quoted if it must be, or any other text, for quoted to quote.
// The end of a name is what it is known by, so a value that is too long loses its beginning.
func cleanValue(s string, limit int) string {
	s = aLabels(s)
	local, host, ok := splitAddress(s)
	if !ok || len(host)+len("@")+len(cut)+2 > limit {
		return disarm(tail(printable(last(s, 4*limit)), limit), masked)
	}
	local = printable(last(unquote(local), 4*limit))
	room := limit - len(host) - len("@")
	if len(local) > room || !isDotAtom(local) {
		local = tail(local, room-len(`""`))
	}
	local = disarm(local, masked)
	if local != "" && !isDotAtom(local) {
		local = `"` + local + `"`
	}
	return local + "@" + host
}

// cleanText makes s what may be in a comment or in quotes: printable, single spaces, at most
// limit octets.
func cleanText(s string, limit int) string {
	s = strings.Join(strings.Fields(s[:min(len(s), 4*limit)]), " ")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == ';':
			return ','
		case r == '(':
			return '['
		case r == ')':
			return ']'
		case r == '\\':
			return '/'
		case r < ' ' || r > '~':
			return masked
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.TrimRight(s[:max(limit-len(cut), 0)], " ") + cut[:min(len(cut), limit)]
	}
	return disarm(s, ':')
}

// printable masks what may not stand in a value: see above. Spaces are masked too.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(`"();\`, r) {
			return masked
		}
		return r
	}, s)
}

// last is the end of s, at most n octets.
func last(s string, n int) string { return s[max(len(s)-n, 0):] }

// tail is s, or its end behind the mark when it is longer than limit.
func tail(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return cut + last(s, max(limit-len(cut), 0))
}

// The words that make an equals sign after them look like a statement of ours.
var (
	methods = []string{"auth", "dkim", "domainkeys", "sender-id", "spf", "iprev", "arc", "dmarc",
		"dkim-adsp", "dkim-atps", "dkim2", "bimi", "dnswl", "rrvs", "smime", "vbr"}
	ptypes = []string{"body.", "dns.", "header.", "policy.", "smtp."}
)

// disarm replaces the equals signs that make s look as if it held a result that passed or a
// property. Others stay: "bounce+user=example.com@list.example" is a path like any other.
func disarm(s string, with byte) string {
	b := []byte(s)
	for i, c := range b {
		if c == '=' && resemblesResult(s[:i], s[i+1:]) {
			b[i] = with
		}
	}
	return string(b)
}

// resemblesResult reports whether an equals sign between the two texts would let a simple reader
// see ptype.property=value or method=pass. Other results are worth nothing to a forger.
func resemblesResult(before, after string) bool {
	word := strings.ToLower(strings.TrimRight(before, " "))
	word = word[strings.LastIndexFunc(word, func(r rune) bool {
		return !isAlnum(r) && !strings.ContainsRune(".-_", r)
	})+1:]
	for _, p := range ptypes {
		if strings.Contains(word, p) {
			return true
		}
	}
	after = strings.TrimLeft(after, " ")
	if len(after) < len("pass") || !strings.EqualFold(after[:len("pass")], "pass") {
		return false
	}
	for _, m := range methods {
		if strings.HasSuffix(word, m) {
			return true
		}
	}
	return false
}

// splitAddress divides [local]@host at the last @. It is an address when host is a plain host name.
func splitAddress(s string) (local, host string, ok bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || !isHost(s[at+1:]) {
		return "", "", false
	}
	return s[:at], s[at+1:], true
}

func isHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label,
			func(r rune) bool { return !isAlnum(r) && r != '-' && r != '_' }) {
			return false
		}
	}
	return true
}

// unquote takes the quotes and quoted pairs of a quoted-string away; other texts stay as they are.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	in := s[1 : len(s)-1]
	for i := 0; i < len(in); i++ {
		if in[i] == '\\' && i+1 < len(in) {
			i++
		}
		b.WriteByte(in[i])
	}
	return b.String()
}

// quoted writes a value of cleanValue: a token or an address unchanged, others as a
// quoted-string.
func quoted(v string) string {
	if _, _, ok := splitAddress(v); ok || isToken(v) {
		return v
	}
	return `"` + v + `"`
}

// quotedText writes what cleanText or cleanID made: a value of RFC 2045 section 5.1, which an
// address is not.
func quotedText(t string) string {
	if isToken(t) {
		return t
	}
	return `"` + t + `"`
}

func isAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// isToken reports whether s is a token of RFC 2045 section 5.1.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?=`, r)
	})
}

// isDotAtom reports whether s is a dot-atom of RFC 5322 section 3.2.3.
func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool {
			return !isAlnum(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
		}) {
			return false
		}
	}
	return true
}
