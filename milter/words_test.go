package milter_test

import (
	"go/scanner"
	"go/token"
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
var plainPackages = []string{"cmd", "config", "contrib", "keys", "milter"}

// unnamed has a user of every system called nobody.
const unnamed = "contrib/test/rig/users.go"

// itself has the list of words.
const itself = "milter/words_test.go"

// wide are tests with lines that are still to be wrapped. No other file may become one.
var wide = []string{
	"cmd/mailseal/newcomer_test.go",
	"cmd/mailseal/reporting/fold_test.go",
	"cmd/mailseal/reporting/history_test.go",
	"cmd/mailseal/reporting/outpage_test.go",
	"cmd/mailseal/reporting/records_test.go",
	"cmd/mailseal/reports_in_test.go",
	"cmd/mailseal/reports_read_test.go",
	"contrib/test/e2e/testmail_test.go",
	"milter/report/advice/cause_test.go",
	"milter/report/advice/judge_test.go",
	"milter/report/alert/alert_test.go",
	"milter/report/hints_test.go",
	"milter/report/lmtp/full_linux_test.go",
	"milter/report/lmtp/lmtp_test.go",
	"milter/report/send/failure_test.go",
	"milter/report/store/out_test.go",
	"milter/report/store/store_test.go",
	"milter/report/tally/causes_test.go",
	"milter/report/testmail/testmail_test.go",
	"milter/report/web/away_test.go",
	"milter/report/web/board_test.go",
	"milter/report/web/change_test.go",
	"milter/report/web/check_test.go",
	"milter/report/web/judge_test.go",
	"milter/report/web/parked_test.go",
	"milter/report/web/restricted_test.go",
	"milter/report/web/stored_own_test.go",
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
	{regexp.MustCompile(`\bthat is no\b`), "that is not a ..., other than a ..."},
	{regexp.MustCompile(`\b[Aa] (MTA|RSA|SMTP|SPF)\b`), "an"},
	{regexp.MustCompile(`\bbe had\b`), "be loaded, available"},
	{regexp.MustCompile(`\bsaid and counted\b`), "logged and counted"},
	{regexp.MustCompile(`\bhangs? on (the|its|this|that)\b`), "is relative to"},
	{regexp.MustCompile(`\bno equal\b`), "no equivalent"},
	{regexp.MustCompile(`\bwhat is waited for\b`), "what it waits for"},
	{regexp.MustCompile(`\bbugs? of (ours|Mailseal)\b`), "a bug in Mailseal"},
	{regexp.MustCompile(`\b[Aa]nybody\b`), "anyone, a sender, another process, ..."},
	{regexp.MustCompile(`\b(leads|served) no more\b`), "no longer leads, no longer served"},
	{regexp.MustCompile(`\bwho (leads|asks)\b`), "which host leads, a client that asks"},
	{regexp.MustCompile(`\bas it should be\b`), "nothing to do, right"},
	{regexp.MustCompile(`\bwell-kept\b`), "SPF and DKIM pass, valid"},
	{regexp.MustCompile(`\bheld against\b`), "compared with"},
	{regexp.MustCompile(`\bnothing proves\b`), "is not authenticated"},
	{regexp.MustCompile(`\b(by|at) this hour as a rule\b`), "usually at this hour"},
	{regexp.MustCompile(`\bwithin each other\b`), "nested"},
	{regexp.MustCompile(`\bin nothing but\b`), "only in"},
	{regexp.MustCompile(`\b[Mm]end(s|ed)? (the|a|it|what)\b`), "correct"},
}

// papers are the texts beside the code that are held to the same words. CONTRIBUTING.md is not
// among them: it lists the words that are not written.
var papers = []string{
	"README.md", "SECURITY.md", "CHANGELOG.md", "contrib/*.md", "contrib/mailseal.toml",
	"contrib/man/*", "contrib/bench/*.md", "cmd/mailseal/help/*.txt", "milter/report/*/*.html",
}

// TestPlainPapers holds the words in what operators read.
func TestPlainPapers(t *testing.T) {
	for _, pattern := range papers {
		paths, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(paths) == 0 {
			t.Errorf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
				continue
			}
			n := 0
			for line := range strings.Lines(string(text)) {
				n++
				wantPlain(t, path, n, line)
			}
		}
	}
}

// wantPlain fails for a line with a word of the list.
func wantPlain(t *testing.T, path string, n int, line string) {
	t.Helper()
	for _, w := range words {
		if found := w.pattern.FindString(line); found != "" {
			t.Errorf("%s:%d: %q; write %s", path, n, found, w.instead)
		}
	}
}

// maxColumns is how wide a line of code may be, a tab counting for four. Most are within 100.
const maxColumns = 120

// TestPlainWords holds the words that CONTRIBUTING.md asks for, and the width of lines. Of tests the
// comments are held to the words: their texts are those of others, from wire and disk.
func TestPlainWords(t *testing.T) {
	for _, dir := range plainPackages {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			name := strings.TrimPrefix(filepath.ToSlash(path), "../")
			if err == nil && strings.HasSuffix(path, ".go") && name != unnamed && name != itself {
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
	source, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	isText, comments := scan(source)
	isWide := slices.Contains(wide, strings.TrimPrefix(filepath.ToSlash(path), "../"))
	n := 0
	for line := range strings.Lines(string(source)) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if strings.HasSuffix(path, "_test.go") {
			wantPlain(t, path, n, comments[n])
		} else {
			wantPlain(t, path, n, line)
		}
		width := len([]rune(strings.ReplaceAll(line, "\t", "    ")))
		isOneWord := !strings.Contains(strings.TrimSpace(line), " ")
		if width > maxColumns && !isOneWord && !isText[n] && !isWide {
			t.Errorf("%s:%d: %d columns", path, n, width)
		}
	}
}

// scan returns the lines on which there is a raw string: help, SQL, samples, which have widths of
// their own; and the comment of each line.
func scan(source []byte) (raw map[int]bool, comments map[int]string) {
	var s scanner.Scanner
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	s.Init(file, source, nil, scanner.ScanComments)
	raw, comments = map[int]bool{}, map[int]string{}
	for {
		pos, tok, text := s.Scan()
		switch {
		case tok == token.EOF:
			return raw, comments
		case tok == token.COMMENT:
			for i, line := range strings.Split(text, "\n") {
				comments[file.Line(pos)+i] = line
			}
		case tok == token.STRING && text[0] == '`':
			for i := range strings.Count(text, "\n") + 1 {
				raw[file.Line(pos)+i] = true
			}
		}
	}
}
