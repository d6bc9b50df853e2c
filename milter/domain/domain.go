// Package domain holds domain names in the one form in which they can be compared: A-labels, lower
// case, no final dot (RFC 5890, RFC 8616).
package domain

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid reports that a text is not a domain name. Parse wraps it with the reason.
var ErrInvalid = errors.New("not a domain name")

// The lengths that the DNS can carry, in octets of the text form without its final dot (RFC 1035
// section 2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

var (
	errTooLong      = fmt.Errorf("%w: it has more than %d bytes", ErrInvalid, maxName)
	errLabelTooLong = fmt.Errorf("%w: a label has more than %d bytes", ErrInvalid, maxLabel)
)

// Name is a domain name as Parse returns it: A-labels, lower case, no final dot. Two Names are the
// same domain exactly when they are equal. The zero Name is not a domain at all.
type Name string

// Parse reads a domain name of A-labels or U-labels in any case, with or without a final dot.
// Labels are letters, digits, hyphens inside, and underscores anywhere (_domainkey, _dmarc: RFC
// 8552). An IP address is not a domain name, with brackets or without. The error wraps ErrInvalid.
//
// U-labels are only lower-cased, never mapped: a full-width letter, a soft hyphen, an ideographic
// full stop or a combining sequence that has a single code point makes a name invalid. RFC 5890
// knows no U-label with them, and a reader would not see what we compare. An A-label is taken as it
// stands: the DNS asks for no more.
func Parse(s string) (Name, error) {
	s = strings.TrimSuffix(s, ".")
	ascii, err := toASCII(s)
	if err != nil {
		return "", err
	}
	if err := check(ascii); err != nil {
		return "", err
	}
	return Name(ascii), nil
}

// check says what keeps an ASCII name from being one that can be asked for in the DNS.
func check(s string) error {
	if len(s) > maxName {
		return errTooLong
	}
	last := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			continue
		}
		if err := checkLabel(s[last:i]); err != nil {
			return err
		}
		if i < len(s) {
			last = i + 1
		}
	}
	if allDigits(s[last:]) {
		return fmt.Errorf("%w: its last part is a number", ErrInvalid)
	}
	return nil
}

// checkLabel allows letters, digits, underscores, and hyphens that are neither first nor last.
func checkLabel(l string) error {
	switch {
	case l == "":
		return fmt.Errorf("%w: a label is empty (a dot at the start, or two dots in a row)",
			ErrInvalid)
	case len(l) > maxLabel:
		return errLabelTooLong
	case l[0] == '-' || l[len(l)-1] == '-':
		return fmt.Errorf("%w: a part begins or ends with a hyphen", ErrInvalid)
	}
	for i := range len(l) {
		if c := l[i]; c != '-' && c != '_' && !isDigit(c) && (c < 'a' || c > 'z') {
			return fmt.Errorf("%w: it contains %q", ErrInvalid, c)
		}
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// String returns n in A-labels, as the DNS knows it.
func (n Name) String() string { return string(n) }

// Labels returns the number of labels: 3 for "mail.example.com", 0 for the zero Name.
func (n Name) Labels() int {
	if n == "" {
		return 0
	}
	return strings.Count(string(n), ".") + 1
}

// Parent returns the name above n, "" above a name of one label.
func (n Name) Parent() Name {
	_, parent, _ := strings.Cut(string(n), ".")
	return Name(parent)
}

// Last returns the right-most labels of n, all of n when it has no more, "" for 0 and less.
func (n Name) Last(labels int) Name {
	if labels <= 0 {
		return ""
	}
	for i := len(n) - 1; i >= 0; i-- {
		if n[i] != '.' {
			continue
		}
		if labels--; labels == 0 {
			return n[i+1:]
		}
	}
	return n
}

// Within reports whether n is top or below it. Nothing is within the zero Name, and the zero Name
// is within nothing.
func (n Name) Within(top Name) bool {
	if n == "" || top == "" {
		return false
	}
	above, ok := strings.CutSuffix(string(n), string(top))
	return ok && (above == "" || above[len(above)-1] == '.')
}

// ASCII returns name as the DNS has it, in A-labels and lower case. What Parse refuses, such as "%"
// or "", is returned as it is.
func ASCII(name string) string {
	n, err := Parse(name)
	if err != nil {
		return name
	}
	return n.String()
}
