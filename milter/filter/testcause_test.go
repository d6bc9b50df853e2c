package filter

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// TestChangedFieldIsKept holds that the evidence of a test names the signed field that was changed.
func TestChangedFieldIsKept(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	const text = "From: x@asks.example\r\nSubject: Hello\r\nMessage-ID: <1@asks.example>\r\n\r\nbody\r\n"
	o := dkim.SignOptions{Time: time.Unix(1_700_000_000, 0), Expiry: -1}
	m, err := message.Read(strings.NewReader(text), 1<<20,
		func(message.Header) []message.BodyHash { return []message.BodyHash{o.BodyHash()} })
	if err != nil {
		t.Fatal(err)
	}
	field, err := dkim.Sign(m.Header, m.Body, dkim.Key{Domain: "asks.example", Selector: "k",
		Signer: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	signed := string(field.Raw()) + "\r\n" + text
	for name, tt := range map[string]struct{ text, cause string }{
		"as it was signed": {signed, ""},
		"a list's tag": {strings.Replace(signed, "Subject: Hello", "Subject: [list] Hello", 1),
			"Subject: [list] Hello"},
		"only the body": {strings.Replace(signed, "\r\n\r\nbody", "\r\n\r\nanother body", 1), ""},
	} {
		f, _ := reportFilter(t)
		f.Verifier.Resolver = dnstest.FromMap(map[string][]string{
			"k._domainkey.asks.example": {"v=DKIM1; k=ed25519; p=" +
				base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))},
		})
		k := &keeper{}
		f.Test = Test{Local: "test", Domain: "example.net", Keeper: k,
			PageURL: "https://mx.example.net",
			Now:     func() time.Time { return time.Unix(1_780_000_000, 0) }}
		env := message.Envelope{Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example",
			Sender:     "x@asks.example",
			Recipients: []string{"test+00112233445566778899aabbccddeeff@example.net"}}
		decide(t, f, action.RoleTheirs, milter.ByNetwork, env,
			strings.ReplaceAll(tt.text, "\r\n", "\n"))
		if len(k.list) != 1 || len(k.list[0].Signatures) != 1 {
			t.Fatalf("%s: kept %+v", name, k.list)
		}
		got := k.list[0].Signatures[0].HeaderCause
		if (got == "") != (tt.cause == "") || !strings.Contains(got, tt.cause) {
			t.Errorf("%s: cause %q, want %q: %+v", name, got, tt.cause, k.list[0].Signatures[0])
		}
	}
}
