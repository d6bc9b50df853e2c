package files

import (
	"os/exec"
	"testing"
)

// TestQuote gives words to a shell, which must have them back as they were.
func TestQuote(t *testing.T) {
	for _, word := range []string{"/etc/mailseal/mailseal.toml", "a b", "it's", `say "x"`, "$HOME",
		"`id`", "a;b", "*", "", "a\\b", "~", "-x", "a\nb", "(x)", "b\u00fccher"} {
		out, err := exec.Command("sh", "-c", "printf %s "+Quote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q: got %q, %v", word, out, err)
		}
	}
}
