package keydns_test

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/rand"
	"os"
	"strings"
	"testing"

	"mailseal/keys"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/keydns"
)

// rsaKey is one key for all tests: making them takes long.
func rsaKey(t *testing.T) keys.Key {
	t.Helper()
	text, err := os.ReadFile("testdata/rsa.pem")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Key{Domain: "news.example.com", Selector: "s", Signer: signer}
}

const name = "s._domainkey.news.example.com"

func TestInspect(t *testing.T) {
	key := rsaKey(t)
	want, err := key.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seed := make([]byte, ed25519.SeedSize)
	rand.New(rand.NewSource(1)).Read(seed)
	other, err := keys.Key{Domain: key.Domain, Selector: "s",
		Signer: ed25519.NewKeyFromSeed(seed)}.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := want.Text[strings.Index(want.Text, "p="):]
	pkcs1 := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(
		x509.MarshalPKCS1PublicKey(&key.Signer.(*rsa.PrivateKey).PublicKey))
	short := "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKhPSTDs4cpKfnMc86fCCuEqGNyqZJDkHBdK" +
		"AkMBFxJJ+Bk3PmTvSMYPcDmxqQFFOdtXfVTNFPJ6NKE0gV0qc3cCAwEAAQ=="
	tests := []struct {
		name  string
		zone  map[string][]string
		state keydns.State
		cause keydns.Cause // "" for nothing to say
		harms bool
		text  string // part of the finding
	}{
		{"as it should be", map[string][]string{name: {want.Text}}, keydns.Shown, "", false, ""},
		{"other words, the same key", map[string][]string{name: {"s=email; t=s; " + p}}, keydns.Shown, "", false, ""},
		{"nothing", map[string][]string{}, keydns.Absent, keydns.Missing, true, "NXDOMAIN"},
		{"no data", map[string][]string{"x." + name: {"x"}}, keydns.Absent, keydns.Missing, true, "no data"},
		{"doubled, zone is the domain",
			map[string][]string{name + ".news.example.com": {want.Text}}, keydns.Absent,
			keydns.Doubled, true, "the record is at " + name + ".news.example.com"},
		{"doubled, zone is the parent", map[string][]string{name + ".example.com": {want.Text}},
			keydns.Absent, keydns.Doubled, true, "final dot"},
		{"doubled, but another's", map[string][]string{name + ".example.com": {other.Text}},
			keydns.Absent, keydns.Missing, true, ""},
		{"no _domainkey", map[string][]string{"s.news.example.com": {want.Text}}, keydns.Absent,
			keydns.Doubled, true, "s.news.example.com"},
		{"first string only", map[string][]string{name: {want.Text[:255]}}, keydns.Differs,
			keydns.Truncated, true, "only one string"},
		{"first 200 octets", map[string][]string{name: {want.Text[:200]}}, keydns.Differs,
			keydns.Truncated, true, "cut off after 200 of"},
		{"cut in other words", map[string][]string{name: {"v=DKIM1; h=sha256; k=rsa; " + p[:220]}},
			keydns.Differs, keydns.Truncated, true, "cut off"},
		{"another key", map[string][]string{name: {other.Text}}, keydns.Differs, keydns.WrongKey,
			true, other.Fingerprint},
		{"the same key, in PKCS#1", map[string][]string{name: {pkcs1}}, keydns.Shown, keydns.PKCS1,
			false, "as PKCS#1"},
		{"a name", map[string][]string{name: {"s1._domainkey.vendor.example"}}, keydns.Differs,
			keydns.Typed, true, "the name s1._domainkey.vendor.example"},
		{"a name with a final dot", map[string][]string{name: {"S1.Vendor.Example."}},
			keydns.Differs, keydns.Typed, true, "s1.vendor.example"},
		{"a line of a zone", map[string][]string{name: {"CNAME  s1.vendor.example."}},
			keydns.Differs, keydns.Typed, true, "it should be a CNAME record"},
		{"test", map[string][]string{name: {"v=DKIM1; t=y; " + p}}, keydns.Shown, keydns.Testing, false, "t=y"},
		{"revoked", map[string][]string{name: {"v=DKIM1; p="}}, keydns.Revoked, keydns.Empty, true, "revoked"},
		{"revoked in our words", map[string][]string{name: {"v=DKIM1; k=rsa; p="}}, keydns.Revoked,
			keydns.Empty, true, "revoked"},
		{"cut off before the key", map[string][]string{name: {"v=DKIM1; k=rsa"}}, keydns.Differs,
			keydns.Truncated, true, "cut off"},
		{"too short", map[string][]string{name: {short}}, keydns.Differs, keydns.TooShort, true, "512 bits"},
		{"two, one good", map[string][]string{name: {want.Text, "v=spf1 -all"}}, keydns.Shown,
			keydns.Several, true, "2 TXT records"},
		{"two, the other way round", map[string][]string{name: {other.Text, want.Text}},
			keydns.Shown, keydns.Several, true, "2 TXT records"},
		{"quotes", map[string][]string{name: {`"` + want.Text + `"`}}, keydns.Differs, keydns.Pasted, true, "quotes"},
		{"backslashes", map[string][]string{name: {strings.ReplaceAll(want.Text, ";", `\;`)}},
			keydns.Differs, keydns.Pasted, true, "backslashes"},
		{"word processor", map[string][]string{name: {strings.ReplaceAll(want.Text, "; ",
			";\u00a0")}}, keydns.Differs, keydns.Pasted, true, "not ASCII"},
		{"space in the key", map[string][]string{name: {want.Text[:100] + " " + want.Text[100:]}},
			keydns.Shown, keydns.Spaced, false, "white space inside the key"},
		{"space before it", map[string][]string{name: {" " + want.Text}}, keydns.Shown,
			keydns.Spaced, false, "white space around"},
		{"SHA-1 only", map[string][]string{name: {"v=DKIM1; h=sha1; " + p}}, keydns.Differs,
			keydns.Excluded, true, "h=sha1"},
		{"not for mail", map[string][]string{name: {"v=DKIM1; s=tlsrpt; " + p}}, keydns.Differs,
			keydns.Excluded, true, "s=tlsrpt"},
		{"no record of a key", map[string][]string{name: {"v=spf1 -all"}}, keydns.Differs,
			keydns.Malformed, true, "spf1"},
		{"servers that fail", map[string][]string{name: {"!SERVFAIL"}}, keydns.Unreached,
			keydns.NoAnswer, false, "SERVFAIL"},
		{"servers that say nothing", map[string][]string{name: {"!TIMEOUT"}}, keydns.Unreached,
			keydns.NoAnswer, false, "could not find out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := keydns.Inspect(t.Context(), dnstest.FromMap(tt.zone), want, key.Domain)
			if v.State != tt.state || v.Harm() != tt.harms {
				t.Errorf("got %s, harm %v, want %s, %v: %+v", v.State, v.Harm(), tt.state, tt.harms,
					v.Findings)
			}
			if tt.cause == "" {
				if len(v.Findings) > 0 {
					t.Errorf("got %+v, want no findings", v.Findings)
				}
				return
			}
			for _, f := range v.Findings {
				if f.Cause == tt.cause && strings.Contains(f.Text, tt.text) {
					return
				}
			}
			t.Errorf("got %+v, want %s with %q", v.Findings, tt.cause, tt.text)
		})
	}
}

func TestInspectAlias(t *testing.T) {
	key := rsaKey(t)
	want, _ := key.Record(keys.RecordOptions{})
	zone := dnstest.Must(name + ". CNAME s.vendor.example.\nnews.example.com. A 192.0.2.1\n")
	v := keydns.Inspect(t.Context(), zone, want, key.Domain)
	if v.State != keydns.Absent || !v.Harm() ||
		!strings.Contains(v.Findings[0].Text, "CNAME to s.vendor.example") {
		t.Errorf("to nowhere: got %+v", v)
	}
	zone.AddTXT("s.vendor.example", want.Text)
	v = keydns.Inspect(t.Context(), zone, want, key.Domain)
	if v.State != keydns.Shown || v.Harm() || len(v.Findings) != 1 ||
		!strings.Contains(v.Findings[0].Text, "s.vendor.example") {
		t.Errorf("to the key: got %+v", v)
	}
}

func TestInspectVendor(t *testing.T) {
	key := rsaKey(t)
	record, _ := key.Record(keys.RecordOptions{})
	zone := dnstest.FromMap(map[string][]string{name: {record.Text}})
	if v := keydns.Inspect(t.Context(), zone, keys.Record{Name: name},
		key.Domain); v.State != keydns.Shown || len(v.Findings) > 0 {
		t.Errorf("got %+v", v)
	}
}

func FuzzInspect(f *testing.F) {
	text, err := os.ReadFile("testdata/rsa.pem")
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		f.Fatal(err)
	}
	want, err := keys.Key{Domain: "news.example.com", Selector: "s",
		Signer: private.(*rsa.PrivateKey)}.Record(keys.RecordOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(want.Text)
	f.Add(want.Text[:255])
	f.Add("v=DKIM1; p=")
	f.Add(`"v=DKIM1; p=AAAA"`)
	f.Fuzz(func(t *testing.T, text string) {
		v := keydns.Inspect(t.Context(), dnstest.FromMap(map[string][]string{name: {text}}), want,
			"news.example.com")
		if text != "" && v.State == keydns.Shown &&
			!strings.Contains(strings.Join(strings.Fields(text), ""),
				want.Text[len("v=DKIM1; k=rsa; "):]) {
			t.Errorf("%q passes for our key", text)
		}
	})
}

// What can be said of a record whose key is no one's here.
func TestRecordOfStranger(t *testing.T) {
	key := rsaKey(t)
	want, err := key.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := "p=" + base64.StdEncoding.EncodeToString(
		x509.MarshalPKCS1PublicKey(&key.Signer.(*rsa.PrivateKey).PublicKey))
	for _, tt := range []struct {
		name, text string
		cause      keydns.Cause
	}{
		{"good", want.Text, ""},
		{"quotes", `"` + want.Text + `"`, keydns.Pasted},
		{"quotes between strings", want.Text[:100] + `" "` + want.Text[100:], keydns.Pasted},
		{"backslashes", strings.ReplaceAll(want.Text, ";", `\;`), keydns.Pasted},
		{"cut off at 255", want.Text[:255], keydns.Truncated},
		{"another's, cut off at 255", "v=DKIM1; h=sha256; k=rsa; " +
			want.Text[strings.Index(want.Text, "p="):][:229], keydns.Truncated},
		{"cut off at 255, no k=", "v=DKIM1;" + want.Text[strings.Index(want.Text, "p="):][:247], keydns.Truncated},
		{"a name", "s1.vendor.example.", keydns.Typed},
		{"PKCS#1", pkcs1, keydns.PKCS1},
		{"short, and no key", "v=DKIM1; p=AAAA", keydns.Malformed},
	} {
		found := keydns.Record(tt.text)
		if tt.cause == "" && len(found) > 0 ||
			tt.cause != "" && (len(found) == 0 || found[0].Cause != tt.cause) {
			t.Errorf("%s: got %+v, want %q", tt.name, found, tt.cause)
		}
	}
}
