package dkim_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"mailseal/milter/dkim"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/taglist"
)

// FuzzSignature: whatever a field says, what is read of it is sound, and only the value of its own
// b= is left out of what it signs.
func FuzzSignature(f *testing.F) {
	f.Fuzz(func(t *testing.T, value string) {
		field := message.NewField(dkim.FieldName, []byte(value))
		s, fault := dkim.ParseSignature(field)
		if !utf8.ValidString(fault) && utf8.ValidString(value) || len(fault) > 300 {
			t.Errorf("fault %q", fault)
		}
		if fault != "" {
			return
		}
		if d, err := domain.Parse(string(s.Domain)); err != nil || d != s.Domain ||
			!strings.HasSuffix(s.KeyName, "._domainkey."+string(d)) {
			t.Errorf("d=%s, key at %s", s.Domain, s.KeyName)
		}
		if len(s.Names) == 0 || len(s.Value) == 0 || len(s.BodyHash) == 0 ||
			s.Limit < message.Whole || len(s.Unsigned) == 0 {
			t.Errorf("%+v", s)
		}
		whole, err := taglist.Parse(string(field.Value()))
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range s.Unsigned {
			part, err := taglist.Parse(string(form.Value()))
			if err != nil || len(part) != len(whole) {
				t.Fatalf("%q: %v", form.Value(), err)
			}
			for i, tag := range part {
				if want := whole[i].Value; tag.Name != whole[i].Name || tag.Name == "b" &&
					tag.Value != "" || tag.Name != "b" && tag.Value != want {
					t.Errorf("%s=%q, was %q", tag.Name, tag.Value, want)
				}
			}
		}
	})
}

// FuzzRecord: a key that is accepted is one that may be.
func FuzzRecord(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		r, err := dkim.ParseRecord(text)
		if err != nil {
			if fault, ok := err.(*dkim.RecordError); !ok || fault.State == dkim.KeyUsable ||
				fault.Reason == "" {
				t.Errorf("%#v", err)
			}
			return
		}
		if bits := r.Key.Bits(); bits != 256 && (bits < 1024 || bits > 8192) {
			t.Errorf("a key of %d bits", bits)
		}
		r.Key.Verify([32]byte{}, make([]byte, 256))
		r.Key.Made(make([]byte, 256))
	})
}

// FuzzVerify judges any message with any key record.
func FuzzVerify(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte, record string) {
		zone := dnstest.FromMap(map[string][]string{"sel._domainkey.example.com": {record}})
		v := &dkim.Verifier{Resolver: zone, Now: testClock}
		var x *dkim.Verification
		m, err := message.Read(bytes.NewReader(raw), 1<<20,
			func(h message.Header) []message.BodyHash {
				author, _ := h.Author()
				x = v.Select(h, author.Domain)
				return x.BodyHashes()
			})
		if err != nil {
			return
		}
		results := x.Run(t.Context(), m)
		if len(results) > 20 || len(zone.Queries()) > 10 {
			t.Errorf("%d results, %d queries", len(results), len(zone.Queries()))
		}
		for _, r := range results {
			checkResult(t, m, r)
		}
	})
}

// checkResult holds what is true of every result.
func checkResult(t *testing.T, m *message.Message, r dkim.Result) {
	switch r.Value {
	case dkim.Pass:
		if e := r.Evidence; !e.HeaderIntact || !e.BodyIntact || e.UnsignedOctets != 0 ||
			r.Domain == "" || r.Bits == 0 {
			t.Errorf("pass: %+v", r)
		}
	case dkim.Fail, dkim.Policy, dkim.TempError, dkim.PermError, dkim.Neutral:
		if r.Reason == "" || strings.ContainsAny(r.Reason, "\r\n") {
			t.Errorf("%s for %q", r.Value, r.Reason)
		}
	default:
		t.Errorf("value %q", r.Value)
	}
	if len(r.HeaderB) > 64 || !m.Header[r.Evidence.Field].Is(dkim.FieldName) {
		t.Errorf("%+v", r)
	}
}

// FuzzSign: what we sign, we verify.
func FuzzSign(f *testing.F) {
	f.Fuzz(func(t *testing.T, header, body string, forms byte) {
		raw := "From: a@example.com\r\n" + header + "\r\n\r\n" + body
		options := dkim.SignOptions{Time: testTime, SimpleHeader: forms&1 != 0,
			SimpleBody: forms&2 != 0}
		m, err := message.Read(strings.NewReader(raw), 1<<20,
			func(message.Header) []message.BodyHash {
				return []message.BodyHash{options.BodyHash()}
			})
		if err != nil {
			return
		}
		field, err := dkim.Sign(m.Header, m.Body, edSigner(), options)
		if err == dkim.ErrTooManyFields {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		h := append(message.Header{field}, m.Header...)
		x := (&dkim.Verifier{Resolver: signers(t), Now: testClock}).Select(h, "example.com")
		if results := x.Run(t.Context(),
			&message.Message{Header: h, Body: m.Body}); results[0].Value != dkim.Pass {
			t.Errorf("got %v", summary(results[:1]))
		}
	})
}
