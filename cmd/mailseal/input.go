package main

import (
	"errors"
	"io"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/examine"
)

// maxInput bounds a message that a command reads, in bytes: mail servers refuse larger ones.
const maxInput = 256 << 20

// readInput reads a file or pipe, standard input for "-".
func readInput(file string, stdin io.Reader) ([]byte, error) {
	return examine.ReadInput(file, stdin, maxInput)
}

// errNow reports a --now value that does not parse.
var errNow = errors.New(`--now takes a time such as "2026-01-31T12:00:00Z"`)

// parseNow returns the clock that --now sets, the real one for "".
func parseNow(s string) (func() time.Time, error) {
	if s == "" {
		return time.Now, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, answer.NewUsage(errNow)
	}
	return func() time.Time { return t }, nil
}

// trimPath removes the angle brackets of a path.
func trimPath(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">") }
