package keydns

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"

	"mailseal/keys"
)

// fingerprint names the key that a record shows, so that its owner can find the file that it
// belongs to.
func fingerprint(text string) string {
	raw, err := base64.StdEncoding.DecodeString(publicKey(text))
	if err != nil {
		return "which cannot be read"
	}
	var public crypto.PublicKey = ed25519.PublicKey(raw)
	if len(raw) != ed25519.PublicKeySize {
		if public, err = x509.ParsePKIXPublicKey(raw); err != nil {
			public, err = x509.ParsePKCS1PublicKey(raw)
		}
	}
	if err != nil {
		return "which cannot be read"
	}
	out, err := keys.FingerprintOf(public)
	if err != nil {
		return "which cannot be read"
	}
	return out
}
