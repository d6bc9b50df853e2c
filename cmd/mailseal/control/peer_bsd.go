//go:build darwin || dragonfly || freebsd

package control

import "golang.org/x/sys/unix"

// solLocal is the level of options of unix sockets, <sys/un.h>.
const solLocal = 0

// peer returns the user of the process that has connected.
func peer(fd int) (uint32, error) {
	c, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return c.Uid, nil
}
