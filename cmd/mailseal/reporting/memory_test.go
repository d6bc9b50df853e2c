package reporting

import (
	"os"
	"strings"
	"testing"
)

// The unit allows the process more than its own limit, with room for what Go does not count.
func TestMemoryOfUnit(t *testing.T) {
	text, err := os.ReadFile("../../../contrib/systemd/mailseal-reports.service")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\nMemoryMax=256M\n") || memoryLimit*2 > 256<<20 {
		t.Errorf("the limit of %d MiB leaves too little of what the unit allows", memoryLimit>>20)
	}
}
