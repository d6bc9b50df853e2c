package control

import (
	"fmt"
	"os"
	"path/filepath"
)

// Absolute returns a path in a form that means the same to another process, as far as that is
// known; "" remains "".
func Absolute(path string) string {
	if out, err := filepath.Abs(path); err == nil && path != "" {
		return out
	}
	return path
}

// IsSameFile reports whether two absolute paths name the same file, also by links.
func IsSameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// OtherConfig returns the error for a command about one configuration file that reaches a daemon
// which runs with another. Two daemons that share state_directory share the control socket as well,
// and only the first of them has it.
func OtherConfig(has, wanted string) error {
	return fmt.Errorf("the daemon that answers runs with %s, not with %s: two daemons must "+
		"not have the same state_directory; set another one in %s and restart its daemon, or name "+
		"the file of the running daemon with --config", has, wanted, wanted)
}
