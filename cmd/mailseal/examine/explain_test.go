package examine

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dns/dnstest"
)

// A record of a stranger is told as one of ours is by check --dns, and an identifier that the walk
// has parted from the author as what it is.
func TestExplainNamesWhatIsWrongWithARecord(t *testing.T) {
	const header = "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=From; bh=AAAA; b=AAAA\r\n" +
		"From: a@news.example.com\r\nSubject: x\r\n\r\nHi.\r\n"
	half := "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA" +
		strings.Repeat("A", 300)
	for _, tt := range []struct{ name, record, want string }{
		{"quotes", `"v=DKIM1; k=rsa; p=AAAA"`, "the value contains quotes"},
		{"quotes between strings", `v=DKIM1; k=rsa; p=AA" "AA`, "the value contains quotes"},
		{"backslashes", `v=DKIM1\; k=rsa\; p=AAAA`, "the value contains backslashes"},
		{"cut off", half[:255], "cut off after 255 octets, where the first string ends"},
		{"cut off, other tags", ("v=DKIM1; h=sha256; " + half[9:])[:255], "cut off after 255 octets"},
		{"a CNAME", "s1._domainkey.vendor.example.",
			"with the name s1._domainkey.vendor.example: it should be a CNAME record"},
		{"a CNAME, without final dot", "s1.dkim.vendor.example", "it should be a CNAME record"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone := dnstest.FromMap(map[string][]string{
				"s._domainkey.example.com": {tt.record},
				"bounce.example.com":       {"v=spf1 ip4:192.0.2.1 -all"},
				"_dmarc.news.example.com":  {"v=DMARC1; p=reject; psd=n"},
			})
			e := &Examiner{Resolver: zone, Now: time.Now, ServerName: "mx",
				Client: netip.MustParseAddr("192.0.2.1"), Helo: "x", From: "a@bounce.example.com"}
			m, err := e.Examine(t.Context(), "m", []byte(header))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := m.Explain(&out); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"The record: ", tt.want,
				"would have aligned under RFC 7489"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}

// TestExplainBodyHash holds that the body hashes are shown as in bh=, so that they can be compared.
func TestExplainBodyHash(t *testing.T) {
	const hash = "FuzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzQ="
	const text = "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=s; h=From; bh=" + hash +
		"; b=AAAA\r\nFrom: a@example.com\r\n\r\nHi.\r\n"
	zone := dnstest.FromMap(map[string][]string{
		"s._domainkey.example.com": {"v=DKIM1; k=ed25519; " +
			"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
	})
	e := &Examiner{Resolver: zone, Now: time.Now, ServerName: "mx"}
	m, err := e.Examine(t.Context(), "m", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := m.Explain(&out); err != nil {
		t.Fatal(err)
	}
	if want := "signed, in bh=: " + hash; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
}
