package dkim

import (
	"errors"
	"slices"
	"strings"

	"mailseal/milter/message"
)

// ErrNoFrom means that a header has no From field, which every signature must cover (RFC
// 6376 section 5.4).
var ErrNoFrom = errors.New("no From field to sign")

// ErrTooManyFields means that a header has more fields to sign than an h= tag can name in a
// field that MTAs accept.
var ErrTooManyFields = errors.New("too many fields to sign")

// maxSigned is how many names the h= of a signature of ours may have.
const maxSigned = 1000

// defaultFields are the fields that are signed when present, every instance: those that a reader
// sees or a mail program acts on (RFC 6376 section 5.4.1, RFC 8058 section 4). Trace fields and
// those that hosts on the way change or strip stay out: Return-Path, Received, Bcc, Comments,
// Keywords, Authentication-Results, ARC's, other signatures.
var defaultFields = []string{
	"From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "In-Reply-To", "References",
	"Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Message-ID",
	"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe",
	"List-Post",
	"List-Owner", "List-Archive", "Autocrypt",
}

// defaultOversign are the fields that h= lists once more than present, even when absent, so that
// none can be added without breaking the signature (RFC 6376 section 8.15). Not those that lists
// add by right: Sender, Resent and List fields.
var defaultOversign = []string{"From", "To", "Cc", "Subject", "Reply-To"}

// defaultOversignPresent are the fields that h= lists once more than present, but not when absent:
// Sendmail adds the missing ones after us, and mailing lists add their own List fields, which must
// not break the signature.
var defaultOversignPresent = []string{
	"Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"List-Unsubscribe", "List-Unsubscribe-Post",
}

// mimeFields say how a body is to be read. An attacker who adds the first one to a message without
// any has the same bytes read as something else: a HTML page, or base64 that hides a text.
var mimeFields = []string{"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}

// DefaultFields returns the value that a nil SignOptions.Fields means.
func DefaultFields() []string { return slices.Clone(defaultFields) }

// DefaultOversign returns the value that a nil SignOptions.Oversign means.
func DefaultOversign() []string { return slices.Clone(defaultOversign) }

// DefaultOversignPresent returns the value that a nil SignOptions.OversignPresent means.
func DefaultOversignPresent() []string { return slices.Clone(defaultOversignPresent) }

// isPlain reports whether a message has none of the fields of MIME and no byte above 127. No host
// on the way has a reason to add one of those fields then: Sendmail and Postfix do so only where
// they convert a body of 8 bits for a host that takes 7.
func isPlain(index *Index, h message.Header, body *message.Digests) bool {
	if body == nil || body.IsEightBit() {
		return false
	}
	for _, name := range mimeFields {
		if index.Count(name) > 0 {
			return false
		}
	}
	return !slices.ContainsFunc(h,
		func(f message.Field) bool { return message.IsEightBit(f.Raw()) })
}

// Covers reports whether a signature with these options covers the fields of a name that a message
// has.
func (o SignOptions) Covers(name string) bool {
	fields := o.Fields
	if fields == nil {
		fields = defaultFields
	}
	return strings.EqualFold(name, "From") || contains(fields, name) && !contains(o.Omit, name)
}

// signedNames returns the h= for h: each field of o.Fields as often as it is present and once more
// if it is to be oversigned.
func signedNames(index *Index, h message.Header, o SignOptions) ([]string, error) {
	resent := latestResent(h)
	names := make([]string, 0, 2*len(o.Fields))
	for _, name := range o.Fields {
		if !o.Covers(name) {
			continue
		}
		count := index.Count(name)
		if isResent(name) && !contains(resent, name) {
			count = 0
		}
		if contains(o.Oversign, name) || count > 0 && contains(o.OversignPresent, name) {
			count++
		}
		if len(names)+count > maxSigned {
			return nil, ErrTooManyFields
		}
		for range count {
			names = append(names, name)
		}
	}
	return names, nil
}

// latestResent returns the names of the topmost block of Resent fields, the last resending (RFC
// 5322 section 3.6.6): a field that only an older block has says nothing about this one.
func latestResent(h message.Header) []string {
	var block []string
	for _, f := range h {
		name := f.NameOctets()
		switch {
		case isResent(name) && !contains(block, string(name)):
			block = append(block, string(name))
		case len(block) > 0:
			return block
		}
	}
	return block
}

func isResent[T string | []byte](name T) bool {
	const prefix = "Resent-"
	return len(name) > len(prefix) && strings.EqualFold(string(name[:len(prefix)]), prefix)
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
