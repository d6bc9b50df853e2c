// Package operate implements "mailseal reload" and "mailseal status", which use the control socket
// of the running daemon.
package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/control"
)

// ReloadOptions say how the daemon is asked to reload.
type ReloadOptions struct {
	Target
	Accept   bool          // accept that domains lose their signatures
	Timeout  time.Duration // how long to wait for the answer
	Out      io.Writer
	Warnings io.Writer
}

// Reload asks the daemon to read its configuration and keys again, and prints the result. The error
// is a bad answer if the daemon refused, and an unknown one if no daemon answered.
func Reload(ctx context.Context, o ReloadOptions) error {
	if o.Mistakes != nil { // the daemon would refuse; perhaps its socket cannot even be found
		return answer.NewBad(fmt.Errorf("%w\nnot reloaded: the configuration in effect stays",
			o.Mistakes))
	}
	cause := fmt.Errorf("no answer within %s; see the daemon's log for the result", o.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, cause)
	defer cancel()
	a, err := control.Ask(ctx, o.Socket, control.Request{Command: control.Reload, Accept: o.Accept,
		Config: control.Absolute(o.Config)})
	if errors.Is(err, control.ErrAway) {
		return answer.NewUnknown(explained(o.Socket, err))
	}
	if err != nil {
		return answer.NewBad(err)
	}
	for _, w := range a.Warnings {
		fmt.Fprintln(o.Warnings, "mailseal: warning:", w)
	}
	if a.Error != "" {
		return answer.NewBad(errors.New(a.Error))
	}
	fmt.Fprintln(o.Out, "reloaded")
	return nil
}
