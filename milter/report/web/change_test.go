package web

import (
	"strings"
	"testing"
)

// TestChange shows a whole record only where it is known whole: one without rua would end the
// reports.
func TestChange(t *testing.T) {
	x := &facts{}
	x.domain.Name = "a.example"
	for _, tc := range []struct{ text, want, caption string }{
		{"v=DMARC1; p=quarantine; t=y; rua=mailto:d@a.example",
			"v=DMARC1; p=quarantine; t=y; rua=mailto:d@a.example", "TXT, the next step"},
		{"v=DMARC1; p=quarantine; t=y; sp=none", "p=quarantine; t=y", "set these tags, and leave all other tags"},
		{"v=DMARC1; p=quarantine; adkim=s", "p=quarantine", "set this tag, remove t, and leave all other tags"},
	} {
		got := x.change("the next step", tc.text)
		if string(got.Text) != tc.want || !strings.Contains(string(got.Caption), tc.caption) {
			t.Errorf("%s: got %q with %q, want %q with %q", tc.text, got.Text, got.Caption, tc.want,
				tc.caption)
		}
	}
}
