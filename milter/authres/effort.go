package authres

import "bytes"

// Effort is the remaining budget for reading the Authentication-Results of one message with
// Claims. The zero Effort is the full budget.
type Effort struct{ fields, octets int }

// The effort of one message. Honest mail has one to ten fields of some hundred octets.
const (
	maxFields = 100
	maxOctets = 64 << 10
	// highOctets is what an octet above 126 counts for: names that have one are mapped in several
	// ways.
	highOctets = 256
)

// Spend subtracts the cost of reading a value, and reports whether enough was left for it. A field
// that is not read must not be trusted, so a sender gains nothing from writing many.
func (e *Effort) Spend(value []byte) bool {
	e.fields++
	e.octets += len(value)
	if e.fields <= maxFields && e.octets <= maxOctets {
		e.octets += highOctets * countNonASCII(value)
	}
	return e.fields <= maxFields && e.octets <= maxOctets
}

// countNonASCII returns how many octets above 126 may be looked at as part of a name: those of the
// first word of a result are not, but where that begins depends on the reader.
func countNonASCII(value []byte) int {
	name, _, _ := bytes.Cut(value, []byte(";"))
	n := 0
	for _, c := range name {
		if c > '~' {
			n++
		}
	}
	return n
}
