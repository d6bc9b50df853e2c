package arc_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
)

// TestDkimpyValidates: another implementation finds our chains as good and as bad as we do.
func TestDkimpyValidates(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	record := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	zone := dnstest.FromMap(map[string][]string{"s._domainkey.relay.example": {record}})
	raw := mail
	for range 3 {
		options := arc.SealOptions{Time: testClock()}
		chain, m := validate(t, zone, raw, options.BodyHash())
		k := dkim.Key{Domain: "relay.example", Selector: "s", Signer: key}
		fields, err := arc.Seal(m.Header, m.Body, chain, "mx.relay.example; arc="+
			string(chain.Value)+"; spf=pass smtp.mailfrom=a@example.com", k, options)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range slices.Backward(fields) {
			raw = string(f.Raw()) + "\r\n" + raw
		}
	}
	for _, c := range []struct{ raw, want string }{
		{mail, "none"},
		{raw, "pass"},
		{raw + "footer\r\n", "fail"},
		{strings.Replace(raw, "hello", "Hello", 1), "fail"},
	} {
		ours, _ := validate(t, zone, c.raw)
		if theirs := dkimpy(t, c.raw, record); theirs != c.want || string(ours.Value) != c.want {
			t.Errorf("dkimpy says %s, we say %s, want %s", theirs, ours.Value, c.want)
		}
	}
}

func dkimpy(t *testing.T, raw, record string) string {
	t.Helper()
	env := os.Environ()
	if root := os.Getenv("MAILSEAL_TEST_ROOT"); root != "" {
		env = append(env, "PYTHONPATH="+filepath.Join(root, "usr/lib/python3/dist-packages"))
	}
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		probe := exec.CommandContext(t.Context(), python, "-c", "import dkim")
		probe.Env = env
		if probe.Run() != nil {
			continue
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), python, "testdata/dkimpy.py", record)
		cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(raw), &out, t.Output()
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String())
	}
	t.Skip("no dkimpy: python3-dkim is not installed, nor under MAILSEAL_TEST_ROOT")
	return ""
}
