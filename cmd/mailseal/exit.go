package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailseal/cmd/mailseal/answer"
)

// The exit codes of every command.
const (
	exitGood    = 0
	exitBad     = 1  // the answer is bad, or the configuration has mistakes
	exitUsage   = 2  // the command line is wrong
	exitUnknown = 3  // could not find out, or could not read what it needs
	exitBug     = 70 // a bug in Mailseal
	// a mail server is to try again (EX_TEMPFAIL); of "mailseal reports deliver" alone
	exitDefer = 75
)

var codes = map[answer.Kind]int{
	answer.Good: exitGood, answer.Bad: exitBad, answer.Usage: exitUsage,
	answer.Unknown: exitUnknown, answer.Bug: exitBug,
	answer.TryAgain: exitDefer,
}

// execute runs the command that the arguments name, and returns the exit code. Only here
// does an answer become a number, and only here is the error reported: as a line on
// standard error and, with --json, as an object on standard output.
func execute(ctx context.Context, root *cobra.Command, args []string, stdout,
	stderr io.Writer) int {
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := run(ctx, root, stderr, slices.Contains(args, "--debug"))
	code, text := codeOf(err), answer.Text(err)
	if text == "" {
		return code
	}
	fmt.Fprintln(stderr, "mailseal:", text)
	if code == exitUsage {
		fmt.Fprintf(stderr, "Run \"%s --help\".\n", commandOf(root, args))
	}
	if slices.Contains(args, "--json") {
		printFailure(stdout, answer.Of(err), text)
	}
	return code
}

// commandOf returns the command that the arguments name, without its own arguments.
func commandOf(root *cobra.Command, args []string) string {
	cmd, _, err := root.Find(args)
	if err != nil {
		return root.Name()
	}
	return cmd.CommandPath()
}

// missingFlags matches the library's error about flags that must be given.
var missingFlags = regexp.MustCompile(`^required flag\(s\) (.*) not set$`)

// rephrased returns an error of the command library in the words of the others.
func rephrased(err error) error {
	found := missingFlags.FindStringSubmatch(err.Error())
	if found == nil {
		return err
	}
	names := strings.ReplaceAll(found[1], `"`, "")
	return errors.New("missing flags: --" + strings.ReplaceAll(names, ", ", ", --"))
}

// codeOf is the exit code for what a command has returned.
func codeOf(err error) int {
	if code, known := codes[answer.Of(err)]; known {
		return code
	}
	return exitBug
}

// failure is what --json prints when a command could not answer.
type failure struct {
	Error failureError `json:"error"`
}

type failureError struct {
	Kind answer.Kind `json:"kind"`
	Text string      `json:"text"`
	Code int         `json:"exit_code"`
}

func printFailure(w io.Writer, kind answer.Kind, text string) {
	// the exit code says it, too
	_ = json.NewEncoder(w).Encode(failure{failureError{kind, text, codes[kind]}})
}

// run executes a command. Whatever is wrong before the command itself begins is a wrong command
// line.
func run(ctx context.Context, root *cobra.Command, stderr io.Writer, showStack bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = answer.New(answer.Bug, fmt.Errorf(
				"a bug, please report it: %v (--debug shows where)", p))
			if showStack {
				_, _ = stderr.Write(debug.Stack())
			}
		}
	}()
	begun := false
	each(root, func(cmd *cobra.Command) {
		if do := cmd.RunE; do != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				begun = true
				return do(cmd, args)
			}
		}
	})
	err = root.ExecuteContext(ctx)
	var typed *answer.Error
	if err != nil && !begun && !errors.As(err, &typed) {
		return answer.NewUsage(rephrased(err))
	}
	return err
}

// each calls do for a command and all below it.
func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		each(c, do)
	}
}
