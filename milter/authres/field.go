package authres

import (
	"errors"
	"slices"

	"mailseal/milter/message"
)

// FieldName is the name of the field that this package reads and writes (RFC 8601 section 2).
const FieldName = "Authentication-Results"

// ErrSyntax is wrapped by every error of Parse but ErrVersion.
var ErrSyntax = errors.New("authres: not an Authentication-Results value")

// ErrVersion is wrapped by the error for a version other than 1 after the authserv-id (RFC 8601
// section 2.6).
var ErrVersion = errors.New("authres: unsupported version")

// maxField is how long a field may be, name and all, before it is folded: some readers refuse lines
// over 998 octets and some unfold first.
const maxField = 900

// Field is the content of one Authentication-Results field: the authserv-id and the
// results. Without Results the field is "none".
type Field struct {
	ID      string // the authserv-id, without quotes
	Results []Result
}

// Fields returns f as folded header fields, the topmost first. There is more than one if a
// single field would exceed 900 octets; a Result is never divided. Without Results the
// field is "none".
//
// The first field has a verdict of every method that has a Result, since many readers read
// that field alone. Therefore the first Result of each method, and of SPF for each
// identity, comes before all others, and their long parts are cut until they fit: the
// sender chooses names, comments and the number of signatures.
func (f Field) Fields() []message.Field {
	id := f.id()
	room := f.room(id)
	verdicts, rest := f.parted()
	squeeze(verdicts, room)
	all := append(verdicts, rest...)
	var out []message.Field
	var group [][]string
	used := 0
	for _, w := range all {
		w = w.within(room)
		if used > 0 && used+w.size > room {
			out = append(out, fold(id, group))
			group, used = nil, 0
		}
		group, used = append(group, w.words), used+w.size
	}
	return append(out, fold(id, group))
}

// parted returns the first Result of each kind, and all others.
func (f Field) parted() (verdicts, rest []written) {
	seen := make([]kind, 0, 8)
	verdicts = make([]written, 0, len(f.Results))
	for _, r := range f.Results {
		if k := r.kind(); !slices.Contains(seen, k) {
			seen = append(seen, k)
			verdicts = append(verdicts, r.write())
		} else {
			rest = append(rest, r.write())
		}
	}
	return verdicts, rest
}

// kind is what a Result is a verdict of: a method, and for those about the envelope its part. SPF
// may have looked at MAIL FROM and at HELO.
type kind struct{ method, part string }

func (r Result) kind() kind {
	k := kind{method: keyword(r.Method)}
	if len(r.Properties) > 0 && r.Properties[0].Type == "smtp" {
		k.part = keyword(r.Properties[0].Name)
	}
	return k
}

// room is how much results may take in a field beside an id.
func (f Field) room(id string) int { return maxField - len(FieldName) - len(": ") - len(id) }

// Payload returns f as one unfolded line without the field's name, as ARC's AAR takes it after its
// own tag (RFC 8617 section 4.1.1): "mx.example.com; spf=pass smtp.mailfrom=example.org". The order
// is that of Fields. Its length is bounded by that of the Results: at most 900 octets each.
func (f Field) Payload() string {
	id := f.id()
	room := f.room(id)
	verdicts, rest := f.parted()
	var groups [][]string
	for _, w := range append(verdicts, rest...) {
		groups = append(groups, w.within(room).words)
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
