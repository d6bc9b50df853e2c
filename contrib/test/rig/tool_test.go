package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// The example of RFC 8463 appendix A, which has a signature of each algorithm.
func TestDkimpy(t *testing.T) {
	message, err := os.ReadFile(filepath.Join("testdata", "rfc8463", "msg"))
	if err != nil {
		t.Fatal(err)
	}
	txt := map[string]string{
		"brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; " +
			"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		"test._domainkey.football.example.com": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBi" +
			"QKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi" +
			"0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
	}
	broken := append(message[:len(message):len(message)], "changed\r\n"...)
	got := Dkimpy(t, txt, message, broken)
	if len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 2 {
		t.Fatalf("verdicts: %+v", got)
	}
	for i, algorithm := range []string{"ed25519-sha256", "rsa-sha256"} {
		if v := got[0][i]; !v.Pass || v.Algorithm != algorithm ||
			v.Domain != "football.example.com" {
			t.Errorf("signature %d: %+v", i, v)
		}
		if v := got[1][i]; v.Pass {
			t.Errorf("signature %d of a changed message passes: %+v", i, v)
		}
	}
}
