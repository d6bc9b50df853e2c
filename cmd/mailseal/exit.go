package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// The exit codes of every command.
const (
	exitGood    = 0
	exitBad     = 1  // the answer is bad: a check failed, a signature did not verify, no rule matched
	exitUsage   = 2  // the command line is wrong
	exitUnknown = 3  // could not find out: the DNS, a peer or a file did not answer
	exitBug     = 70 // a bug of ours
)

// exitError is an error that knows the exit code it asks for.
type exitError struct {
	code int
	err  error // nil when everything has been said already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit ends a command with a code. A nil err says nothing more to the user: the answer itself has been printed.
func exit(code int, err error) error { return &exitError{code, err} }

// report tells the user what went wrong and returns the code to exit with.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitGood
	}
	code := exitBad
	var e *exitError
	if errors.As(err, &e) {
		code, err = e.code, e.err
	} else if isUsage(err) {
		code = exitUsage
	}
	if err != nil {
		fmt.Fprintln(w, "mailseal:", err)
	}
	if code == exitUsage {
		fmt.Fprintln(w, `Run "mailseal help" or "mailseal COMMAND --help".`)
	}
	return code
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
