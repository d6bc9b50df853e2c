package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// OpenDKIM is another's milter, and "mailseal mta" drives it as it drives ours. What each MTA would
// deliver bears a good signature.
func TestMTADrivesOpenDKIM(t *testing.T) {
	rig.Build(t)
	file, zone := opendkimKey(t)
	address := milterAddress(rig.OpenDKIM(t, "example.com", "mail", file))
	const plain = "From: a@example.com\nSubject: s\n\nhello\n"
	for _, mta := range []string{"postfix", "sendmail"} {
		out := rig.RunWith(t, []byte(plain), "mta", "--milter", address, "--as", mta, "--from",
			"a@example.com", "--deliver")
		if out.Code != 0 || !strings.Contains(out.Stdout, "DKIM-Signature: v=1; a=rsa-sha256;") {
			t.Errorf("%s: %+v", mta, out)
		}
		if said := rig.RunWith(t, []byte(out.Stdout), "verify", "--zone", zone); said.Code != 0 {
			t.Errorf("%s: what would be delivered does not verify: %+v\n%s", mta, said, out.Stdout)
		}
	}
	out := rig.Run(t, "mta", "--milter", address, "--size", "4096", "--count", "30",
		"--concurrency", "2", "--json")
	var figures struct{ Messages, Edited int }
	if err := json.Unmarshal([]byte(out.Stdout), &figures); err != nil || out.Code != 0 ||
		figures.Messages != 30 || figures.Edited != 30 {
		t.Errorf("%v: %+v", err, out)
	}
}

// opendkimKey makes a key for OpenDKIM, and a zone file with its record.
func opendkimKey(t *testing.T) (file, zone string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	p := base64.StdEncoding.EncodeToString(public)
	dir := t.TempDir()
	file, zone = filepath.Join(dir, "key.pem"), filepath.Join(dir, "zone")
	err = errors.Join(
		os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
			Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600),
		os.WriteFile(zone, []byte(fmt.Sprintf("mail._domainkey.example.com. 60 IN TXT \"v=DKIM1; "+
			"k=rsa; p=%s\" \"%s\"\n", p[:200], p[200:])), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return file, zone
}
