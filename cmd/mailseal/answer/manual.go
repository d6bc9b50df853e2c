package answer

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// completionPage is in place of cobra's pages about completion, which are one for each shell.
const completionPage = `.SH "mailseal completion"
Print a script that lets a shell complete commands and flags.
.PP
.nf
mailseal completion bash > /etc/bash_completion.d/mailseal
mailseal completion zsh > "${fpath[1]}/_mailseal"
mailseal completion fish > ~/.config/fish/completions/mailseal.fish
.fi
.PP
"mailseal completion SHELL \-\-help" explains how to load the script. SHELL can also be powershell.
`

// environment describes the variables of Go's runtime.
const environment = `.SH ENVIRONMENT
.TP
.B GOGC
When the daemon frees unused memory: as soon as it amounts to this percentage of the memory in use, and to at least
8 MB. The default is 200. With 100 a small daemon takes up to 4 MB less memory, and about an eighth more processor time.
.TP
.B GOMEMLIMIT
The memory that the daemon tries not to exceed, such as 200MiB. Near this size it frees unused memory more often. To
set a hard limit, use
.B MemoryMax=
in the unit.
.PP
To set them for the shipped unit, run "systemctl edit mailseal" and write a section [Service] with
Environment=GOMEMLIMIT=200MiB.
`

// Manual writes the manual page mailseal(1): cobra's generator writes a section for each command.
// It changes the commands, so root must not be used afterwards. Config is the path of the
// configuration file.
func Manual(w io.Writer, root *cobra.Command, config string) error {
	var b strings.Builder
	b.WriteString(".nh\n.TH MAILSEAL 1 \"\" Mailseal \"User Commands\"\n")
	for _, c := range append([]*cobra.Command{root}, Commands(root)...) {
		page, err := manualPage(c)
		if err != nil {
			return err
		}
		b.WriteString(page)
	}
	b.WriteString(completionPage)
	fmt.Fprintf(&b, ".SH FILES\n.TP\n.I %s\nThe configuration, see\n.BR mailseal.toml (5).\n",
		config)
	b.WriteString(environment)
	b.WriteString(".SH SEE ALSO\n.BR mailseal.toml (5)\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// terms explains the words that the page uses for mail and keys.
const terms = `.SH TERMS
.TP
our mail, strangers' mail
Mail that your own users and hosts send is ours, and is signed. All other mail is from strangers, and is judged.
.I Whose mail it is
in
.BR mailseal.toml (5)
describes how Mailseal decides.
.TP
author, author's domain
The address in the From field, and its domain.
.TP
signing rule
A table [[sign]] of the configuration: which authors' mail is signed with which keys.
.TP
managed key
A key that Mailseal made and keeps in its state directory (state_directory), and that "mailseal keys" rotates.
.TP
source
A database or web service from which the daemon loads keys ([sources] in the configuration).
.TP
selector, record
A signature names a domain (d=) and a selector (s=). Receivers find the public key in the TXT record
SELECTOR._domainkey.DOMAIN.
.TP
aligned
A domain that SPF or DKIM authenticated is aligned if it has the same organizational domain as the author's domain, or
is equal to it if the DMARC record requires strict alignment. DMARC passes if SPF or DKIM passes for an aligned domain
(RFC 9989).
.TP
tree walk, organizational domain
To find the DMARC record of a domain, receivers ask for _dmarc.DOMAIN, then for the same below each
parent domain (RFC 9989 section 4.10). The records found on this walk also decide which parent is the
organizational domain: the domain that one owner registered, such as example.com for
news.example.com. The walk replaces the Public Suffix List.
.TP
policy
What a domain asks receivers to do with mail that fails DMARC (p=none, quarantine or reject). [policy] in the
configuration decides what Mailseal really does with strangers' mail.
.TP
aggregate report
A DMARC report (RFC 9990): a receiver, the reporter, sends it to the owner of a domain once a day, with the number of
messages from each address and their results.
.TP
store, spool
The store is the database of reports (reports.store). The daemon writes its results into the spool, a directory, and
"mailseal reports serve" moves them into the store.
`

// inheritedDebug is the section of a command that inherits no flag but --debug. The page leaves it
// out: OPTIONS of mailseal describes the flag.
const inheritedDebug = `.SH OPTIONS INHERITED FROM PARENT COMMANDS
\fB--debug\fP
	after a bug in Mailseal, show where it happened
`

// zoneFiles describes --zone, which many commands have.
const zoneFiles = `.SH ZONE FILES
With --zone FILE a command takes all answers from a file instead of the DNS, to try records before they are published.
FILE is a master file (RFC 1035 section 5), and may contain records of any number of zones: write full names with a dot
at the end, or use $ORIGIN. A name that is not in the file does not exist (NXDOMAIN), except where the command says
otherwise. The lines $SERVFAIL NAME and $TIMEOUT NAME make lookups of a name fail.
.PP
.EX
example.com.                  IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com.           IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@example.com"
$SERVFAIL broken.example.
.EE
`

// commandList is a line for each command and for those below it.
func commandList(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(".SH COMMANDS\n")
	for _, c := range Commands(root) {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", strings.TrimPrefix(c.CommandPath(), "mailseal "),
			strings.ReplaceAll(c.Short, "-", `\-`))
	}
	return b.String()
}

// Commands lists the commands that are not hidden, and those below them, without help and
// completion.
func Commands(parent *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range parent.Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		out = append(append(out, c), Commands(c)...)
	}
	return out
}

// manualPage returns what cobra generates for one command, without what only a page of its own
// needs: title, references to the pages of the other commands, --help. The sections of all commands
// but the root become subsections.
func manualPage(c *cobra.Command) (string, error) {
	lines := optionLines(c)
	plain(c)
	var b bytes.Buffer
	if err := doc.GenMan(c, &doc.GenManHeader{Title: "MAILSEAL", Section: "1"}, &b); err != nil {
		return "", err
	}
	_, page, _ := strings.Cut(b.String(), "\n.SH NAME\n")
	page, _, _ = strings.Cut(page, "\n.SH SEE ALSO\n")
	page = strings.ReplaceAll(strings.TrimSpace(page)+"\n", "\n"+afterList, "\n.PP\n")
	page = option.ReplaceAllStringFunc(page, func(line string) string {
		return lines[option.FindStringSubmatch(line)[1]]
	})
	if !c.HasParent() {
		page = strings.Replace(page, "mailseal [flags]", "mailseal COMMAND [flags] [arguments]", 1)
		return ".SH NAME\n" + page + commandList(c) + terms + zoneFiles, nil
	}
	_, page, _ = strings.Cut(page, "\n") // the name and Short, which are the title
	page = strings.Replace(page, inheritedDebug, "", 1)
	page = strings.ReplaceAll(page, "\n.SH ", "\n.SS ")
	return fmt.Sprintf(".SH %q\n%s.\n%s", c.CommandPath(), c.Short, page), nil
}

// option matches the line of a flag in a generated page.
var option = regexp.MustCompile(`(?m)^(?:\\fB-\w\\fP, )?\\fB--([a-z-]+)\\fP.*$`)

// optionLines returns the line of each flag of a command as --help has it, by the flag's name.
func optionLines(c *cobra.Command) map[string]string {
	out := map[string]string{}
	for _, flags := range []*pflag.FlagSet{c.NonInheritedFlags(), c.InheritedFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			line := `\fB--` + f.Name + `\fP`
			if f.Shorthand != "" {
				line = `\fB-` + f.Shorthand + `\fP, ` + line
			}
			name, _ := pflag.UnquoteUsage(f)
			switch {
			case name == "":
			case f.NoOptDefVal != "":
				line += `[=\fI` + name + `\fP]`
			default:
				line += ` \fI` + strings.ReplaceAll(name, "-", `\-`) + `\fP`
			}
			out[f.Name] = line
		})
	}
	return out
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
		isZero := slices.Contains([]string{"", "0", "false", "<nil>"}, f.DefValue)
		if !isZero && !strings.Contains(usage, "default") {
			usage += " (default " + f.DefValue + ")"
		}
		f.Usage = markdown.Replace(usage)
	})
}

// markdown quotes what Markdown would take for its own.
var markdown = strings.NewReplacer(
	`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", `\<`, ">", `\>`, "[", `\[`, "]", `\]`, "#",
	`\#`, "|", `\|`, "~", `\~`)
