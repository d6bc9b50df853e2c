package dkim_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

func rsaSigner() dkim.Key {
	return dkim.Key{Domain: "example.com", Selector: "sel", Signer: rsaKey()}
}
func edSigner() dkim.Key {
	return dkim.Key{Domain: "example.com", Selector: "ed", Signer: edKey()}
}

// signers is the zone of both.
func signers(t testing.TB) *dnstest.Zone {
	return dnstest.FromMap(map[string][]string{
		"sel._domainkey.example.com": {"v=DKIM1; " + record(t, rsaKey())},
		"ed._domainkey.example.com":  {"v=DKIM1; " + record(t, edKey())},
	})
}

// sign signs a message and returns its value.
func sign(t testing.TB, header, body string, k dkim.Key, o dkim.SignOptions) string {
	t.Helper()
	f, err := trySign(t, header, body, k, o)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name() != dkim.FieldName {
		t.Fatalf("the field is called %q", f.Name())
	}
	return string(f.Value())
}

func trySign(t testing.TB, header, body string, k dkim.Key, o dkim.SignOptions) (message.Field,
	error) {
	t.Helper()
	if o.Time.IsZero() {
		o.Time = testTime
	}
	digests := message.NewDigests([]message.BodyHash{o.BodyHash()})
	digests.Write([]byte(body))
	digests.Close()
	return dkim.Sign(parseHeader(t, header), digests, k, o)
}

// tag returns the value of a tag without folds.
func tag(t testing.TB, value, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?s)(?:^|;)\s*` + name + `=([^;]*)`).FindStringSubmatch(value)
	if m == nil {
		return ""
	}
	return strings.NewReplacer("\r\n\t", "").Replace(m[1])
}

const submission = "Return-Path: <joe@example.com>\r\n" +
	"Received: from client by mx; Sun, 22 Nov 2026 12:00:00 +0000\r\n" +
	"Authentication-Results: mx.example.com; none\r\n" +
	"DKIM-Signature: v=1\r\n" +
	"ARC-Seal: i=1\r\n" +
	"From: Joe <joe@example.com>\r\n" +
	"To: ann@example.org\r\n" +
	"Subject: hello\r\n" +
	"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n" +
	"Message-ID: <1@example.com>\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n" +
	"Comments: none\r\n" +
	"X-Mailer: none\r\n"

func TestCheck41PlainSubmission(t *testing.T) {
	value := sign(t, submission, mailBody, rsaSigner(), dkim.SignOptions{})
	want := " v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=sel;\r\n" +
		"\tt=1795348800; x=1796212800; h=From:From:Reply-To:Subject:Subject:Date:\r\n" +
		"\tDate:Message-ID:Message-ID:To:To:Cc:MIME-Version:MIME-Version:\r\n" +
		"\tContent-Type:Content-Type:Content-Transfer-Encoding:\r\n" +
		"\tContent-Transfer-Encoding;\r\n" +
		"\tbh=9fd4NNRTJXDbJhwPkOaWbpGXDnGRz3sLMoSwcCA3Ofg=;\r\n\tb="
	bh := regexp.MustCompile(`bh=[^;]*`)
	head, b, _ := strings.Cut(value, "\tb=")
	if got, want := bh.ReplaceAllString(head+"\tb=", "bh="),
		bh.ReplaceAllString(want, "bh="); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(b, ";") || strings.HasSuffix(b, "\r\n") {
		t.Errorf("b= is followed by something: %q", b)
	}
	checkVerifies(t, value, submission, mailBody)
}

// checkVerifies checks that a message passes with the signature value above it.
func checkVerifies(t testing.TB, value, header, body string) {
	t.Helper()
	raw := dkim.FieldName + ":" + value + "\r\n" + header + "\r\n" + body
	results := verify(t, &dkim.Verifier{Resolver: signers(t), Now: testClock}, []byte(raw))
	if len(results) == 0 || results[0].Value != dkim.Pass {
		t.Errorf("got %v", summary(results))
	}
}

func TestSignedFields(t *testing.T) {
	for _, c := range []struct{ name, header, want string }{
		{"least", "From: a@example.com\r\n",
			"From:From:Reply-To:Subject:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding"},
		{"every instance", "To: b@example.org\r\nFrom: a@example.com\r\nTO: c@example.org\r\n",
			"From:From:Reply-To:Subject:To:To:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding"},
		{"two From fields", "From: a@example.com\r\nFrom: b@example.com\r\n",
			"From:From:From:Reply-To:Subject:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding"},
		{"Date only when present", "From: a@example.com\r\nDate: today\r\n",
			"From:From:Reply-To:Subject:Date:Date:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding"},
		{"Sender and lists once", "From: a@example.com\r\nSender: b@example.com\r\nList-Id: <l>\r\nReferences: <1>\r\n",
			"From:From:Sender:Reply-To:Subject:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding:References:List-Id"},
		{"one resent block", "Resent-From: c@example.com\r\nResent-To: d@example.com\r\nFrom: a@example.com\r\n",
			"From:From:Reply-To:Subject:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding:Resent-From:Resent-To"},
		{"the latest of two resent blocks", "Resent-From: c@example.com\r\nResent-Date: " +
			"now\r\nReceived: x\r\nResent-From: d@example.com\r\nResent-To: e@example.com\r\nFrom: a@example.com\r\n",
			"From:From:Reply-To:Subject:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding:Resent-Date:Resent-From:Resent-From"},
		{"two resent blocks without anything between",
			"Resent-From: c@example.com\r\nResent-From: d@example.com\r\nResent-To: " +
				"e@example.com\r\nFrom: a@example.com\r\n",
			"From:From:Reply-To:Subject:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding:Resent-From:Resent-From"},
	} {
		t.Run(c.name, func(t *testing.T) {
			value := sign(t, c.header, mailBody, rsaSigner(), dkim.SignOptions{})
			if got := tag(t, value, "h"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			checkVerifies(t, value, c.header, mailBody)
		})
	}
}

// TestSignatureHolds changes a signed message in every way that the signature is there to notice,
// and in some that it must live with.
func TestSignatureHolds(t *testing.T) {
	header := "From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\nList-Id: <l>\r\n"
	value := sign(t, header, mailBody, rsaSigner(), dkim.SignOptions{})
	for _, c := range []struct {
		name, header, body string
		want               dkim.Value
	}{
		{"unchanged", header, mailBody, dkim.Pass},
		{"second From above", "From: e@example.com\r\n" + header, mailBody, dkim.Fail},
		{"second From below", header + "From: e@example.com\r\n", mailBody, dkim.Fail},
		{"second To", "To: e@example.com\r\n" + header, mailBody, dkim.Fail},
		{"Cc added", header + "Cc: e@example.com\r\n", mailBody, dkim.Fail},
		{"Reply-To added", "Reply-To: e@example.com\r\n" + header, mailBody, dkim.Fail},
		{"Subject changed", strings.Replace(header, "hello", "Hello", 1), mailBody, dkim.Fail},
		{"List-Id gone", strings.Replace(header, "List-Id: <l>\r\n", "", 1), mailBody, dkim.Fail},
		{"body changed", header, mailBody + ".", dkim.Fail},
		{"Date added, as Sendmail does", header + "Date: now\r\n", mailBody, dkim.Pass},
		{"Sender added, as lists do", "Sender: l@example.org\r\n" + header, mailBody, dkim.Pass},
		{"Received added", "Received: x\r\n" + header, mailBody, dkim.Pass},
		{"refolded", strings.Replace(header, "To: b", "TO:\r\n\tb", 1), mailBody, dkim.Pass},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := dkim.FieldName + ":" + value + "\r\n" + c.header + "\r\n" + c.body
			got := only(t, verify(t, &dkim.Verifier{Resolver: signers(t), Now: testClock},
				[]byte(raw)))
			if got.Value != c.want {
				t.Errorf("got %s: %s, want %s", got.Value, got.Reason, c.want)
			}
		})
	}
}

func TestCheck42ListUnsubscribe(t *testing.T) {
	header := mailHeader + "List-Unsubscribe: <https://example.com/u>\r\nList-Unsubscribe-Post: " +
		"List-Unsubscribe=One-Click\r\n"
	h := tag(t, sign(t, header, mailBody, rsaSigner(), dkim.SignOptions{}), "h")
	if !strings.Contains(h, ":List-Unsubscribe:List-Unsubscribe-Post") {
		t.Errorf("h=%s", h)
	}
}

func TestCheck43TwoKeys(t *testing.T) {
	header, body := mailHeader, mailBody+"-- \r\na footer of another milter\r\n"
	options := dkim.SignOptions{Time: testTime}
	digests := message.NewDigests([]message.BodyHash{options.BodyHash()})
	digests.Write([]byte(body))
	digests.Close()
	s, err := dkim.Prepare(parseHeader(t, header), digests, options)
	if err != nil {
		t.Fatal(err)
	}
	signed := header
	for _, k := range []dkim.Key{rsaSigner(), edSigner()} {
		f, err := s.Sign(digests, k)
		if err != nil {
			t.Fatal(err)
		}
		signed = string(f.Raw()) + "\r\n" + signed
	}
	results := verify(t, &dkim.Verifier{Resolver: signers(t), Now: testClock},
		[]byte(signed+"\r\n"+body))
	if !slices.Equal(values(results), []dkim.Value{dkim.Pass, dkim.Pass}) ||
		results[0].Selector != "ed" || results[1].Selector != "sel" {
		t.Errorf("got %v", summary(results))
	}
}

func TestCheck44BareLineFeeds(t *testing.T) {
	// The milter hands over LF inside fields; the wire will have CRLF.
	h := message.Header{
		message.NewField("From", []byte(" Joe\n\t<joe@sub.example.com>")),
		message.NewField("Subject", []byte(" one\n two\r\n three")),
	}
	options := dkim.SignOptions{Time: testTime, SimpleHeader: true}
	digests := message.NewDigests([]message.BodyHash{options.BodyHash()})
	digests.Write([]byte(mailBody))
	digests.Close()
	f, err := dkim.Sign(h, digests, rsaSigner(), options)
	if err != nil {
		t.Fatal(err)
	}
	checkVerifies(t, string(f.Value()),
		"From: Joe\r\n\t<joe@sub.example.com>\r\nSubject: one\r\n two\r\n three\r\n", mailBody)
	if d := tag(t, string(f.Value()), "d"); d != "example.com" {
		t.Errorf("d=%s", d)
	}
}

func TestSignOptions(t *testing.T) {
	for _, c := range []struct {
		name    string
		options dkim.SignOptions
		want    map[string]string
	}{
		{"simple", dkim.SignOptions{SimpleHeader: true, SimpleBody: true}, map[string]string{"c": "simple/simple"}},
		{"relaxed/simple", dkim.SignOptions{SimpleBody: true}, map[string]string{"c": "relaxed/simple"}},
		{"expiry", dkim.SignOptions{Expiry: time.Hour}, map[string]string{"t": "1795348800", "x": "1795352400"}},
		{"no expiry", dkim.SignOptions{Expiry: -1}, map[string]string{"t": "1795348800", "x": ""}},
		{"fields", dkim.SignOptions{Fields: []string{"subject", "X-Own"}},
			map[string]string{"h": "From:From:subject:subject"}},
		{"no oversigning", dkim.SignOptions{Oversign: []string{}, OversignPresent: []string{},
			KeepPlain: true}, map[string]string{"h": "From:Subject:To"}},
		{"oversigning an own field", dkim.SignOptions{Fields: []string{"From", "X-Own"},
			Oversign: []string{"x-own"}}, map[string]string{"h": "From:X-Own"}},
		{"identifier", dkim.SignOptions{Identifier: "joe@sub.Example.com"},
			map[string]string{"i": "joe@sub.example.com"}},
		{"identifier of any octets", dkim.SignOptions{Identifier: "\"j; b=o\"@x@example.com"},
			map[string]string{"i": `"j=3B=20b=3Do"@x@example.com`}},
		{"identifier of a domain", dkim.SignOptions{Identifier: "@example.com"},
			map[string]string{"i": "@example.com"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			value := sign(t, mailHeader, mailBody, rsaSigner(), c.options)
			for name, want := range c.want {
				if got := tag(t, value, name); got != want {
					t.Errorf("%s=%s, want %s", name, got, want)
				}
			}
			checkVerifies(t, value, mailHeader, mailBody)
		})
	}
}

// A key's own identifier comes before that of the options.
func TestKeyIdentifier(t *testing.T) {
	k := rsaSigner()
	k.Identifier = "joe@sub.example.com"
	if got := tag(t, sign(t, mailHeader, mailBody, k, dkim.SignOptions{Identifier: "@example.com"}),
		"i"); got != k.Identifier {
		t.Errorf("i=%s, want i=%s", got, k.Identifier)
	}
}

func TestSignInternational(t *testing.T) {
	k := dkim.Key{Domain: "bücher.example", Selector: "bücher", Signer: rsaKey()}
	zone := dnstest.FromMap(map[string][]string{"xn--bcher-kva._domainkey.xn--bcher-kva.example": {record(
		t, rsaKey())}})
	for _, c := range []struct {
		unicode bool
		d, s, i string
	}{
		{false, "xn--bcher-kva.example", "xn--bcher-kva", "j=C3=BCrgen@xn--bcher-kva.example"},
		{true, "bücher.example", "bücher", "jürgen@bücher.example"},
	} {
		value := sign(t, mailHeader, mailBody, k, dkim.SignOptions{Unicode: c.unicode,
			Identifier: "jürgen@bücher.example"})
		if tag(t, value, "d") != c.d || tag(t, value, "s") != c.s || tag(t, value, "i") != c.i {
			t.Errorf("unicode %v: got %s", c.unicode, value)
		}
		raw := dkim.FieldName + ":" + value + "\r\n" + mailHeader + "\r\n" + mailBody
		if got := only(t, verify(t, &dkim.Verifier{Resolver: zone, Now: testClock},
			[]byte(raw))); got.Value != dkim.Pass {
			t.Errorf("unicode %v: got %s: %s", c.unicode, got.Value, got.Reason)
		}
	}
}

// brokenSigner is a key in a device that has gone.
type brokenSigner struct{ crypto.Signer }

var errGone = errors.New("gone")

func (brokenSigner) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return nil, errGone
}

func TestSignErrors(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 1023)
	if err != nil {
		t.Fatal(err)
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*dkim.Key)) dkim.Key {
		k := rsaSigner()
		change(&k)
		return k
	}
	manyTo := mailHeader + strings.Repeat("To: a@example.com\r\n", 1001)
	for _, c := range []struct {
		name, header string
		key          dkim.Key
		options      dkim.SignOptions
		want         error
	}{
		{"no From", "To: b@example.org\r\n", rsaSigner(), dkim.SignOptions{}, dkim.ErrNoFrom},
		{"too many fields", manyTo, rsaSigner(), dkim.SignOptions{}, dkim.ErrTooManyFields},
		{"no key", mailHeader, with(func(k *dkim.Key) { k.Signer = nil }), dkim.SignOptions{}, dkim.ErrKey},
		{"weak key", mailHeader, with(func(k *dkim.Key) { k.Signer = weak }), dkim.SignOptions{}, dkim.ErrKey},
		{"elliptic key", mailHeader, with(func(k *dkim.Key) { k.Signer = elliptical }),
			dkim.SignOptions{}, dkim.ErrKey},
		{"broken key", mailHeader, with(func(k *dkim.Key) { k.Signer = brokenSigner{rsaKey()} }),
			dkim.SignOptions{}, errGone},
		{"no domain", mailHeader, with(func(k *dkim.Key) { k.Domain = "" }), dkim.SignOptions{}, dkim.ErrKey},
		{"a field in the domain", mailHeader,
			with(func(k *dkim.Key) { k.Domain = "example.com\r\nX: y" }), dkim.SignOptions{},
			dkim.ErrKey},
		{"a tag in the selector", mailHeader, with(func(k *dkim.Key) { k.Selector = "a; l=0" }),
			dkim.SignOptions{}, dkim.ErrKey},
		{"no selector", mailHeader, with(func(k *dkim.Key) { k.Selector = "" }), dkim.SignOptions{}, dkim.ErrKey},
		{"identifier elsewhere", mailHeader, rsaSigner(),
			dkim.SignOptions{Identifier: "a@notexample.com"}, dkim.ErrOptions},
		{"identifier without @", mailHeader, rsaSigner(), dkim.SignOptions{Identifier: "example.com"}, dkim.ErrOptions},
		{"a tag among the fields", mailHeader, rsaSigner(),
			dkim.SignOptions{Fields: []string{"From;l=0"}}, dkim.ErrOptions},
		{"an empty field", mailHeader, rsaSigner(), dkim.SignOptions{Fields: []string{""}}, dkim.ErrOptions},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := trySign(t, c.header, mailBody, c.key, c.options); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	h := parseHeader(t, mailHeader)
	relaxed := message.NewDigests([]message.BodyHash{dkim.SignOptions{}.BodyHash()})
	relaxed.Close()
	if _, err := dkim.Sign(h, relaxed, rsaSigner(), dkim.SignOptions{SimpleBody: true}); !errors.Is(
		err, dkim.ErrNotHashed) {
		t.Errorf("another digest: got %v", err)
	}
}

// largeSigner is a key of 4,096 bits whose signatures are only as long as they would be.
type largeSigner struct{ public rsa.PublicKey }

func (s largeSigner) Public() crypto.PublicKey { return &s.public }

func (s largeSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, s.public.Size()), nil
}

// TestFolding: lines stay under 78 columns whatever the key, and under the 998 octets that SMTP
// carries when a name alone is longer.
func TestFolding(t *testing.T) {
	large := largeSigner{rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 4095), E: 65537}}
	long := strings.Repeat("d23456789.", 20) + "example.com"
	for _, c := range []struct {
		name    string
		key     dkim.Key
		options dkim.SignOptions
		columns int
	}{
		{"RSA-2048", rsaSigner(), dkim.SignOptions{}, 78},
		{"RSA-4096", dkim.Key{Domain: "example.com", Selector: "sel", Signer: large}, dkim.SignOptions{}, 78},
		{"Ed25519", edSigner(), dkim.SignOptions{Identifier: "joe@example.com"}, 78},
		{"long domain", dkim.Key{Domain: long, Selector: "sel", Signer: rsaKey()},
			dkim.SignOptions{}, 8 + len("d=;") + len(long)},
	} {
		header := submission + strings.Repeat("To: a@example.org\r\n", 100)
		field := dkim.FieldName + ":" + sign(t, header, mailBody, c.key, c.options)
		for i, line := range strings.Split(field, "\r\n") {
			columns := len(line)
			if i > 0 {
				columns += 7 // the tab
				if line[0] != '\t' || strings.Trim(line, " \t") == "" {
					t.Errorf("%s: line %q", c.name, line)
				}
			}
			if columns > c.columns {
				t.Errorf("%s: %d columns in %q", c.name, columns, line)
			}
			if strings.TrimRight(line, " \t") != line {
				t.Errorf("%s: white space at the end of %q", c.name, line)
			}
		}
	}
}

func TestDefaultsAreCopies(t *testing.T) {
	dkim.DefaultFields()[0] = "X"
	dkim.DefaultOversign()[0] = "X"
	dkim.DefaultOversignPresent()[0] = "X"
	got := fmt.Sprint(dkim.DefaultFields()[0], dkim.DefaultOversign()[0],
		dkim.DefaultOversignPresent()[0])
	if got != "FromFromDate" {
		t.Errorf("got %s", got)
	}
}
