// Package openssl has RSA keys sign with the OpenSSL of the host, which takes a third to a half of
// the processor time that Go's own implementation takes. Only a build with cgo and the tag
// "openssl" can do so; it loads libcrypto when it is first needed, and falls back to Go's
// implementation if it finds no usable one. RSASSA-PKCS1-v1_5 is deterministic (RFC 8017 section
// 8.2): both make the same signatures.
package openssl

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// ErrNotBuilt means that this build cannot load OpenSSL.
var ErrNotBuilt = errors.New("openssl: not part of this build")

// Backend returns the implementation that signs with RSA keys: "OpenSSL 3.0.17", or "Go"
// with the reason why OpenSSL is not used. It loads OpenSSL if that has not happened yet.
func Backend() (name string, err error) {
	version, err := load()
	if err != nil {
		return "Go", err
	}
	return version, nil
}

// Signer returns a signer that makes the same signatures as key, by OpenSSL where that can be
// loaded; else key itself.
func Signer(key *rsa.PrivateKey) crypto.Signer {
	if _, err := load(); err != nil {
		return key
	}
	sign, err := prepare(key)
	if err != nil {
		sayOnce(err)
		return key
	}
	return &signer{key, sign}
}

// signer is a key whose signatures are made by OpenSSL.
type signer struct {
	key  *rsa.PrivateKey
	sign func(digest []byte) ([]byte, error)
}

// Public implements crypto.Signer.
func (s *signer) Public() crypto.PublicKey { return s.key.Public() }

// Unwrap returns the key itself.
func (s *signer) Unwrap() crypto.Signer { return s.key }

// Sign implements crypto.Signer. What is not PKCS #1 v1.5 with SHA-256, and what OpenSSL fails at,
// is left to Go.
func (s *signer) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if _, isPSS := o.(*rsa.PSSOptions); isPSS || o.HashFunc() != crypto.SHA256 ||
		len(digest) != crypto.SHA256.Size() {
		return s.key.Sign(random, digest, o)
	}
	signature, err := s.sign(digest)
	if err != nil {
		sayOnce(err)
		return s.key.Sign(random, digest, o)
	}
	return signature, nil
}

// Format keeps the private key out of whatever prints a signer.
func (s *signer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("an RSA key")) }

var once sync.Once

// sayOnce logs that OpenSSL fails. The callers do not learn of it: the signature is made all the
// same.
func sayOnce(err error) {
	once.Do(func() {
		slog.Warn(
			"OpenSSL does not sign; Go's implementation does, at two to four times the processor time", "error", err)
	})
}
