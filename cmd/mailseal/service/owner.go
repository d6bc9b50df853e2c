package service

import (
	"errors"
	"os"
	"syscall"
)

// owner is whom a file belongs to, and what others may do with it.
type owner struct {
	uid, gid int
	mode     os.FileMode
}

var errNoOwner = errors.New("this system does not show the owners of files")

func ownerOf(path string) (owner, error) {
	info, err := os.Stat(path)
	if err != nil {
		return owner{}, err
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}, errNoOwner
	}
	return owner{int(sys.Uid), int(sys.Gid), info.Mode().Perm()}, nil
}

// OwnerUID returns the number of the user that a file belongs to, -1 if that cannot be found out.
func OwnerUID(path string) int {
	o, err := ownerOf(path)
	if err != nil {
		return -1
	}
	return o.uid
}
