package dkim_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// rsaKey is the key of testdata, of 2,048 bits; it is published nowhere.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	text, err := os.ReadFile("testdata/rsa2048.pem")
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key
})

// edKey is the key of RFC 8463 appendix A.2.
var edKey = sync.OnceValue(func() ed25519.PrivateKey {
	seed, err := base64.StdEncoding.DecodeString("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
	if err != nil {
		panic(err)
	}
	return ed25519.NewKeyFromSeed(seed)
})

// record returns the p= and k= tags of a key.
func record(t testing.TB, key crypto.Signer) string {
	t.Helper()
	if public, ok := key.Public().(ed25519.PublicKey); ok {
		return "k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return "k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// Header and body of the mail that most tests sign.
const (
	mailHeader = "From: Joe <joe@example.com>\r\nTo: ann@example.org\r\nSubject: hello\r\n"
	mailBody   = "Hi.\r\n\r\nBye.\r\n"
)

// testTime is when the tests take place.
var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func testClock() time.Time { return testTime }

// forge makes a message with a signature of the given tags, whatever they are; bh= and b= come
// last, and right. It stands apart from Sign, which would not make most of what verifiers have to
// cope with.
func forge(t testing.TB, key crypto.Signer, tags, header, body string) []byte {
	t.Helper()
	h := parseHeader(t, header)
	s, _ := dkim.ParseSignature(message.NewField(dkim.FieldName, []byte(" "+tags)))
	digests := message.NewDigests([]message.BodyHash{s.BodyHashWanted()})
	digests.Write([]byte(body))
	digests.Close()
	sum, _ := digests.Sum(s.BodyHashWanted())
	value := " " + tags + "; bh=" + base64.StdEncoding.EncodeToString(sum.SHA256[:]) + "; b="
	own := message.NewField(dkim.FieldName, []byte(value))
	digest := dkim.HeaderHash(s.Header, dkim.NewIndex(h).Pick(s.Names, -1), own)
	signature, err := dkim.SignDigest(digest, key)
	if err != nil {
		t.Fatal(err)
	}
	value += base64.StdEncoding.EncodeToString(signature)
	return []byte(dkim.FieldName + ":" + value + "\r\n" + header + "\r\n" + body)
}

// signatureField returns the first line of what forge makes of the usual mail.
func signatureField(t testing.TB, tags string) string {
	line, _, _ := strings.Cut(string(forge(t, rsaKey(), tags, mailHeader, mailBody)), "\r\n")
	return line + "\r\n"
}

func parseHeader(t testing.TB, text string) message.Header {
	t.Helper()
	m, err := message.Read(strings.NewReader(text+"\r\n"), 10<<20,
		func(message.Header) []message.BodyHash { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return m.Header
}

// verify runs both phases over a whole message.
func verify(t testing.TB, v *dkim.Verifier, raw []byte) []dkim.Result {
	t.Helper()
	var x *dkim.Verification
	m, err := message.Read(bytes.NewReader(raw), 10<<20, func(h message.Header) []message.BodyHash {
		author, _ := h.Author()
		x = v.Select(h, author.Domain)
		return x.BodyHashes()
	})
	if err != nil {
		t.Fatal(err)
	}
	return x.Run(t.Context(), m)
}

// verifyOne is verify for a message of one signature whose key is published at
// sel._domainkey.example.com.
func verifyOne(t testing.TB, v *dkim.Verifier, raw []byte, records ...string) dkim.Result {
	t.Helper()
	return only(t, verify(t, with(v, records...), raw))
}

// with returns v with a fixed clock and records as the key of sel and example.com.
func with(v *dkim.Verifier, records ...string) *dkim.Verifier {
	v.Resolver = dnstest.FromMap(map[string][]string{"sel._domainkey.example.com": records})
	if v.Now == nil {
		v.Now = testClock
	}
	return v
}

func only(t testing.TB, results []dkim.Result) dkim.Result {
	t.Helper()
	if len(results) != 1 {
		t.Fatalf("%d results, want 1", len(results))
	}
	return results[0]
}

// summary is what a failed test prints of results.
func summary(results []dkim.Result) []string {
	var all []string
	for _, r := range results {
		all = append(all, string(r.Value)+": "+r.Reason)
	}
	return all
}

func values(results []dkim.Result) []dkim.Value {
	var all []dkim.Value
	for _, r := range results {
		all = append(all, r.Value)
	}
	return all
}

// pkcs1 returns the public half of key as RFC 6376 section 3.6.1 has it for p=.
func pkcs1(key *rsa.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key.PublicKey))
}

// hugeKey returns an RSAPublicKey with a modulus of so many bits, which need not be a product of
// primes.
func hugeKey(bits int, exponent int) string {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.SetBit(n, 0, 1)
	return base64.StdEncoding.EncodeToString(
		x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: n, E: exponent}))
}
