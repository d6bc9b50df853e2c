package keylife

import (
	"io/fs"
	"syscall"
)

// inode tells two files apart that were written within the clock's resolution.
func inode(info fs.FileInfo) uint64 {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return sys.Ino
	}
	return 0
}
