package main

import (
	"bytes"
	"errors"
	"testing"

	"mailseal/cmd/mailseal/answer"
)

// TestReport holds the exit code for each kind of answer, and what is said of it.
func TestReport(t *testing.T) {
	text := errors.New("a reason")
	const help = "Run \"mailseal help\" or \"mailseal COMMAND --help\".\n"
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
		{"usage that cobra finds", errors.New("unknown command \"x\""), 2, "mailseal: unknown command \"x\"\n" + help},
		{"bad, in words that cobra has", answer.NewBad(errors.New("requires more")), 1, "mailseal: requires more\n"},
		{"unknown", answer.NewUnknown(text), 3, "mailseal: a reason\n"},
		{"a bug", answer.New(answer.Bug, text), 70, "mailseal: a reason\n"},
	} {
		var out bytes.Buffer
		if code := report(&out, tc.err); code != tc.code || out.String() != tc.says {
			t.Errorf("%s: exit code %d, %q; want %d, %q", tc.name, code, out.String(), tc.code, tc.says)
		}
	}
}
