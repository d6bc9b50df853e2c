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

// Fit wraps paragraphs again, so that no line is wider than width columns unless a single
// word is. It does not change lines that begin with a blank: they are examples and tables.
func Fit(text string, width int) string {
	var b strings.Builder
	column := 0 // 0: at the beginning of a line
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || line[0] == ' ' || line[0] == '\t' {
			if column > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(line)
			column = 0
			continue
		}
		for _, word := range words {
			n := len([]rune(word))
			switch {
			case column == 0:
			case column+1+n > width:
				b.WriteByte('\n')
				column = 0
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

// FitHelp has the help of a command and of those below it fit the terminal.
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
