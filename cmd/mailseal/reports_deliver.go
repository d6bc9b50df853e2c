package main

import (
	"bytes"
	"fmt"
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
		Short: "Store the reports of one mail that the mail server pipes to it",
		Long:  help("reports-deliver"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return answer.Deferred(deliver(cmd, path, args))
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "",
		"configuration file (default "+defaultConfig+")")
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
	if len(bytes.TrimSpace(data)) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "mailseal: warning: the mail is empty: nothing was stored")
		return nil
	}
	p := &reporting.Process{Config: cfg, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: time.Now, Version: version()}
	if to := os.Getenv("ORIGINAL_RECIPIENT"); len(recipients) == 0 && to != "" {
		recipients = []string{to}
	}
	return p.Deliver(cmd.Context(), data, recipients...)
}
