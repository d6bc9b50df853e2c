package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// lookupLabels maps U-labels as browsers and mail readers do before a lookup (UTS #46): full-width
// letters become ASCII, a soft hyphen and a zero-width space disappear.
var lookupLabels = idna.New(
	idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// Guess returns the domain that s stands for where Parse refuses it but a mail reader shows it and
// the DNS can hold it: with a hyphen at the edge of a label ("mail-.example.com"), other characters
// of an atom ("a!b.example.com"), empty labels, or U-labels in a form that RFC 5890 does not allow.
// It is meant to find the owner whose policy speaks for s, not to name a host.
//
// A label that the DNS cannot hold is left out with all labels before it, if two or more remain: no
// record can be at such a name, but one above it can. Then whole is false. "" means that s
// stands for no domain, which is so for an IP address and for a last label that no top-level domain
// has.
func Guess(s string) (n Name, whole bool) {
	if top := s[strings.LastIndexByte(strings.TrimRight(s, "."), '.')+1:]; !isWord(top) {
		return "", true
	}
	if n, err := Parse(s); err == nil {
		return n, true
	}
	labels := ""
	for rest := s; rest != ""; {
		at := strings.LastIndexByte(rest, '.')
		label := rest[at+1:]
		rest = rest[:max(at, 0)]
		if label == "" {
			continue
		}
		longer, ok := prepend(label, labels)
		if !ok {
			return leftOver(labels), false
		}
		labels = longer
	}
	if !isTop(Name(labels).Last(1)) {
		return "", true
	}
	return Name(labels), true
}

// prepend puts one label of a guess before the others, which may be "".
func prepend(label, others string) (string, bool) {
	if len(label) > maxULabel {
		return "", false
	}
	label = strings.ToLower(label)
	if !isASCII(label) {
		var err error
		if label, err = lookupLabels.ToASCII(label); err != nil {
			return "", false
		}
	}
	label = strings.Trim(label, ".") // some characters are mapped to a dot
	if label == "" {
		return others, true
	}
	if others != "" {
		others = "." + others
	}
	if len(label)+len(others) > maxName || !fits(label) {
		return "", false
	}
	return label + others, true
}

// fits reports whether the DNS can hold labels and an address can name them.
func fits(labels string) bool {
	for label := range strings.SplitSeq(labels, ".") {
		if label == "" || len(label) > maxLabel {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>[]:;@\,"`, c) >= 0 {
				return false
			}
		}
	}
	return true
}

// leftOver returns what remains of a guess, unless it is a top-level domain, which is no one's own.
func leftOver(labels string) Name {
	if n := Name(labels); n.Labels() >= 2 && isTop(n.Last(1)) {
		return n
	}
	return ""
}

// isWord reports whether no character that is not ASCII is a sign, a space or punctuation, as in
// "example.com”". RFC 5892 does not allow them in U-labels, but some registries did, like "❤".
func isWord(label string) bool {
	return strings.IndexFunc(label, func(r rune) bool {
		return r >= utf8.RuneSelf && !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.Cf) &&
			!strings.ContainsRune(fullStops, r)
	}) < 0
}

// fullStops are the characters that UTS #46 takes for a dot.
const fullStops = "\u3002\uFF0E\uFF61"

// isTop reports whether a top-level domain can be called so.
func isTop(label Name) bool {
	n, err := Parse(string(label))
	return err == nil && n.Labels() == 1 && !strings.Contains(string(n), "_")
}
