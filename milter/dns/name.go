package dns

import (
	"fmt"
	"strings"
)

// The bounds of a name in its text form without the final dot (RFC 1035 section 2.3.4: 255 octets
// on the wire).
const (
	maxName  = 253
	maxLabel = 63
)

// Canonical returns the name in the form in which names are compared and remembered: lower case, no
// final dot. It is false for what cannot be asked for: an empty name, the root, an empty label, one
// over 63 octets, a name over 253, an octet that is not ASCII. All other octets are taken as they
// are: a backslash is a backslash, not an escape.
func Canonical(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxName {
		return "", false
	}
	label, upper := 0, false
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '.' {
			if label == 0 {
				return "", false
			}
			label = 0
			continue
		}
		label++
		if c >= 0x80 || label > maxLabel {
			return "", false
		}
		upper = upper || 'A' <= c && c <= 'Z'
	}
	if label == 0 {
		return "", false
	}
	if upper {
		name = strings.ToLower(name)
	}
	return name, true
}

// escape writes a canonical name as the library wants names: with a final dot, what zone files
// treat as special behind a backslash.
func escape(name string) string {
	var b strings.Builder
	b.Grow(len(name) + 1)
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		case strings.IndexByte(` '@;()"\`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('.')
	return b.String()
}

// unescape undoes the escapes of a TXT string as the library hands it out: `\"`, `\\` and `\DDD`.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			if n, ok := decimal(s[i+1:]); ok {
				out = append(out, n)
				i += 3
				continue
			}
			i++
			c = s[i]
		}
		out = append(out, c)
	}
	return string(out)
}

// decimal reads the three digits that s begins with, if they are an octet.
func decimal(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return byte(n), n <= 255
}
