package verify

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/arc"
	"mailseal/milter/authres"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// FuzzField holds that nothing that a client says or a message holds ends judging in a panic, or
// changes what our field says: read back it has the results that were found, in their order, and no
// line of it is one that an MTA breaks.
func FuzzField(f *testing.F) {
	f.Add("mx.example.com", "alice@example.com", "From: alice@example.com\r\n\r\nhello\r\n")
	f.Add("x; dmarc=pass", `"a\"; dmarc=pass header.from=bank.example; x=\""@example.com`,
		"From: a@other.example, b@example.com\r\n\r\n")
	f.Add("mx.example.com", "", "From: \"; dmarc=pass\" <a@example.com>\r\nDKIM-Signature: v=1; "+
		"a=rsa-sha256; d=example.com; s=k; i=\"; dmarc=pass\"@example.com; h=from; bh=AAAA; b=AAAA\r\n\r\n")
	f.Add("other.example", "a@example.com", "From: a@example.com\r\nARC-Seal: i=1; a=rsa-sha256; "+
		"cv=none; d=example.com; s=k; b=AAAA\r\nARC-Message-Signature: i=1; a=rsa-sha256; "+
		"d=example.com; s=k; h=from; bh=AAAA; b=AAAA\r\nARC-Authentication-Results: i=1; x; dmarc=pass\r\n\r\n")
	z, err := dnstest.Load(strings.NewReader(zoneText))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, helo, from, raw string) {
		defer z.Reset()
		v, _ := newVerifier(t)
		v.Resolver, v.HELO, v.ARC = z, true, &arc.Validator{Now: clock}
		v.Bug = func(method string, err error) { t.Errorf("%s: %v", method, err) }
		env := &message.Envelope{Client: netip.MustParseAddr("192.0.2.1"), Helo: helo, Sender: from}
		var run *Run
		m, err := message.Read(strings.NewReader(raw), 1<<16,
			func(h message.Header) []message.BodyHash {
				run = v.Begin(env, h, h.From(), false)
				return run.BodyHashes()
			})
		if err != nil {
			return
		}
		r := run.Results(t.Context(), m)
		wantField(t, r)
	})
}

// wantField reads the field of r back.
func wantField(t *testing.T, r *Results) {
	t.Helper()
	want, got := r.Field("mx.example.net", "none").Results, []authres.Result{}
	for _, field := range r.Field("mx.example.net", "none").Fields() {
		for line := range bytes.SplitSeq(field.Raw(), []byte("\r\n")) {
			if len(line) > 998 {
				t.Errorf("a line of %d octets: %.100q", len(line), line)
			}
		}
		read, err := authres.Parse(field.Value())
		if err != nil || read.ID != "mx.example.net" {
			t.Fatalf("%q: %v", field.Raw(), err)
		}
		got = append(got, read.Results...)
	}
	if len(got) != len(want) {
		t.Fatalf("%d results, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i].Method != want[i].Method || got[i].Value != want[i].Value ||
			len(got[i].Properties) > len(want[i].Properties) {
			t.Errorf("result %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}
