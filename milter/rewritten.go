package milter

import (
	"bytes"
	"slices"
	"strings"

	"mailseal/milter/message"
)

// addressFields are those in which Sendmail brings addresses into its own form after we have seen
// them.
var addressFields = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Resent-From", "Resent-Sender", "Resent-Reply-To",
	"Resent-To", "Resent-Cc",
}

// rewritten returns the name of the first field in which Sendmail will change more than
// existing white space, or "": such a change breaks a signature even under relaxed
// canonicalization.
func rewritten(h message.Header) string {
	for _, f := range h {
		if slices.ContainsFunc(addressFields, f.Is) && isRewritten(f.Value()) {
			return f.Name()
		}
	}
	return ""
}

// A comment's octets, once its content does not matter.
const masked = 1

// blank is what may stand around an address without meaning.
const blank = " \x01"

// isRewritten reports whether Sendmail writes a list of addresses differently. It knows what was
// measured on 8.17: lists without a space after the comma or with one before it, empty places,
// names without a domain or with "localhost", a name with specials that is not quoted, white space
// in an address, semicolons outside groups, source routes.
func isRewritten(value []byte) bool {
	list, ok := mask(value)
	if !ok {
		return true
	}
	if len(bytes.Trim(list, blank)) == 0 {
		return false
	}
	entries, inGroup := bytes.Split(list, []byte(",")), false
	for i, e := range entries {
		if i > 0 && !bytes.HasPrefix(e, []byte(" ")) ||
			i < len(entries)-1 && bytes.HasSuffix(e, []byte(" ")) {
			return true
		}
		e = bytes.Trim(e, blank)
		if !inGroup {
			e, inGroup = cutGroup(e)
		}
		members, ends := bytes.CutSuffix(e, []byte(";"))
		if ends && !inGroup {
			return true
		}
		isEmptyGroup := ends && len(bytes.Trim(members, blank)) == 0
		if !isEmptyGroup && isMailboxRewritten(bytes.Trim(members, blank)) {
			return true
		}
		inGroup = inGroup && !ends
	}
	return false
}

// cutGroup returns what follows the name of a group and its colon.
func cutGroup(e []byte) ([]byte, bool) {
	i := bytes.IndexAny(e, ":<[@")
	if i < 0 || e[i] != ':' {
		return e, false
	}
	return bytes.Trim(e[i+1:], blank), true
}

func isMailboxRewritten(e []byte) bool {
	phrase, addr, isAngle := bytes.Cut(e, []byte("<"))
	if !isAngle {
		return isAddressRewritten(e)
	}
	addr, rest, closed := bytes.Cut(addr, []byte(">"))
	mustQuote := bytes.ContainsAny(phrase, `@;:\()[].'`)
	return mustQuote || !closed || len(bytes.Trim(rest, blank)) > 0 || isAddressRewritten(addr)
}

func isAddressRewritten(addr []byte) bool {
	at := bytes.LastIndexByte(addr, '@')
	return at <= 0 || addr[0] == '@' || bytes.ContainsAny(addr, blank+";") ||
		strings.EqualFold(string(addr[at+1:]), "localhost")
}

// mask returns a list with its structure laid bare: quoted strings become letters, comments become
// masked octets, all white space becomes spaces. It is false if a quote or comment has no end.
func mask(value []byte) ([]byte, bool) {
	out := bytes.Clone(value)
	depth, quoted := 0, false
	for i := 0; i < len(out); i++ {
		c := out[i]
		switch {
		case c == '\\' && (quoted || depth > 0):
			hide(out[i:min(i+2, len(out))], depth)
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
			out[i] = 'q'
		case quoted:
			out[i] = 'q'
		case c == '(':
			depth++
			out[i] = masked
		case c == ')' && depth > 0:
			depth--
			out[i] = masked
		case depth > 0:
			out[i] = masked
		case c == '\t' || c == '\r' || c == '\n':
			out[i] = ' '
		}
	}
	return out, depth == 0 && !quoted
}

func hide(p []byte, depth int) {
	for i := range p {
		p[i] = 'q'
		if depth > 0 {
			p[i] = masked
		}
	}
}
