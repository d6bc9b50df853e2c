package store

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"mailseal/milter/report"
)

// TestPack holds that packed rows come back as they were, one after the other, and that a row of
// usual mail takes half of its room.
func TestPack(t *testing.T) {
	usual := outMail("shop.example.com", outNoon, "192.0.2.1", true)
	usual.EnvelopeFrom = "bounce.shop.example.com"
	usual.SPFAuth = &report.SPFAuth{Domain: "bounce.shop.example.com", Result: "pass"}
	usual.Signatures = []report.DKIMAuth{{Domain: "shop.example.com", Selector: "s1",
		Result: "pass", Aligned: true}}
	var w report.RowWriter
	w.Add(usual.AppendKey(nil), 7)
	random := make([]byte, 300)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(random)
	p, u := newPartPacker(), &partUnpacker{}
	for _, tc := range []struct {
		name string
		rows []byte
		most int
	}{
		{"usual", w.Bytes, len(w.Bytes) / 2}, {"none", nil, 1}, {"random", random, len(random) + 1},
		{"usual again", w.Bytes, len(w.Bytes) / 2}, {"many", bytes.Repeat(w.Bytes, 1000), 2000},
	} {
		stored, err := p.pack(tc.rows)
		if err != nil || len(stored) > tc.most {
			t.Errorf("%s: %d bytes of %d, want %d at most; %v", tc.name, len(stored), len(tc.rows),
				tc.most, err)
		}
		got, err := u.unpack(stored)
		if err != nil || !bytes.Equal(got, tc.rows) {
			t.Errorf("%s: got %q, %v", tc.name, got, err)
		}
	}
	for _, bad := range [][]byte{{9, 1, 2}, {packedWords, 0xff, 0xff}} {
		if got, err := u.unpack(bad); err == nil {
			t.Errorf("%v: got %q, and no error", bad, got)
		}
	}
}
