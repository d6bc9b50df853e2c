package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/keys"
)

// The exit codes of every command.
const (
	exitGood    = 0
	exitBad     = 1  // the answer is bad: a check failed, a signature did not verify, no rule matched
	exitUsage   = 2  // the command line is wrong
	exitUnknown = 3  // could not find out: the DNS, a peer or a file did not answer
	exitBug     = 70 // a bug of ours
)

// codeOf is the exit code for what a command has returned. This is the only place where an answer becomes a number.
func codeOf(err error) int {
	switch answer.Of(err) {
	case answer.Good:
		return exitGood
	case answer.Usage:
		return exitUsage
	case answer.Unknown:
		return exitUnknown
	case answer.Bug:
		return exitBug
	}
	var e *answer.Error
	if !errors.As(err, &e) && isUsage(err) {
		return exitUsage
	}
	return exitBad
}

// report tells the user what went wrong and returns the code to exit with.
func report(w io.Writer, err error) int {
	code := codeOf(err)
	if text := textOf(err); text != "" {
		fmt.Fprintln(w, "mailseal:", text)
	}
	if code == exitUsage {
		fmt.Fprintln(w, `Run "mailseal help" or "mailseal COMMAND --help".`)
	}
	return code
}

// textOf is what an error says to the user, "" when everything has been said already.
func textOf(err error) string {
	var e *answer.Error
	if err == nil || errors.As(err, &e) && e.Err == nil {
		return ""
	}
	return keys.Mask(err.Error())
}

// isUsage recognises the mistakes that cobra finds in a command line, for which it has no type.
func isUsage(err error) bool {
	for _, of := range []string{"unknown command", "accepts ", "requires ", "required flag", "unknown flag", "unknown shorthand", "if any flags in the group", "at least one of the flags"} {
		if strings.HasPrefix(err.Error(), of) {
			return true
		}
	}
	return false
}
