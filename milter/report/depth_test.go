package report

import (
	"strings"
	"testing"
)

// TestDeepJSON reads a damaged TLS report as far as brackets are open that belong to one: how often
// the brackets are copied does not grow with their number.
func TestDeepJSON(t *testing.T) {
	const head = `{"organization-name":"x","policies":`
	got := salvageJSON([]byte(head + strings.Repeat("[", 400_000)))
	if got.open != maxBrackets || !strings.Contains(got.problem, "more than 20 brackets are open") {
		t.Errorf("%d brackets are open, %q", got.open, got.problem)
	}
	if !strings.HasSuffix(string(got.text), "]}") || len(got.text) > len(head)+2*maxBrackets {
		t.Errorf("%d bytes are left", len(got.text))
	}
}
