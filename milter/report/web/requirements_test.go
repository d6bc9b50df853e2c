package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName = regexp.MustCompile(`\bTest[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
)

// TestRequirementsAreHeld holds that the table of requirements has each of them, and that every
// test it names exists.
func TestRequirementsAreHeld(t *testing.T) {
	const root = "../../.."
	exists := map[string]bool{}
	for _, folder := range []string{"milter/filter", "milter/report/web", "milter/report/advice",
		"milter/report/store", "cmd/mailseal", "cmd/mailseal/*",
		"contrib/test/*"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
				exists[m[1]] = true
			}
		}
	}
	table, err := os.ReadFile(filepath.Join(root, "contrib/test/REPORTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		id := strings.TrimSpace(cells[1])
		names := testName.FindAllString(cells[3], -1)
		held[id] = held[id] || len(names) > 0 || strings.TrimSpace(cells[3]) == "-"
		for _, name := range names {
			if !exists[name] {
				t.Errorf("%s: there is no %s", id, name)
			}
		}
	}
	for _, id := range strings.Fields("UI-1 UI-2 UI-3 UI-4 UI-5 UI-6 UI-7 UI-8 ADV-1 ADV-2 ADV-3 " +
		"ADV-4 ADV-5 ADV-6 ADV-7 ADV-8 " +
		"RI-10 RI-11 RI-12 RI-13 RI-14") {
		if !held[id] {
			t.Errorf("%s is in no row, or its row names no test and has no dash", id)
		}
	}
}
