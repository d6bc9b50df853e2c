package authres

import (
	"errors"

	"mailseal/milter/message"
)

// FieldName is the name of the field that this package reads and writes (RFC 8601 section 2).
const FieldName = "Authentication-Results"

// ErrSyntax is wrapped by every error of Parse.
var ErrSyntax = errors.New("authres: not an Authentication-Results value")

// ErrVersion says that a field has a version other than 1 after its authserv-id (RFC 8601 section 2.6).
var ErrVersion = errors.New("authres: unsupported version")

// Field is what one Authentication-Results field says: who speaks, and what was found. No Results is "none".
type Field struct {
	ID      string // the authserv-id, as written but without quotes
	Results []Result
}

// Fields returns f as header fields, folded, in as many fields of the same ID as its length asks for.
func (f Field) Fields() []message.Field { return nil }

// Payload returns f as one unfolded line without the name, as ARC's AAR takes it: "mx.example.com; spf=pass ...".
func (f Field) Payload() string { return f.ID }

// WithoutComments returns f without the comments of its results.
func (f Field) WithoutComments() Field { return f }

// Parse reads the value of a field. It is tolerant: comments, folding and white space are allowed wherever RFC 8601
// section 2.2 does, and in a few more places. The error wraps ErrSyntax or ErrVersion.
func Parse(value []byte) (Field, error) { return Field{}, ErrSyntax }

// Claims tells whether any reader could take value, that of an Authentication-Results field, for the word of one of
// ids.
func Claims(value []byte, ids []string) bool { return true }
