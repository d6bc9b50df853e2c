package filter

import (
	"fmt"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
)

// TestForgedWithoutEnd: a sender that writes more results than are read has none of the rest
// believed, ours least of all.
func TestForgedWithoutEnd(t *testing.T) {
	const ours, theirs = testID + "; dkim=pass", "other.example; dkim=pass"
	for _, c := range []struct {
		name, value string
		number      int
		kept        int // of those of another host, at most
		honest      bool
	}{
		{"honest", theirs, 12, 12, true},
		{"honest, with a name in an address", theirs + " header.i=jürgen@müller.example", 12, 12, true},
		{"many", theirs, 5000, 100, false},
		{"long", "other.example; dkim=pass (" + strings.Repeat("x", 20_000) + ")", 40, 3, false},
		{"comments", strings.Repeat("(c)", 1000) + theirs, 300, 21, false},
		{"U-labels", strings.Repeat("é", 100) + ".example; none", 900, 5, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h message.Header
			for range c.number {
				h = append(h, message.NewField("Authentication-Results", []byte(" "+c.value)))
			}
			h = append(h, message.NewField("Authentication-Results", []byte(" "+ours)))
			o := OwnFields{IDs: []string{testID}}
			forged := o.Forged(milter.Mail{Envelope: &message.Envelope{}, Header: h,
				Role: action.RoleTheirs})
			if n := len(forged); n == 0 || forged[n-1] != len(h)-1 {
				t.Errorf("the field with our name stays")
			}
			kept := len(h) - len(forged)
			if kept > c.kept || c.honest && kept != c.number {
				t.Errorf("%d fields stay, want at most %d: %s", kept, c.kept, fmt.Sprint(c.number))
			}
		})
	}
}
