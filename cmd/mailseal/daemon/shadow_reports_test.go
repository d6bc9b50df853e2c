package daemon

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/milter/action"
)

// TestShadowRecordsNoRows holds that shadow writes nothing down for reports: it has no job that
// would take it to the spool.
func TestShadowRecordsNoRows(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mailseal.toml")
	text := "[reports]\ncollect = true\ndirectory = \"" + dir + "\"\n"
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(serveKeys, "%DIR%", dir)+text),
		0o600); err != nil {
		t.Fatal(err)
	}
	s := ShadowOptions{Options: Options{Load: loader(file), Stderr: io.Discard}}
	o := observe(t.Context(), s, action.RoleAuto, &logFile{w: io.Discard}, nil)
	defer o.stop()
	if o.parts.Load() == nil {
		t.Fatal("the configuration is not used")
	}
	if o.spool != nil || o.tests != nil {
		t.Error("shadow has a recorder")
	}
}
