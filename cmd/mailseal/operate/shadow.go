package operate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/shadow"
)

// SummarizeShadow prints what the logs of shadow say in a table or as JSON. It reads files, or
// standard input for "-" and for no file. Messages that differ only in the kinds to ignore count as
// the same.
func SummarizeShadow(files, ignore []string, asJSON bool, in io.Reader, out io.Writer) error {
	var s shadow.Summary
	if err := CheckKinds(ignore); err != nil {
		return answer.NewUsage(err)
	}
	if err := readLogs(&s, files, in, ignore); err != nil {
		return answer.NewUnknown(err)
	}
	return reportSummary(out, s, asJSON)
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

// IgnoreHelp describes the flag --ignore of shadow and shadow report.
func IgnoreHelp() string {
	return "kinds of differences to ignore: " + strings.Join(shadow.Kinds(), ", ")
}

// CheckKinds returns an error if a value of --ignore is not a kind of difference.
func CheckKinds(kinds []string) error {
	for _, kind := range kinds {
		if !slices.Contains(shadow.Kinds(), kind) {
			return fmt.Errorf("--ignore: no kind %q; there are %s", kind,
				strings.Join(shadow.Kinds(), ", "))
		}
	}
	return nil
}
