package intake

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRequirements holds that each test exists that the table of requirements names.
func TestRequirements(t *testing.T) {
	table, err := os.ReadFile("testdata/requirements.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	for _, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != 3 {
			t.Fatalf("%q has not three cells", line)
		}
		files, err := filepath.Glob("../../../" + cells[2] + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(text, []byte("func "+cells[1]+"("))
		}
		if !found {
			t.Errorf("%s: there is no %s in %s", cells[0], cells[1], cells[2])
		}
	}
}
