package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
)

// mailseal runs the program with a text on standard input.
func mailseal(t *testing.T, in string, args ...string) (out, errs string, code int) {
	t.Helper()
	root := newRootCmd()
	root.SetIn(strings.NewReader(in))
	var stdout, stderr bytes.Buffer
	code = execute(t.Context(), root, args, &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// TestExecute holds the exit code for each kind of answer, and what is said of it.
func TestExecute(t *testing.T) {
	text := errors.New("a reason")
	const help = "Run \"mailseal do --help\".\n"
	for _, tc := range []struct {
		name string
		err  error
		code int
		says string
	}{
		{"good", nil, 0, ""},
		{"of no kind", text, 1, "mailseal: a reason\n"},
		{"bad", answer.NewBad(text), 1, "mailseal: a reason\n"},
		{"bad, printed already", answer.NewBad(nil), 1, ""},
		{"usage", answer.NewUsage(text), 2, "mailseal: a reason\n" + help},
		{"bad, in words that cobra has", answer.NewBad(errors.New("requires more")), 1, "mailseal: requires more\n"},
		{"unknown", answer.NewUnknown(text), 3, "mailseal: a reason\n"},
		{"a file that cannot be read", &fs.PathError{Op: "open", Path: "x", Err: text}, 3,
			"mailseal: x: a reason\n"},
		{"a bug", answer.New(answer.Bug, text), 70, "mailseal: a reason\n"},
		{"of a kind that there is not", answer.New("odd", text), 70, "mailseal: a reason\n"},
	} {
		for _, args := range [][]string{{"do"}, {"do", "--json"}} {
			root := &cobra.Command{Use: "mailseal", SilenceErrors: true, SilenceUsage: true}
			do := &cobra.Command{Use: "do",
				RunE: func(*cobra.Command, []string) error { return tc.err }}
			do.Flags().Bool("json", false, "")
			root.AddCommand(do)
			var out, errs bytes.Buffer
			if code := execute(context.Background(), root, args, &out, &errs); code != tc.code ||
				errs.String() != tc.says {
				t.Errorf("%s: exit code %d, %q; want %d, %q", tc.name, code, errs.String(), tc.code,
					tc.says)
			}
			var said failure
			wantJSON := len(args) == 2 && tc.says != ""
			if err := json.Unmarshal(out.Bytes(), &said); wantJSON &&
				(err != nil || said.Error.Text == "") {
				t.Errorf("%s: printed %q, want an object with an error", tc.name, out.String())
			}
			if !wantJSON && out.Len() > 0 {
				t.Errorf("%s: printed %q, want nothing", tc.name, out.String())
			}
		}
	}
}
