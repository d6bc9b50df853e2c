package crosscheck_test

import (
	"bytes"
	"errors"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"mailseal/milter/dkim"
	"mailseal/milter/dkim/crosscheck"
)

// FuzzWeSign: what we sign, go-msgauth verifies, unless it is left out.
func FuzzWeSign(f *testing.F) {
	f.Fuzz(func(t *testing.T, header, body string, forms byte) {
		raw := []byte("From: a@example.com\r\n" + header + "\r\n\r\n" + body)
		v := variant{"fuzz", raw, keys()[1], dkim.SignOptions{Time: signTime,
			SimpleHeader: forms&1 != 0, SimpleBody: forms&2 != 0}}
		if _, err := crosscheck.Message(t.Context(), raw, lookup(zone())); errors.Is(err,
			crosscheck.ErrUnfit) {
			return
		}
		opinions, err := crosscheck.Message(t.Context(), v.signed(t), lookup(zone()))
		if errors.Is(err, crosscheck.ErrUnfit) {
			return // by a signature that was there before
		}
		if err != nil || len(opinions) == 0 || opinions[0].Value != crosscheck.Pass {
			t.Errorf("%v, %v", opinions, err)
		}
	})
}

// FuzzTheySign: what go-msgauth signs, we verify, unless it is left out.
func FuzzTheySign(f *testing.F) {
	f.Fuzz(func(t *testing.T, header, body string, forms byte) {
		raw := []byte("From: a@example.com\r\n" + header + "\r\n\r\n" + body)
		if _, err := crosscheck.Message(t.Context(), raw, lookup(zone())); err != nil {
			return
		}
		options := &msgauth.SignOptions{
			Domain: "example.com", Selector: "ed", Signer: keys()[1].Signer,
			HeaderKeys:             []string{"From", "To", "To", "Subject"},
			HeaderCanonicalization: form(forms&1 != 0), BodyCanonicalization: form(forms&2 != 0),
		}
		var out bytes.Buffer
		if err := msgauth.Sign(&out, bytes.NewReader(raw), options); err != nil {
			return
		}
		results := judge(t, zone(), out.Bytes())
		if len(results) == 0 || results[0].Value != dkim.Pass {
			t.Errorf("%v", results)
		}
	})
}

// FuzzDisagree: whatever a message and a key record say, we and go-msgauth agree about signatures
// that it can judge.
func FuzzDisagree(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte, record string) {
		z := anyName(func(string) []string { return []string{record} })

		opinions, err := crosscheck.Message(t.Context(), raw, lookup(z))
		if err != nil {
			return
		}
		disagreement(t, opinions, judge(t, z, raw), "fuzz")
	})
}
