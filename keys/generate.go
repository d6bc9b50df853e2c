package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// The sizes of RSA keys, in bits.
const (
	DefaultRSABits = 2048 // what every verifier takes; its record needs two strings
	MinRSABits     = 1024 // shorter keys make no valid signature (RFC 8301 section 3.2)
	SafeRSABits    = 4096 // verifiers need not take longer ones (RFC 8301 section 3.2)
	// longer ones cost a verifier too much: few take them, and Mailseal does not
	MaxRSABits = 8192
)

// Generate makes a private key. For RSA bits is the size, 0 for DefaultRSABits; for Ed25519 it says
// nothing.
func Generate(a Algorithm, bits int) (crypto.Signer, error) {
	switch a {
	case Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case RSA:
		if bits == 0 {
			bits = DefaultRSABits
		}
		if err := checkBits(bits); err != nil {
			return nil, err
		}
		return rsa.GenerateKey(rand.Reader, bits)
	}
	return nil, fmt.Errorf("%w: %q is neither %q nor %q", ErrAlgorithm, a, RSA, Ed25519)
}

func checkBits(bits int) error {
	if bits < MinRSABits || bits > MaxRSABits {
		return fmt.Errorf("%w: %d bits, must be %d to %d", ErrBits, bits, MinRSABits, MaxRSABits)
	}
	return nil
}

// Marshal writes a private key as PEM (PKCS#8, RFC 5958), which OpenSSL, OpenDKIM and we read.
func Marshal(s crypto.Signer) ([]byte, error) {
	if alg, _ := algorithm(s); alg == "" {
		return nil, fmt.Errorf("%w: %T", ErrAlgorithm, s)
	}
	der, err := x509.MarshalPKCS8PrivateKey(Unwrap(s))
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
