//go:build openssl && cgo && linux

package openssl

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"sync"

	fips "github.com/golang-fips/openssl/v2"
	"github.com/golang-fips/openssl/v2/bbig"
)

// libraries are the names of libcrypto that are tried: those of OpenSSL 3 and 1.1.1.
var libraries = []string{"libcrypto.so.3", "libcrypto.so.1.1"}

// load opens the library, once.
var load = sync.OnceValues(func() (string, error) { return open(libraries) })

// open initialises the first library that is there. That can be done once in the life of a process,
// so that one which is there and does not work is not followed by another.
func open(names []string) (string, error) {
	for _, name := range names {
		if exists, _ := fips.CheckVersion(name); !exists {
			continue
		}
		if err := fips.Init(name); err != nil {
			return "", fmt.Errorf("openssl: %s: %w", name, err)
		}
		return fips.VersionText(), nil
	}
	return "", fmt.Errorf("openssl: none of %v can be loaded", names)
}

// errNoFactors means that a key has more than two factors, which the binding does not
// support.
var errNoFactors = errors.New("openssl: the key does not have two factors")

// prepare hands a key to OpenSSL and returns what signs with it.
func prepare(key *rsa.PrivateKey) (func(digest []byte) ([]byte, error), error) {
	if len(key.Primes) != 2 {
		return nil, errNoFactors
	}
	key.Precompute()
	private, err := fips.NewPrivateKeyRSA(
		bbig.Enc(key.N), bbig.Enc(big.NewInt(int64(key.E))), bbig.Enc(key.D),
		bbig.Enc(key.Primes[0]), bbig.Enc(key.Primes[1]),
		bbig.Enc(key.Precomputed.Dp), bbig.Enc(key.Precomputed.Dq), bbig.Enc(key.Precomputed.Qinv),
	)
	if err != nil {
		return nil, fmt.Errorf("openssl: %w", err)
	}
	return func(digest []byte) ([]byte, error) {
		return fips.SignRSAPKCS1v15(private, crypto.SHA256, digest)
	}, nil
}
