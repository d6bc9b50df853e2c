package dnstest

import (
	"errors"
	"strings"
	"testing"
)

// TestMistakes names the line of a mistake, in plain words.
func TestMistakes(t *testing.T) {
	const good = "example.com. 60 IN TXT \"v=spf1 -all\"\n"
	for _, tc := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"no closing mark", good + "a.example. 60 IN TXT \"abc\n" + good, 2, "a quotation mark is missing"},
		{"no opening mark", good + "a.example. 60 IN TXT abc\"\n" + good + good, 2, "a quotation mark"},
		{"a mark in a comment", "; it\"s\n" + good + "a.example. 60 IN FOO x\n", 3,
			`"FOO" is not a type of DNS records`},
		{"no type", "a.example. the text\n", 1, `"the" is neither a TTL, a class nor a type`},
		{"an address", "a.example. 60 IN A 192.0.2.300\n", 1, `the A record is not valid near "192.0.2.300"`},
		{"our line", good + "$SERVFAIL\n", 2, "without a name"},
	} {
		_, err := Load(strings.NewReader("$ORIGIN .\n" + tc.text))
		var m *Mistake
		if !errors.As(err, &m) || m.Line != tc.line+1 || !strings.Contains(m.Text, tc.want) {
			t.Errorf("%s: got %v, want line %d with %q", tc.name, err, tc.line+1, tc.want)
		}
	}
}
