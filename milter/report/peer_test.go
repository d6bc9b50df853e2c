package report

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDmarcCat has another program read a report, where the end-to-end tests' packages have been
// fetched.
func TestDmarcCat(t *testing.T) {
	program, err := filepath.Abs(filepath.Join("..", "..", ".root", "reports", "usr", "bin",
		"dmarc-cat"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("dmarc-cat is not here: contrib/test/fetch.sh reports")
	}
	text, err := sample().Write()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "reports.example.net!example.com!1795910400!1795996799.xml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "-N", file).CombinedOutput()
	for _, want := range []string{"example.com", "192.0.2.1", "2001:db8::7"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("no %s in what dmarc-cat prints (%v):\n%s", want, err, out)
		}
	}
}
