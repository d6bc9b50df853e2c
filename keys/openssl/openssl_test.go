package openssl

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func key(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSignatures holds that whatever signs makes the signatures that Go makes.
func TestSignatures(t *testing.T) {
	name, err := Backend()
	t.Logf("%s signs (%v)", name, err)
	for _, bits := range []int{1024, 1536, 2048, 3072, 4096} {
		k := key(t, bits)
		s := Signer(k)
		for i := range 20 {
			digest := sha256.Sum256([]byte{byte(i)})
			want, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bits: another signature, %v", bits, err)
			}
		}
		if !k.PublicKey.Equal(s.Public()) {
			t.Errorf("%d bits: another public key", bits)
		}
		if text := fmt.Sprintf("%v %+v %d", s, s, s); err == nil &&
			strings.Contains(text, k.D.String()) {
			t.Errorf("%d bits: the private key is printed", bits)
		}
	}
}

// TestOtherHashes holds that what DKIM does not use works all the same.
func TestOtherHashes(t *testing.T) {
	k := key(t, 2048)
	digest := sha512.Sum512(nil)
	signature, err := Signer(k).Sign(rand.Reader, digest[:], crypto.SHA512)
	if err != nil || rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA512, digest[:], signature) != nil {
		t.Errorf("SHA-512: %v", err)
	}
	short := sha256.Sum256(nil)
	if signature, err = Signer(k).Sign(rand.Reader, short[:],
		&rsa.PSSOptions{Hash: crypto.SHA256}); err != nil ||
		rsa.VerifyPSS(&k.PublicKey, crypto.SHA256, short[:], signature, nil) != nil {
		t.Errorf("PSS: %v", err)
	}
}

// TestOpenSSLFails holds that a signature is made when OpenSSL makes none.
func TestOpenSSLFails(t *testing.T) {
	k := key(t, 2048)
	s := &signer{k, func([]byte) ([]byte, error) { return nil, errors.New("no entropy") }}
	digest := sha256.Sum256(nil)
	signature, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil || rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA256, digest[:], signature) != nil {
		t.Errorf("no signature: %v", err)
	}
}

// TestConcurrent holds that one key may sign for many messages at once.
func TestConcurrent(t *testing.T) {
	k := key(t, 1024)
	s := Signer(k)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				digest := sha256.Sum256([]byte{byte(i), byte(j)})
				signature, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
				if err != nil || rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA256, digest[:],
					signature) != nil {
					t.Errorf("signature %d of %d: %v", j, i, err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkSign(b *testing.B) {
	k := key(b, 2048)
	digest := sha256.Sum256(nil)
	for _, how := range []struct {
		name   string
		signer crypto.Signer
	}{{"Go", k}, {"Backend", Signer(k)}} {
		b.Run(how.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := how.signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
