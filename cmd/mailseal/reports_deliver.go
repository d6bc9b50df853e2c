package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/reporting"
)

func newReportsDeliverCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "deliver [RECIPIENT...]",
		Short: "Take one mail with reports from the mail server, by a pipe",
		Long: `Deliver reads a mail from standard input and puts its reports into the store: for an alias such as
  dmarc: "|/usr/sbin/mailseal reports deliver"
or a pipe in master.cf, as an alternative to LMTP to "mailseal reports serve". It runs as the user of the pipe, which
must be able to write to the store. A report counts only if the mail was authenticated for the reporter's domain.

RECIPIENT is the recipient of the mail, such as ${original_recipient} in a pipe in master.cf; the default is
ORIGINAL_RECIPIENT, which Postfix sets in the environment for an alias. A mail to the envelope sender of one of your
reports, r+ID-1-CODE at the domain of reports.from, is a bounce: its address gets no reports for 7, 30 and then 180
days, as with "mailseal reports bounced".

The exit codes are those for a mail server's pipe: 0 if the mail was stored, and 75, which keeps the mail in the queue
for another try, if the configuration or the store cannot be opened.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return answer.Deferred(deliver(cmd, path, args))
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file (default "+defaultConfig+")")
	return cmd
}

func deliver(cmd *cobra.Command, path string, recipients []string) error {
	cfg, err := loadConfig(path)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput))
	if err != nil {
		return err
	}
	p := &reporting.Process{Config: cfg, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: time.Now, Version: version()}
	if to := os.Getenv("ORIGINAL_RECIPIENT"); len(recipients) == 0 && to != "" {
		recipients = []string{to}
	}
	return p.Deliver(cmd.Context(), data, recipients...)
}
