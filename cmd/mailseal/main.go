// Mailseal signs what leaves a mail host and judges what arrives: a milter for Postfix and Sendmail, and around it all
// that a postmaster needs for DKIM, SPF, DMARC and ARC. Where to find what is in contrib/ARCHITECTURE.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/daemon"
)

func main() {
	if len(os.Args) > 1 && (os.Args[1] == "serve" || os.Args[1] == "shadow") {
		daemon.SlackenTimers()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRootCmd().ExecuteContext(ctx)
	stop()
	os.Exit(report(os.Stderr, err))
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "mailseal",
		Short: "Sign what leaves a mail host, judge what arrives",
		Long: `Mailseal signs what leaves a mail host with DKIM and judges what arrives by DKIM, SPF, DMARC and ARC.
"mailseal serve" is the daemon, a milter for Postfix and Sendmail; the other commands are its tools.

Exit codes: 0 good; 1 the answer is bad (a check failed, a signature did not verify, no rule matched);
2 the command line is wrong; 3 could not find out, such as when the DNS does not answer or the configuration file cannot
be read; 70 a bug of ours.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return answer.NewUsage(err) })
	root.AddCommand(newServeCmd(), newReloadCmd(), newShadowCmd(), newCheckCmd(), newKeygenCmd(), newKeysCmd(), newSignCmd(), newVerifyCmd(),
		newSPFCmd(), newDMARCCmd(), newExplainSigningCmd(), newDemoCmd(), newImportCmd(), newSQLImportCmd(), newMTACmd(), newManCmd(), newProbeCmd(), newVersionCmd())
	return root
}
