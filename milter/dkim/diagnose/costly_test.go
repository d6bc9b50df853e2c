package diagnose

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// record is one of a key that made no signature here.
func record(t *testing.T) dkim.Record {
	t.Helper()
	r, err := dkim.ParseRecord(newSigner(t, "ed25519").record)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTrialsAreBounded holds that a large header is gone through a bounded number of times,
// whatever its fields are, and that the finding says so; a usual one is tried to the end.
func TestTrialsAreBounded(t *testing.T) {
	const most = maxEffort * 32 << 10 // bytes
	for name, tt := range map[string]struct {
		fields, size int
		field        string
		isSpent      bool
	}{
		"usual":                {30, 60, "To", false},
		"many fields":          {20_000, 50, "To", true},
		"long fields":          {250, 4000, "Subject", true},
		"many authors":         {20_000, 50, "From", true},
		"originals everywhere": {20_000, 50, "Reply-To", true},
	} {
		own := message.NewField("DKIM-Signature", []byte(" v=1"))
		h := message.Header{own, message.NewField("From", []byte(" a@example.com"))}
		for i := range tt.fields {
			value := fmt.Sprintf(" %d\r\n ", i) + strings.Repeat("x,", tt.size/2)
			h = append(h, message.NewField(tt.field, []byte(value)))
		}
		s := dkim.Signature{Names: []string{"From"}, Value: make([]byte, ed25519.SignatureSize),
			Unsigned: []message.Field{own}}
		for range tt.fields {
			s.Names = append(s.Names, tt.field)
		}
		tr := newTrial(h, 0, s, record(t))
		f := tr.finding()
		if tr.effort.IsSpent() != tt.isSpent ||
			strings.Contains(f.Cause, "so large") != tt.isSpent {
			t.Errorf("%s: spent %v, want %v: %q", name, tr.effort.IsSpent(), tt.isSpent, f.Cause)
		}
		if n := most / tr.size; tt.isSpent && n > 200 {
			t.Errorf("%s: %d trials are allowed", name, n)
		}
	}
}

// TestManyCopies holds that the copies of z= are looked up, and not each compared with each field:
// a comparison allocates.
func TestManyCopies(t *testing.T) {
	const fields, items = 2000, 3000
	var z strings.Builder
	h := message.Header{message.Field{}}
	for i := range fields {
		h = append(h, message.NewField("To", fmt.Appendf(nil, " %d", fields-1-i)))
	}
	for i := range items {
		fmt.Fprintf(&z, "|To:=20%d", i%fields)
	}
	z.WriteString("|To:=20another")
	h[0] = message.NewField("DKIM-Signature", []byte(" v=1; z="+z.String()[1:]))
	tr := newTrial(h, 0, dkim.Signature{Names: []string{"To"}}, dkim.Record{})
	if f, ok := tr.copied(); ok {
		t.Errorf("a copy beyond the first %d was compared: %q", maxCopies, f.Cause)
	}
	allocations.Hold(t, "milter/dkim/diagnose: 3000 copies of 2000 fields", 1,
		func() { tr.copied() })
}
