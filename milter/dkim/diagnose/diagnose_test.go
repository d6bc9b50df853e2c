package diagnose

import (
	"bufio"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

const original = "From: Alice <alice@example.com>\r\n" +
	"To: bob@example.net,carol@example.net\r\n" +
	"Subject: Hello there\r\n" +
	"Date: Sat, 31 Jan 2026 12:00:00 +0000\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n" +
	"\r\n" +
	"First line\r\n" +
	"From here on  it gets long: " + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n" +
	"\r\n" +
	".dot\r\n" +
	"Grüße\r\n"

// signer makes the signature of a message and the zone that its key is in.
type signer struct {
	key    crypto.Signer
	record string
}

func newSigner(t *testing.T, algorithm string) signer {
	t.Helper()
	if algorithm == "ed25519" {
		k := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		return signer{k, "v=DKIM1; k=ed25519; p=" +
			base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey))}
	}
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return signer{k, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)}
}

func (s signer) sign(t *testing.T, text string, o dkim.SignOptions) string {
	t.Helper()
	m, err := message.Read(strings.NewReader(text), 1<<20,
		func(message.Header) []message.BodyHash { return []message.BodyHash{o.BodyHash()} })
	if err != nil {
		t.Fatal(err)
	}
	f, err := dkim.Sign(m.Header, m.Body, dkim.Key{Domain: "example.com", Selector: "k",
		Signer: s.key}, o)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Raw()) + "\r\n" + text
}

// diagnosed verifies text with a key record and returns what is found of its signature.
func diagnosed(t *testing.T, record, text string) (dkim.Result, []Finding) {
	t.Helper()
	zone := dnstest.FromMap(map[string][]string{"k._domainkey.example.com": {record}})
	v := &dkim.Verifier{Resolver: zone, Now: func() time.Time { return now }}
	var x *dkim.Verification
	m, err := message.Read(strings.NewReader(text), 1<<20,
		func(h message.Header) []message.BodyHash {
			x = v.Select(h, "example.com")
			return x.BodyHashes()
		})
	if err != nil {
		t.Fatal(err)
	}
	results := x.Run(t.Context(), m)
	if len(results) != 1 {
		t.Fatalf("%d results, want 1", len(results))
	}
	r := bufio.NewReader(strings.NewReader(text))
	if _, err := message.ReadHeader(r, 1<<20); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return results[0], Signature(m.Header, body, results[0])
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

func TestSignature(t *testing.T) {
	simple := dkim.SignOptions{SimpleHeader: true, SimpleBody: true}
	for _, tc := range []struct {
		name    string
		options dkim.SignOptions
		change  func(string) string
		part    string
		says    string
		sure    bool
	}{
		{"footer", dkim.SignOptions{},
			func(s string) string {
				return s + "-- \r\nlist mailing list\r\nhttps://list.example\r\n"
			}, "body", "without its last 3 lines", true},
		{"footer after empty lines", dkim.SignOptions{}, func(s string) string {
			return s + "\r\n\r\nfooter\r\n"
		}, "body", "a footer was added", true},
		{"banner", dkim.SignOptions{}, replace("\r\n\r\nFirst",
			"\r\n\r\nEXTERNAL MAIL\r\n\r\nFirst"), "body", "a banner was added", true},
		{"mbox", dkim.SignOptions{}, replace("\r\nFrom here", "\r\n>From here"), "body", `">" before lines`, true},
		{"dot-stuffing", dkim.SignOptions{}, replace("\r\n.dot", "\r\n..dot"), "body", "dot-stuffing", true},
		{"Postfix broke a line", dkim.SignOptions{}, replace("xxxxx", "xx\r\n xxx"), "body", "broken by Postfix", true},
		{"Sendmail broke a line", dkim.SignOptions{}, replace("xxxxx", "xx!\r\n xxx"), "body",
			"broken by Sendmail", true},
		{"white space at line ends", simple, replace("First line\r\n", "First line \r\n"), "body",
			"white space was added", true},
		{"runs of white space", simple, replace("on  it", "on it"), "body", "the body was changed", false},
		{"encoded", dkim.SignOptions{Fields: []string{"From", "Subject"}}, func(s string) string {
			s = strings.Replace(s, "Encoding: 8bit", "Encoding: quoted-printable", 1)
			return strings.Replace(s, "Grüße", "Gr=C3=BC=C3=9Fe", 1)
		}, "body", "encoded as quoted-printable", true},
		{"a word changed", dkim.SignOptions{}, replace("First line", "Second line"), "body",
			"a change that Mailseal does not recognize", false},
		{"list tag", dkim.SignOptions{}, replace("Subject: Hello", "Subject: [list] Hello"),
			"header", "a tag was added to the subject", true},
		{"spam tag", dkim.SignOptions{}, replace("Subject: Hello", "Subject: ***SPAM*** Hello"),
			"header", "a tag was added to the subject", true},
		{"field added", dkim.SignOptions{}, replace("\r\nSubject:",
			"\r\nCc: eve@example.net\r\nSubject:"), "header", "Cc: eve@example.net", true},
		{"second From", dkim.SignOptions{}, replace("\r\nTo:", "\r\nFrom: eve@example.net\r\nTo:"),
			"header", "From: eve@example.net", true},
		{"folded again", simple, replace("bob@example.net,carol", "bob@example.net,\r\n\tcarol"),
			"header", "folded differently", true},
		{"addresses rewritten", dkim.SignOptions{}, replace("bob@example.net,carol",
			"bob@example.net, carol"), "header", "rewritten the list of addresses", true},
		{"name quoted", dkim.SignOptions{}, replace("From: Alice <", `From: "Alice" <`), "header",
			"quotes around a display name", true},
		{"encoding renamed", dkim.SignOptions{}, replace("Encoding: 8bit",
			"Encoding: quoted-printable"), "header", "converted between 8 bit", true},
		{"white space in the header", simple, replace("Subject: Hello there",
			"Subject:  Hello there "), "header", "white space", true},
		{"From rewritten", dkim.SignOptions{}, replace("From: Alice <alice@example.com>",
			"From: Alice via list <list@list.example>\r\nX-Original-From: Alice <alice@example.com>"),
			"header", "From was rewritten", true},
		{"field removed", dkim.SignOptions{Oversign: []string{"From"}},
			replace("Date: Sat, 31 Jan 2026 12:00:00 +0000\r\n", ""), "header",
			"a change that Mailseal does not recognize", false},
		{"expired", dkim.SignOptions{Time: now.Add(-48 * time.Hour), Expiry: time.Hour},
			func(s string) string { return s }, "time", "valid until 2026-01-29", true},
	} {
		for _, algorithm := range []string{"rsa", "ed25519"} {
			if tc.options.Time.IsZero() {
				tc.options.Time = now
			}
			s := newSigner(t, algorithm)
			r, found := diagnosed(t, s.record, tc.change(s.sign(t, original, tc.options)))
			if r.Value == dkim.Pass || len(found) == 0 {
				t.Errorf("%s, %s: %s with %d findings", tc.name, algorithm, r.Value, len(found))
				continue
			}
			if f := found[0]; f.Part != tc.part || !strings.Contains(f.Cause, tc.says) ||
				f.Sure != tc.sure {
				t.Errorf("%s, %s:\n got %s: %q, sure %v\nwant %s: %q, sure %v", tc.name, algorithm,
					f.Part, f.Cause, f.Sure, tc.part, tc.says, tc.sure)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	s, other := newSigner(t, "rsa"), newSigner(t, "rsa")
	text := s.sign(t, original, dkim.SignOptions{Time: now})
	for _, tc := range []struct{ name, record, part, says string }{
		{"another key", other.record, "key", "not made with the key"},
		{"revoked", "v=DKIM1; p=", "key", "revoked"},
		{"no key record", "hello", "key", "k._domainkey.example.com"},
		{"DNS away", "!SERVFAIL", "key", "the DNS did not answer"},
	} {
		_, found := diagnosed(t, tc.record, text)
		if len(found) != 1 || found[0].Part != tc.part ||
			!strings.Contains(found[0].Cause, tc.says) {
			t.Errorf("%s: %+v", tc.name, found)
		}
	}
	if _, found := diagnosed(t, s.record, text); found != nil {
		t.Errorf("a good signature: %+v", found)
	}
	if _, found := diagnosed(t, s.record, "DKIM-Signature: v=2; a=rsa-sha256\r\n"+
		original); len(found) != 1 || found[0].Part != "field" {
		t.Errorf("a field that is no signature: %+v", found)
	}
}

// TestBothParts holds that a list which changes subject and body is told both.
func TestBothParts(t *testing.T) {
	s := newSigner(t, "rsa")
	text := s.sign(t, original, dkim.SignOptions{Time: now})
	text = strings.Replace(text, "Subject: ", "Subject: [list] ", 1) + "footer\r\n"
	_, found := diagnosed(t, s.record, text)
	if len(found) != 2 || found[0].Part != "body" || found[1].Part != "header" || !found[0].Sure ||
		!found[1].Sure {
		t.Errorf("got %+v", found)
	}
}

// FuzzSignature holds that nothing that a stranger writes ends a diagnosis in a panic.
func FuzzSignature(f *testing.F) {
	s := newSignerF(f)
	f.Add(original, uint8(0))
	f.Add("From: a@example.com\r\n\r\n", uint8(3))
	f.Fuzz(func(t *testing.T, text string, flip uint8) {
		if !strings.HasPrefix(text, "From: ") || strings.Count(text, "\n") > 300 {
			return
		}
		m, err := message.Read(strings.NewReader(text), 1<<16,
			func(message.Header) []message.BodyHash {
				return []message.BodyHash{dkim.SignOptions{}.BodyHash()}
			})
		if err != nil {
			return
		}
		sig, err := dkim.Sign(m.Header, m.Body, dkim.Key{Domain: "example.com", Selector: "k",
			Signer: s.key}, dkim.SignOptions{Time: now})
		if err != nil {
			return
		}
		r := dkim.Result{Value: dkim.Fail, Evidence: dkim.Evidence{Checked: true, Record: s.record,
			BodyIntact: flip&1 == 0, HeaderIntact: flip&2 == 0}}
		h := m.Header.With(message.Edits{Insert: []message.Field{sig}})
		for _, found := range Signature(h, []byte(text), r) {
			if found.Cause == "" || found.Part == "" {
				t.Errorf("an empty finding: %+v", found)
			}
		}
	})
}

func newSignerF(f *testing.F) signer {
	k := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	return signer{k, "v=DKIM1; k=ed25519; p=" +
		base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey))}
}

// A name that is signed to keep a field out is no field that was removed.
func TestMissing(t *testing.T) {
	header := message.Header{message.NewField("From", []byte(" a@example.com")),
		message.NewField("To", []byte(" b@example.net"))}
	for _, tc := range []struct{ name, names, want string }{
		{"nothing oversigned", "From:To:Subject:Reply-To", "Subject, Reply-To"},
		{"in another case", "from:TO:reply-to", "reply-to"},
		{"in the signature's order", "Cc:From:Reply-To", "Cc, Reply-To"},
		{"all there", "From:To", ""},
		{"absent fields are kept out", "From:From:To:To:Reply-To:Cc", ""},
		{"one was there", "From:From:To:Subject:Subject:Reply-To", "Subject"},
		{"in pairs at the end", "From:To:Date:Subject:Reply-To:from:to:date:subject", "Date, Subject"},
		{"all that is oversigned is lost", "From:To:Date:Date:Cc", "Date"},
		{"whatever might be there", "From:To:Sender:Reply-To:Cc:Resent-Date:List-Id", ""},
	} {
		tr := trial{header: header, signature: dkim.Signature{Names: strings.Split(tc.names, ":")}}
		if got := tr.missing(); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestAbsentIsNotMissing holds that our own signatures, which oversign, do not make a reader look
// for a Reply-To.
func TestAbsentIsNotMissing(t *testing.T) {
	s := newSigner(t, "ed25519")
	text := s.sign(t, original, dkim.SignOptions{Time: now})
	_, found := diagnosed(t, s.record,
		strings.Replace(text, "Date: Sat, 31 Jan 2026 12:00:00 +0000\r\n", "", 1))
	if len(found) != 1 || !strings.HasSuffix(found[0].Cure, "they were removed: Date") {
		t.Errorf("got %+v, want Date alone missing", found)
	}
}
