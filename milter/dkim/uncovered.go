package dkim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/message"
)

// guarded are fields of which a reader shows only one, which may not be the signed one:
// most mail programs show a second Subject at the top of a signed message (RFC 6376 section
// 8.15). From has a separate rule, without exception.
var guarded = []string{"Subject", "To", "Cc", "Date", "Reply-To", "Content-Type",
	"Content-Transfer-Encoding"}

// grown are fields that hosts add on the way; a signature that does not cover the newest
// one is normal.
var grown = []string{"Received", "Return-Path", "DKIM-Signature", "DKIM2-Signature",
	"Message-Instance", "Authentication-Results", "Delivered-To"}

// uncovered is a field that is in the header more often than h= covers.
type uncovered struct {
	name           string
	signed, number int
}

func (u uncovered) String() string {
	return fmt.Sprintf("not all of the %d %s fields are signed", u.number, u.name)
}

func (u uncovered) isGuarded() bool { return contains(guarded, u.name) }

// uncovered lists the fields that h= names and that are present at least twice, but not all of them
// covered, unless all are the same after relaxed canonicalization: to a reader these are one. A
// field that h= does not name is not the signature's business.
func (s *Signature) uncovered(index *Index) []uncovered {
	if !slices.ContainsFunc(s.Names, index.isRepeated) {
		return nil // as nearly always
	}
	signed := make(map[string]int, len(s.Names))
	for _, name := range s.Names {
		signed[strings.ToLower(name)]++
	}
	var out []uncovered
	for _, name := range s.Names {
		key := strings.ToLower(name)
		n, isNew := signed[key]
		delete(signed, key)
		if !isNew || key == "from" || contains(grown, name) {
			continue
		}
		if number := index.Count(name); number > max(n, 1) && !index.isUniform(name) {
			out = append(out, uncovered{shown(name), n, number})
		}
	}
	return out
}

// Added returns why a field may have been added above those that s covers: "not all of the 2
// Subject fields are signed"; "" when none was. It is about the fields for which a DKIM signature
// gets Policy, but From.
func (s *Signature) Added(index *Index) string {
	for _, u := range s.uncovered(index) {
		if u.isGuarded() {
			return u.String()
		}
	}
	return ""
}

// shown writes a name as people know it, whatever letters the signer chose.
func shown(name string) string {
	for _, known := range guarded {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return clip(name)
}

// isRepeated reports whether there are several fields called name. It does not count them: h= may
// repeat a name as often as the header does.
func (x *Index) isRepeated(name string) bool {
	g, known := x.group(name)
	return known && x.above[x.last[g]] >= 0
}

// isUniform reports whether all fields called name are the same after relaxed canonicalization.
func (x *Index) isUniform(name string) bool {
	g, known := x.group(name)
	if !known {
		return true
	}
	var first, next []byte
	for i := x.last[g]; i >= 0; i = x.above[i] {
		next = message.Relaxed.AppendField(next[:0], x.header[i])
		if first == nil {
			first = bytes.Clone(next)
		}
		if !bytes.Equal(first, next) {
			return false
		}
	}
	return true
}
