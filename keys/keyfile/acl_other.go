//go:build !linux

package keyfile

import "io/fs"

// groupRights returns the mode unchanged: access control lists of other systems do not
// change the meaning of a mode.
func (c checker) groupRights(_ string, mode fs.FileMode) fs.FileMode { return mode }
