package dkim

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// ErrKey is wrapped by every error that comes from the key alone: another key may still sign.
var ErrKey = errors.New("key cannot sign")

// ErrNotHashed means that the body digests lack the one that SignOptions.BodyHash names.
var ErrNotHashed = errors.New("the body was not hashed as the signature needs it")

// Key is the key that makes a signature. Its public half is published at
// Selector._domainkey.Domain.
type Key struct {
	Domain     string        // d=
	Selector   string        // s=
	Signer     crypto.Signer // RSA of 1024 to 8,192 bits, or Ed25519
	Identifier string        // i= instead of that of SignOptions; "" for that
}

// Signing is a message ready to be signed: its fields chosen and canonical, whatever the number of
// keys. It is safe for concurrent use.
type Signing struct {
	options SignOptions
	names   []string
	fields  []byte // those that names covers, in canonical form
}

// Prepare chooses the fields of h that o asks for and canonicalizes them once for all keys. Unless
// o.KeepPlain is set, the fields of MIME that are among o.Fields are oversigned in a message that
// has none of them and no byte above 127, for which body must be complete; with a nil body they are
// not. The error is ErrNoFrom or ErrTooManyFields, or wraps ErrOptions.
func Prepare(h message.Header, body *message.Digests, o SignOptions) (*Signing, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	s, index := &Signing{options: o.withDefaults()}, NewIndex(h)
	if index.Count("From") == 0 {
		return nil, ErrNoFrom
	}
	if !o.KeepPlain && isPlain(index, h, body) {
		s.options.Oversign = slices.Concat(s.options.Oversign, mimeFields)
	}
	var err error
	if s.names, err = signedNames(index, h, s.options); err != nil {
		return nil, err
	}
	c, size := canonicalization(o.SimpleHeader), 0
	picked := index.Pick(s.names, -1)
	for _, f := range picked {
		size += len(f.Raw()) + len("\r\n")
	}
	s.fields = make([]byte, 0, size)
	for _, f := range picked {
		s.fields = c.AppendField(s.fields, f)
	}
	return s, nil
}

// Names returns the names in h=, each as often as it is there. Not to be changed.
func (s *Signing) Names() []string { return s.names }

// Sign returns the DKIM-Signature field that k makes; it belongs on top of the header. body holds
// the digest that SignOptions.BodyHash names. The error wraps ErrKey or ErrOptions, or is
// ErrNotHashed.
func (s *Signing) Sign(body *message.Digests, k Key) (message.Field, error) {
	algorithm, err := k.Algorithm()
	if err != nil {
		return message.Field{}, err
	}
	sum, hashed := body.Sum(s.options.BodyHash())
	if !hashed {
		return message.Field{}, ErrNotHashed
	}
	f, err := s.tags(algorithm, sum.SHA256, k)
	if err != nil {
		return message.Field{}, err
	}
	signature, err := s.sign(message.NewField(FieldName, f.text), k.Signer)
	if err != nil {
		return message.Field{}, err
	}
	f.chunks(base64.StdEncoding.EncodeToString(signature))
	return message.NewField(FieldName, f.text), nil
}

// Sign is Prepare and one signature.
func Sign(h message.Header, body *message.Digests, k Key, o SignOptions) (message.Field, error) {
	s, err := Prepare(h, body, o)
	if err != nil {
		return message.Field{}, err
	}
	return s.Sign(body, k)
}

// tags writes the field up to "b=", which is last and on a separate line, because only its
// value is added later.
func (s *Signing) tags(algorithm string, bodyHash [sha256.Size]byte, k Key) (*folder, error) {
	d, selector, err := k.Place()
	if err != nil {
		return nil, err
	}
	o, t := &s.options, s.options.Time.Unix()
	f := newFolder(FieldName)
	f.tag("v", "1")
	f.tag("a", algorithm)
	f.tag("c", o.canonicalization())
	f.tag("d", o.label(d))
	f.tag("s", o.label(selector))
	f.tag("t", strconv.FormatInt(t, 10))
	if o.Expiry > 0 {
		f.tag("x", strconv.FormatInt(t+int64(o.Expiry.Seconds()), 10))
	}
	if o.RequestReports {
		f.tag("r", "y")
	}
	if identifier := cmp.Or(k.Identifier, o.Identifier); identifier != "" {
		i, err := o.identifier(identifier, d)
		if err != nil {
			return nil, err
		}
		f.tag("i", i)
	}
	f.list("h", s.names)
	f.tag("bh", base64.StdEncoding.EncodeToString(bodyHash[:]))
	f.newLine()
	f.word("", "b=")
	return f, nil
}

// sign makes the signature over the fields and own, the signature field with an empty b=.
func (s *Signing) sign(own message.Field, key crypto.Signer) ([]byte, error) {
	h := sha256.New()
	h.Write(s.fields)
	line := canonicalization(s.options.SimpleHeader).AppendField(nil, own)
	h.Write(bytes.TrimSuffix(line, []byte("\r\n")))
	return SignDigest([sha256.Size]byte(h.Sum(nil)), key)
}

// SignDigest signs a SHA-256 as rsa-sha256 or ed25519-sha256 does, by the type of the key. The
// error wraps ErrKey.
func SignDigest(digest [sha256.Size]byte, key crypto.Signer) ([]byte, error) {
	hash := crypto.SHA256
	if _, pure := key.Public().(ed25519.PublicKey); pure {
		hash = 0 // RFC 8463 section 3 signs the digest as if it were the message
	}
	signature, err := key.Sign(rand.Reader, digest[:], hash)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return signature, nil
}

// Algorithm returns the a= that goes with the key. The error wraps ErrKey.
func (k Key) Algorithm() (string, error) {
	if k.Signer == nil {
		return "", fmt.Errorf("%w: there is none", ErrKey)
	}
	switch public := k.Signer.Public().(type) {
	case ed25519.PublicKey:
		return Ed25519SHA256, nil
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return "", fmt.Errorf("%w: an RSA key of %d bits; it must have %d to %d", ErrKey, bits,
				minRSABits, maxRSABits)
		}
		return RSASHA256, nil
	default:
		return "", fmt.Errorf("%w: a %T; DKIM has RSA and Ed25519", ErrKey, public)
	}
}

// Place returns where the key is published: d= and s=, in A-labels, so that neither can
// inject a tag or a line. The error wraps ErrKey.
func (k Key) Place() (d, selector domain.Name, err error) {
	if d, err = domain.Parse(k.Domain); err != nil || d.Labels() < 2 {
		return "", "", fmt.Errorf("%w: %q is not a domain", ErrKey, k.Domain)
	}
	below := "." + keyPlace + d.String()
	full, err := domain.Parse(k.Selector + below)
	if err != nil {
		return "", "", fmt.Errorf("%w: %q is not a selector", ErrKey, k.Selector)
	}
	return d, domain.Name(strings.TrimSuffix(full.String(), below)), nil
}
