package main

import (
	"os"
	"regexp"
	"testing"
)

// TestOneVersion holds that the changelog begins with the version that the Makefile builds.
func TestOneVersion(t *testing.T) {
	find := func(file, pattern string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindSubmatch(text)
		if found == nil {
			t.Fatalf("%s names no version", file)
		}
		return string(found[1])
	}
	built := find("../../Makefile", `(?m)^VERSION\s+= (\S+)$`)
	told := find("../../CHANGELOG.md", `(?m)^## (\d\S*)`)
	if built != told {
		t.Errorf("the Makefile builds %s, CHANGELOG.md begins with %s", built, told)
	}
}
