package answer

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestFit(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a paragraph", "one two three four five\nsix", "one two\nthree four\nfive six"},
		{"two paragraphs", "one two three\n\nfour\n", "one two\nthree\n\nfour"},
		{"an example", "see:\n\n   a b c d e f g h i j k\n\nthen more words\n",
			"see:\n\n   a b c d e f g h i j k\n\nthen more\nwords"},
		{"an example directly below", "see this one:\n  a b c d e f g h\nend",
			"see this\none:\n  a b c d e f g h\nend"},
		{"a list", "see:\n\n  - one two three\n    four\n  - five\n\nthe end of it\n",
			"see:\n\n  - one\n    two\n    three\n    four\n  - five\n\nthe end of\nit"},
		{"a list and text below it", "  - one\ntwo\n", "  - one\ntwo"},
		{"an example after a list", "  - one\n\n    a b c d e f g h\n",
			"  - one\n\n    a b c d e f g h\n"},
		{"a long word", "a 123456789012345 b", "a\n123456789012345\nb"},
		{"wide characters count once", "äöüäöü äöü", "äöüäöü äöü"},
		{"nothing", "", ""},
	} {
		if got := Fit(c.text, 10); got != c.want {
			t.Errorf("%s: got\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

// TestFitHelp holds that the templates are still those that FitHelp changes.
func TestFitHelp(t *testing.T) {
	long := strings.Repeat("word ", 60)
	cmd := &cobra.Command{Use: "x", Long: long, Run: func(*cobra.Command, []string) {}}
	cmd.Flags().String("flag", "", long)
	cmd.PersistentFlags().String("other", "", long)
	below := &cobra.Command{Use: "y", Long: long, Run: func(*cobra.Command, []string) {}}
	cmd.AddCommand(below)
	FitHelp(cmd)
	for _, c := range []*cobra.Command{cmd, below} {
		var out bytes.Buffer
		c.SetOut(&out)
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > Width()+1 {
				t.Errorf("%s: a line of %d columns: %q", c.Name(), len(line)-1, line)
			}
		}
		if strings.Count(out.String(), "word") < 60 {
			t.Errorf("%s: words are missing: %s", c.Name(), out.String())
		}
	}
}
