package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Program passes mail to a program that accepts it as sendmail(1) does. It is for the command line:
// the program needs rights that the unit of the reports process does not have.
type Program struct {
	Path string
}

// The permanent exit codes of sendmail(1), of sysexits.h.
const (
	exitData        = 65 // the mail is wrong
	exitNoUser      = 67 // the address is wrong
	exitNoHost      = 68
	exitUnavailable = 69
	exitNoRight     = 77
)

// Hand implements Transport. Lines end as they do on this host, which every such program takes.
func (p *Program) Hand(ctx context.Context, from, to string, message []byte) error {
	return p.HandOver(ctx, from, to, message, func() error { return nil })
}

// HandOver implements Handover.
func (p *Program) HandOver(
	ctx context.Context, from, to string, message []byte, taking func() error,
) error {
	ctx, cancel := context.WithTimeout(ctx, handTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Path, "-i", "-f", from, "--", to)
	cmd.Stdin = bytes.NewReader(bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")))
	if err := taking(); err != nil {
		return err
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	said := printable(strings.TrimSpace(string(out)))
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", p.Path, err)
	}
	switch exit.ExitCode() {
	case exitData, exitNoUser, exitNoHost, exitUnavailable, exitNoRight:
		return Refused{fmt.Sprintf("%s: exit code %d: %s", p.Path, exit.ExitCode(), said)}
	}
	err = fmt.Errorf("%s: %w: %s", p.Path, err, said)
	if !exit.Exited() { // it was ended by a signal, such as ours when its time was over
		return InDoubt{err}
	}
	return err
}
