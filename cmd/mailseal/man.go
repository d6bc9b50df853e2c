package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newManCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Print the manual page mailseal(1)",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manual(cmd.OutOrStdout(), cmd.Root())
		},
	}
}

// manual writes mailseal(1) from what the commands say of themselves.
func manual(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString(".TH MAILSEAL 1 \"\" Mailseal \"User Commands\"\n.SH NAME\nmailseal \\- " + troff(lowerFirst(root.Short)) + "\n")
	b.WriteString(".SH SYNOPSIS\n.B mailseal\n.I command\n.RI [ options ]\n")
	b.WriteString(".SH DESCRIPTION\n")
	paragraphs(&b, root.Long)
	b.WriteString(".SH COMMANDS\n")
	for _, c := range commands(root) {
		manualCommand(&b, c)
	}
	b.WriteString(".SH FILES\n.TP\n.I " + troff(defaultConfig) + "\nThe configuration, see\n.BR mailseal.toml (5).\n")
	b.WriteString(".SH SEE ALSO\n.BR mailseal.toml (5)\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// commands lists the commands that people use, and those below them.
func commands(parent *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range parent.Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		out = append(append(out, c), commands(c)...)
	}
	return out
}

func manualCommand(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, ".SS \"%s\"\n", troff(c.UseLine()))
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	paragraphs(b, text)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, ".TP\n.B \\-\\-%s", troff(f.Name))
		if f.Shorthand != "" {
			fmt.Fprintf(b, ", \\-%s", f.Shorthand)
		}
		if name != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", troff(name))
		}
		b.WriteString("\n" + troff(usage))
		if showsDefault(f) {
			fmt.Fprintf(b, " (default %s)", troff(f.DefValue))
		}
		b.WriteString(".\n")
	})
	if c.Example != "" {
		b.WriteString(".PP\nExample:\n.nf\n" + troff(c.Example) + "\n.fi\n")
	}
}

// showsDefault leaves out the defaults that say nothing.
func showsDefault(f *pflag.Flag) bool {
	switch f.DefValue {
	case "", "false", "0", "[]", "0s":
		return false
	}
	return true
}

// paragraphs writes text with a .PP between its paragraphs.
func paragraphs(b *strings.Builder, text string) {
	for i, p := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(troff(p) + "\n")
	}
}

// troff quotes what troff would take for its own.
func troff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
