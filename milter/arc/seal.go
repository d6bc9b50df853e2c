package arc

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// ErrNoMore means that no set may be added to a chain: it was sealed as failed, or has 50
// sets.
var ErrNoMore = errors.New("no more sets may be added")

// SealOptions configures how a set is made. The zero value is the default: relaxed/relaxed,
// and the fields that DKIM signs.
type SealOptions struct {
	// covered by the AMS when present, every instance; nil for dkim's default and DKIM-Signature
	Fields []string
	Omit   []string  // left out though of Fields
	Time   time.Time // t=; the zero Time for now
}

// BodyHash is the digest of the body that Seal needs.
func (o SealOptions) BodyHash() message.BodyHash {
	return message.BodyHash{Canonicalization: message.Relaxed, Limit: message.Whole}
}

// Covers reports whether the AMS covers the fields of a name that a message has.
func (o SealOptions) Covers(name string) bool {
	return slices.ContainsFunc(o.fields(), func(n string) bool {
		return strings.EqualFold(n, name)
	})
}

// fields returns the names that the AMS may cover. A sealer covers no Authentication-Results, which
// the next host may strip, and no ARC field, which the seal covers (RFC 8617 section 4.1.2).
func (o SealOptions) fields() []string {
	names := o.Fields
	if names == nil {
		names = append(dkim.DefaultFields(), dkim.FieldName)
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		isOmitted := slices.ContainsFunc(o.Omit,
			func(n string) bool { return strings.EqualFold(n, name) })
		name = strings.ToLower(name)
		return isOmitted || name == "authentication-results" || strings.HasPrefix(name, "arc-")
	})
}

// Seal returns the next set, ARC-Seal, AMS and AAR from the top, for a message with header h as it
// will be below them. Chain is what validating the message came to, payload the content of the AAR:
// an Authentication-Results value in one line. The error is ErrNoMore, dkim.ErrNotHashed or
// dkim.ErrTooManyFields, or wraps dkim.ErrKey.
func Seal(h message.Header, body *message.Digests, chain Result, payload string, k dkim.Key,
	o SealOptions) ([]message.Field, error) {
	below := readChain(h)
	i := len(below.links) + 1
	if chain.Sealed || below.sealed() || i > maxSets {
		return nil, ErrNoMore
	}
	sum, hashed := body.Sum(o.BodyHash())
	if !hashed {
		return nil, dkim.ErrNotHashed
	}
	s, err := newSealer(i, k, o)
	if err != nil {
		return nil, err
	}
	results := field(ResultsField, sentences("i="+s.instance+"; "+payload))
	signature, err := s.signature(h, sum.SHA256)
	if err != nil {
		return nil, err
	}
	covered := []message.Field{results, signature}
	if chain.Value != Fail { // what fails covers only itself (RFC 8617 section 5.1.2)
		covered = append(below.fields(), covered...)
	}
	seal, err := s.seal(covered, chain.Value)
	if err != nil {
		return nil, err
	}
	return []message.Field{seal, signature, results}, nil
}

// fields returns the fields of all sets in the order in which a seal covers them.
func (c *chain) fields() []message.Field {
	var all []message.Field
	for _, l := range c.links {
		all = append(all, l.fields[:]...)
	}
	return all
}

// sealer makes the fields of one set.
type sealer struct {
	instance, algorithm, domain, selector, time string

	key    dkim.Key
	covers []string
}

func newSealer(i int, k dkim.Key, o SealOptions) (*sealer, error) {
	algorithm, err := k.Algorithm()
	if err != nil {
		return nil, err
	}
	d, selector, err := k.Place()
	if err != nil {
		return nil, err
	}
	if o.Time.IsZero() {
		o.Time = time.Now()
	}
	return &sealer{
		instance: strconv.Itoa(i), algorithm: algorithm, domain: d.String(),
		selector: selector.String(),
		time:     strconv.FormatInt(o.Time.Unix(), 10), key: k, covers: o.fields(),
	}, nil
}

// signature makes the AMS over what h has of the fields to cover (RFC 8617 section 5.1.1).
func (s *sealer) signature(h message.Header, bodyHash [sha256.Size]byte) (message.Field, error) {
	index := dkim.NewIndex(h)
	var names []string
	for _, name := range s.covers {
		names = append(names, slices.Repeat([]string{name}, index.Count(name))...)
	}
	if len(names) > maxNames {
		return message.Field{}, dkim.ErrTooManyFields
	}
	tags := []string{
		"bh=" + base64.StdEncoding.EncodeToString(bodyHash[:]), "c=relaxed/relaxed", "d=" +
			s.domain,
		"h=" + strings.Join(names, ":"), "i=" + s.instance, "s=" + s.selector, "t=" + s.time,
	}
	return s.sign(SignatureField, tags, index.Pick(names, -1))
}

// maxNames is how many names the h= of an AMS of ours may have.
const maxNames = 1000

// seal makes the AS over fields.
func (s *sealer) seal(fields []message.Field, chain Value) (message.Field, error) {
	tags := []string{
		"cv=" + string(chain), "d=" + s.domain, "i=" + s.instance, "s=" + s.selector, "t=" + s.time,
	}
	return s.sign(SealField, tags, fields)
}

// sign signs fields and the field that is made of a=, b= and tags, in the order of the alphabet.
// The field is folded only where it has a space anyway, which makes no difference to the relaxed
// form that is signed.
func (s *sealer) sign(name string, tags []string, fields []message.Field) (message.Field, error) {
	list := func(b string) []string {
		var words []string
		for _, tag := range slices.Concat([]string{"a=" + s.algorithm, "b=" + b}, tags) {
			words = append(words, split(tag+";")...)
		}
		words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], ";")
		return words
	}
	unsigned := message.NewField(name, []byte(" "+strings.Join(list(""), " ")))
	signature, err := dkim.SignDigest(dkim.HeaderHash(message.Relaxed, fields, unsigned),
		s.key.Signer)
	if err != nil {
		return message.Field{}, err
	}
	return field(name, list(base64.StdEncoding.EncodeToString(signature))), nil
}
