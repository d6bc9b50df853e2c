package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestStoreIsNotCreated runs all commands that take --store, but the one that fills a store, with a
// path at which there is none: exit code 3, a text that names the flag, and still no file.
func TestStoreIsNotCreated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "typo.db")
	seen := 0
	everyCommand(func(cmd *cobra.Command, words []string) {
		if cmd.Flags().Lookup("store") == nil || cmd.Name() == "import" {
			return
		}
		seen++
		args := append(words, "--store=sqlite:"+path)
		if strings.HasSuffix(cmd.Use, " REPORTER") {
			args = append(args, "example.net")
		}
		_, errs, code := mailseal(t, "", args...)
		const want = "--store: there is no store of reports at "
		if code != exitUnknown || !strings.Contains(errs, want+path) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", args, code, errs, exitUnknown, want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Fatalf("%q created %s", args, path)
		}
	})
	if seen < 7 {
		t.Errorf("%d commands take --store", seen)
	}
}
