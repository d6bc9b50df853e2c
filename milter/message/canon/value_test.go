package canon

import (
	"strings"
	"testing"
)

// TestValueEverywhere puts what matters at every place of the words that are looked at.
func TestValueEverywhere(t *testing.T) {
	parts := []string{" ", "  ", "\t", "\r", "\r\n ", "\r\n\t", " \r\n", "\r\n\r\n ", "\n", "\xa0",
		"\x89", "\x8d"}
	for _, part := range parts {
		for _, second := range parts {
			for at := range 17 {
				value := strings.Repeat("x", at) + part + strings.Repeat("y", 17-at) + second +
					"zzzzzzz"
				if got, want := AppendRelaxedValue(nil, []byte(value)),
					referenceValue([]byte(value)); string(got) != string(want) {
					t.Fatalf("relaxed form of %q is %q, want %q", value, got, want)
				}
			}
		}
	}
}

func FuzzValue(f *testing.F) {
	f.Fuzz(func(t *testing.T, value []byte) {
		const before = "before "
		got := string(AppendRelaxedValue([]byte(before), value))
		if want := before + string(referenceValue(value)); got != want {
			t.Fatalf("relaxed form of %q is %q, want %q", value, got, want)
		}
	})
}
