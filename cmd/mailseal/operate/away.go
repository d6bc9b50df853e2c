package operate

import (
	"errors"
	"fmt"
	"io/fs"

	"mailseal/cmd/mailseal/control"
)

// explained says what to do where no daemon answers at a socket. That this user may not use the
// socket does not mean that none runs.
func explained(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may be used by root and the daemon's user only: %w; run the command "+
			"as root (sudo)", socket, fs.ErrPermission)
	case errors.Is(err, control.ErrAway):
		return fmt.Errorf("%w; is it running? (systemctl status mailseal, journalctl -u mailseal)",
			err)
	}
	return err
}

// Target is the daemon that a command asks.
type Target struct {
	Socket   string // of the daemon
	Config   string // the path of its configuration file, "" if the command names none
	Mistakes error  // in that file, nil if there are none; Socket is then a guess
}
