package intake

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// ErrFault reports a fault of this program that a mail or file has triggered.
var ErrFault = errors.New("reading it failed, which is a fault of Mailseal: please report it with the file; " +
	"what came by mail is kept, and \"mailseal reports reparse\" reads it again")

// survive calls do, and returns its error, or ErrFault if it panics: one mail that strangers can
// send as often as they like must not keep the others out.
func survive(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w (%v in %s)", ErrFault, v, place(string(debug.Stack())))
		}
	}()
	return do()
}

// place returns the file and line in which a panic began, of a stack.
func place(stack string) string {
	_, stack, _ = strings.Cut(stack, "\npanic(")
	_, stack, _ = strings.Cut(stack, "\n\t") // the line of panic itself
	_, stack, _ = strings.Cut(stack, "\n\t")
	line, _, _ := strings.Cut(stack, " ")
	return filepath.Base(line)
}
