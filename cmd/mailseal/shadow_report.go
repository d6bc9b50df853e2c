package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/shadow"
)

func newShadowReportCmd() *cobra.Command {
	var asJSON bool
	var ignore []string
	cmd := &cobra.Command{
		Use:   "report [FILE ...]",
		Short: "Summarize the logs of shadow in a table",
		Long: `Report counts the lines of shadow's logs, in text or JSON, with or without the prefix of syslog and
journald: messages that were the same; that differ, in what and for which domains; and that were not judged, and why.
It reads files, or standard input if FILE is "-" or missing. With --ignore, messages that differ only in these kinds
count as the same.

The exit code is 0 if no message differs, 1 if some do, 3 if none was compared.`,
		Example: `  mailseal shadow report /var/log/mailseal-shadow.log
  journalctl -u mailseal-shadow -o cat --since -7d | mailseal shadow report --json`,
		Args: filled,
		RunE: func(cmd *cobra.Command, files []string) error {
			var s shadow.Summary
			if err := checkKinds(ignore); err != nil {
				return answer.NewUsage(err)
			}
			if err := readLogs(&s, files, cmd.InOrStdin(), ignore); err != nil {
				return answer.NewUnknown(err)
			}
			return reportSummary(cmd.OutOrStdout(), s, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object with all domains")
	cmd.Flags().StringSliceVar(&ignore, "ignore", nil, ignoreHelp())
	return cmd
}

func readLogs(s *shadow.Summary, files []string, stdin io.Reader, ignore []string) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		if name == "-" {
			if err := s.ReadLog(stdin, ignore...); err != nil {
				return err
			}
			continue
		}
		file, err := os.Open(name)
		if err == nil {
			err = errors.Join(s.ReadLog(file, ignore...), file.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func reportSummary(w io.Writer, s shadow.Summary, asJSON bool) error {
	var err error
	if asJSON {
		err = json.NewEncoder(w).Encode(s)
	} else {
		err = s.WriteTable(w)
	}
	switch {
	case err != nil:
		return err
	case s.Differing > 0:
		return answer.NewBad(nil)
	case s.Same == 0:
		return answer.NewUnknown(errNothingCompared)
	}
	return nil
}

var errNothingCompared = errors.New("no message was compared")

func ignoreHelp() string {
	return "kinds of differences to ignore: " + strings.Join(shadow.Kinds(), ", ")
}

// checkKinds wants the values of --ignore to be kinds of differences.
func checkKinds(kinds []string) error {
	for _, kind := range kinds {
		if !slices.Contains(shadow.Kinds(), kind) {
			return fmt.Errorf("--ignore: no kind %q; there are %s", kind,
				strings.Join(shadow.Kinds(), ", "))
		}
	}
	return nil
}
