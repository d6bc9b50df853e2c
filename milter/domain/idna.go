package domain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// uLabels validates U-labels as RFC 5891 section 4 asks for and turns them into A-labels. It maps
// nothing.
var uLabels = idna.New(idna.ValidateForRegistration())

// aLabelPrefix begins every A-label (RFC 5890 section 2.3.2.1).
const aLabelPrefix = "xn--"

// maxULabel bounds a U-label in octets before anything is computed from it: an A-label has room for
// fewer code points than maxLabel, and UTF-8 takes at most four octets for each.
const maxULabel = 4 * maxLabel

// toASCII returns s in lower case with its U-labels as A-labels. It returns s itself, and allocates
// nothing, when there is nothing to change.
func toASCII(s string) (string, error) {
	upper := false
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return labelsToASCII(s)
		}
		upper = upper || 'A' <= s[i] && s[i] <= 'Z'
	}
	if upper {
		return strings.ToLower(s), nil
	}
	return s, nil
}

func labelsToASCII(s string) (string, error) {
	if len(s) > 4*maxName {
		return "", errTooLong
	}
	labels := strings.Split(s, ".")
	for i, l := range labels {
		a, err := labelToASCII(l)
		if err != nil {
			return "", err
		}
		labels[i] = a
	}
	return strings.Join(labels, "."), nil
}

func labelToASCII(l string) (string, error) {
	if len(l) > maxULabel {
		return "", errLabelTooLong
	}
	lower, err := toLower(l)
	if err != nil || isASCII(lower) {
		return lower, err
	}
	a, err := uLabels.ToASCII(lower)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return a, nil
}

// toLower refuses what would become ASCII: the Kelvin sign and the dotted I are no one's k and i.
func toLower(l string) (string, error) {
	var b strings.Builder
	for _, r := range l {
		low := unicode.ToLower(r)
		if r == utf8.RuneError || r >= utf8.RuneSelf && low < utf8.RuneSelf {
			return "", fmt.Errorf("%w: it contains %q", ErrInvalid, r)
		}
		b.WriteRune(low)
	}
	return b.String(), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Unicode returns n in U-labels, for people. A label that is the A-label of no valid U-label stays
// as it is, so that Parse gives n back whatever n is.
func (n Name) Unicode() string {
	if !strings.Contains(string(n), aLabelPrefix) {
		return string(n)
	}
	labels := strings.Split(string(n), ".")
	for i, l := range labels {
		labels[i] = labelToUnicode(l)
	}
	return strings.Join(labels, ".")
}

func labelToUnicode(l string) string {
	if !strings.HasPrefix(l, aLabelPrefix) {
		return l
	}
	u, err := uLabels.ToUnicode(l)
	if err != nil {
		return l
	}
	if a, err := labelToASCII(u); err != nil || a != l {
		return l
	}
	return u
}
