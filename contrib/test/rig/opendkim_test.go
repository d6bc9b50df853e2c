package rig

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

// A real Postfix with a real OpenDKIM in our place: what it signs verifies, so the harness loses
// nothing on the way.
func TestOpenDKIM(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(private)})
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	txt := map[string]string{"mail._domainkey.home.example": "v=DKIM1; k=rsa; p=" +
		base64.StdEncoding.EncodeToString(public)}

	m := Postfix(t, Options{Milter: OpenDKIM(t, "home.example", "mail", file)})
	c := Dial(t, m.Submission, "127.0.0.2")
	c.Authenticate(User, Password)
	c.Deliver(note("alice@home.example", "friend@elsewhere.example", "hello"))
	c.Quit()
	d := m.Sink.To(t, "friend@elsewhere.example")
	verdicts := Dkimpy(t, txt, d.Data, bytes.Replace(d.Data, []byte("hello"), []byte("Hello"), 1))
	if len(verdicts[0]) != 1 || !verdicts[0][0].Pass {
		t.Errorf("OpenDKIM's signature: %+v, on:\n%s", verdicts[0], d.Data)
	}
	if len(verdicts[1]) != 1 || verdicts[1][0].Pass {
		t.Errorf("OpenDKIM's signature on a changed subject: %+v", verdicts[1])
	}
}
