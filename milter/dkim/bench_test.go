package dkim_test

import (
	"strings"
	"testing"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// benchBody makes a message of 4 KB.
var benchBody = strings.Repeat(
	"Some text of a usual line that is about seventy octets long, more or less\r\n", 45)

func benchDigests(o dkim.SignOptions) *message.Digests {
	d := message.NewDigests([]message.BodyHash{o.BodyHash()})
	d.Write([]byte(benchBody))
	d.Close()
	return d
}

func BenchmarkSign(b *testing.B) {
	h := parseHeader(b, submission)
	for _, c := range []struct {
		name string
		keys []dkim.Key
	}{{"RSA-2048", []dkim.Key{rsaSigner()}}, {"Ed25519", []dkim.Key{edSigner()}},
		{"both", []dkim.Key{rsaSigner(), edSigner()}}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o := dkim.SignOptions{Time: testTime}
				s, err := dkim.Prepare(h, nil, o)
				if err != nil {
					b.Fatal(err)
				}
				digests := benchDigests(o)
				for _, k := range c.keys {
					if _, err := s.Sign(digests, k); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		name string
		key  dkim.Key
	}{{"RSA-2048", rsaSigner()}, {"Ed25519", edSigner()}} {
		value := sign(b, submission, benchBody, c.key, dkim.SignOptions{})
		h := parseHeader(b, dkim.FieldName+":"+value+"\r\n"+strings.Replace(submission,
			"DKIM-Signature: v=1\r\n", "", 1))
		v := &dkim.Verifier{Resolver: signers(b), Now: testClock}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x := v.Select(h, "example.com")
				digests := message.NewDigests(x.BodyHashes())
				digests.Write([]byte(benchBody))
				digests.Close()
				if r := x.Run(b.Context(), &message.Message{Header: h,
					Body: digests}); r[0].Value != dkim.Pass {
					b.Fatal(r)
				}
			}
		})
	}
}

// BenchmarkManySignatures is what a stranger's header of 10,000 signatures costs.
func BenchmarkManySignatures(b *testing.B) {
	h := parseHeader(b, strangers(10000)+mailHeader)
	v := &dkim.Verifier{Resolver: signers(b), Now: testClock}
	b.ReportAllocs()
	for b.Loop() {
		judge(b, v, h, "example.com")
	}
}

// BenchmarkManyNames is an h= of 9,999 names over a header of 10,000 fields.
func BenchmarkManyNames(b *testing.B) {
	h := parseHeader(b, strings.Repeat("X-A: b\r\nX-B: c\r\n", 5000))
	index, names := dkim.NewIndex(h), strings.Split(strings.Repeat("X-A:x-b:X-C:", 3333), ":")
	for b.Loop() {
		index.Pick(names, -1)
	}
}
