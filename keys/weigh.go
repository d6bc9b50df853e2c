package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
)

// What an answer takes in memory, in bytes, as measured on a heap of them: the entry with its place
// in a map and in a list, a Key without its private key, and private keys. TestCacheBytes measures
// it again.
const (
	entryBytes   = 400
	keyBytes     = 112
	ed25519Bytes = 160
	// and 8 for each byte of the modulus: what is computed in advance grows with it
	rsaBytes     = 2900
	opensslBytes = 3000 // of OpenSSL beside it, outside of Go's heap
)

// weigh is about how many bytes an answer takes.
func weigh(q question, found []Key) int {
	n := entryBytes + q.size()
	for _, k := range found {
		n += keyBytes + len(k.Name) + len(k.Domain) + len(k.Selector)
		if k.Signer != nil {
			n += weighSigner(k.Signer)
		}
	}
	return n
}

func weighSigner(s crypto.Signer) int {
	switch private := Unwrap(s).(type) {
	case ed25519.PrivateKey:
		return ed25519Bytes
	case *rsa.PrivateKey:
		n := rsaBytes + 8*private.Size()
		if _, isGo := s.(*rsa.PrivateKey); !isGo {
			n += opensslBytes
		}
		return n
	}
	return rsaBytes
}
