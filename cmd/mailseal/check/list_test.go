package check

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestList prints every code that a finding may have once, each with words and without the verbs of
// its sentence.
func TestList(t *testing.T) {
	var out bytes.Buffer
	if err := List(&out, true); err != nil {
		t.Fatal(err)
	}
	seen := map[Code]bool{}
	for line := range strings.Lines(out.String()) {
		var r codeRow
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Code == "" || r.Severity == "" || r.Area == "" || len(r.Text) < 5 ||
			strings.Contains(r.Text, "%s") || seen[r.Code] {
			t.Errorf("got %+v", r)
		}
		seen[r.Code] = true
	}
	for _, r := range Codes() {
		if !seen[r.Code] {
			t.Errorf("%s is missing", r.Code)
		}
	}
	if !seen["mta-postfix-twice"] || !seen[KeyMissing] {
		t.Error("codes of mail servers, or of keys, are missing")
	}
	out.Reset()
	if err := List(&out, false); err != nil || strings.Count(out.String(), "\n") != len(seen) {
		t.Errorf("%v: %d lines for %d codes", err, strings.Count(out.String(), "\n"), len(seen))
	}
}
