package intake

import (
	"fmt"
	"strings"
	"testing"
)

// TestEntriesAreCounted holds that the files of a tar count towards the parts of a message as those
// of a zip do.
func TestEntriesAreCounted(t *testing.T) {
	var many []any
	for i := range maxParts + 50 {
		many = append(many, fmt.Sprintf("%d.xml", i), []byte(xml(fmt.Sprint(i))))
	}
	got := found(t, tarred(many...))
	if n := strings.Count(got, "aggregate"); n != maxParts || !strings.Contains(got, "hostile") {
		t.Errorf("a tar of %d files: %d reports are read, want %d: %.100q", len(many)/2, n,
			maxParts, got)
	}
}
