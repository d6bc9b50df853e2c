package dkim

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/taglist"
)

// FieldName is the name of the field that holds a signature (RFC 6376 section 3.5).
const FieldName = "DKIM-Signature"

// Signature is the parsed content of a signature field. ARC-Message-Signature has the same
// parts except Identifier; ARC-Seal has fewer.
type Signature struct {
	Algorithm  string                   // a=
	Domain     domain.Name              // d=
	Selector   string                   // s=, in A-labels
	KeyName    string                   // where the key is published
	Identifier string                   // i=, its domain in A-labels
	Exact      bool                     // the domain of i= is d= itself, as a key with t=s asks
	Header     message.Canonicalization // c=, before the slash
	Body       message.Canonicalization // c=, behind it
	Names      []string                 // h=
	Limit      int64                    // l=, or message.Whole
	BodyHash   []byte                   // bh=
	Value      []byte                   // b=
	Signed     time.Time                // t=, zero when absent
	Expires    time.Time                // x=, zero when absent
	// the forms of the field itself that b= may cover; see Tags.Unsigned
	Unsigned []message.Field
	// its fault is one of syntax, or it asks for something unknown
	Unreadable bool
	text       string // b= without white space, "" when it is not base64
}

// ParseSignature reads a DKIM-Signature field as RFC 6376 section 6.1.1 asks. Fault says what is
// wrong with it, in a sentence for a postmaster, or is ""; with a fault, s holds what could be
// read.
func ParseSignature(f message.Field) (s Signature, fault string) {
	t := ReadTags(f)
	s = t.Signature()
	if v := t.need("v"); v != "1" {
		t.Fail("v=%s is not a version of DKIM", clip(v))
	}
	s.Identifier, s.Exact = t.identifier(s.Domain)
	if q, has := t.list.Value("q"); has && !listed(q, "dns/txt") {
		t.Fail("the key is not in the DNS (q=%s)", clip(q))
	}
	if slices.Contains(s.Names, "") {
		t.Fail("h= has an empty name")
	}
	if s.count("From") == 0 {
		t.refuse("From is not signed")
	}
	s.Unreadable = t.fault != "" && !t.isFinal
	return s, t.fault
}

// Signature reads the tags that DKIM-Signature and ARC-Message-Signature share.
func (t *Tags) Signature() (s Signature) {
	s.Unsigned = t.Unsigned()
	s.Algorithm = t.Algorithm()
	s.Domain = t.Domain()
	s.Selector, s.KeyName = t.Selector(s.Domain)
	s.Header, s.Body = t.Canonicalizations()
	s.Names = t.Names()
	s.Limit = t.Limit()
	s.BodyHash, s.Value = t.Base64("bh"), t.Base64("b")
	if s.Value != nil {
		s.text = taglist.Compact(t.Text("b"))
	}
	s.Signed, s.Expires = t.Time("t"), t.Time("x")
	if t.Has("x") && t.Has("t") && !s.Expires.After(s.Signed) {
		t.refuse("the signature expires before it was made (x= is not after t=)")
	}
	return s
}

// identifier reads i=, by default "@" and d= (RFC 6376 section 3.5). Its domain, compared as a
// domain name, must be d or below it. The local part stays as it is encoded.
func (t *Tags) identifier(d domain.Name) (identifier string, exact bool) {
	i, has := t.list.Value("i")
	switch {
	case !has && d == "":
		return "", true
	case !has:
		return "@" + d.String(), true
	}
	i = taglist.Compact(i)
	at := strings.LastIndexByte(i, '@')
	n, err := domain.Parse(i[at+1:])
	switch {
	case at < 0 || err != nil || strings.HasSuffix(i, "."):
		t.Fail("i=%s is not an identifier within a domain", clip(i))
		return "", false
	case !n.Within(d):
		t.refuse("i=%s is not within d=%s", clip(i), d)
	}
	return i[:at+1] + n.String(), n == d
}

// BodyHashWanted names the digest of the body with which s must be compared.
func (s Signature) BodyHashWanted() message.BodyHash {
	return message.BodyHash{Canonicalization: s.Body, Limit: s.Limit}
}

// Canonicalization returns c= in full: "relaxed/simple".
func (s Signature) Canonicalization() string { return s.Header.String() + "/" + s.Body.String() }

// ErrNotVerified means that a signature does not match any key.
var ErrNotVerified = errors.New("not verified")

// ErrTooExpensive means that a signature was not verified, or not with every key that is
// published for it, because that would have exceeded the message's Effort.
var ErrTooExpensive = errors.New("too expensive")

// VerifiedBy returns the index of the first of records whose key made s over the fields of header
// that it names and its own field, which is at own. The error is ErrNotVerified when none did, and
// ErrTooExpensive when effort came to its end before; a nil effort has none.
func (s *Signature) VerifiedBy(header *Index, own int, records []Record, effort *Effort) (int,
	error) {
	if !effort.SpendOctets(len(s.Names) * nameOctets) {
		return -1, ErrTooExpensive
	}
	fields := header.canonical(s.Header, header.pick(s.Names, own))
	for _, form := range s.Unsigned {
		if !effort.SpendOctets(sizeOf(fields) + len(form.Raw())) {
			return -1, ErrTooExpensive
		}
		digest := hashOf(s.Header, fields, form)
		if i, err := Verify(digest, s.Value, records, effort); !errors.Is(err, ErrNotVerified) {
			return i, err
		}
	}
	return -1, ErrNotVerified
}

func sizeOf(fields [][]byte) (n int) {
	for _, f := range fields {
		n += len(f)
	}
	return n
}

// Verify returns the index of the first of records whose key made a signature of digest, with the
// errors of VerifiedBy.
func Verify(digest [sha256.Size]byte, signature []byte, records []Record, effort *Effort) (int,
	error) {
	for i, r := range records {
		switch {
		case !r.Key.fits(signature):
		case !effort.Spend(r.Key):
			return -1, ErrTooExpensive
		case r.Key.Verify(digest, signature):
			return i, nil
		}
	}
	return -1, ErrNotVerified
}

// count returns how often h= lists a field.
func (s *Signature) count(name string) int {
	n := 0
	for _, listed := range s.Names {
		if strings.EqualFold(listed, name) {
			n++
		}
	}
	return n
}
