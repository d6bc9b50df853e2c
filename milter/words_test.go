package milter_test

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
	{regexp.MustCompile(`\bin force\b`), "in effect"},
	{regexp.MustCompile(`\bprivate hal(f|ves)\b`), "private key"},
	{regexp.MustCompile(`\b[Mm]ail of theirs\b`), "strangers' mail"},
	{regexp.MustCompile(`\bsigns of life\b`), "progress packets"},
	{regexp.MustCompile(`\bpassed over\b`), "skipped, ignored"},
	{regexp.MustCompile(`\b(sign|signs|signed|ask|asked|lead|leads) no more\b`), "no longer signs"},
	{regexp.MustCompile(`\bwait(s)? in vain\b`), "gets no answer"},
	{regexp.MustCompile(`\bnothing but\b`), "only"},
	{regexp.MustCompile(`\btime of the night\b`), "sending time"},
	{regexp.MustCompile(`\b(hold|holds) no (key|report|record|row|mail)\b`), "has no, contains no"},
	{regexp.MustCompile(`\bbrings? to light\b`), "reveals, triggers"},
	{regexp.MustCompile(`\b[Mm]akes? (no|whatever) step`), "takes no step, takes the step"},
	{regexp.MustCompile(`\bforged code\b`), "an address that no report was sent from"},
	{regexp.MustCompile(`\bwhich OpenDKIM does not start with\b`), "and OpenDKIM does not start with this file"},
	{regexp.MustCompile(`\b%s is no\b`), "is not a ..., invalid ..."},
	{regexp.MustCompile(`\bthe look at\b`), "the check of"},
	{regexp.MustCompile(`\bunder way\b`), "in progress"},
	{regexp.MustCompile(`\b(and|or|made|read|written|begins?|count) anew\b`), "again"},
	{regexp.MustCompile(`\bin the place of\b`), "instead of"},
	{regexp.MustCompile(`\bwhat (becomes|came|comes) of\b`), "the result of, how it treats"},
	{regexp.MustCompile(`\bfor want of\b`), "because ... is missing"},
	{regexp.MustCompile(`\bspeaks? against\b`), "the DNS is not ready, it is too early"},
}

// papers are the texts beside the code that are held to the same words. CONTRIBUTING.md is not
// among them: it lists the words that are not written.
var papers = []string{
	"README.md", "SECURITY.md", "CHANGELOG.md", "contrib/*.md", "contrib/mailseal.toml",
	"contrib/man/*", "contrib/bench/*.md", "contrib/postfix/*", "contrib/sendmail/*",
	"contrib/systemd/*", "contrib/sql/*", "contrib/qmail/*", "cmd/mailseal/help/*.txt", "milter/report/*/*.html",
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

// How wide a line of code may be, a tab counting for four: maxColumns, and mostColumns where a
// break would hide more than it shows: in the row of a table, a long string, or a drawing in a
// comment.
const (
	maxColumns  = 100
	mostColumns = 120
)

// tableRow is an element of a composite literal that has a line to itself.
var tableRow = regexp.MustCompile(`^\t*(\{|"[^"]*": |\w+: ).*,$`)

// columns returns how wide a line may be.
func (c sourceText) columns(n int, line string) int {
	isDrawing := strings.HasPrefix(strings.TrimSpace(c.comments[n]), "//\t")
	if tableRow.MatchString(line) || c.long[n] || isDrawing {
		return mostColumns
	}
	return maxColumns
}

// TestPlainWords holds the words that CONTRIBUTING.md asks for, and the width of lines. Of tests
// the comments are held to the words: their texts are those of others, from wire and disk.
func TestPlainWords(t *testing.T) {
	for _, dir := range plainPackages {
		err := filepath.WalkDir(filepath.Join("..", dir),
			func(path string, d fs.DirEntry, err error) error {
				name := strings.TrimPrefix(filepath.ToSlash(path), "../")
				if err == nil && strings.HasSuffix(path, ".go") && name != unnamed &&
					name != itself {
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
	text := scan(source)
	n := 0
	for line := range strings.Lines(string(source)) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if strings.HasSuffix(path, "_test.go") {
			wantPlain(t, path, n, text.comments[n])
		} else {
			wantPlain(t, path, n, line)
		}
		width := len([]rune(strings.ReplaceAll(line, "\t", "    ")))
		isOneWord := !strings.Contains(strings.TrimSpace(line), " ")
		// Texts of tests are those of others, and reports of measurements have tables.
		isFree := text.raw[n] && (strings.HasSuffix(path, "_test.go") ||
			strings.Contains(path, "contrib/bench/") || width <= mostColumns)
		if most := text.columns(n, line); width > most && !isOneWord && !isFree {
			t.Errorf("%s:%d: %d columns, where %d are allowed", path, n, width, most)
		}
	}
}

// sourceText is what a file has on each of its lines.
type sourceText struct {
	// there is a raw string: help, SQL, samples, which have widths of their own
	raw      map[int]bool
	long     map[int]bool // there is a string of 30 bytes or more
	comments map[int]string
}

func scan(source []byte) sourceText {
	var s scanner.Scanner
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	s.Init(file, source, nil, scanner.ScanComments)
	c := sourceText{map[int]bool{}, map[int]bool{}, map[int]string{}}
	for {
		pos, tok, text := s.Scan()
		switch {
		case tok == token.EOF:
			return c
		case tok == token.COMMENT:
			for i, line := range strings.Split(text, "\n") {
				c.comments[file.Line(pos)+i] = line
			}
		case tok == token.STRING && text[0] == '`':
			for i := range strings.Count(text, "\n") + 1 {
				c.raw[file.Line(pos)+i] = true
			}
		case tok == token.STRING && len(text) >= 30:
			c.long[file.Line(pos)] = true
		}
	}
}
