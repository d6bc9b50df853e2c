package dkim

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// ErrOptions is wrapped by errors about SignOptions that no signature can be made with.
var ErrOptions = errors.New("invalid options for signing")

// SignOptions configures what a signature covers and states. Its zero value is the default.
type SignOptions struct {
	SimpleHeader bool // c=simple for the header; default relaxed
	SimpleBody   bool // c=simple for the body; default relaxed
	// signed when present, every instance, and From in any case; nil for DefaultFields
	Fields []string
	// of Fields, those listed once more than present, even when absent; nil for DefaultOversign
	Oversign        []string
	OversignPresent []string  // likewise, but not when absent; nil for DefaultOversignPresent
	KeepPlain       bool      // a message without MIME fields may get some later; see Prepare
	Omit            []string  // left out of h= altogether, though of Fields; From is not
	Time            time.Time // t=; the zero Time for now
	// x= is so much later than t=; 0 for DefaultExpiry, negative for no x=
	Expiry     time.Duration
	Identifier string // i=, "user@sub.example.com" or "@sub.example.com"; "" for none
	// write r=y: receivers may report signatures that fail (RFC 6651 section 3.1)
	RequestReports bool
	// write d=, s= and i= in U-labels: for SMTPUTF8 messages only (RFC 8616 section 3)
	Unicode bool
}

// DefaultExpiry is the time that delivery may take: five days in our queue, and as many in
// that of a forwarder.
const DefaultExpiry = 10 * 24 * time.Hour

// BodyHash names the digest of the body that signing with o asks for.
func (o SignOptions) BodyHash() message.BodyHash {
	return message.BodyHash{Canonicalization: canonicalization(o.SimpleBody), Limit: message.Whole}
}

// Check returns an error that wraps ErrOptions if o is invalid. Whether Identifier matches
// a key is checked only when a key signs.
func (o SignOptions) Check() error {
	for _, name := range o.Fields {
		if !isFieldName(name) {
			return fmt.Errorf("%w: %q is not the name of a field", ErrOptions, name)
		}
	}
	return nil
}

// isFieldName leaves out the semicolon, which RFC 5322 allows in a name but no list of tags does.
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' || s[i] == ';' {
			return false
		}
	}
	return s != ""
}

// withDefaults fills in what was left open, and From, which must be signed (RFC 6376 section 5.4).
func (o SignOptions) withDefaults() SignOptions {
	if o.Fields == nil {
		o.Fields = defaultFields
	} else if !contains(o.Fields, "From") {
		o.Fields = append([]string{"From"}, o.Fields...)
	}
	if o.Oversign == nil {
		o.Oversign = defaultOversign
	}
	if o.OversignPresent == nil {
		o.OversignPresent = defaultOversignPresent
	}
	if o.Time.IsZero() {
		o.Time = time.Now()
	}
	if o.Expiry == 0 {
		o.Expiry = DefaultExpiry
	}
	return o
}

// canonicalization returns "relaxed/simple" and the like.
func (o SignOptions) canonicalization() string {
	return canonicalization(o.SimpleHeader).String() + "/" + canonicalization(o.SimpleBody).String()
}

func canonicalization(simple bool) message.Canonicalization {
	if simple {
		return message.Simple
	}
	return message.Relaxed
}

// identifier writes i= for a signature of d: the local part as dkim-quoted-printable, the domain as
// d is written.
func (o SignOptions) identifier(identifier string, d domain.Name) (string, error) {
	at := strings.LastIndexByte(identifier, '@')
	n, err := domain.Parse(identifier[at+1:])
	if at < 0 || err != nil || !n.Within(d) {
		return "", fmt.Errorf("%w: the identifier %q is not within %s", ErrOptions, identifier, d)
	}
	var i strings.Builder
	for _, c := range []byte(identifier[:at]) {
		if c > ' ' && c < 0x7f && c != ';' && c != '=' || c >= 0x80 && o.Unicode {
			i.WriteByte(c)
		} else {
			fmt.Fprintf(&i, "=%02X", c)
		}
	}
	return i.String() + "@" + o.label(n), nil
}

// label writes a domain name or a selector.
func (o SignOptions) label(n domain.Name) string {
	if o.Unicode {
		return n.Unicode()
	}
	return n.String()
}
