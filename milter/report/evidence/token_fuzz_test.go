package evidence

import (
	"strings"
	"testing"
)

// FuzzTokenOf holds that only 32 digits is taken for a token, wherever it comes from.
func FuzzTokenOf(f *testing.F) {
	for _, s := range []string{"test+00112233445566778899aabbccddeeff@example.net",
		"test+../../x@example.net", "\"a@b\"+x@y", "test+AB@", "@", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		token := TokenOf(path)
		if token == "" {
			return
		}
		if len(token) != 32 || strings.Trim(token, "0123456789abcdef") != "" || !IsToken(token) {
			t.Errorf("%q is a token of %q", token, path)
		}
		if !strings.Contains(strings.ToLower(path), "+"+token+"@") {
			t.Errorf("%q is not in %q", token, path)
		}
	})
}
