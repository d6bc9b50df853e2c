// Mailseal is a milter for Postfix and Sendmail that signs outbound mail and verifies
// inbound mail, with all the commands that a postmaster needs for DKIM, SPF, DMARC and ARC.
// contrib/ARCHITECTURE.md describes the source code.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/arguments"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, newRootCmd(), os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "mailseal",
		Short: "Sign mail that leaves a host, judge mail that arrives",
		Long: `Mailseal signs mail that leaves a host with DKIM, and judges mail that arrives by DKIM, SPF, DMARC and
ARC. "mailseal serve" is the daemon, a milter for Postfix and Sendmail; the other commands are its tools.

Exit codes of all commands: 0 good; 1 the answer is bad (a check failed, a signature did not verify, no rule matched),
or the configuration has mistakes (3 for sign, whose 1 means that no rule wants a signature); 2 the
command line is wrong; 3 the command could not find the answer, for example because the DNS did not
answer or a file could not be read; 70 a bug in Mailseal.

With --json a command that cannot answer prints {"error": {"kind": ..., "text": ..., "exit_code": ...}} on standard
output, with the kind "bad", "usage", "unknown" or "bug", and the text on standard error, as it does
without --json. A flag with the value "" or 0 is an error unless its description says what that
means, and so is a flag that has no effect together with the other flags.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := validateFlags(cmd); err != nil {
			return err
		}
		return arguments.Check(cmd, args)
	}
	root.PersistentFlags().Bool("debug", false, "after a bug in Mailseal, show where it happened")
	root.Flags().BoolP("version", "v", false, "print the version")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return answer.NewUsage(err) })
	root.AddCommand(newServeCmd(), newReloadCmd(), newStatusCmd(), newShadowCmd(), newCheckCmd(),
		newKeygenCmd(), newKeysCmd(), newSignCmd(), newVerifyCmd(),
		newSPFCmd(), newDMARCCmd(), newExplainSigningCmd(), newDemoCmd(), newImportCmd(),
		newSQLImportCmd(), newMTACmd(), newReportsCmd(), newManCmd(), newProbeCmd(),
		newVersionCmd())
	root.AddCommand(newSetupCmd())
	root.AddCommand(newDomainCmd(), newDKIMCmd(), newPolicyCmd(), newProposeCmd(), newTestCmd())
	root.SetHelpCommand(newHelpCmd(root))
	answer.FitHelp(root)
	root.InitDefaultCompletionCmd()
	each(root, func(cmd *cobra.Command) {
		if cmd.Name() == "completion" {
			cmd.Args, cmd.RunE = noArgs, func(cmd *cobra.Command,
				_ []string) error {
				return cmd.Help()
			}
			describeCompletion(cmd)
		}
	})
	answer.NameValues(root)
	return root
}

// describeCompletion writes the help of the completion commands, of which the library's own text is
// for programs that are not services of Linux and BSD.
func describeCompletion(cmd *cobra.Command) {
	cmd.Short = "Print a script that completes commands and flags in a shell"
	cmd.Long = `Completion prints a script with which a shell completes the commands and flags of mailseal. The
packages and "make install" install the scripts of bash, fish and zsh.`
	files := map[string]string{"bash": "/etc/bash_completion.d/mailseal",
		"fish": "~/.config/fish/completions/mailseal.fish",
		"zsh":  "/usr/local/share/zsh/site-functions/_mailseal", "powershell": "mailseal.ps1"}
	for _, shell := range cmd.Commands() {
		file := files[shell.Name()]
		shell.Short = "Print the completion script of " + shell.Name()
		shell.Long = "Prints the completion script of " + shell.Name() + ". It takes effect in shells " +
			"that are started after it was written to its file."
		shell.Example = "  mailseal completion " + shell.Name() + " > " + file
	}
}

// newHelpCmd is cobra's help, but that a name of no command is a mistake.
func newHelpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show what a command does",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return answer.NewUsage(fmt.Errorf("there is no command %q",
					strings.Join(args, " ")))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}
