// Package answer classifies the results of commands. The errors of the packages behind the commands
// carry the kind of answer; only package main turns it into an exit code. It also prints help,
// tables and the manual page.
package answer

import (
	"errors"
	"io/fs"
	"slices"

	"mailseal/keys"
)

// Kind is a kind of answer.
type Kind string

// The kinds of answers, from the best to the worst.
const (
	Good    Kind = "good"
	Bad     Kind = "bad"     // a check failed, a signature did not verify, no rule matched
	Usage   Kind = "usage"   // the command line is wrong
	Unknown Kind = "unknown" // it could not be found out: the DNS, a peer or a file did not answer
	Bug     Kind = "bug"     // a bug in Mailseal
)

// Error is an answer that is not good.
type Error struct {
	Kind Kind
	Err  error // nil if everything has been printed already
}

func (e *Error) Error() string {
	if e.Err == nil {
		return "the answer is " + string(e.Kind)
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// New returns an error of some kind. A nil err says nothing more to the user: the answer itself has
// been printed.
func New(k Kind, err error) error { return &Error{k, err} }

// NewBad returns an error with the kind Bad: the answer is bad.
func NewBad(err error) error { return New(Bad, err) }

// NewUsage returns an error with the kind Usage: the command line is wrong.
func NewUsage(err error) error { return New(Usage, err) }

// NewUnknown returns an error with the kind Unknown: the answer could not be found out.
func NewUnknown(err error) error { return New(Unknown, err) }

// Of returns the kind of answer that an error represents: the kind of the first Error in
// it, Good for nil, Unknown if a file could not be read or written, and Bad for any other
// error.
func Of(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return Good
	case errors.As(err, &e):
		return e.Kind
	case isUnread(err):
		return Unknown
	}
	return Bad
}

// isUnread reports whether an error is about a file that could not be opened, read or written.
func isUnread(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) || errors.Is(err, fs.ErrNotExist) ||
		errors.Is(err, fs.ErrPermission)
}

// NewFailed returns an error for what a command could not do: Unknown where a file could not be
// read, else Bad.
func NewFailed(err error) error { return New(Of(err), err) }

// NotBad makes Unknown of Bad, for a command from which a bad answer means something else than that
// it failed.
func NotBad(err error) error {
	if Of(err) == Bad {
		return NewUnknown(err)
	}
	return err
}

// ranks are the kinds of answers by how bad they are, the worst last.
var ranks = []Kind{Good, Bad, Usage, Unknown, TryAgain, Bug}

// Worst returns the worse of two kinds of answers.
func Worst(a, b Kind) Kind {
	if slices.Index(ranks, a) < slices.Index(ranks, b) {
		return b
	}
	return a
}

// Text returns the message for the user about an error, or "" if everything has been
// printed: in plain words, and without secrets in URLs.
func Text(err error) string {
	var e *Error
	if err == nil || errors.As(err, &e) && e.Err == nil {
		return ""
	}
	return keys.Plain(keys.Mask(err.Error()))
}

// TryAgain is the answer to a mail server that is to keep a mail and try again.
const TryAgain Kind = "deferred"

// Deferred makes TryAgain of any error.
func Deferred(err error) error {
	if err == nil {
		return nil
	}
	return New(TryAgain, err)
}
