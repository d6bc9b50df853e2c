// Package keys defines signing keys, and the interfaces of sources of keys and of signing tables.
// It makes keys, reads them in every form that mail administrators keep them in, and writes their
// DNS records.
package keys

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
)

// ErrNotFound means that the source has no key of that name. Any other error means that the
// source could not find out.
var ErrNotFound = errors.New("no such key")

// ErrNone means that the domain has no key, in a source where each domain may have one, so
// that its mail is not signed. It is not a failure of the source.
var ErrNone = errors.New("the domain has no key")

// Key is one private key and the place where its public half is published:
// Selector._domainkey.Domain (RFC 6376 section 3.6.2.1). However it is printed, logged or encoded,
// the private key stays out.
type Key struct {
	Name     string // its name in the key table
	Domain   string // the d= tag
	Selector string // the s= tag
	// *rsa.PrivateKey or ed25519.PrivateKey, or what Unwrap returns one of those from
	Signer crypto.Signer
}

// Source finds keys by their name in the key table. It is safe for concurrent use.
type Source interface {
	Key(ctx context.Context, name string) (Key, error)
}

// ByDomain is a Source in which some names refer to a separate key for each author's
// domain. For such a name KeyFor returns the key of the domain, given in A-labels, or
// ErrNone if it has none. For other names it returns the same as Key.
type ByDomain interface {
	Source
	KeyFor(ctx context.Context, name, domain string) (Key, error)
}

// For returns the key of a name for mail of an author's domain.
func For(ctx context.Context, s Source, name, domain string) (Key, error) {
	if by, ok := s.(ByDomain); ok {
		return by.KeyFor(ctx, name, domain)
	}
	return s.Key(ctx, name)
}

// Algorithm is a kind of key, by its name in the k= tag (RFC 6376 section 3.6.1, RFC 8463 section
// 4).
type Algorithm string

// The algorithms. RSA is what every receiver verifies; Ed25519 is a second signature for those who
// can (RFC 8463 section 5).
const (
	RSA     Algorithm = "rsa"
	Ed25519 Algorithm = "ed25519"
)

// Algorithm returns what kind of key it is, and its size in bits; "" when it holds none or one that
// DKIM does not know.
func (k Key) Algorithm() (Algorithm, int) { return algorithm(k.Signer) }

func algorithm(s crypto.Signer) (Algorithm, int) {
	switch s := Unwrap(s).(type) {
	case *rsa.PrivateKey:
		return RSA, s.N.BitLen()
	case ed25519.PrivateKey:
		return Ed25519, 256
	}
	return "", 0
}

// Unwrap returns the key inside a signer that wraps one, such as a signer of package
// openssl. It returns any other signer unchanged.
func Unwrap(s crypto.Signer) crypto.Signer {
	if w, ok := s.(interface{ Unwrap() crypto.Signer }); ok {
		return w.Unwrap()
	}
	return s
}

// same reports whether two keys have the same private key.
func (k Key) same(other Key) bool {
	private, ok := Unwrap(k.Signer).(interface{ Equal(crypto.PrivateKey) bool })
	return ok && private.Equal(Unwrap(other.Signer))
}

// String names the key without showing it: "mail._domainkey.example.com (rsa 2048)".
func (k Key) String() string {
	alg, bits := k.Algorithm()
	if alg == "" {
		alg = "no key"
	}
	return fmt.Sprintf("%s._domainkey.%s (%s %d)", k.Selector, k.Domain, alg, bits)
}

// Format answers every verb of fmt with String: %+v and %d would otherwise walk into the private
// half.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue answers slog with String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText answers encoders with String.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
