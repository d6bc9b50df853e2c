package message

import (
	"fmt"
	"unicode/utf8"
)

// Fault describes where and how a From field violates RFC 5322. It is an error that wraps
// ErrNoAuthor.
type Fault struct {
	Field int    // which of the From fields, counted from 1 at the top
	Byte  int    // offset into the value of the field, counted from 0 behind the colon
	Char  string // the character there, "" at the end of the field
	Why   string // one clause for people
}

// Error implements error.
func (f *Fault) Error() string { return ErrNoAuthor.Error() + ": " + f.String() }

// Unwrap returns ErrNoAuthor.
func (f *Fault) Unwrap() error { return ErrNoAuthor }

// String describes f in one line for a log: "From, byte 13, ',': …".
func (f *Fault) String() string {
	field, char := "From", "at the end"
	if f.Field > 1 {
		field = fmt.Sprintf("From field %d", f.Field)
	}
	if f.Char != "" {
		char = fmt.Sprintf("%+q", f.Char)
	}
	return fmt.Sprintf("%s, byte %d, %s: %s", field, f.Byte, char, f.Why)
}

// faultAt describes what is wrong at byte at of a field's value.
func faultAt(value string, at int, why string) *Fault {
	f := &Fault{Field: 1, Byte: at, Why: why}
	if at < len(value) {
		_, size := utf8.DecodeRuneInString(value[at:])
		f.Char = value[at : at+size]
	}
	return f
}
