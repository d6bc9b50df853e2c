package config_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"mailseal/config"
)

var update = flag.Lookup("update").Value

// TestMistakes reads a file whose comments count its mistakes, each of which must be found once, on
// its line.
func TestMistakes(t *testing.T) {
	data, err := os.ReadFile("testdata/mistakes.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.Load("testdata/mistakes.toml")
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want problems", err)
	}
	got := err.Error() + "\n"
	if update.String() == "true" {
		if err := os.WriteFile("testdata/mistakes.want", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/mistakes.want")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	byLine := map[int]int{}
	for _, p := range problems {
		byLine[p.Line]++
	}
	for i, line := range strings.Split(string(data), "\n") {
		if _, comment, _ := strings.Cut(line, " # "); strings.Count(comment, "wrong") != byLine[i+
			1] {
			t.Errorf("line %d: found %d mistakes: %s", i+1, byLine[i+1], line)
		}
	}
}
