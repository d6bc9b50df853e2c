package mta

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSentences holds the sentence of every code, as the first of the hosts in testdata that has it
// shows it. It is the one place where wording is tested.
func TestSentences(t *testing.T) {
	hosts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(hosts) == 0 {
		t.Fatal("no hosts", err)
	}
	sentences, parts := map[Code]string{}, map[Code]bool{}
	for _, file := range hosts {
		sections := readCase(t, file)
		for _, r := range look(newTestHost(t, sections), testDaemon(t, sections["daemon"])) {
			for _, f := range r.Findings {
				if f.Text == "" || strings.Contains(f.Text, "%!") || f.Severity == "" {
					t.Errorf("%s: %s: %s, %q", file, f.key, f.Severity, f.Text)
				}
				if sentences[f.Code] == "" {
					sentences[f.Code] = f.Text
				}
				for _, c := range codeForm.FindAllString(f.key, -1) {
					parts[Code(c)] = true
				}
			}
		}
	}
	var got strings.Builder
	for _, c := range slices.Sorted(maps.Keys(kinds)) {
		switch k := kinds[c]; {
		case !codeForm.MatchString(string(c)) || codeForm.FindString(string(c)) != string(c):
			t.Errorf("%q is no code", c)
		case k.severity != "" && sentences[c] == "":
			t.Errorf("no host shows %s", c)
		case k.severity == "" && !parts[c]:
			t.Errorf("no host shows %s in another's text", c)
		case k.severity != "":
			fmt.Fprintf(&got, "%s: %s\n", c, sentences[c])
		}
	}
	const file = "testdata/sentences"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// codeForm is what a code looks like.
var codeForm = regexp.MustCompile(`[a-z0-9]+(-[a-z0-9]+)*`)
