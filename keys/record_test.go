package keys_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"mailseal/keys"
)

func TestRecord(t *testing.T) {
	tests := []struct {
		name    string
		options keys.RecordOptions
		want    string
	}{
		{"plain", keys.RecordOptions{}, "v=DKIM1; k=ed25519; p=" + edPublic()},
		{"testing", keys.RecordOptions{Testing: true}, "v=DKIM1; k=ed25519; t=y; p=" + edPublic()},
		{"strict", keys.RecordOptions{Strict: true}, "v=DKIM1; k=ed25519; t=s; p=" + edPublic()},
		{"all", keys.RecordOptions{Testing: true, Strict: true, EmailOnly: true},
			"v=DKIM1; k=ed25519; s=email; t=y:s; p=" + edPublic()},
		{"revoked", keys.RecordOptions{Revoked: true}, "v=DKIM1; k=ed25519; p="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := keys.Key{Domain: "example.com", Selector: "ed",
				Signer: testEd25519}.Record(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if r.Text != tt.want {
				t.Errorf("got %q, want %q", r.Text, tt.want)
			}
		})
	}
}

func edPublic() string {
	return base64.StdEncoding.EncodeToString(testEd25519.Public().(ed25519.PublicKey))
}

func TestRecordOfRSA(t *testing.T) {
	r := rsaRecord(t)
	public, ok := strings.CutPrefix(r.Text, "v=DKIM1; k=rsa; p=")
	if !ok {
		t.Fatalf("got %q", r.Text)
	}
	der, err := base64.StdEncoding.DecodeString(public)
	if err != nil {
		t.Fatal(err)
	}
	got, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if !testRSA().PublicKey.Equal(got) {
		t.Error("got another key")
	}
}

func rsaRecord(t *testing.T) keys.Record {
	t.Helper()
	r, err := keys.Key{Domain: "example.com.", Selector: "mail",
		Signer: testRSA()}.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordForms(t *testing.T) {
	r := rsaRecord(t)
	parts := r.Strings()
	if len(parts) != 2 || strings.Join(parts, "") != r.Text {
		t.Fatalf("got strings %q of %q", parts, r.Text)
	}
	for _, s := range parts {
		if len(s) > keys.MaxString {
			t.Errorf("got a string of %d octets", len(s))
		}
	}
	const owner = "mail._domainkey.example.com. 3600 IN TXT "
	tests := []struct{ name, got, want string }{
		{"zone", r.Zone(), owner + "(\n\t\"" + parts[0] + "\"\n\t\"" + parts[1] + "\" )\n"},
		{"line", r.Line(), owner + `"` + parts[0] + `" "` + parts[1] + `"`},
		{"nsupdate", r.NSUpdate(), "update delete mail._domainkey.example.com. TXT\nupdate add " +
			r.Line() + "\nsend\n"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	var decoded struct {
		Name, Type, Value, Fingerprint string
		Strings                        []string
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	if decoded.Name != "mail._domainkey.example.com" || decoded.Type != "TXT" ||
		decoded.Value != r.Text || len(decoded.Strings) != 2 {
		t.Errorf("got %s", text)
	}
}

func TestRecordRefusesNames(t *testing.T) {
	tests := []struct{ name, selector, domain string }{
		{"line end", "mail\n", "example.com"},
		{"quote", `ma"il`, "example.com"},
		{"empty selector", "", "example.com"},
		{"empty domain", "mail", ""},
		{"long label", strings.Repeat("a", 64), "example.com"},
		{"long name", "mail", strings.Repeat("a.", 130) + "com"},
		{"U-label", "mail", "müller.example"},
		{"bracket", "mail", "example.com)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := keys.Key{Domain: tt.domain, Selector: tt.selector,
				Signer: testEd25519}.Record(keys.RecordOptions{})
			if !errors.Is(err, keys.ErrName) {
				t.Errorf("got %v, want %v", err, keys.ErrName)
			}
		})
	}
	if _, err := (keys.Key{Domain: "example.com", Selector: "mail"}).Record(
		keys.RecordOptions{}); !errors.Is(err, keys.ErrAlgorithm) {
		t.Errorf("no key: got %v, want %v", err, keys.ErrAlgorithm)
	}
}

// TestFingerprintIsOpenSSLs holds what the documentation says of the command.
func TestFingerprintIsOpenSSLs(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	text, err := keys.Marshal(testEd25519)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "openssl pkey -pubout -outform DER | openssl dgst -sha256 -r")
	cmd.Stdin = strings.NewReader(string(text))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "sha256:" + strings.Fields(string(out))[0]
	if got, err := (keys.Key{Signer: testEd25519}).Fingerprint(); got != want || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
		"MII", "-----BEGIN"} {
		f.Add([]byte(s))
	}
	f.Add([]byte(base64.StdEncoding.EncodeToString(testEd25519.Seed())))
	text, err := keys.Marshal(testEd25519)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := keys.Parse(text)
		if err != nil {
			return
		}
		again, err := keys.Marshal(s)
		if err != nil {
			t.Fatalf("a key that was read cannot be written: %v", err)
		}
		if _, err := keys.Parse(again); err != nil {
			t.Fatalf("a key that was written cannot be read: %v", err)
		}
	})
}
