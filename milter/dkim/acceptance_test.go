package dkim_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// goodTags are those of a signature with which nothing is wrong.
const goodTags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=sel; h=from:to:subject"

// The names of these tests carry the numbers of the acceptance checks that the project agreed on.

func TestCheck32FromMustBeSigned(t *testing.T) {
	tags := strings.Replace(goodTags, "h=from:", "h=", 1)
	got := verifyOne(t, &dkim.Verifier{}, forge(t, rsaKey(), tags, mailHeader, mailBody),
		record(t, rsaKey()))
	if got.Value != dkim.PermError || got.Reason != "From is not signed" {
		t.Errorf("got %s: %s", got.Value, got.Reason)
	}
}

// What cannot be read, or asks for what no one knows, is neutral; what can be read and can never be
// verified is permerror (RFC 8601 section 2.7.1).
func TestCheck33RequiredTags(t *testing.T) {
	good := string(forge(t, rsaKey(), goodTags, mailHeader, mailBody))
	bh := good[strings.Index(good, " bh="):strings.Index(good, " b=")]
	for _, c := range []struct {
		name, old, new, reason string
		want                   dkim.Value
	}{
		{"no h", " h=from:to:subject;", "", "the tag h= is missing", dkim.PermError},
		{"empty h", "h=from:to:subject;", "h=;", "From is not signed", dkim.PermError},
		{"empty name in h", "h=from:to", "h=from::to", "h= has an empty name", dkim.Neutral},
		{"no bh", bh, "", "the tag bh= is missing", dkim.PermError},
		{"empty bh", bh, " bh=;", "the tag bh= is empty", dkim.Neutral},
		{"duplicate d", "s=sel;", "s=sel; d=example.com;",
			"the field is not a list of tags: a tag is there twice: d=", dkim.Neutral},
		{"no v", "v=1; ", "", "the tag v= is missing", dkim.PermError},
		{"v=2", "v=1;", "v=2;", "v=2 is not a version of DKIM", dkim.Neutral},
		{"no s", "s=sel; ", "", "the tag s= is missing", dkim.PermError},
		{"no d", "d=example.com; ", "", "the tag d= is missing", dkim.PermError},
		{"d of one label", "d=example.com", "d=com", "d=com is not a domain name", dkim.Neutral},
		{"d with a final dot", "d=example.com", "d=example.com.", "d=example.com. is not a domain name", dkim.Neutral},
		{"no a", "a=rsa-sha256; ", "", "the tag a= is missing", dkim.PermError},
		{"empty c", "c=relaxed/relaxed", "c=", "the canonicalization c= is unknown", dkim.Neutral},
		{"unknown c", "c=relaxed/relaxed", "c=nofws", "the canonicalization c=nofws is unknown", dkim.Neutral},
		{"unknown q", "s=sel;", "s=sel; q=dns/foo;", "the key is not in the DNS (q=dns/foo)", dkim.Neutral},
		{"i elsewhere", "s=sel;", "s=sel; i=@example.org;",
			"i=@example.org is not within d=example.com", dkim.PermError},
		{"i without @", "s=sel;", "s=sel; i=example.com;",
			"i=example.com is not an identifier within a domain", dkim.Neutral},
		{"t no number", "s=sel;", "s=sel; t=+5;", "t=+5 is not a number", dkim.Neutral},
		{"selector no name", "s=sel;", "s=s..l;", "s=s..l is not a selector", dkim.Neutral},
		{"b no base64", " b=", " b=!", "the tag b= is not base64", dkim.Neutral},
		{"no list of tags", "v=1; ", "v=1;; ",
			`the field is not a list of tags: not a tag list: no name and "=" at the start of ""`,
			dkim.Neutral},
		{"unknown a", "a=rsa-sha256", "a=rsa-sha512", `the signature algorithm "rsa-sha512" is unknown`, dkim.Neutral},
		{"x before t", "s=sel;", "s=sel; t=5; x=4;",
			"the signature expires before it was made (x= is not after t=)", dkim.PermError},
		{"l no number", "s=sel;", "s=sel; l=-1;", "l=-1 is not a number", dkim.Neutral},
		{"a space in d", "d=example.com", "d=exam ple.com", "d=exam ple.com is not a domain name", dkim.Neutral},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := strings.Replace(good, c.old, c.new, 1)
			if raw == good {
				t.Fatal("the case changes nothing")
			}
			got := verifyOne(t, &dkim.Verifier{}, []byte(raw), record(t, rsaKey()))
			if got.Value != c.want || got.Reason != c.reason {
				t.Errorf("got %s: %s, want %s: %s", got.Value, got.Reason, c.want, c.reason)
			}
		})
	}
}

func TestCheck34WeakAlgorithms(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0") // or crypto/rsa would refuse the keys, and hide that we do
	sha1 := strings.Replace(goodTags, "rsa-sha256", "rsa-sha1", 1)
	got := verifyOne(t, &dkim.Verifier{}, forge(t, rsaKey(), sha1, mailHeader, mailBody),
		record(t, rsaKey()))
	if got.Value != dkim.PermError || !strings.Contains(got.Reason, "rsa-sha1") {
		t.Errorf("rsa-sha1: got %s: %s", got.Value, got.Reason)
	}
	for _, c := range []struct {
		bits int
		want dkim.Value
	}{{512, dkim.PermError}, {1023, dkim.PermError}, {1024, dkim.Pass}} {
		key, err := rsa.GenerateKey(rand.Reader, c.bits)
		if err != nil {
			t.Fatal(err)
		}
		got := verifyOne(t, &dkim.Verifier{}, forge(t, key, goodTags, mailHeader, mailBody),
			record(t, key))
		if got.Value != c.want {
			t.Errorf("%d bits: got %s: %s, want %s", c.bits, got.Value, got.Reason, c.want)
		}
	}
}

func TestCheck35RFC8463(t *testing.T) { testMessage(t, "testdata/02-rfc8463-a3") }

func TestCheck36KeyRecords(t *testing.T) {
	ed := strings.Replace(goodTags, "rsa-", "ed25519-", 1)
	below := goodTags + "; i=@sub.example.com"
	p := record(t, rsaKey())
	for _, c := range []struct {
		name, tags, record string
		want               dkim.Value
		state              dkim.KeyState
	}{
		{"plain", goodTags, "v=DKIM1; " + p, dkim.Pass, dkim.KeyUsable},
		{"no v", goodTags, p, dkim.Pass, dkim.KeyUsable},
		{"another version", goodTags, "v=DKIM2; " + p, dkim.PermError, dkim.KeyInvalid},
		{"v second", goodTags, "k=rsa; v=DKIM1; " + strings.TrimPrefix(p, "k=rsa; "), dkim.PermError, dkim.KeyInvalid},
		{"revoked", goodTags, "v=DKIM1; p=", dkim.PermError, dkim.KeyRevoked},
		{"no p", goodTags, "v=DKIM1; k=rsa", dkim.PermError, dkim.KeyInvalid},
		{"not for SHA-256", goodTags, "v=DKIM1; h=sha1; " + p, dkim.PermError, dkim.KeyInvalid},
		{"for SHA-256 too", goodTags, "v=DKIM1; h= sha1 : sha256 ; " + p, dkim.Pass, dkim.KeyUsable},
		{"not for mail", goodTags, "v=DKIM1; s=other; " + p, dkim.PermError, dkim.KeyInvalid},
		{"for all services", goodTags, "v=DKIM1; s=other:*; " + p, dkim.Pass, dkim.KeyUsable},
		{"another type", ed, "v=DKIM1; " + p, dkim.PermError, dkim.KeyInvalid},
		{"unknown type", goodTags, "v=DKIM1; k=x; p=AAAA", dkim.PermError, dkim.KeyInvalid},
		{"no subdomains", below, "v=DKIM1; t=s; " + p, dkim.PermError, dkim.KeyInvalid},
		{"no subdomains, testing", below, "v=DKIM1; t=y:s; " + p, dkim.PermError, dkim.KeyInvalid},
		{"subdomains", below, "v=DKIM1; t=y; " + p, dkim.Pass, dkim.KeyUsable},
		{"unknown tags", goodTags, "v=DKIM1; g=; zz=1; n=a note; " + p, dkim.Pass, dkim.KeyUsable},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := verifyOne(t, &dkim.Verifier{}, forge(t, rsaKey(), c.tags, mailHeader, mailBody),
				c.record)
			if got.Value != c.want || got.Evidence.Key != c.state {
				t.Errorf("got %s, key state %d: %s, want %s, %d", got.Value, got.Evidence.Key,
					got.Reason, c.want, c.state)
			}
			if testing := strings.Contains(c.record, "t=y"); c.want == dkim.Pass &&
				got.Testing != testing {
				t.Errorf("testing = %v, want %v", got.Testing, testing)
			}
		})
	}
}

func TestCheck37OversignedFrom(t *testing.T) {
	tags := strings.Replace(goodTags, "h=from:", "h=from:from:", 1)
	raw := string(forge(t, rsaKey(), tags, mailHeader, mailBody))
	got := verifyOne(t, &dkim.Verifier{}, []byte(raw), record(t, rsaKey()))
	if got.Value != dkim.Pass {
		t.Errorf("as signed: got %s: %s", got.Value, got.Reason)
	}
	got = verifyOne(t, &dkim.Verifier{}, []byte("From: eve@example.com\r\n"+raw),
		record(t, rsaKey()))
	if e := got.Evidence; got.Value != dkim.Fail || e.HeaderIntact || !e.BodyIntact || e.OtherKey {
		t.Errorf("with a second From: got %s: %s, evidence %+v", got.Value, got.Reason, e)
	}
}

func TestCheck38BodyLength(t *testing.T) {
	for _, c := range []struct {
		name     string
		limit    string
		appended string
		accept   bool
		want     dkim.Value
		unsigned int64
	}{
		{"all of the body", "l=13", "", false, dkim.Pass, 0},
		{"text appended", "l=13", "eve\r\n", false, dkim.Policy, 5},
		{"text appended, accepted", "l=13", "eve\r\n", true, dkim.Pass, 5},
		{"part of the body", "l=3", "", false, dkim.Policy, 10},
		{"nothing", "l=0", "", false, dkim.Policy, 13},
		{"more than there is", "l=14", "", true, dkim.Fail, 0},
		{"far more than there is", "l=99999999999999999999999999", "", true, dkim.Fail, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := forge(t, rsaKey(), goodTags+"; "+c.limit, mailHeader, mailBody)
			got := verifyOne(t, &dkim.Verifier{AcceptUnsignedBody: c.accept},
				append(raw, c.appended...), record(t, rsaKey()))
			if got.Value != c.want || got.Evidence.UnsignedOctets != c.unsigned {
				t.Errorf("got %s, %d unsigned: %s", got.Value, got.Evidence.UnsignedOctets,
					got.Reason)
			}
		})
	}
}

func TestCheck39Times(t *testing.T) {
	now := int(testTime.Unix())
	at := func(tag string, offset int) string { return fmt.Sprintf("; %s=%d", tag, now+offset) }
	for _, c := range []struct {
		name, tags string
		skew       time.Duration
		want       dkim.Value
	}{
		{"expired", at("x", -301), 0, dkim.Policy},
		{"expired within the slack", at("x", -299), 0, dkim.Pass},
		{"expired without slack", at("x", -1), -1, dkim.Policy},
		{"not expired", at("t", -10) + at("x", 10), 0, dkim.Pass},
		{"x is t", at("t", -10) + at("x", -10), 0, dkim.PermError},
		{"x before t", at("t", 10) + at("x", 5), 0, dkim.PermError},
		{"signed in an hour", at("t", 3600), 0, dkim.Policy},
		{"signed in an hour, slack of two", at("t", 3600), 2 * time.Hour, dkim.Pass},
		{"signed within the slack", at("t", 299), 0, dkim.Pass},
		{"never expires", "; x=9999999999999", 0, dkim.Pass},
		{"expired in 1970", "; x=0", 0, dkim.Policy},
		{"signed by nobody's clock", "; t=99999999999999999999", 0, dkim.Policy},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := forge(t, rsaKey(), goodTags+c.tags, mailHeader, mailBody)
			got := verifyOne(t, &dkim.Verifier{ClockSkew: c.skew}, raw, record(t, rsaKey()))
			if got.Value != c.want {
				t.Errorf("got %s: %s, want %s", got.Value, got.Reason, c.want)
			}
		})
	}
}

func TestCheck40Canonicalization(t *testing.T) {
	// RFC 6376 section 3.4.5.
	h := parseHeader(t, "A: X\r\nB : Y\t\r\n\tZ  \r\n")
	const body = " C \r\nD \t E\r\n\r\n\r\n"
	for _, c := range []struct {
		c            message.Canonicalization
		header, body string
	}{
		{message.Relaxed, "a:X\r\nb:Y Z\r\n", " C\r\nD E\r\n"},
		{message.Simple, "A: X\r\nB : Y\t\r\n\tZ  \r\n", " C \r\nD \t E\r\n"},
	} {
		var got []byte
		for _, f := range dkim.NewIndex(h).Pick([]string{"a", "b"}, -1) {
			got = c.c.AppendField(got, f)
		}
		if string(got) != c.header {
			t.Errorf("%s header: got %q, want %q", c.c, got, c.header)
		}
		if got := c.c.AppendBody(nil, []byte(body)); string(got) != c.body {
			t.Errorf("%s body: got %q, want %q", c.c, got, c.body)
		}
	}
	// What arrives may differ from what was signed by as much as the canonicalization allows, and
	// no more.
	for _, c := range []struct{ c, header, body, wantHeader string }{
		{"relaxed/relaxed", "SUBJECT:\thello \r\nfrom: Joe\r\n  <joe@example.com>\r\nTO:ann@example.org\r\n",
			"Hi. \r\n\r\nBye.\t\r\n\r\n", "pass"},
		{"relaxed/simple", mailHeader, "Hi.\r\n\r\nBye.\r\n\r\n\r\n", "pass"},
		{"relaxed/simple", mailHeader, "Hi. \r\n\r\nBye.\r\n", "fail"},
		{"simple/simple", mailHeader, "Hi.\r\n\r\nBye.", "pass"},
		{"simple/simple", strings.Replace(mailHeader, "Subject: ", "Subject:  ", 1), mailBody, "fail"},
	} {
		tags := strings.Replace(goodTags, "relaxed/relaxed", c.c, 1)
		raw := signatureField(t, tags) + c.header + "\r\n" + c.body
		got := verifyOne(t, &dkim.Verifier{}, []byte(raw), record(t, rsaKey()))
		if string(got.Value) != c.wantHeader {
			t.Errorf("%s of %q %q: got %s: %s, want %s", c.c, c.header, c.body, got.Value,
				got.Reason, c.wantHeader)
		}
	}
}

func TestEmptyBodyHashes(t *testing.T) {
	for c, want := range map[message.Canonicalization]string{
		message.Simple:  "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
		message.Relaxed: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	} {
		w := message.BodyHash{Canonicalization: c, Limit: message.Whole}
		d := message.NewDigests([]message.BodyHash{w})
		d.Close()
		sum, _ := d.Sum(w)
		if got := base64.StdEncoding.EncodeToString(sum.SHA256[:]); got != want {
			t.Errorf("%s: got %s, want %s", c, got, want)
		}
	}
}

func TestKeyForms(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	read := func(name string) string {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	var key crypto.Signer = rsaKey()
	for _, c := range []struct {
		name, record string
		want         dkim.KeyState
	}{
		{"SubjectPublicKeyInfo", "v=DKIM1; " + record(t, key), dkim.KeyUsable},
		{"RSAPublicKey", "v=DKIM1; p=" + pkcs1(rsaKey()), dkim.KeyUsable},
		{"Ed25519", "v=DKIM1; " + record(t, edKey()), dkim.KeyUsable},
		{"Ed25519 as SubjectPublicKeyInfo",
			"v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
			dkim.KeyInvalid},
		{"32,768 bits", "v=DKIM1; p=" + hugeKey(32768, 65537), dkim.KeyTooLong},
		{"8,193 bits", "v=DKIM1; p=" + hugeKey(8193, 65537), dkim.KeyTooLong},
		{"8,192 bits", "v=DKIM1; p=" + hugeKey(8192, 65537), dkim.KeyUsable},
		{"a million octets", "v=DKIM1; p=" + strings.Repeat("AAAA", 250000), dkim.KeyTooLong},
		{"1,023 bits", "v=DKIM1; p=" + hugeKey(1023, 65537), dkim.KeyTooShort},
		{"exponent 3", "v=DKIM1; p=" + hugeKey(2048, 3), dkim.KeyUsable},
		{"exponent 1", "v=DKIM1; p=" + hugeKey(2048, 1), dkim.KeyInvalid},
		{"even exponent", "v=DKIM1; p=" + hugeKey(2048, 65536), dkim.KeyInvalid},
		{"exponent of 33 bits", "v=DKIM1; p=" + hugeKey(2048, 1<<32+1), dkim.KeyInvalid},
		{"elliptic", "v=DKIM1; p=" + read("p256.txt"), dkim.KeyInvalid},
		{"white space in p", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7T \tyWQHOg7hcvPapiMlrwIaaPcHURo=", dkim.KeyUsable},
		{"a semicolon too many", "v=DKIM1; " + record(t, key) + ";; ", dkim.KeyUsable},
		{"no list", "v=DKIM1; hello", dkim.KeyInvalid},
		{"no padding", "v=DKIM1; " + strings.TrimRight(record(t, edKey()), "="), dkim.KeyInvalid},
		{"empty", "", dkim.KeyInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := dkim.ParseRecord(c.record)
			state, reason := dkim.KeyUsable, ""
			if fault, ok := err.(*dkim.RecordError); ok {
				state, reason = fault.State, fault.Reason
			}
			if state != c.want {
				t.Errorf("got %d (%s), want %d", state, reason, c.want)
			}
		})
	}
}
