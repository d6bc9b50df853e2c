package publish_test

import (
	"strings"
	"testing"

	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// FuzzLayout holds that whatever a record holds, and however it is laid out, a zone file's reader
// finds the same value.
func FuzzLayout(f *testing.F) {
	for _, text := range values {
		f.Add(text, 60)
	}
	f.Fuzz(func(t *testing.T, text string, width int) {
		if len(text) > 4000 || len(text) == 0 || width < 0 || width > 300 {
			return
		}
		r := publish.Record{Name: "a.example", Text: text}
		for _, form := range []string{
			strings.Join(r.Layout(width), "\n"),
			"a.example. 3600 IN TXT " + strings.Join(r.QuotedLayout(width), " "),
		} {
			z, err := dnstest.Load(strings.NewReader("$ORIGIN .\n" + form + "\n"))
			if err != nil {
				t.Fatalf("%q, width %d: %v", text, width, err)
			}
			a, err := z.Lookup(t.Context(), "a.example", dns.TXT)
			if err != nil || len(a.Texts) != 1 || a.Texts[0] != text {
				t.Fatalf("width %d: got %q, want %q (%v)", width, a.Texts, text, err)
			}
		}
	})
}
