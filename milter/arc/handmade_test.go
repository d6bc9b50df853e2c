package arc_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"testing"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// TestUnacceptable are chains of one set whose signatures are good.
func TestUnacceptable(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	zone := dnstest.FromMap(map[string][]string{"s._domainkey.relay.example": {"p=" +
		base64.StdEncoding.EncodeToString(der)}})
	for _, c := range []struct {
		name, tags, appended string
		minBits              int
		want                 string
	}{
		{"nothing wrong", "", "", 1024, ""},
		{"not expired", "; x=1795348801", "", 0, ""},
		{"expired", "; x=1795340000", "", 0, "the signature of instance 1 has expired"},
		{"all of the body", "; l=5", "", 0, ""},
		{"part of the body", "; l=5", "footer\r\n", 0,
			"the signature of instance 1 does not cover all of the body (l=)"},
		{"short key", "", "", 1025, "instance 1: the key has 1024 bits, and this host requires 1025"},
	} {
		raw := handmade(t, key, "a=rsa-sha256; c=relaxed/relaxed; d=relay.example; h=from; i=1; s=s; t=1795330000"+
			c.tags) + c.appended
		v := &arc.Validator{Resolver: zone, Now: testClock, MinRSABits: c.minBits}
		if got, _ := validateWith(t, t.Context(), v, raw); got.Reason != c.want ||
			(got.Value == arc.Pass) != (c.want == "") {
			t.Errorf("%s: got %s (%s), want %q", c.name, got.Value, got.Reason, c.want)
		}
	}
}

// handmade puts a set on mail whose AMS has any tags.
func handmade(t *testing.T, key crypto.Signer, tags string) string {
	t.Helper()
	h := header(t, mail)
	bodyHash := sha256.Sum256([]byte("Hi.\r\n"))
	sign := func(name, tags string, covered []message.Field) message.Field {
		unsigned := message.NewField(name, []byte(" "+tags+"; b="))
		b, err := dkim.SignDigest(dkim.HeaderHash(message.Relaxed, covered, unsigned), key)
		if err != nil {
			t.Fatal(err)
		}
		return message.NewField(name, []byte(" "+tags+"; b="+base64.StdEncoding.EncodeToString(b)))
	}
	results := message.NewField(arc.ResultsField, []byte(" i=1; mx.relay.example; none"))
	tags += "; bh=" + base64.StdEncoding.EncodeToString(bodyHash[:])
	signature := sign(arc.SignatureField, tags, []message.Field{h[1]})
	seal := sign(arc.SealField, "a=rsa-sha256; cv=none; d=relay.example; i=1; s=s",
		[]message.Field{results, signature})
	return string(seal.Raw()) + "\r\n" + string(signature.Raw()) + "\r\n" + string(results.Raw()) +
		"\r\n" + mail
}
