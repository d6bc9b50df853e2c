package dkim

import (
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"sync"
	"testing"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// TestCost holds that a key costs at least what it takes, measured in verifications with RSA-2048
// and 65537.
func TestCost(t *testing.T) {
	for _, c := range []struct {
		bits, exponent int
		least, most    float64 // units
	}{
		{1024, 65537, 0.25, 0.4},
		{2048, 65537, 1, 1},
		{2048, 3, 0.48, 0.6},
		{2048, 1<<31 - 1, 2.4, 2.7},
		{3072, 65537, 5.4, 6},
		{4096, 65537, 9.2, 11},
		{4096, 1<<31 - 1, 23.9, 27},
		{8192, 3, 15.7, 22},
		{8192, 65537, 35.7, 42},
		{8192, 1<<31 - 1, 94, 105},
	} {
		n := new(big.Int).Lsh(big.NewInt(1), uint(c.bits-1))
		k := PublicKey{rsa: &rsa.PublicKey{N: n, E: c.exponent}}
		if got := float64(k.cost()) / unitCost; got < c.least || got > c.most {
			t.Errorf("%d bits, exponent %d: %.2f units, want %.2f to %.2f", c.bits, c.exponent, got,
				c.least, c.most)
		}
	}
}

// counted counts the octets that are hashed.
type counted struct {
	hash.Hash
	octets *int
}

func (c counted) Write(p []byte) (int, error) {
	*c.octets += len(p)
	return c.Hash.Write(p)
}

// countHashed has n count the octets of headers that are hashed until the test ends.
func countHashed(t *testing.T, n *int) {
	t.Helper()
	before := hashers.New
	hashers = sync.Pool{New: func() any { return &hasher{hash: counted{sha256.New(), n}} }}
	t.Cleanup(func() { hashers = sync.Pool{New: before} })
}

// TestHeaderOctets: however much of a header each of many signatures covers, in however many forms,
// what is hashed stays within the effort of a message.
func TestHeaderOctets(t *testing.T) {
	key := record(t)
	for _, c := range []struct{ fields, size, names int }{
		{1, 900_000, 1},
		{90, 10_000, 90},
		{9000, 50, 9000},
		{20_000, 1, 9990},
	} {
		for _, form := range []string{"relaxed", "simple"} {
			t.Run(fmt.Sprint(c, form), func(t *testing.T) {
				hashed := 0
				countHashed(t, &hashed)
				results, size := judgeMany(t, c.fields, c.size, c.names, form, key)
				if most := EffortUnits * unitOctets; hashed == 0 || hashed > most {
					t.Errorf("%d octets of a header of %d were hashed, want at most %d", hashed,
						size, most)
				}
				if last := results[len(results)-1]; size*20 > EffortUnits*unitOctets &&
					last.Value != Policy {
					t.Errorf("the last signature is %s: %s, want policy", last.Value, last.Reason)
				}
			})
		}
	}
}

func record(t *testing.T) string {
	t.Helper()
	return "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/" +
		"zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
}

// judgeMany judges ten signatures, each in two forms, that no key made, over fields of which h=
// covers so many.
func judgeMany(t *testing.T, fields, size, names int, form, key string) ([]Result, int) {
	t.Helper()
	h := message.Header{message.NewField("From", []byte(" joe@example.com"))}
	for range fields {
		h = append(h, message.NewField("X-F", []byte(" "+strings.Repeat("a\t", size/2+1))))
	}
	text := " v=1; a=rsa-sha256; c=" + form + "/simple; d=example.com; s=s; h=from" +
		strings.Repeat(":x-f", names) +
		"; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b= " + strings.Repeat("A", 170) + "=="
	for range 10 {
		h = append(h, message.NewField(FieldName, []byte(text)))
	}
	octets := 0
	for _, f := range h {
		octets += len(f.Raw()) + 2
	}
	zone := dnstest.FromMap(map[string][]string{"s._domainkey.example.com": {key}})
	x := (&Verifier{Resolver: zone}).Select(h, "example.com")
	body := message.NewDigests(x.BodyHashes())
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	return x.Run(t.Context(), &message.Message{Header: h, Body: body}), octets
}

// TestCanonicalOnce holds that a field is canonicalized once, however many signatures cover it.
func TestCanonicalOnce(t *testing.T) {
	h := message.Header{message.NewField("From", []byte(" joe@example.com")),
		message.NewField("X", []byte(" "+strings.Repeat("a\t", 5000)))}
	index := NewIndex(h)
	first := index.canonical(message.Relaxed, []int32{0, 1})
	again := index.canonical(message.Relaxed, []int32{1, 0})
	for i := range h {
		if want := message.Relaxed.AppendField(nil, h[i]); string(first[i]) != string(want) {
			t.Errorf("field %d is %q", i, first[i])
		}
		if &first[i][0] != &again[1-i][0] {
			t.Errorf("field %d was canonicalized twice", i)
		}
	}
}

// TestLongRecord: what is beside a key costs next to nothing.
func TestLongRecord(t *testing.T) {
	if _, err := ParseRecord(record(t) + "; n=" + strings.Repeat("x", 3000)); err != nil {
		t.Error(err)
	}
	if r, err := ParseRecord(record(t) + "; n=" + strings.Repeat("x", maxRecordText)); err == nil {
		t.Errorf("a record of %d octets was read", len(r.Text))
	}
}
