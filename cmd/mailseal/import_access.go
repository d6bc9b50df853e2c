package main

import (
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mailseal/config"
	"mailseal/config/opendkim"
)

// serviceName is the user and group that the units in contrib/systemd run the daemon as.
const serviceName = "mailseal"

// service is the user that the daemon will run as.
type service struct {
	name string
	uid  int // -1 when there is no such user
	gid  int // -1 when there is no such group
	gids []int
}

func findService(name string) service {
	s := service{name: name, uid: -1, gid: -1}
	if g, err := user.LookupGroup(name); err == nil {
		s.gid, _ = strconv.Atoi(g.Gid) // a number, on every system with groups
		s.gids = []int{s.gid}
	}
	u, err := user.Lookup(name)
	if err != nil {
		return s
	}
	s.uid, _ = strconv.Atoi(u.Uid)
	ids, _ := u.GroupIds() // without them fewer files can be read
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			s.gids = append(s.gids, n)
		}
	}
	return s
}

// give lets the service's group read the file, and says what is left to do where we may not.
func (s service) give(path string) []opendkim.Note {
	if s.gid >= 0 && os.Chown(path, -1, s.gid) == nil {
		return nil
	}
	when := ""
	if s.gid < 0 {
		when = ", once there is a group of that name"
	}
	return []opendkim.Note{{Group: opendkim.Todo, Text: fmt.Sprintf("the daemon must be able to read %s (mode 0640)%s: chgrp %s %[1]s", path, when, s.name)}}
}

// keysToDo names the keys of a configuration that the service's user cannot read. OpenDKIM defers all mail when it finds
// that a group can read its keys, so that nothing is changed before it has stopped.
func (s service) keysToDo(toml string) []opendkim.Note {
	cfg, err := config.Parse("mailseal.toml", []byte(toml))
	if err != nil || s.uid < 0 {
		return nil // "mailseal check" says what is wrong
	}
	blocked := map[string]bool{}
	for _, k := range cfg.Keys {
		if k.File == "" {
			continue
		}
		if at := s.blockedAt(k.File); at != "" {
			blocked[at] = true
		}
	}
	if len(blocked) == 0 {
		return nil
	}
	paths := slices.Sorted(maps.Keys(blocked))
	return []opendkim.Note{{Group: opendkim.Todo, Text: fmt.Sprintf("the user %s cannot read keys: it is stopped at %s. Once OpenDKIM has stopped, which does not sign with keys that a group can read: %s",
		s.name, few(paths), s.openCommand(paths))}}
}

// few lists some of many.
func few(texts []string) string {
	const some = 3
	if len(texts) > some {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:some], ", "), len(texts)-some)
	}
	return strings.Join(texts, ", ")
}

// openCommand lets the service's group at files and directories: at the directory that holds them all, unless it holds
// other things as well.
func (s service) openCommand(paths []string) string {
	top := paths[0]
	for _, p := range paths {
		for p != top && !strings.HasPrefix(p, top+"/") {
			top = filepath.Dir(top)
		}
	}
	if strings.Count(top, "/") < 2 {
		return fmt.Sprintf("chgrp %s and chmod g+rX each of them", s.name)
	}
	return fmt.Sprintf("chgrp -R %s %s && chmod -R g+rX %[2]s", s.name, top)
}

// blockedAt returns the first directory or file on the way that the service's user may not pass or read, "" if there is
// none or the file is not there.
func (s service) blockedAt(path string) string {
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

// may tells whether the mode of a file lets the service's user do what a bit stands for: 4 to read, 1 to pass.
func (s service) may(path string, bit os.FileMode) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case !ok || s.uid == 0:
		return true
	case int(sys.Uid) == s.uid:
		return mode&(bit<<6) != 0
	case slices.Contains(s.gids, int(sys.Gid)):
		return mode&(bit<<3) != 0
	default:
		return mode&bit != 0
	}
}
