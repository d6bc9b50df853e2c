package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// ReportsUser is the user of "mailseal reports serve" in the units of contrib/systemd.
const ReportsUser = "mailseal-reports"

// OfReports returns what to do, behind a semicolon, where a file of the report process cannot be
// opened: its directory is missing, or this user has no rights to it. It is "" for other errors.
func OfReports(path string, err error) string {
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("; create the directory %s, owned by the user %s", dir, ReportsUser)
	case errors.Is(err, fs.ErrPermission):
		if uid, _, ok := owner(dir); ok && uid == 0 {
			return "; run the command as root"
		}
		return fmt.Sprintf("; run the command as root, or as the user that owns %s (sudo -u %s ...)",
			dir, ownerName(dir))
	}
	return ""
}

// ownerName returns the name of the user that owns a directory, ReportsUser if it is not known.
func ownerName(dir string) string {
	uid, _, ok := owner(dir)
	if !ok {
		return ReportsUser
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

func owner(path string) (uid, gid int, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, false
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(sys.Uid), int(sys.Gid), true
}

// AsDirectory gives a file that root has made to the owner of its directory: a file of root's there
// would be closed to the process that works in the directory. For other users it does nothing.
func AsDirectory(path string) error {
	uid, gid, ok := owner(filepath.Dir(path))
	if os.Geteuid() != 0 || !ok || uid == 0 {
		return nil
	}
	if have, _, ok := owner(path); !ok || have != 0 {
		return nil
	}
	return os.Chown(path, uid, gid)
}

// MakeOf makes a directory, and those above it, for a user. Where root makes them, the new ones
// belong to the user, if there is one of that name.
func MakeOf(name, dir string, mode fs.FileMode) error {
	var missing []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, at)
	}
	if err := os.MkdirAll(dir, mode); err != nil || os.Geteuid() != 0 {
		return err
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil // a host where root runs everything
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return err
	}
	for _, made := range missing {
		if err := os.Chown(made, uid, gid); err != nil {
			return err
		}
	}
	return nil
}
