package migrate

import (
	"os"
	"path/filepath"
	"testing"

	"mailseal/config"
)

// TestWriteNew holds that only the sample, as it was installed, gives way to an import.
func TestWriteNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailseal.toml")
	for _, tc := range []struct {
		name, old string
		written   bool
	}{
		{"the sample", config.Sample(), true},
		{"a sample that was changed", config.Sample() + "mode = [\"sign\"]\n", false},
		{"an empty file", "", false},
	} {
		if err := os.WriteFile(path, []byte(tc.old), 0o644); err != nil {
			t.Fatal(err)
		}
		err := writeNew(path, "new")
		text, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if (err == nil) != tc.written || (string(text) == "new") != tc.written {
			t.Errorf("%s: %v, and the file holds %d octets", tc.name, err, len(text))
		}
	}
}
