//go:build !linux

package keyfile

import "io/fs"

// groupRights returns the mode as it is: access control lists of other systems do not change what a
// mode means.
func (c checker) groupRights(_ string, mode fs.FileMode) fs.FileMode { return mode }
