package message

import (
	"errors"
	"fmt"
	"strings"

	"mailseal/milter/domain"
)

// ErrAddress means that a text is not an address. ParsePath wraps it with the reason.
var ErrAddress = errors.New("not an address")

// Address is one mailbox.
type Address struct {
	Local   string      // without quotes: the local part of "a b"@example.com is "a b"
	Domain  domain.Name // "" if there is none, or an address literal in its place
	Display string      // the display name, decoded (RFC 2047), or ""
}

// String returns local@domain, with quotes around the local part where it needs them; a local part
// alone where there is not a domain.
func (a Address) String() string {
	switch {
	case a.Domain != "":
		return quoteLocal(a.Local) + "@" + a.Domain.String()
	case a.Local == "":
		return ""
	}
	return quoteLocal(a.Local)
}

// quoteLocal returns s as a dot-atom if it can be one, else as a quoted-string (RFC 5322 section
// 3.4.1).
func quoteLocal(s string) string {
	if isDotAtom(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func isDotAtom(s string) bool {
	for word := range strings.SplitSeq(s, ".") {
		for i := range len(word) {
			if !isAtext(word[i]) {
				return false
			}
		}
		if word == "" {
			return false
		}
	}
	return true
}

// ParsePath reads an envelope path, with or without its angle brackets: the last "@" outside quotes
// parts the local part from the domain, a source route is dropped (RFC 5321 section 4.1.1.3). "" is
// the null sender and gives the zero Address. Domain is "" for a local part alone and for an
// address literal. The error wraps ErrAddress.
func ParsePath(s string) (Address, error) {
	if strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") {
		s = s[1 : len(s)-1]
	}
	if strings.HasPrefix(s, "@") {
		_, path, ok := strings.Cut(s, ":")
		if !ok {
			return Address{}, fmt.Errorf("%w: only a source route", ErrAddress)
		}
		s = path
	}
	at := lastAt(s)
	if at < 0 {
		return Address{Local: unquote(s)}, nil
	}
	a := Address{Local: unquote(s[:at])}
	if strings.HasPrefix(s[at+1:], "[") {
		return a, nil
	}
	name, err := domain.Parse(s[at+1:])
	if err != nil {
		return Address{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	a.Domain = name
	return a, nil
}

// lastAt returns the index of the last "@" of s that is in no quoted-string, or -1.
func lastAt(s string) int {
	at, quoted := -1, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '@' && !quoted:
			at = i
		}
	}
	return at
}

// unquote returns a local part without its quotes and backslashes.
func unquote(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			continue
		}
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}
