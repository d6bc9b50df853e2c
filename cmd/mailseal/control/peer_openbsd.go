package control

import "golang.org/x/sys/unix"

// peer returns the user of the process that has connected: the first member of struct sockpeercred,
// of which the kernel copies as much as is asked for.
func peer(fd int) (uint32, error) {
	uid, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	return uint32(uid), err
}
