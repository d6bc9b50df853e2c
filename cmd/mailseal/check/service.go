package check

import (
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"mailseal/config"
)

// Service is the user that the daemon will run as.
type Service struct {
	Name   string // of the user, and of its group
	UID    int    // -1 when there is no such user
	GID    int    // -1 when there is no such group
	Groups []int  // all that the user is a member of
}

// FindService looks a user up, and the group of the same name. Either may be missing.
func FindService(name string) Service {
	s := Service{Name: name, UID: -1, GID: -1}
	if g, err := user.LookupGroup(name); err == nil {
		s.GID, _ = strconv.Atoi(g.Gid) // a number, on every system with groups
		s.Groups = []int{s.GID}
	}
	u, err := user.Lookup(name)
	if err != nil {
		return s
	}
	s.UID, _ = strconv.Atoi(u.Uid)
	ids, _ := u.GroupIds() // without them fewer files can be read
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			s.Groups = append(s.Groups, n)
		}
	}
	return s
}

// Unreadable returns the files and directories, sorted, that keep the service's user from reading the keys of a
// configuration. It is empty when there is no such user.
func (s Service) Unreadable(cfg *config.Config) []string {
	if s.UID < 0 {
		return nil
	}
	stops := map[string]bool{}
	for _, k := range cfg.Keys {
		if k.File == "" {
			continue
		}
		if at := s.stoppedAt(k.File); at != "" {
			stops[at] = true
		}
	}
	return slices.Sorted(maps.Keys(stops))
}

// stoppedAt returns the first directory or file on the way that the service's user may not pass or read, "" if there is
// none or the file is not there.
func (s Service) stoppedAt(path string) string {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	for i, c := range path {
		if dir := path[:i]; c == '/' && i > 0 && !s.may(dir, 0o1) {
			return dir
		}
	}
	if !s.may(path, 0o4) {
		return path
	}
	return ""
}

// may reports whether the mode of a file lets the service's user do what a bit stands for: 4 to read, 1 to pass.
func (s Service) may(path string, bit os.FileMode) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case !ok || s.UID == 0:
		return true
	case int(sys.Uid) == s.UID:
		return mode&(bit<<6) != 0
	case slices.Contains(s.Groups, int(sys.Gid)):
		return mode&(bit<<3) != 0
	default:
		return mode&bit != 0
	}
}
