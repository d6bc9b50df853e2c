package domain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// uLabels validates U-labels and turns them into A-labels. It maps nothing: what needs mapping is no U-label.
var uLabels = idna.New(
	idna.ValidateLabels(true),
	idna.CheckHyphens(true),
	idna.CheckJoiners(true),
	idna.BidiRule(),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
)

// aLabelPrefix begins every A-label (RFC 5890 section 2.3.2.1).
const aLabelPrefix = "xn--"

// toASCII returns s in lower case with its U-labels as A-labels. It returns s itself, and allocates nothing, when
// there is nothing to change.
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
	// A U-label is never longer in A-label form than maxLabel octets of at most 4 octets each.
	if len(s) > 4*maxName {
		return "", fmt.Errorf("%w: longer than %d octets", ErrInvalid, maxName)
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
	lower, ascii := strings.Builder{}, true
	for _, r := range l {
		low := unicode.ToLower(r)
		// The Kelvin sign is the lower-case k of no one's domain.
		if r >= utf8.RuneSelf && low < utf8.RuneSelf || r == utf8.RuneError {
			return "", fmt.Errorf("%w: %q in a label", ErrInvalid, r)
		}
		ascii = ascii && r < utf8.RuneSelf
		lower.WriteRune(low)
	}
	if ascii {
		return lower.String(), nil
	}
	a, err := uLabels.ToASCII(lower.String())
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return a, nil
}

// Unicode returns n in U-labels, for people. A label that is not the A-label of any U-label stays as it is.
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
