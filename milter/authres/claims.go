package authres

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"mailseal/milter/domain"
)

// Claims reports whether value, that of an Authentication-Results field, says that one of ids wrote
// it, as any reader may take it that may come after us (RFC 8601 section 5). A field that does, and
// that we did not write, is forged.
//
// Readers differ: some know comments and some do not, nested or not, some take quotes for part of
// the name, some stop at the first word, some decode encoded words, some compare U-labels. So value
// is read in all those variants, and one is enough. Case, a final dot, a version, "/jobid" and
// whatever follows the name do not matter; the rest of the field need not be readable. A name that
// merely begins or ends like one of ids is another's.
//
// Claimed too is a field whose authserv-id names no host, because it is empty, in a comment or
// quote that does not end, an encoded word, or not a domain name though it has octets above 126;
// and one in a version that we do not know, whatever its authserv-id (section 5 asks for its
// removal). A field that begins with a result instead ("spf=pass ...", as Exchange writes) names no
// host either, but no reader takes it for ours: it is not claimed.
func Claims(value []byte, ids []string) bool {
	s := string(value)
	r := &reader{s: s}
	if _, err := r.id(); err == nil && errors.Is(r.version(), ErrVersion) {
		return true
	}
	wanted, room := normalized(ids)
	var seen []reading
	for _, e := range variants(s) {
		v := e.look(s, room)
		if slices.ContainsFunc(seen, v.isLike) {
			continue
		}
		if v.claims(wanted) {
			return true
		}
		seen = append(seen, v)
	}
	return false
}

// isLike reports whether a variant saw what another did. The strict variant is like no other, since
// it alone judges what it saw as RFC 8601 does.
func (v reading) isLike(w reading) bool {
	return v.variant != strict && v.broken == w.broken && bytes.Equal(v.text, w.text) &&
		slices.Equal(v.gap, w.gap)
}

// normalized returns the ids as reading has them, as they are, as we write them and in A-labels,
// and how much of a value is to be looked at.
func normalized(ids []string) (wanted []string, room int) {
	room = 1024
	for _, id := range ids {
		for _, form := range []string{id, cleanID(id)} {
			seen := variant{quotes: true, high: true}.look(`"`+form+`"`, len(form))
			if name := strings.TrimRight(string(seen.text), "."); name != "" {
				wanted = append(wanted, name)
			}
		}
		if name, err := domain.Parse(id); err == nil {
			wanted = append(wanted, name.String())
		}
		room = max(room, len(id)+2)
	}
	return wanted, room
}

// variant is a way to read what is before the first semicolon.
type variant struct {
	comments bool // comments are skipped; else their text is text
	nested   bool // there are comments in comments
	escapes  bool // a backslash in a comment or quote takes the next octet's meaning away
	quotes   bool // between quotes there are neither comments nor semicolons
	high     bool // octets above 126 are read; else they are skipped
}

// strict is how RFC 8601 reads.
var strict = variant{comments: true, nested: true, escapes: true, quotes: true, high: true}

// variants returns every way to read s, the strict one among them.
func variants(s string) []variant {
	var all []variant
	for i := range 16 {
		all = append(all, variant{i&1 != 0, i&2 != 0, i&4 != 0, i&8 != 0, true})
	}
	if strings.ContainsFunc(s, isHigh) {
		for _, e := range all {
			e.high = false
			all = append(all, e)
		}
	}
	return all
}

func isHigh(r rune) bool { return r > '~' }

// reading is what a variant saw: the beginning of the text in lower case, without white space,
// quotes, backslashes and whatever else a variant passes over.
type reading struct {
	variant variant
	text    []byte
	gap     []bool // something was skipped before the octet
	broken  bool   // a comment or quote did not end: to this variant there is not a name
}

// look reads at most room octets of text.
func (e variant) look(s string, room int) reading {
	v := reading{variant: e}
	gap, inQuotes := false, false
	for i := 0; i < len(s) && len(v.text) < room; i++ {
		c := s[i]
		switch {
		case inQuotes && c == '\\' && e.escapes && i+1 < len(s):
			i++
			gap = v.add(s[i], gap)
		case e.quotes && c == '"':
			inQuotes, gap = !inQuotes, true
		case c == ';' && !inQuotes:
			return v
		case c == '(' && e.comments && !inQuotes:
			i = e.endOfComment(s, i)
			gap = true
			v.broken = i == len(s) && e == strict
		default:
			gap = v.add(c, gap)
		}
	}
	v.broken = v.broken || inQuotes && e == strict && len(v.text) < room
	return v
}

// add takes the octet c, and reports whether there is a gap before the next.
func (v *reading) add(c byte, gap bool) bool {
	if c <= ' ' || strings.IndexByte(`"'\()`, c) >= 0 || c > '~' && (!v.variant.high || c == 0x7f) {
		return true
	}
	// Punctuation before the name is not part of any; an equals sign may begin an encoded word.
	if len(v.text) == 0 && !isNameOctet(c) && c != '=' {
		return true
	}
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	v.text, v.gap = append(v.text, c), append(v.gap, gap)
	return false
}

// endOfComment returns where the comment that begins at i ends, len(s) when it does not.
func (e variant) endOfComment(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if e.escapes {
				i++
			}
		case '(':
			if e.nested || depth == 0 {
				depth++
			}
		case ')':
			depth--
		}
		if depth == 0 {
			return i
		}
	}
	return len(s)
}

func (v reading) claims(wanted []string) bool {
	if v.broken || len(v.text) == 0 || bytes.Contains(v.text, []byte("=?")) {
		return true
	}
	for _, id := range wanted {
		if bytes.HasPrefix(v.text, []byte(id)) && v.ends(len(id)) {
			return true
		}
	}
	first, whole := v.words()
	if strings.ContainsFunc(first, isHigh) && v.variant == strict && !isName(first) {
		return true
	}
	return mapsTo(first, wanted) || mapsTo(whole, wanted)
}

// How readers turn U-labels into A-labels, as IDNA2008 and as IDNA2003 do. Unlike the domains that
// we judge by, names are mapped: some readers take full-width letters, ideographic full stops or a
// sharp s for what they look like.
var mappings = []*idna.Profile{
	idna.New(idna.MapForLookup(), idna.BidiRule()),
	idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(true)),
}

// isName reports whether word is a domain name to a reader who maps.
func isName(word string) bool {
	_, err := mappings[0].ToASCII(word)
	return err == nil && utf8.ValidString(word)
}

// mapsTo reports whether word has octets above 126 and is one of wanted in A-labels.
func mapsTo(word string, wanted []string) bool {
	if !utf8.ValidString(word) || !strings.ContainsFunc(word, isHigh) {
		return false
	}
	return slices.ContainsFunc(mappings, func(m *idna.Profile) bool {
		name, err := m.ToASCII(word)
		return err == nil && slices.Contains(wanted, strings.TrimSuffix(name, "."))
	})
}

// ends reports whether a name may end before the octet at i. A dot belongs to the name only when
// another label follows.
func (v reading) ends(i int) bool {
	if i >= len(v.text) || v.gap[i] || !isNameOctet(v.text[i]) && v.text[i] != '.' {
		return true
	}
	return v.text[i] == '.' && (i+1 == len(v.text) || v.gap[i+1] || !isNameOctet(v.text[i+1]))
}

// words returns the first word, once as gaps end it, once as if there were none.
func (v reading) words() (first, whole string) {
	gap, end := len(v.text), len(v.text)
	for i, c := range v.text {
		if !isNameOctet(c) && c != '.' {
			end = i
			break
		}
		if i > 0 && v.gap[i] && i < gap {
			gap = i
		}
	}
	return string(v.text[:min(gap, end)]), string(v.text[:end])
}

func isNameOctet(c byte) bool {
	return isAlnum(rune(c)) || c == '-' || c == '_' || c > '~'
}
