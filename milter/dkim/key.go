package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"math/big"
)

// The signature algorithms that are made and believed (RFC 8301 section 3.1, RFC 8463 section 3).
const (
	RSASHA256     = "rsa-sha256"
	Ed25519SHA256 = "ed25519-sha256"
)

// PublicKey is the public half of a signing key: RSA of 1024 to 8,192 bits or Ed25519.
type PublicKey struct {
	rsa     *rsa.PublicKey
	ed25519 ed25519.PublicKey
}

// Algorithm returns the value of a= that goes with the key.
func (k PublicKey) Algorithm() string {
	if k.rsa != nil {
		return RSASHA256
	}
	return Ed25519SHA256
}

// Bits returns the size of the key: of the modulus for RSA, 256 for Ed25519.
func (k PublicKey) Bits() int {
	if k.rsa != nil {
		return k.rsa.N.BitLen()
	}
	return 8 * len(k.ed25519)
}

// Verify reports whether signature was made with the private key of k over digest, a SHA-256.
func (k PublicKey) Verify(digest [32]byte, signature []byte) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest[:], signature) == nil
	}
	return ed25519.Verify(k.ed25519, digest[:], signature)
}

// Made reports whether the private key of k made signature, whatever it signed. Only RSA lets that
// be seen, by the padding; known is false for Ed25519.
func (k PublicKey) Made(signature []byte) (made, known bool) {
	if k.rsa == nil {
		return false, false
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(k.rsa.N) >= 0 {
		return false, true
	}
	padded := s.Exp(s, big.NewInt(int64(k.rsa.E)), k.rsa.N).FillBytes(make([]byte, k.rsa.Size()))
	return padded[0] == 0 && padded[1] == 1 && padded[2] == 0xff && padded[3] == 0xff, true
}
