package dkim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"slices"
	"testing"

	"mailseal/milter/lint"
)

// keyRecord is the record of a modulus.
func keyRecord(t *testing.T, n *big.Int) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// primeAfter is the next number of a row that is a prime.
func primeAfter(n, step *big.Int) *big.Int {
	for n = new(big.Int).Set(n); !n.ProbablyPrime(20); n.Add(n, step) {
	}
	return n
}

// rocaPrime is a prime as the flawed chips make it: k*M + (65537^a mod M), with M the product of
// the smallest primes.
func rocaPrime(t *testing.T, a int64) *big.Int {
	t.Helper()
	m := big.NewInt(2)
	for _, p := range rocaPrimes {
		m.Mul(m, new(big.Int).SetUint64(p))
	}
	near, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 510))
	if err != nil {
		t.Fatal(err)
	}
	k := near.SetBit(near, 510, 1).SetBit(near, 511, 1).Div(near, m)
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(a), m)
	return primeAfter(n.Add(n, k.Mul(k, m)), m)
}

// TestWeakKeys names keys whose private key anyone can compute, and no others.
func TestWeakKeys(t *testing.T) {
	draw := func() *big.Int {
		p, err := rand.Prime(rand.Reader, 512)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, q, r := draw(), draw(), draw()
	times := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	for name, tt := range map[string]struct {
		n    *big.Int
		weak bool
	}{
		"sound":           {times(p, q), false},
		"ROCA":            {times(rocaPrime(t, 12345), rocaPrime(t, 99991)), true},
		"half of it ROCA": {times(rocaPrime(t, 777), q), false},
		"close primes":    {times(p, primeAfter(new(big.Int).Add(p, big.NewInt(2)), big.NewInt(2))), true},
		"a square":        {times(p, p), true},
		"a small factor":  {times(times(p, q), big.NewInt(65521)), true},
	} {
		text := keyRecord(t, tt.n)
		isWeak := slices.ContainsFunc(Lint(text),
			func(f lint.Flaw) bool { return f.Code == FlawWeak })
		if isWeak != tt.weak {
			t.Errorf("%s: weak: %v, want %v: %v", name, isWeak, tt.weak, Lint(text))
		}
		if repaired := Repair(text); repaired != text {
			t.Errorf("%s: %q is proposed for %q", name, repaired, text)
		}
	}
	parse := func(n *big.Int) PublicKey {
		record, err := ParseRecord(keyRecord(t, n))
		if err != nil {
			t.Fatal(err)
		}
		return record.Key
	}
	one, two := parse(times(p, q)), parse(times(p, r))
	if !one.SharesPrime(two) || one.SharesPrime(one) ||
		one.SharesPrime(parse(times(draw(), draw()))) {
		t.Error("keys with a prime in common are not told from others")
	}
	var m Moduli
	for i, tt := range []struct {
		n      *big.Int
		shares bool
	}{
		{times(p, q), false},
		{times(draw(), draw()), false},
		{times(p, r), true},
		{times(p, q), true},
		{times(r, draw()), true}, // the prime came in with a key that shared its other one
		{times(draw(), draw()), false},
	} {
		if got := m.Add(parse(tt.n)); got != tt.shares {
			t.Errorf("key %d: shares a prime: %v, want %v", i, got, tt.shares)
		}
	}
}
