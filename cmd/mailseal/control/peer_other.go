//go:build !linux && !darwin && !dragonfly && !freebsd && !openbsd

package control

import "errors"

// peer is not known here, so no command is answered; SIGHUP reloads.
func peer(int) (uint32, error) { return 0, errors.ErrUnsupported }
