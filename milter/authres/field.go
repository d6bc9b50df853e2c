package authres

import (
	"errors"

	"mailseal/milter/message"
)

// FieldName is the name of the field that this package reads and writes (RFC 8601 section 2).
const FieldName = "Authentication-Results"

// ErrSyntax is wrapped by every error of Parse but ErrVersion.
var ErrSyntax = errors.New("authres: not an Authentication-Results value")

// ErrVersion is wrapped by the error for a version other than 1 after the authserv-id (RFC 8601 section 2.6).
var ErrVersion = errors.New("authres: unsupported version")

// maxField is how long a field may be, name and all, before it is folded: some readers refuse lines over 998 octets
// and some unfold first.
const maxField = 900

// Field is what one Authentication-Results field says: who speaks, and what was found. No Results is "none".
type Field struct {
	ID      string // the authserv-id, without quotes
	Results []Result
}

// Fields returns f as header fields with their folds, the first to stand topmost. There is more than one when one
// would exceed 900 octets; a Result is never divided. Without Results the field says "none".
func (f Field) Fields() []message.Field {
	id := f.id()
	var out []message.Field
	var group [][]string
	room := maxField - len(FieldName) - len(": ") - len(id)
	used := 0
	for _, r := range f.Results {
		words, size := r.words(room)
		if used > 0 && used+size > room {
			out = append(out, fold(id, group))
			group, used = nil, 0
		}
		group, used = append(group, words), used+size
	}
	return append(out, fold(id, group))
}

// Payload returns f as one unfolded line without the field's name, as ARC's AAR takes it after its own tag (RFC 8617
// section 4.1.1): "mx.example.com; spf=pass smtp.mailfrom=example.org". Its length is bounded by that of the Results:
// at most 900 octets each.
func (f Field) Payload() string {
	id := f.id()
	room := maxField - len(FieldName) - len(": ") - len(id)
	var groups [][]string
	for _, r := range f.Results {
		words, _ := r.words(room)
		groups = append(groups, words)
	}
	return unfolded(id, groups)
}

// WithoutComments returns f without the comments of its results.
func (f Field) WithoutComments() Field {
	bare := Field{ID: f.ID, Results: make([]Result, len(f.Results))}
	for i, r := range f.Results {
		r.Comment = ""
		bare.Results[i] = r
	}
	return bare
}

// id is the authserv-id as it is written.
func (f Field) id() string {
	if f.ID == "" {
		return unknown
	}
	return quotedText(cleanID(f.ID))
}
