package intake

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// elsewhere are the requirements that are not of reports that come in to the store, or that are not
// built, and why.
var elsewhere = map[string]string{
	"RI-10": "of the page", "RI-11": "of the page", "RI-12": "of the page",
	"IN-7": "TLS reports are not sent: Postfix does it with another program",
	"IN-9": "mail is brought by LMTP, not fetched by IMAP",
}

// TestRequirements holds that each requirement has a test or a reason why it has none, and that
// each test exists that the table names.
func TestRequirements(t *testing.T) {
	table, err := os.ReadFile("testdata/requirements.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	for _, group := range []struct {
		name string
		last int
	}{{"RI", 15}, {"IN", 10}} {
		for n := 1; n <= group.last; n++ {
			id := fmt.Sprint(group.name, "-", n)
			isMet := strings.Contains(string(table), "\n"+id+"\t")
			if isMet == (elsewhere[id] != "") {
				t.Errorf("%s has tests: %v, a reason why not: %q", id, isMet, elsewhere[id])
			}
		}
	}
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
