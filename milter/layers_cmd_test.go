package milter_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// programs says what each package of the program may import of the program's packages. Of the
// packages below, it may import what it needs. Arrows run down only, as in layers.
var programs = []struct {
	pkg string
	may []string
}{
	{"cmd/mailseal/answer", nil},
	{"cmd/mailseal/arguments", []string{"cmd/mailseal/answer"}},
	{"cmd/mailseal/jobs", nil},
	{"cmd/mailseal/remedy", nil},
	{"cmd/mailseal/control", nil},
	{"cmd/mailseal/signed", nil},
	{"cmd/mailseal/service", nil},
	{"cmd/mailseal/pages", nil},
	{"cmd/mailseal/assembly", []string{"cmd/mailseal/remedy", "cmd/mailseal/signed"}},
	{"cmd/mailseal/check", []string{"cmd/mailseal/assembly", "cmd/mailseal/control",
		"cmd/mailseal/pages", "cmd/mailseal/signed", "cmd/mailseal/remedy",
		"cmd/mailseal/service"}},
	{"cmd/mailseal/publish", nil},
	{"cmd/mailseal/reach", nil},
	{"cmd/mailseal/examine", []string{"cmd/mailseal/answer", "cmd/mailseal/assembly", "cmd/mailseal/publish"}},
	{"cmd/mailseal/domains", []string{
		"cmd/mailseal/answer", "cmd/mailseal/assembly", "cmd/mailseal/check",
		"cmd/mailseal/examine", "cmd/mailseal/publish",
		"cmd/mailseal/reach",
	}},
	{"cmd/mailseal/operate", []string{"cmd/mailseal/answer", "cmd/mailseal/check", "cmd/mailseal/control"}},
	{"cmd/mailseal/daemon", []string{"cmd/mailseal/assembly", "cmd/mailseal/control",
		"cmd/mailseal/jobs", "cmd/mailseal/signed"}},
	{"cmd/mailseal/changes", []string{"cmd/mailseal/control"}},
	{"cmd/mailseal/inspect", []string{"cmd/mailseal/domains", "cmd/mailseal/publish"}},
	{"cmd/mailseal/reporting", []string{
		"cmd/mailseal/answer", "cmd/mailseal/assembly", "cmd/mailseal/changes",
		"cmd/mailseal/check", "cmd/mailseal/control", "cmd/mailseal/domains",
		"cmd/mailseal/inspect", "cmd/mailseal/jobs", "cmd/mailseal/pages",
	}},
	{"cmd/mailseal/keyring", []string{"cmd/mailseal/answer", "cmd/mailseal/assembly", "cmd/mailseal/publish"}},
	{"cmd/mailseal/migrate", []string{"cmd/mailseal/answer", "cmd/mailseal/check",
		"cmd/mailseal/remedy", "cmd/mailseal/service"}},
	{"cmd/mailseal/incoming", []string{"cmd/mailseal/answer"}},
	{"cmd/mailseal/play", []string{"cmd/mailseal/answer"}},
	{"cmd/mailseal/setup", []string{
		"cmd/mailseal/answer", "cmd/mailseal/assembly", "cmd/mailseal/check",
		"cmd/mailseal/control", "cmd/mailseal/keyring",
		"cmd/mailseal/publish", "cmd/mailseal/service",
	}},
	{"cmd/mailseal/demo", []string{"cmd/mailseal/answer", "cmd/mailseal/assembly",
		"cmd/mailseal/daemon", "cmd/mailseal/reporting"}},
	{"cmd/mailseal", []string{
		"cmd/mailseal/answer", "cmd/mailseal/arguments", "cmd/mailseal/check",
		"cmd/mailseal/daemon", "cmd/mailseal/demo",
		"cmd/mailseal/domains", "cmd/mailseal/examine",
		"cmd/mailseal/incoming", "cmd/mailseal/keyring", "cmd/mailseal/migrate",
		"cmd/mailseal/operate", "cmd/mailseal/play", "cmd/mailseal/reporting",
		"cmd/mailseal/setup",
	}},
}

// Bounds of the command line itself, which is a table of contents: what a command does is in a
// package.
const (
	mainLines   = 3500
	mainImports = 15 // packages of the module
)

// folders are the top-level folders with code: each may import those before it.
var folders = []string{"keys", "milter", "config", "cmd", "contrib"}

func TestProgramLayers(t *testing.T) {
	may := map[string][]string{}
	for _, p := range programs {
		for _, below := range p.may {
			if _, isBelow := may[below]; !isBelow {
				t.Errorf("%s may import %s, which is not below it", p.pkg, below)
			}
		}
		may[p.pkg] = p.may
	}
	for file, imports := range sources(t, "..") {
		pkg := filepath.ToSlash(filepath.Dir(file))
		if !strings.HasPrefix(pkg, "cmd/") {
			continue
		}
		if _, known := may[pkg]; !known {
			t.Errorf("%s: package %s is not in the table of programs", file, pkg)
		}
		for _, path := range imports {
			in := strings.TrimPrefix(path, "mailseal/")
			if strings.HasPrefix(in, "cmd/") && !slices.Contains(may[pkg], in) {
				t.Errorf("%s: %s may not import %s", file, pkg, in)
			}
		}
	}
}

// TestFolders holds that the top-level folders form no circle.
func TestFolders(t *testing.T) {
	for file, imports := range sources(t, "..") {
		from := slices.Index(folders, topFolder(filepath.ToSlash(file)))
		if from < 0 {
			t.Errorf("%s: there is no code in this top-level folder", file)
		}
		for _, path := range imports {
			in, ours := strings.CutPrefix(path, "mailseal/")
			if !ours {
				continue
			}
			if to := slices.Index(folders, topFolder(in)); to < 0 || to > from {
				t.Errorf("%s: %s may not import %s", file, folders[from], in)
			}
		}
	}
}

func topFolder(path string) string {
	top, _, _ := strings.Cut(path, "/")
	return top
}

// TestMainIsSmall holds that the command line stays small.
func TestMainIsSmall(t *testing.T) {
	lines, own := 0, map[string]bool{}
	for file, imports := range sources(t, "..") {
		if filepath.ToSlash(filepath.Dir(file)) != "cmd/mailseal" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(text, []byte("\n"))
		for _, path := range imports {
			if strings.HasPrefix(path, "mailseal/") {
				own[path] = true
			}
		}
	}
	t.Logf("cmd/mailseal: lines: %d of %d, own imports: %d of %d", lines, mainLines, len(own),
		mainImports)
	if lines == 0 || lines > mainLines {
		t.Errorf("cmd/mailseal has %d lines, at most %d are allowed", lines, mainLines)
	}
	if len(own) > mainImports {
		t.Errorf("cmd/mailseal imports %d packages of the module, at most %d are allowed", len(own),
			mainImports)
	}
}
