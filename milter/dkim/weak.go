package dkim

import (
	"crypto/rsa"
	"fmt"
	"math/big"
	"sync"
)

// Bounds of the search for factors of a modulus.
const (
	smallFactors = 1 << 16 // factors below are found
	closeSteps   = 100     // of Fermat's method; primes that were drawn apart need over 2^500 steps
)

// rocaPrimes are all that the primes of smallest ROCA keys were made of.
var rocaPrimes = []uint64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
	101, 103, 107, 109,
	113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// weakness returns why the private key can be computed from the public key k, "" when no such way
// is known here. It takes milliseconds.
func weakness(key *rsa.PublicKey) string {
	switch {
	case hasSmallFactor(key.N):
		return fmt.Sprintf("its modulus has a factor below %d", smallFactors)
	case isClose(key.N):
		return "the two primes of its modulus are next to each other (CVE-2022-26320)"
	case isROCA(key.N):
		return "it was made by a chip or library of Infineon with the flaw called ROCA (CVE-2017-15361)"
	}
	return ""
}

// isROCA reports whether a modulus has the fingerprint of ROCA keys: modulo each small prime it is
// a power of 65537, since both its primes are (Nemec, Sys, Svenda, Klinec and Matyas, "The Return
// of Coppersmith's Attack", CCS 2017, section 2.2). Of other moduli one in 2^27 has it by chance.
func isROCA(n *big.Int) bool {
	rest := new(big.Int)
	for _, p := range rocaPrimes {
		want := rest.Mod(n, new(big.Int).SetUint64(p)).Uint64()
		power, isPower := uint64(1), want == 1
		for range p {
			power = power * 65537 % p
			isPower = isPower || power == want
		}
		if !isPower {
			return false
		}
	}
	return true
}

// primorial is the product of the odd primes below smallFactors.
var primorial = sync.OnceValue(func() *big.Int {
	product, batch := big.NewInt(1), big.NewInt(1)
	for p := int64(3); p < smallFactors; p += 2 {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		if batch.Mul(batch, big.NewInt(p)); batch.BitLen() > 4096 {
			product.Mul(product, batch)
			batch.SetInt64(1)
		}
	}
	return product.Mul(product, batch)
})

// hasSmallFactor reports whether a number can be divided by one below smallFactors.
func hasSmallFactor(n *big.Int) bool {
	rest := new(big.Int).Mod(primorial(), n)
	return rest.GCD(nil, nil, rest, n).BitLen() > 1
}

// isClose reports whether a few steps of Fermat's method find the factors of a modulus.
func isClose(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	square := new(big.Int)
	for range closeSteps {
		square.Mul(a, a)
		if square.Sub(square, n); square.Sign() >= 0 && isSquare(square) {
			return true
		}
		a.Add(a, big.NewInt(1))
	}
	return false
}

// isSquare reports whether a number is a square. Its residues rule out most numbers.
func isSquare(n *big.Int) bool {
	rest := new(big.Int)
	for _, m := range []int64{64, 63, 65, 11, 17, 19, 23} {
		want, isLike := rest.Mod(n, big.NewInt(m)).Int64(), false
		for i := range m {
			isLike = isLike || i*i%m == want
		}
		if !isLike {
			return false
		}
	}
	root := rest.Sqrt(n)
	return root.Mul(root, root).Cmp(n) == 0
}

// SharesPrime reports whether two RSA keys have a prime in common and are not the same: then anyone
// can compute the private keys of both.
func (k PublicKey) SharesPrime(other PublicKey) bool {
	if k.rsa == nil || other.rsa == nil || k.rsa.N.Cmp(other.rsa.N) == 0 {
		return false
	}
	return new(big.Int).GCD(nil, nil, k.rsa.N, other.rsa.N).BitLen() > 1
}

// Moduli are RSA keys of which each is compared with all before it at once: two by two, a thousand
// keys would be half a million comparisons. The zero Moduli is empty.
type Moduli struct{ product *big.Int }

// Add adds a key, and reports whether it has a prime in common with an earlier key, or is the same.
// Only RSA keys have primes.
func (m *Moduli) Add(k PublicKey) (shares bool) {
	if k.rsa == nil || k.rsa.N.Sign() <= 0 {
		return false
	}
	if m.product == nil {
		m.product = new(big.Int).Set(k.rsa.N)
		return false
	}
	rest := new(big.Int).Mod(m.product, k.rsa.N)
	if rest.Sign() == 0 {
		return true
	}
	common := new(big.Int).GCD(nil, nil, rest, k.rsa.N)
	m.product.Mul(m.product, new(big.Int).Div(k.rsa.N, common))
	return common.BitLen() > 1
}
