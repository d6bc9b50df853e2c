package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestQuirkTable holds that each quirk of the catalogue has a case of a test: C for containers, X
// for XML, F for fields. testdata/quirks.tsv names them; one that is gone is missed here.
func TestQuirkTable(t *testing.T) {
	table, err := os.ReadFile("testdata/quirks.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	cases := map[string]int{}
	sources := map[string]string{}
	for _, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != 4 {
			t.Fatalf("%q does not have four cells", line)
		}
		id, dir, test, name := cells[0], cells[1], cells[2], cells[3]
		if sources[dir] == "" {
			sources[dir] = testsOf(t, filepath.Join("..", "..", filepath.FromSlash(dir)))
		}
		_, body, ok := strings.Cut(sources[dir], "\nfunc "+test+"(")
		body, _, _ = strings.Cut(body, "\n}\n")
		if !ok || name != "" && !strings.Contains(body, fmt.Sprintf("%q", name)) {
			t.Errorf("%s: %s in %s has no case %q any more", id, test, dir, name)
		}
		cases[id]++
	}
	for _, group := range []struct {
		letter string
		last   int
	}{{"C", 18}, {"X", 22}, {"F", 22}} {
		for n := 1; n <= group.last; n++ {
			if id := fmt.Sprint(group.letter, n); cases[id] == 0 {
				t.Errorf("no test shows quirk %s", id)
			}
		}
	}
}

// testsOf returns the text of all tests in a directory.
func testsOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
