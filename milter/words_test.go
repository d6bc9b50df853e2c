package milter_test

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// plainPackages are the folders whose code is held to the words and the line length of
// CONTRIBUTING.md, with all below them.
var plainPackages = []string{
	"milter/arc", "milter/authres", "milter/dkim", "milter/dmarc", "milter/dns", "milter/domain", "milter/guard",
	"milter/iprev", "milter/lint", "milter/message", "milter/shadow", "milter/spf", "milter/taglist", "keys",
	"cmd/mailseal/answer", "cmd/mailseal/operate", "cmd/mailseal/signed",
}

// notYetPlain are folders and files in them that are still to be edited. None is added.
var notYetPlain = []string{
	"milter/dkim/lint.go", "milter/dmarc/external.go", "milter/dmarc/lint.go", "milter/dns/client.go",
	"milter/dmarc/repair.go", "milter/dns/servers.go", "milter/guard/negotiate.go", "milter/message/envelope.go",
	"milter/spf/lint.go", "milter/spf/repair.go", "milter/spf/survey.go", "keys/database/", "keys/keysql/",
}

// words are not written, and what is written instead.
var words = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)\blook-ups?\b`), "lookup"},
	{regexp.MustCompile(`(?i)\bdata bases?\b`), "database"},
	{regexp.MustCompile(`(?i)\bcanonicalis`), "canonicaliz..."},
	{regexp.MustCompile(`(?i)\b(tells|says) whether\b`), "reports whether"},
	{regexp.MustCompile(`\b([Ww]hoever|[Nn]obody|[Ss]omebody)\b`), "the sender, no client, another process, ..."},
	{regexp.MustCompile(`%q is no\b`), "%q is not a ..., invalid ..."},
}

// maxColumns is how wide a line of code may be, a tab counting for four. Most are within 100.
const maxColumns = 120

// TestPlainWords holds the words that CONTRIBUTING.md asks for, and the width of lines. Tests are
// left out: many of them are tables.
func TestPlainWords(t *testing.T) {
	for _, dir := range plainPackages {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			name := strings.TrimPrefix(filepath.ToSlash(path), "../")
			isLater := slices.ContainsFunc(notYetPlain, func(p string) bool { return strings.HasPrefix(name, p) })
			isCode := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
			if err == nil && isCode && !isLater {
				plain(t, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func plain(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		for _, w := range words {
			if found := w.pattern.FindString(line); found != "" {
				t.Errorf("%s:%d: %q; write %s", path, n, found, w.instead)
			}
		}
		width := len([]rune(strings.ReplaceAll(line, "\t", "    ")))
		isOneWord := !strings.Contains(strings.TrimSpace(line), " ")
		if width > maxColumns && !isOneWord {
			t.Errorf("%s:%d: %d columns", path, n, width)
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}
