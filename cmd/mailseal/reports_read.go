package main

import (
	"errors"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/incoming"
)

func newReportsReadCmd() *cobra.Command {
	var r incoming.Read
	cmd := &cobra.Command{
		Use:   "read FILE...",
		Short: "Show DMARC, TLS and failure reports in readable form",
		Long: `Read shows the content of reports: for each domain a sentence, then the hosts that sent as the domain,
how much of their mail passed DMARC, and why the rest did not. It needs no configuration, no daemon and no DNS.

A FILE is a report (XML or JSON; in gzip, zip, tar, bzip2, zlib, base64 or uuencode, whatever its name), a mail that
holds reports, a mailbox in one file (mbox), a directory with any of these below it, such as a Maildir, or "-" for
standard input. DMARC aggregate reports (RFC 9990), TLS reports (RFC 8460) and failure reports (RFC 9991, ARF) are known
by their content. Reports that were joined in one file are read one by one. A report that is found twice is counted once.
Of a report that is damaged or cut off, the rows are read that are whole, and the policies of a TLS report. What is in another form (xz, 7-Zip, RAR, Outlook's .msg and winmail.dat, encrypted mail) is named,
with what makes it readable.

Numbers are messages. "pass" is DMARC: DKIM or SPF passes for an aligned domain. Reports are read as reporters write
them; what is unusual about one is listed at the end. A row that cannot be counted is an error that names the line, and
the other rows are read.

The exit code is 0 if everything was read; 1 if there is no report at all, if a file is empty or not a report, or if a
report is damaged or hostile; 3 if a file cannot be opened. Other mail among the reports is listed, but is not an error.`,
		Example: `  mailseal reports read 'google.com!example.com!1700000000!1700086399.zip'
  mailseal reports read ~/Maildir/.dmarc
  mailseal reports read --csv reports.mbox > reports.csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return answer.NewUsage(errors.New(`name a file, a directory, or "-" for standard input`))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Width = answer.Width()
			r.Screen = answer.Screen(cmd.OutOrStdout())
			return r.Run(args, cmd.InOrStdin(), cmd.OutOrStdout(), answer.Terminal(cmd.ErrOrStderr()))
		},
	}
	cmd.Flags().BoolVar(&r.JSON, "json", false, "print one JSON object for each report, on a line each")
	cmd.Flags().BoolVar(&r.CSV, "csv", false, "print the rows of aggregate reports as CSV")
	cmd.Flags().BoolVar(&r.Raw, "raw", false, "print the reports as they are, unpacked")
	excludes(cmd, []string{"json"}, "csv", "raw")
	excludes(cmd, []string{"csv"}, "raw")
	return cmd
}
