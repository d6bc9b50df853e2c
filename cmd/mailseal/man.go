package main

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// helpFiles are the longest texts of --help, by the names of their commands.
//
//go:embed help/*.txt
var helpFiles embed.FS

// help returns the text of a command in helpFiles.
func help(command string) string {
	text, err := helpFiles.ReadFile("help/" + command + ".txt")
	if err != nil {
		panic(err) // a command without its file, which every test of the commands finds
	}
	return strings.TrimSuffix(string(text), "\n")
}

func newManCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Print the manual page mailseal(1)",
		Args:   noArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manual(cmd.OutOrStdout(), newRootCmd())
		},
	}
}

// completionPage is in place of cobra's pages about completion, which are one for each shell.
const completionPage = `.SH "mailseal completion"
Print a script with which a shell completes commands and flags
.PP
.nf
mailseal completion bash > /etc/bash_completion.d/mailseal
mailseal completion zsh > "${fpath[1]}/_mailseal"
mailseal completion fish > ~/.config/fish/completions/mailseal.fish
.fi
.PP
"mailseal completion SHELL \-\-help" explains how to load the script. SHELL can also be powershell.
`

// environment is about the variables of Go's runtime.
const environment = `.SH ENVIRONMENT
.TP
.B GOGC
How often the daemon collects garbage: when garbage amounts to this percentage of the memory in use. The default is 200,
and at least 8 MB. 100 saves up to 4 MB in a small daemon, and takes about an eighth more processor time.
.TP
.B GOMEMLIMIT
How much memory the daemon aims for, such as 200MiB. Near the limit it collects garbage more often. It is not a
hard limit; that is
.B MemoryMax=
of the unit.
`

// manual writes mailseal(1): one page of what cobra's generator makes of each command. It changes
// the commands.
func manual(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString(".nh\n.TH MAILSEAL 1 \"\" Mailseal \"User Commands\"\n")
	for _, c := range append([]*cobra.Command{root}, commands(root)...) {
		page, err := manualPage(c)
		if err != nil {
			return err
		}
		b.WriteString(page)
	}
	b.WriteString(completionPage)
	fmt.Fprintf(&b, ".SH FILES\n.TP\n.I %s\nThe configuration, see\n.BR mailseal.toml (5).\n",
		defaultConfig)
	b.WriteString(environment)
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

// manualPage returns what cobra generates for one command, without what only a page of its own
// needs: title, references to the pages of the other commands, --help. The sections of all commands
// but the root become subsections.
func manualPage(c *cobra.Command) (string, error) {
	plain(c)
	var b bytes.Buffer
	if err := doc.GenMan(c, &doc.GenManHeader{Title: "MAILSEAL", Section: "1"}, &b); err != nil {
		return "", err
	}
	_, page, _ := strings.Cut(b.String(), "\n.SH NAME\n")
	page, _, _ = strings.Cut(page, "\n.SH SEE ALSO\n")
	page = strings.ReplaceAll(strings.TrimSpace(page)+"\n", "\n"+afterList, "\n.PP\n")
	if !c.HasParent() {
		return ".SH NAME\n" + page, nil
	}
	_, page, _ = strings.Cut(page, "\n") // the name and Short, which are the title
	page = strings.ReplaceAll(page, "\n.SH ", "\n.SS ")
	return fmt.Sprintf(".SH %q\n%s.\n%s", c.CommandPath(), c.Short, page), nil
}

// afterList marks a paragraph that follows a list, which the generator would indent like the list.
const afterList = "AFTER-LIST "

// list matches the last item of a list, and the empty line below it.
var list = regexp.MustCompile(`(?m)^  (-.*(?:\n    .*)*\n\n)([^ ])`)

// plain makes cobra's generator take the texts of a command, which are not Markdown, as they are.
// Only lists keep their form.
func plain(c *cobra.Command) {
	c.DisableAutoGenTag = true // it holds the day
	c.InitDefaultHelpFlag()
	c.Long = list.ReplaceAllString(c.Long, "  ${1}"+afterList+"$2")
	c.Short, c.Long, c.Use = markdown.Replace(c.Short), markdown.Replace(c.Long),
		markdown.Replace(c.Use)
	c.Flags().VisitAll(func(f *pflag.Flag) {
		f.Hidden = f.Hidden || f.Name == "help"
		_, usage := pflag.UnquoteUsage(f)
		f.Usage = markdown.Replace(usage)
	})
}

// markdown quotes what Markdown would take for its own.
var markdown = strings.NewReplacer(
	`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", `\<`, ">", `\>`, "[", `\[`, "]", `\]`, "#",
	`\#`, "|", `\|`, "~", `\~`)
