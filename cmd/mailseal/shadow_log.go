package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"mailseal/milter/shadow"
)

// logFile is where lines go: a file that can be opened anew, or standard output. Lines and tables come from two
// goroutines.
type logFile struct {
	path string // "" for standard output

	mu    sync.Mutex
	w     io.Writer
	file  *os.File // w, if it is a file
	isCut bool     // the last line was not written to its end
}

// reopen opens the file that has the name now, as after a rotation. With an error the old one stays.
func (l *logFile) reopen() error {
	if l.path == "" {
		return nil
	}
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close() // every line has been written; nil the first time
	l.w, l.file = file, file
	return nil
}

// Write writes a line. After one that was cut off, as by a full disk, it begins a new one.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		if _, err := l.w.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
	}
	n, err := l.w.Write(p)
	l.isCut = 0 < n && n < len(p)
	return n, err
}

// Close implements io.Closer.
func (l *logFile) Close() error { return l.file.Close() }

func newShadowReportCmd() *cobra.Command {
	var asJSON bool
	var ignore []string
	cmd := &cobra.Command{
		Use:   "report [FILE ...]",
		Short: "Make a table of what shadow logged",
		Long: `Report counts the lines of shadow's logs, from files or standard input, in text or JSON, with or without what syslog and
journald put before them: messages that were the same, that differ and in what and of which domains, that were not
judged and why. With --ignore, messages that differ in nothing else are the same.

The exit code is 0 when no message differs, 1 when some do, 3 when none was compared.`,
		Example: `  mailseal shadow report /var/log/mailseal-shadow.log
  journalctl -u mailseal-shadow -o cat --since -7d | mailseal shadow report --json`,
		RunE: func(cmd *cobra.Command, files []string) error {
			var s shadow.Summary
			if err := checkKinds(ignore); err != nil {
				return exit(exitUsage, err)
			}
			if err := readLogs(&s, files, cmd.InOrStdin(), ignore); err != nil {
				return exit(exitUnknown, err)
			}
			return reportSummary(cmd.OutOrStdout(), s, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "a JSON object, with all domains")
	cmd.Flags().StringSliceVar(&ignore, "ignore", nil, ignoreHelp())
	return cmd
}

func readLogs(s *shadow.Summary, files []string, stdin io.Reader, ignore []string) error {
	if len(files) == 0 {
		return s.ReadLog(stdin, ignore...)
	}
	for _, name := range files {
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
		return exit(exitBad, nil)
	case s.Same == 0:
		return exit(exitUnknown, cmp.Or(err, errNothingCompared))
	}
	return nil
}

var errNothingCompared = errors.New("no message was compared")
