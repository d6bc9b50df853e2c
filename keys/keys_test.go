package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mailseal/keys"
)

// testRSA is made once: it takes a tenth of a second.
var testRSA = sync.OnceValue(func() *rsa.PrivateKey {
	s, err := keys.Generate(keys.RSA, 0)
	if err != nil {
		panic(err)
	}
	return keys.Unwrap(s).(*rsa.PrivateKey)
})

var testEd25519 = ed25519.NewKeyFromSeed([]byte("an Ed25519 seed has 32 octets..."))

func armour(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t *testing.T, k any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pkix509(t *testing.T, k crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func certificate(t *testing.T) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, testEd25519.Public(),
		testEd25519)
	if err != nil {
		t.Fatal(err)
	}
	return armour("CERTIFICATE", der)
}

func TestParse(t *testing.T) {
	pkcs1 := x509.MarshalPKCS1PrivateKey(testRSA())
	std := base64.StdEncoding
	wrapped := strings.Join(chunks(std.EncodeToString(pkcs1), 64), "\n")
	tests := []struct {
		name string
		text []byte
		want crypto.Signer
	}{
		{"PKCS#1, as opendkim-genkey writes it", armour("RSA PRIVATE KEY", pkcs1), testRSA()},
		{"PKCS#8 RSA", armour("PRIVATE KEY", pkcs8(t, testRSA())), testRSA()},
		{"PKCS#8 under PKCS#1's name", armour("RSA PRIVATE KEY", pkcs8(t, testRSA())), testRSA()},
		{"PKCS#8 Ed25519", armour("PRIVATE KEY", pkcs8(t, testEd25519)), testEd25519},
		{"CRLF line ends", bytes.ReplaceAll(armour("PRIVATE KEY", pkcs8(t, testEd25519)),
			[]byte("\n"), []byte("\r\n")), testEd25519},
		{"byte order mark and blanks", append([]byte("\xef\xbb\xbf \n"),
			armour("PRIVATE KEY", pkcs8(t, testEd25519))...), testEd25519},
		{"text before the armour", append([]byte("Bag Attributes\n"),
			armour("PRIVATE KEY", pkcs8(t, testEd25519))...), testEd25519},
		{"certificate beside it", append(certificate(t), armour("PRIVATE KEY", pkcs8(t, testEd25519))...), testEd25519},
		{"public half beside it", append(armour("PRIVATE KEY", pkcs8(t, testEd25519)),
			armour("PUBLIC KEY", pkix509(t, testEd25519))...), testEd25519},
		{"base64 PKCS#1", []byte(std.EncodeToString(pkcs1)), testRSA()},
		{"base64 PKCS#1 on several lines", []byte(wrapped), testRSA()},
		{"base64 PKCS#8", []byte(std.EncodeToString(pkcs8(t, testRSA()))), testRSA()},
		{"base64 PKCS#8 Ed25519", []byte(std.EncodeToString(pkcs8(t, testEd25519))), testEd25519},
		{"seed", []byte(std.EncodeToString(testEd25519.Seed()) + "\n"), testEd25519},
		{"seed without padding", []byte(base64.RawStdEncoding.EncodeToString(testEd25519.Seed())), testEd25519},
		{"seed and public key", []byte(std.EncodeToString(testEd25519)), testEd25519},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := keys.Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if !keys.Unwrap(got).(interface{ Equal(crypto.PrivateKey) bool }).Equal(tt.want) {
				t.Error("got another key")
			}
		})
	}
}

func chunks(s string, n int) []string {
	var out []string
	for ; len(s) > n; s = s[n:] {
		out = append(out, s[:n])
	}
	return append(out, s)
}

func TestParseRefuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	pss, err := os.ReadFile("testdata/rsa-pss.pem") // of openssl genpkey -algorithm RSA-PSS
	if err != nil {
		t.Fatal(err)
	}
	pssDER, _ := pem.Decode(pss)
	good := armour("PRIVATE KEY", pkcs8(t, testRSA()))
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte{1}})
	foreign := append(bytes.Clone(testEd25519.Seed()), make([]byte, 32)...)
	tests := []struct {
		name string
		text []byte
		want error
		says string
	}{
		{"empty", nil, keys.ErrNoKey, "empty"},
		{"blank", []byte(" \n"), keys.ErrNoKey, "empty"},
		{"RSA-PSS", []byte(pss), keys.ErrAlgorithm, "an RSA-PSS key"},
		{"RSA-PSS in base64", []byte(base64.StdEncoding.EncodeToString(pssDER.Bytes)),
			keys.ErrAlgorithm, "an RSA-PSS key"},
		{"RSA-PSS in DER", pssDER.Bytes, keys.ErrAlgorithm, "an RSA-PSS key"},
		{"DER of PKCS#8", pkcs8(t, testRSA()), keys.ErrMalformed, "in DER, not PEM; openssl pkey -inform DER"},
		{"DER of PKCS#1 and a line end", append(x509.MarshalPKCS1PrivateKey(testRSA()), '\n'),
			keys.ErrMalformed, "in DER, not PEM"},
		{"DER of Ed25519", pkcs8(t, testEd25519), keys.ErrMalformed, "in DER, not PEM"},
		{"DER of a public key", pkix509(t, testRSA()), keys.ErrPublic, ""},
		{"DER of a certificate", certificateDER(t), keys.ErrCertificate, "in DER"},
		{"DER of something else", []byte("0\x03\x02\x01\x05"), keys.ErrMalformed, "no private key"},
		{"encrypted PKCS#1", encrypted, keys.ErrEncrypted, "openssl pkey"},
		{"encrypted PKCS#8", armour("ENCRYPTED PRIVATE KEY", []byte{1}), keys.ErrEncrypted, "openssl pkey"},
		{"public key", armour("PUBLIC KEY", pkix509(t, testRSA())), keys.ErrPublic, "PRIVATE KEY"},
		{"p= of a record", []byte(base64.StdEncoding.EncodeToString(pkix509(t, testRSA()))), keys.ErrPublic, "p= tag"},
		{"certificate", certificate(t), keys.ErrCertificate, "PRIVATE KEY"},
		{"OpenSSH", armour("OPENSSH PRIVATE KEY", []byte{1}), keys.ErrAlgorithm, "keygen"},
		{"elliptic curve, SEC 1", armour("EC PRIVATE KEY", sec1), keys.ErrAlgorithm, "RSA and Ed25519"},
		{"elliptic curve, PKCS#8", armour("PRIVATE KEY", pkcs8(t, ec)), keys.ErrAlgorithm, "RSA and Ed25519"},
		{"cut short", good[:len(good)/2], keys.ErrMalformed, "truncated"},
		{"on one line", bytes.ReplaceAll(good, []byte("\n"), []byte(" ")), keys.ErrMalformed, "line ends"},
		{"DER cut short", armour("PRIVATE KEY", pkcs8(t, testRSA())[:500]), keys.ErrMalformed, "incomplete"},
		{"two keys", append(bytes.Clone(good), good...), keys.ErrMalformed, "several"},
		{"one good, one encrypted", append(bytes.Clone(good), encrypted...), keys.ErrEncrypted, "openssl"},
		{"parameters only", armour("DH PARAMETERS", []byte{1}), keys.ErrNoKey, "dh parameters"},
		{"prose", []byte("it is in the safe!"), keys.ErrMalformed, "base64"},
		{"base64 of something else", []byte("aGVsbG8="), keys.ErrMalformed, "PKCS"},
		{"seed with another public key", []byte(base64.StdEncoding.EncodeToString(foreign)),
			keys.ErrMalformed, "second half"},
		{"too long", bytes.Repeat([]byte("A"), keys.MaxSize+1), keys.ErrMalformed, "at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := keys.Parse(tt.text)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestShortRSA(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	k, err := rsa.GenerateKey(rand.Reader, 768)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Parse(armour("PRIVATE KEY", pkcs8(t, k))); !errors.Is(err, keys.ErrBits) {
		t.Errorf("got %v, want %v", err, keys.ErrBits)
	}
}

func TestGenerate(t *testing.T) {
	tests := []struct {
		name string
		alg  keys.Algorithm
		bits int
		want int // bits; 0: an error
	}{
		{"RSA", keys.RSA, 0, 2048},
		{"RSA of a size", keys.RSA, 1536, 1536},
		{"RSA too short", keys.RSA, 1023, 0},
		{"RSA too long", keys.RSA, 16385, 0},
		{"Ed25519", keys.Ed25519, 0, 256},
		{"unknown", "dsa", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := keys.Generate(tt.alg, tt.bits)
			if tt.want == 0 {
				if err == nil {
					t.Fatal("got a key, want an error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if alg, bits := (keys.Key{Signer: s}).Algorithm(); alg != tt.alg || bits != tt.want {
				t.Errorf("got %s of %d bits, want %s of %d", alg, bits, tt.alg, tt.want)
			}
		})
	}
}

func TestMarshalRoundTrip(t *testing.T) {
	for _, s := range []crypto.Signer{testRSA(), testEd25519} {
		text, err := keys.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := keys.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if !keys.Unwrap(got).(interface{ Equal(crypto.PrivateKey) bool }).Equal(keys.Unwrap(s)) {
			t.Errorf("%T: got another key back", s)
		}
	}
	if _, err := keys.Marshal(nil); !errors.Is(err, keys.ErrAlgorithm) {
		t.Errorf("no key: got %v, want %v", err, keys.ErrAlgorithm)
	}
}

func TestKeyIsNeverShown(t *testing.T) {
	for _, s := range []crypto.Signer{testRSA(), testEd25519} {
		k := keys.Key{Name: "k", Domain: "example.com", Selector: "mail", Signer: s}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("signed", "key", k, "keys", []keys.Key{k})
		text, err := json.Marshal(map[string]any{"key": k})
		if err != nil {
			t.Fatal(err)
		}
		shown := log.String() + string(text)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			shown += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, struct{ K keys.Key }{k})
		}
		for _, secret := range secrets(s) {
			if strings.Contains(shown, secret) {
				t.Errorf("%T is shown: %s", s, shown)
			}
		}
		if want := "mail._domainkey.example.com"; !strings.Contains(shown, want) {
			t.Errorf("got %s, want it to name %s", shown, want)
		}
	}
}

// secrets are the first octets of the private key as fmt and encoding/json would print them.
func secrets(s crypto.Signer) []string {
	if r, ok := keys.Unwrap(s).(*rsa.PrivateKey); ok {
		return []string{r.D.String()[:20], fmt.Sprintf("%x", r.D)[:20]}
	}
	seed := s.(ed25519.PrivateKey)[:6]
	return []string{fmt.Sprintf("%d", seed)[1:20], fmt.Sprintf("%x", seed),
		base64.StdEncoding.EncodeToString(seed)}
}

func certificateDER(t *testing.T) []byte {
	t.Helper()
	block, _ := pem.Decode(certificate(t))
	return block.Bytes
}

// A seed in base64 is no DER, whatever it begins with: "0+" and a line end look like a sequence of
// 43 octets.
func TestSeedThatLooksLikeDER(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	seed[0], seed[1] = 0xd3, 0xe0
	text := base64.StdEncoding.EncodeToString(seed) + "\n"
	if got, err := keys.Parse([]byte(text)); err != nil || got == nil ||
		!strings.HasPrefix(text, "0+") {
		t.Errorf("%q: %v", text, err)
	}
}

// What is printed about a file in DER makes a key of it.
func TestRemedyForDER(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	der, pemFile := filepath.Join(dir, "k.der"), filepath.Join(dir, "k.pem")
	if err := os.WriteFile(der, pkcs8(t, testRSA()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = keys.Parse(pkcs8(t, testRSA()))
	_, printed, found := strings.Cut(fmt.Sprint(err), "openssl ")
	command, _, isWhole := strings.Cut(printed, " makes")
	if !found || !isWhole {
		t.Fatalf("no command in %v", err)
	}
	args := strings.Fields(strings.NewReplacer("NEWFILE", pemFile, "FILE", der).Replace(command))
	if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(pemFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Parse(text); err != nil {
		t.Error(err)
	}
}

// TestParsePath names a path in place of a key, and shows nothing that may be a part of one.
func TestParsePath(t *testing.T) {
	for text, isShown := range map[string]bool{
		"/etc/dkim/example.com.pem":       true,
		"file:/etc/dkim/example.com.key":  true,
		"/etc/dkim/key":                   false, // base64 has all of these letters
		"/AbC/dEf/GhI=broken":             false,
		"/etc/dkim/a.pem\nMIIEvQIBADANBg": false,
		"etc/dkim/example.com.pem":        true,
		"etc/dkim/example.com":            false,
	} {
		_, err := keys.Parse([]byte(text))
		if err == nil || strings.Contains(err.Error(), "file path") != isShown || !isShown &&
			strings.Contains(err.Error(), "dkim") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
