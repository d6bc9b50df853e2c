package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"io"
	"math/big"
	"math/rand/v2"
)

// key is an RSA key of many primes: one of 8192 bits is made, and signs, in milliseconds. It proves
// nothing to anyone.
type key struct {
	public *rsa.PublicKey
	primes []*big.Int
	d      []*big.Int // the private exponent for each
}

// primeBits is the size of each prime.
const primeBits = 512

// newKey makes a key of nearly so many bits: the product of primes may be a few short.
func newKey(random *rand.Rand, bits, exponent int) *key {
	k := &key{public: &rsa.PublicKey{N: big.NewInt(1), E: exponent}}
	e, one := big.NewInt(int64(exponent)), big.NewInt(1)
	for len(k.primes) < bits/primeBits {
		p := prime(random)
		d := new(big.Int).ModInverse(e, new(big.Int).Sub(p, one))
		if d == nil {
			continue
		}
		k.primes, k.d = append(k.primes, p), append(k.d, d)
		k.public.N.Mul(k.public.N, p)
	}
	return k
}

// prime returns one near the top of its size, so that products of such are as long as they can be.
func prime(random *rand.Rand) *big.Int {
	for {
		p := new(big.Int)
		for i := range primeBits {
			if i == 0 || i >= primeBits-6 || random.IntN(2) == 1 {
				p.SetBit(p, i, 1)
			}
		}
		if p.ProbablyPrime(1) {
			return p
		}
	}
}

// Public implements crypto.Signer.
func (k *key) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer: PKCS #1 v1.5 with SHA-256, by the Chinese remainder theorem.
func (k *key) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	prefix := []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
		0x02, 0x01, 0x05, 0x00, 0x04, 0x20}
	padded := make([]byte, k.public.Size())
	for i := range padded {
		padded[i] = 0xff
	}
	t := append(prefix, digest...)
	padded[0], padded[1], padded[len(padded)-len(t)-1] = 0, 1, 0
	copy(padded[len(padded)-len(t):], t)
	m, x, modulus := new(big.Int).SetBytes(padded), new(big.Int), big.NewInt(1)
	for i, p := range k.primes {
		r := new(big.Int).Exp(new(big.Int).Mod(m, p), k.d[i], p)
		step := new(big.Int).Sub(r, x)
		step.Mul(step, new(big.Int).ModInverse(modulus, p)).Mod(step, p)
		x.Add(x, step.Mul(step, modulus))
		modulus = new(big.Int).Mul(modulus, p)
	}
	return x.FillBytes(make([]byte, len(padded))), nil
}

// record is the text that publishes the key.
func (k *key) record() string {
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		panic(err) // it takes every RSA key
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// ring makes each key once: the right one, and one of its size for the other records.
type ring map[[2]int][2]*key

func (r ring) get(bits, exponent int) (right, other *key) {
	at := [2]int{bits, exponent}
	if _, known := r[at]; !known {
		random := rand.New(rand.NewPCG(uint64(bits), uint64(exponent)))
		r[at] = [2]*key{newKey(random, bits, exponent), newKey(random, bits, exponent)}
	}
	return r[at][0], r[at][1]
}
