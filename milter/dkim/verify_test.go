package dkim_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

func TestResult(t *testing.T) {
	tags := goodTags + "; i=Joe@Sub.EXAMPLE.com; t=1795348000; x=1795349000"
	raw := forge(t, rsaKey(), tags, mailHeader, mailBody)
	got := verifyOne(t, &dkim.Verifier{}, raw, "v=DKIM1; t=y; "+record(t, rsaKey()))
	want := dkim.Result{
		Value: dkim.Pass, Domain: "example.com", Selector: "sel", Identifier: "Joe@sub.example.com",
		Algorithm: "rsa-sha256", Bits: 2048, Testing: true, Canonicalization: "relaxed/relaxed", HeaderB: got.HeaderB,
	}
	e := got.Evidence
	got.Evidence = dkim.Evidence{}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(got.HeaderB) != 8 {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if !e.Checked || !e.HeaderIntact || !e.BodyIntact || e.OtherKey ||
		e.BodyLength != int64(len(mailBody)) || e.Key != dkim.KeyUsable ||
		!strings.HasPrefix(e.Record, "v=DKIM1; t=y;") || e.Signed.Unix() != 1795348000 ||
		e.Expires.Unix() != 1795349000 {
		t.Errorf("evidence %+v", e)
	}
	properties := fmt.Sprint(got.Properties())
	if want := "[{header d example.com} {header i Joe@sub.example.com} {header s sel} {header a " +
		"rsa-sha256} {header b " + got.HeaderB + "}]"; properties != want {
		t.Errorf("properties %s, want %s", properties, want)
	}
}

func TestFailureReasons(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ed := strings.Replace(goodTags, "rsa-", "ed25519-", 1)
	rsaMail := string(forge(t, rsaKey(), goodTags, mailHeader, mailBody))
	edMail := string(forge(t, edKey(), ed, mailHeader, mailBody))
	for _, c := range []struct{ name, mail, old, new, record, reason string }{
		{"body", rsaMail, "Bye", "bye", record(t, rsaKey()), "the body was changed after signing"},
		{"header", rsaMail, "hello", "Hello", record(t, rsaKey()),
			"a signed header field was changed, added or removed after signing"},
		{"both", rsaMail, "ello\r\n\r\nHi", "\r\n\r\nHo", record(t, rsaKey()),
			"the body was changed after signing; a signed header field was changed, added or removed after signing"},
		{"key", rsaMail, "", "", record(t, other), "the published key is not the one that signed"},
		{"key of another size", rsaMail, "", "", "p=" + hugeKey(1024, 65537),
			"the published key is not the one that signed"},
		{"Ed25519 header", edMail, "hello", "Hello", record(t, edKey()),
			"a signed header field was changed, or the published key is not the one that signed"},
		{"signature of another length", edMail, " b=", " b=AAAA", record(t, edKey()),
			"a signed header field was changed, or the published key is not the one that signed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := verifyOne(t, &dkim.Verifier{}, []byte(strings.Replace(c.mail, c.old, c.new, 1)),
				c.record)
			if got.Value != dkim.Fail || got.Reason != c.reason {
				t.Errorf("got %s: %s, want fail: %s", got.Value, got.Reason, c.reason)
			}
		})
	}
}

func TestKeyAnswers(t *testing.T) {
	good, raw := record(t, rsaKey()), forge(t, rsaKey(), goodTags, mailHeader, mailBody)
	for _, c := range []struct {
		name    string
		records []string
		want    dkim.Value
		state   dkim.KeyState
		reason  string
	}{
		{"two keys, the second is right", []string{"p=" + hugeKey(2048, 3), good}, dkim.Pass, dkim.KeyUsable, ""},
		{"beside an SPF record", []string{"v=spf1 -all", good}, dkim.Pass, dkim.KeyUsable, ""},
		{"beside a key of another type", []string{record(t, edKey()), good}, dkim.Pass, dkim.KeyUsable, ""},
		{"behind too many", []string{"a", "b", "c", "d", good}, dkim.PermError, dkim.KeyInvalid,
			`the key record is not a list of tags: "a" (sel._domainkey.example.com)`},
		{"revoked says more than invalid", []string{"v=spf1 -all", "p="}, dkim.PermError,
			dkim.KeyRevoked, "the key was revoked by its owner (empty p=) (sel._domainkey.example.com)"},
		{"no data", nil, dkim.PermError, dkim.KeyMissing, "there is no key at sel._domainkey.example.com"},
		{"failure", []string{"!SERVFAIL"}, dkim.TempError, dkim.KeyUnreached,
			"the DNS failed for the key at sel._domainkey.example.com"},
		{"time-out", []string{"!TIMEOUT"}, dkim.TempError, dkim.KeyUnreached,
			"the DNS did not answer in time for the key at sel._domainkey.example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := verifyOne(t, &dkim.Verifier{}, raw, c.records...)
			if got.Value != c.want || got.Evidence.Key != c.state || got.Reason != c.reason {
				t.Errorf("got %s, %d: %s\nwant %s, %d: %s", got.Value, got.Evidence.Key, got.Reason,
					c.want, c.state, c.reason)
			}
		})
	}
}

func TestMinRSABits(t *testing.T) {
	raw := forge(t, rsaKey(), goodTags, mailHeader, mailBody)
	if got := verifyOne(t, &dkim.Verifier{MinRSABits: 2049}, raw,
		record(t, rsaKey())); got.Value != dkim.Policy {
		t.Errorf("got %s: %s, want policy", got.Value, got.Reason)
	}
	ed := strings.Replace(goodTags, "rsa-", "ed25519-", 1)
	raw = forge(t, edKey(), ed, mailHeader, mailBody)
	if got := verifyOne(t, &dkim.Verifier{MinRSABits: 2049}, raw,
		record(t, edKey())); got.Value != dkim.Pass {
		t.Errorf("Ed25519: got %s: %s, want pass", got.Value, got.Reason)
	}
}

// TestFromFields: what a reader takes for the author must be signed (RFC 6376 section 8.15).
func TestFromFields(t *testing.T) {
	raw := string(forge(t, rsaKey(), goodTags, mailHeader, mailBody))
	none := forge(t, rsaKey(), goodTags, "To: ann@example.org\r\n", mailBody)
	for _, c := range []struct {
		name, raw string
		want      dkim.Value
		reason    string
	}{
		{"none", string(none), dkim.PermError, "the message has no From field, which every signature must cover"},
		{"one above", "From: eve@example.com\r\n" + raw, dkim.Policy, "not all of the 2 From fields are signed"},
	} {
		if got := verifyOne(t, &dkim.Verifier{}, []byte(c.raw),
			record(t, rsaKey())); got.Value != c.want || got.Reason != c.reason {
			t.Errorf("%s: got %s: %s", c.name, got.Value, got.Reason)
		}
	}
}

func TestInternationalNames(t *testing.T) {
	zone := dnstest.FromMap(map[string][]string{"xn--bcher-kva._domainkey.xn--bcher-kva.example": {record(
		t, rsaKey())}})
	v := &dkim.Verifier{Resolver: zone, Now: testClock}
	for _, tags := range []string{
		"d=bücher.example; s=bücher",
		"d=xn--bcher-kva.example; s=xn--bcher-kva",
		"d=BÜCHER.example; s=Bücher; i=jürgen@post.xn--bcher-kva.example",
		"d=xn--bcher-kva.example; s=bücher; i=@post.bücher.example",
	} {
		raw := forge(t, rsaKey(), "v=1; a=rsa-sha256; h=from; "+tags, mailHeader, mailBody)
		got := only(t, verify(t, v, raw))
		if got.Value != dkim.Pass || got.Domain != "xn--bcher-kva.example" ||
			got.Selector != "xn--bcher-kva" || strings.Contains(got.Identifier, "ü") &&
			!strings.HasPrefix(got.Identifier, "jürgen@post.xn--") {
			t.Errorf("%s: got %+v", tags, got)
		}
	}
}

// TestOwnField: h= may name other signatures, and never the field that it stands in (RFC 6376
// section 3.5).
func TestOwnField(t *testing.T) {
	tags := strings.Replace(goodTags, "h=from:", "h=from:dkim-signature:dkim-signature:", 1)
	field := signatureField(t, goodTags)
	both := forge(t, rsaKey(), tags, field+mailHeader, mailBody)
	for _, c := range []struct {
		name string
		raw  []byte
		want []dkim.Value
	}{
		{"none below", forge(t, rsaKey(), tags, mailHeader, mailBody), []dkim.Value{dkim.Pass}},
		{"one below", both, []dkim.Value{dkim.Pass, dkim.Pass}},
		{"the one below gone", []byte(strings.Replace(string(both), field, "", 1)), []dkim.Value{dkim.Fail}},
	} {
		results := verify(t, with(&dkim.Verifier{}, record(t, rsaKey())), c.raw)
		if !slices.Equal(values(results), c.want) {
			t.Errorf("%s: got %v, want %v", c.name, summary(results), c.want)
		}
	}
}

func TestNoSignature(t *testing.T) {
	zone := dnstest.FromMap(nil)
	x := (&dkim.Verifier{Resolver: zone}).Select(parseHeader(t, mailHeader), "")
	if hashes := x.BodyHashes(); len(hashes) != 0 {
		t.Errorf("body hashes %v", hashes)
	}
	if results := x.Run(t.Context(), &message.Message{Body: message.NewDigests(nil)}); len(
		results) != 0 {
		t.Errorf("results %v", results)
	}
}

// panicker breaks down for one name and hangs until the deadline for another.
type panicker struct{ dns.Resolver }

func (p panicker) Lookup(ctx context.Context, name string, typ dns.Type) (dns.Answer, error) {
	switch {
	case strings.HasPrefix(name, "panic."):
		panic("a bug of the resolver")
	case strings.HasPrefix(name, "hang."):
		<-ctx.Done()
		return dns.Answer{}, ctx.Err()
	}
	return p.Resolver.Lookup(ctx, name, typ)
}

// TestOneBadLookup: the other signatures get their results.
func TestOneBadLookup(t *testing.T) { synctest.Test(t, oneBadLookup) }

func oneBadLookup(t *testing.T) {
	raw := string(forge(t, rsaKey(), goodTags, mailHeader, mailBody))
	for _, s := range []string{"panic", "hang"} {
		tags := strings.Replace(goodTags, "s=sel", "s="+s, 1)
		raw = signatureField(t, tags) + raw
	}
	v := with(&dkim.Verifier{}, record(t, rsaKey()))
	v.Resolver = panicker{v.Resolver}
	var x *dkim.Verification
	m, err := message.Read(strings.NewReader(raw), 1<<20,
		func(h message.Header) []message.BodyHash {
			x = v.Select(h, "")
			return x.BodyHashes()
		})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	results := x.Run(ctx, m)
	if want := []dkim.Value{dkim.TempError, dkim.TempError,
		dkim.Pass}; !slices.Equal(values(results), want) {
		t.Errorf("got %v, want %v", summary(results), want)
	}
}
