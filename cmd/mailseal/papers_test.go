package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The papers of the repository name paths, make targets, commands, flags, settings and Go
// identifiers. These tests hold that all of them exist.

const repository = "../.."

var papers = []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "contrib/README.md",
	"contrib/ARCHITECTURE.md"}

func TestPapers(t *testing.T) {
	names := readNames(t)
	for _, file := range papers {
		for _, complaint := range names.complaints(file, readPaper(t, file)) {
			t.Errorf("%s: %s", file, complaint)
		}
	}
}

// TestPackagesAreOnTheMap holds that each package of the module is in a table of ARCHITECTURE.md,
// and has a comment.
func TestPackagesAreOnTheMap(t *testing.T) {
	page := readPaper(t, "contrib/ARCHITECTURE.md")
	for dir, hasComment := range readNames(t).packageDirs {
		if !strings.Contains(page, "\n| `"+dir+"` |") {
			t.Errorf("contrib/ARCHITECTURE.md: package %s is in no table", dir)
		}
		if !hasComment {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestPapersTest shows each kind of mistake to the test itself.
func TestPapersTest(t *testing.T) {
	names := readNames(t)
	for _, tc := range []struct {
		name, text string
		isWrong    bool
	}{
		{"path", "see `milter/guard/doc.go`", false},
		{"path of a folder", "see `./milter/...` and `keys/`", false},
		{"pattern", "see `config/settings_*.go`", false},
		{"absent path", "see `milter/guard/nothing.go`", true},
		{"absent path in a block", "```\ngo test ./milter/nothing\n```\n", true},
		{"pattern of nothing", "see `config/nothing_*.go`", true},
		{"first column", "| path | what |\n|---|---|\n| `README.md` | this |\n", false},
		{"absent path in the first column", "| path | what |\n|---|---|\n| `nothing/` | not there |\n", true},
		{"link", "[a](CONTRIBUTING.md#how-to-add-a-setting)", false},
		{"link to the net", "[a](https://example.com/nothing.md)", false},
		{"absent link", "[a](contrib/NOTHING.md)", true},
		{"absent heading", "[a](CONTRIBUTING.md#how-to-add-nothing)", true},
		{"target", "`make test PACKAGES=./milter/...`", false},
		{"absent target", "`make nothing`", true},
		{"absent target, the second command", "```\nmake build && sudo make nothing   # why\n```\n", true},
		{"other makefile", "`make -C /etc/mail nothing`", false},
		{"command", "`sudo -u mailseal mailseal check --dns`", false},
		{"command below a command", "`mailseal keys rotate --every 90d example.com`", false},
		{"absent command", "`mailseal nothing`", true},
		{"absent command below a command", "`mailseal keys nothing`", true},
		{"absent flag", "`mailseal check --nothing`", true},
		{"flag of another command", "`mailseal version --dns`", true},
		{"flag of the command above", "`mailseal keys rotate --zone x`", false},
		{"flag with a value", "`mailseal check --config=x`", false},
		{"flag alone", "`--zone FILE`", false},
		{"absent flag alone", "`--nothing FILE`", true},
		{"user", "`install -o mailseal -g mailseal x`", false},
		{"test", "`go test ./milter -run Layers -v`", false},
		{"absent test", "`go test ./milter -run TestNothing`", true},
		{"setting", "`rotation.every`", false},
		{"absent setting", "`rotation.nothing`", true},
		{"identifier", "`config.Load` and `filter.Filter.Begin`", false},
		{"absent identifier", "`config.Nothing`", true},
		{"absent method", "`filter.Filter.Nothing`", true},
	} {
		got := names.complaints("README.md", tc.text)
		if (len(got) > 0) != tc.isWrong {
			t.Errorf("%s: %q: got complaints %q, want some: %v", tc.name, tc.text, got, tc.isWrong)
		}
	}
}

func readPaper(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fence      = regexp.MustCompile("(?ms)^```.*?^```")
	span       = regexp.MustCompile("`([^`]+)`")
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notSlug    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	settingRef = regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)+$`)
	goRef      = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*(?:\.\w+)?)$`)
	fileEnding = regexp.MustCompile(
		`\.(go|md|toml|cf|mc|sh|sql|service|socket|timer|conf|eml|pem)$`)
)

// complaints lists what a paper names and that is not there.
func (n *names) complaints(file, text string) []string {
	var out []string
	add := func(s string) {
		if s != "" {
			out = append(out, s)
		}
	}
	for _, block := range fence.FindAllString(text, -1) {
		for line := range strings.Lines(block) {
			add(n.code(file, line))
		}
	}
	prose := fence.ReplaceAllString(text, "")
	for _, m := range span.FindAllStringSubmatch(prose, -1) {
		add(n.code(file, m[1]))
		add(n.name(m[1]))
	}
	for _, m := range link.FindAllStringSubmatch(prose, -1) {
		add(missingLink(file, m[1]))
	}
	for _, p := range firstColumn(prose) {
		if !exists(file, p) {
			add("no file or folder " + p)
		}
	}
	return out
}

// code looks at a line of code: paths in it, and the commands that it runs.
func (n *names) code(file, line string) string {
	line, _, _ = strings.Cut(line, " #")
	for word := range strings.FieldsSeq(line) {
		word = strings.Trim(word, `"',;()`)
		if isPath(word) && !exists(file, word) {
			return "no file or folder " + word
		}
	}
	for _, command := range regexp.MustCompile(`&&|\|\||[|;]`).Split(line, -1) {
		if complaint := n.command(strings.Fields(command)); complaint != "" {
			return complaint
		}
	}
	return ""
}

// isPath reports whether a word is a path of the repository, from its top.
func isPath(word string) bool {
	top, _, _ := strings.Cut(strings.TrimPrefix(word, "./"), "/")
	isTop := slices.Contains([]string{"cmd", "config", "contrib", "keys", "milter", ".ci"}, top)
	return isTop && strings.Contains(word, "/") && !strings.Contains(word, "…")
}

// exists looks for a path or a pattern from the top of the repository, and from where the paper is.
func exists(file, word string) bool {
	word = strings.TrimSuffix(strings.TrimSuffix(word, "..."), "/")
	for _, dir := range []string{"", path.Dir(file)} {
		if found, err := filepath.Glob(filepath.Join(repository, dir, word)); err == nil &&
			len(found) > 0 {
			return true
		}
	}
	return false
}

// command looks at one command with its arguments.
func (n *names) command(words []string) string {
	if len(words) > 0 && words[0] == "sudo" {
		words = words[1:]
		if len(words) > 1 && words[0] == "-u" {
			words = words[2:]
		}
	}
	if len(words) == 0 {
		return ""
	}
	switch {
	case words[0] == "make":
		return n.make(words[1:])
	case path.Base(words[0]) == "mailseal" && len(words) > 1 && words[1] != "=":
		return n.mailseal(words[1:])
	case words[0] == "go" && len(words) > 2 && words[1] == "test":
		return n.goTest(words[2:])
	case strings.HasPrefix(words[0], "--") && !n.isFlag(n.root, words[0]):
		return "no command has the flag " + words[0]
	}
	return ""
}

func (n *names) make(words []string) string {
	for _, w := range words {
		switch {
		case w == "-C":
			return "" // someone else's
		case strings.HasPrefix(w, "-") || strings.Contains(w, "="):
		case !n.targets[w]:
			return "no make target " + w
		}
	}
	return ""
}

// goTest looks for a test that -run names.
func (n *names) goTest(words []string) string {
	i := slices.Index(words, "-run")
	if i < 0 || i+1 == len(words) {
		return ""
	}
	run, err := regexp.Compile(words[i+1])
	if err != nil {
		return err.Error()
	}
	for _, w := range words {
		if isPath(w) && !slices.ContainsFunc(n.tests[strings.TrimPrefix(w, "./")],
			run.MatchString) {
			return "no test " + words[i+1] + " in " + w
		}
	}
	return ""
}

func (n *names) mailseal(words []string) string {
	c, rest, err := n.root.Find(words)
	switch {
	case err != nil:
		return err.Error()
	case c.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") &&
		c.ValidateArgs(rest[:1]) != nil:
		return "no command mailseal " + strings.Join(words, " ")
	}
	for _, w := range rest {
		if strings.HasPrefix(w, "--") && flagOf(c, w) == nil {
			return "no flag " + w + " of " + c.CommandPath()
		}
	}
	return ""
}

// isFlag reports whether a command, or one below it, has a flag.
func (n *names) isFlag(c *cobra.Command, word string) bool {
	below := func(c *cobra.Command) bool { return n.isFlag(c, word) }
	return flagOf(c, word) != nil || slices.ContainsFunc(c.Commands(), below)
}

func flagOf(c *cobra.Command, word string) *pflag.Flag {
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
	return c.Flag(name)
}

// name looks at a span that is one name: a setting or a Go identifier.
func (n *names) name(word string) string {
	word = strings.TrimSuffix(word, "()")
	if m := goRef.FindStringSubmatch(word); m != nil && n.packages[m[1]] != nil {
		if !n.packages[m[1]][m[2]] {
			return "package " + m[1] + " does not declare " + m[2]
		}
		return ""
	}
	table, _, _ := strings.Cut(word, ".")
	if !settingRef.MatchString(word) || fileEnding.MatchString(word) || !n.tables[table] {
		return ""
	}
	if !n.settings[word] && !n.tables[word] {
		return "no setting " + word
	}
	return ""
}

// firstColumn returns what stands in the first column of tables of paths, files and packages.
func firstColumn(prose string) []string {
	var out []string
	isTable := false
	for line := range strings.Lines(prose) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			isTable = false
			continue
		}
		switch strings.TrimSpace(cells[1]) {
		case "path", "file", "package":
			isTable = true
			continue
		}
		if isTable {
			for _, m := range span.FindAllStringSubmatch(cells[1], -1) {
				out = append(out, m[1])
			}
		}
	}
	return out
}

// missingLink looks for the file and the heading that a link leads to.
func missingLink(file, target string) string {
	if strings.Contains(target, "://") {
		return ""
	}
	to, anchor, _ := strings.Cut(target, "#")
	linked := file
	if to != "" {
		linked = path.Join(path.Dir(file), to)
	}
	text, err := os.ReadFile(filepath.Join(repository, linked))
	if err != nil {
		if _, isDir := os.Stat(filepath.Join(repository, linked)); isDir == nil && anchor == "" {
			return ""
		}
		return "a link leads to " + target + ", which is not there"
	}
	if anchor == "" {
		return ""
	}
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		if slug(m[1]) == anchor {
			return ""
		}
	}
	return "a link leads to " + target + ", and there is no such heading"
}

// slug is the anchor that a heading gets.
func slug(heading string) string {
	return strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}
