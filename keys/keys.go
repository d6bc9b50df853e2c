// Package keys says what a signing key is, where keys come from, and what a source of keys and a signing table answer.
package keys

import (
	"context"
	"crypto"
	"errors"
)

// ErrNotFound says that a source knows no key of that name. Any other error of a source means that it could not find
// out.
var ErrNotFound = errors.New("keys: no such key")

// Key is one private key and the place where its public half is published: Selector._domainkey.Domain (RFC 6376
// section 3.6.2.1).
type Key struct {
	Name     string        // its name in the key table
	Domain   string        // the d= tag
	Selector string        // the s= tag
	Signer   crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey
}

// Source finds keys by their name in the key table. It is safe for concurrent use.
type Source interface {
	Key(ctx context.Context, name string) (Key, error)
}
