package hosted

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// KeyDirectory makes a directory with three good keys, one under OpenDKIM's name for it.
func KeyDirectory(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ke[y]s")
	for i, name := range []string{"one.example/mail.pem", "One-More.example/2026.private",
		"bücher.example/mail.pem"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		key := strings.Repeat(string(rune('A'+i)), 42) + "A="
		if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
