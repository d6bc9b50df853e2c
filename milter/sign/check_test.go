package sign

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"io"
	"strings"
	"testing"

	"mailseal/keys"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// lying signs with another key than it shows.
type lying struct{ crypto.Signer }

func (l lying) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = 1
	return ed25519.NewKeyFromSeed(seed).Sign(random, digest, o)
}

func TestCheck(t *testing.T) {
	out, m, err := signed(t, Rule{From: patterns("*"), Keys: []string{"one", "two"}}, text)
	if err != nil {
		t.Fatal(err)
	}
	h := m.Header.With(message.Edits{Insert: out.Fields})
	foreign := message.NewField("DKIM-Signature",
		[]byte(" v=1; a=rsa-sha256; d=x.example; s=s; h=from; bh=AAAA; b=AAAA"))
	for _, tc := range []struct {
		name   string
		header message.Header
		body   []byte
		want   Verdict
		err    error
	}{
		{"good", h, []byte("body\r\n"), Agree, nil},
		{"somebody else's bad signature means nothing", append(h[:len(h):len(h)], foreign),
			[]byte("body\r\n"), Agree, nil},
		{"too large to be kept", h, nil, LeftOut, nil},
		{"body changed", h, []byte("other\r\n"), Disagree, ErrDisagree},
		{"header changed", append(message.Header{message.NewField("Subject", []byte(" added"))},
			h...), []byte("body\r\n"), Disagree, ErrDisagree},
	} {
		got, err := out.Check(t.Context(), tc.header, tc.body)
		if got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: %s, %v; want %s, %v", tc.name, got, err, tc.want, tc.err)
		}
	}
}

func TestTestKey(t *testing.T) {
	k := keys.Key{Domain: "one.example", Selector: "s1",
		Signer: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	if err := TestKey(k, dkim.SignOptions{}); err != nil {
		t.Errorf("a good key: %v", err)
	}
	k.Signer = lying{k.Signer}
	if err := TestKey(k, dkim.SignOptions{}); err == nil {
		t.Error("a key whose halves do not match passes")
	}
	k.Domain = strings.Repeat("x", 300)
	if err := TestKey(k, dkim.SignOptions{}); err == nil {
		t.Error("a domain that cannot be published passes")
	}
}
