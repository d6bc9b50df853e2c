package answer

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// Terminal returns w if it is a terminal, else nil.
func Terminal(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if _, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err != nil {
		return nil
	}
	return w
}

// Width returns the width of the terminal that standard output is, between 60 and 120 columns; 100
// for a file or pipe.
func Width() int {
	size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 100
	}
	return min(max(int(size.Col), 60), 120)
}

// Screen returns Width if w is a terminal, else 0: what a program reads has a line for each row.
func Screen(w io.Writer) int {
	if Terminal(w) == nil {
		return 0
	}
	return Width()
}

// How help texts write the items of a list.
const (
	itemMark   = "  - "
	itemIndent = "    "
)

// Fit wraps paragraphs and the items of lists again, so that no line is wider than width columns
// unless a single word is. It does not change other lines that begin with a blank: they are
// examples and tables.
func Fit(text string, width int) string {
	var b strings.Builder
	column, indent := 0, "" // column is len(indent) at the beginning of a line
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		isItem := strings.HasPrefix(line, itemMark)
		isContinued := indent != "" && strings.HasPrefix(line, indent) && len(words) > 0
		isFixed := len(words) == 0 || line[0] == ' ' || line[0] == '\t'
		if column > 0 && !isContinued && (isItem || isFixed || indent != "") {
			b.WriteByte('\n')
			column = 0
		}
		switch {
		case isContinued:
		case isItem:
			b.WriteString(itemMark)
			words, column, indent = words[1:], len(itemMark), itemIndent
		case isFixed:
			b.WriteString(line)
			column, indent = 0, ""
			continue
		default:
			indent = ""
		}
		for _, word := range words {
			n := len([]rune(word))
			switch {
			case column == len(indent):
			case column+1+n > width:
				b.WriteString("\n" + indent)
				column = len(indent)
			default:
				b.WriteByte(' ')
				column++
			}
			b.WriteString(word)
			column += n
		}
	}
	return b.String()
}

// FitHelp makes the help of a command and of its subcommands fit the terminal.
func FitHelp(root *cobra.Command) {
	cobra.AddTemplateFunc("fit", func(text string) string { return Fit(text, Width()) })
	cobra.AddTemplateFunc("width", Width)
	root.SetHelpTemplate(strings.Replace(root.HelpTemplate(), "trimTrailingWhitespaces}}",
		"trimTrailingWhitespaces | fit}}", 1))
	root.SetUsageTemplate(strings.NewReplacer(
		".LocalFlags.FlagUsages ", "(.LocalFlags.FlagUsagesWrapped width) ",
		".InheritedFlags.FlagUsages ", "(.InheritedFlags.FlagUsagesWrapped width) ",
	).Replace(root.UsageTemplate()))
}
