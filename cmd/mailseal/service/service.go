// Package service finds the user that the daemon runs as, and which files that user can read and
// write: a child process tries it, within the sandbox of the daemon's unit if systemd runs.
package service

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"mailseal/keys/keyfile"
)

// DefaultUser is the user and group of the units in contrib/systemd.
const DefaultUser = "mailseal"

// Service is the user that the daemon will run as.
type Service struct {
	Name   string // of the user
	Group  string // its group; "" is the one that is called as the user
	UID    int    // -1 when there is no such user
	GID    int    // -1 when there is no such group
	Groups []int  // all that the user is a member of
	Unit   *Unit  // nil when no unit of systemd is known
}

// ErrNoUser is in the error of Detect about a user who is not there.
var ErrNoUser = errors.New("no such user")

// Detect determines the user of the daemon: as, if it is not "", else the user in the unit
// below root, else configured, the setting user, to which a daemon switches that root starts, else
// DefaultUser. The error wraps ErrNoUser if there is no such user.
func Detect(root, as, configured string) (Service, error) {
	unit := FindUnit(root, "mailseal.service")
	name, group := as, ""
	if name == "" && unit != nil {
		name, group = unit.Get("User"), unit.Get("Group")
	}
	if name == "" || as == "" && name == "root" && configured != "" {
		name = cmp.Or(configured, DefaultUser)
	}
	s := Find(name)
	s.Unit = unit
	if s.UID < 0 {
		return s, fmt.Errorf("%w: %s", ErrNoUser, name)
	}
	if group != "" {
		s.addGroup(group, true)
	}
	if unit != nil && as == "" {
		for _, more := range strings.Fields(unit.Get("SupplementaryGroups")) {
			s.addGroup(more, false)
		}
	}
	return s, nil
}

// addGroup makes the user a member of a group, which may be its first.
func (s *Service) addGroup(name string, first bool) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return // systemd would not start the unit, and says why
	}
	gid, _ := strconv.Atoi(g.Gid) // a number, on every system with groups
	s.Groups = append(s.Groups, gid)
	if first {
		s.GID, s.Group = gid, name
	}
}

// Find looks a user up, and the group of the same name. Either may be missing.
func Find(name string) Service {
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
	if s.GID < 0 {
		s.GID, _ = strconv.Atoi(u.Gid)
		if g, err := user.LookupGroupId(u.Gid); err == nil {
			s.Group = g.Name
		}
	}
	ids, _ := u.GroupIds() // without them fewer files can be read
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			s.Groups = append(s.Groups, n)
		}
	}
	slices.Sort(s.Groups)
	s.Groups = slices.Compact(s.Groups)
	return s
}

// GroupName is the group that files are given to.
func (s Service) GroupName() string {
	if s.Group != "" {
		return s.Group
	}
	return s.Name
}

// Reader is the user in the words of package keyfile.
func (s Service) Reader() *keyfile.Reader {
	out := &keyfile.Reader{UID: uint32(s.UID), GID: uint32(s.GID)}
	for _, g := range s.Groups {
		out.Groups = append(out.Groups, uint32(g))
	}
	return out
}

// Unreadable returns the files and directories, sorted, whose modes prevent the user from
// reading files. It is empty if there is no such user.
func (s Service) Unreadable(files []string) []string {
	if s.UID < 0 {
		return nil
	}
	stops := map[string]bool{}
	for _, f := range files {
		if all := s.Stops(f); len(all) > 0 {
			stops[all[0]] = true
		}
	}
	return slices.Sorted(maps.Keys(stops))
}

// Stops returns all directories on the way to a file that the user may not pass, and the file
// itself if it may not be read, as their modes say; access control lists do not count.
func (s Service) Stops(file string) []string {
	way, err := keyfile.Way(file)
	if err != nil || len(way) == 0 {
		return nil
	}
	var out []string
	last := len(way) - 1
	for _, dir := range way[:last] {
		if !s.May(dir, 0o1) {
			out = append(out, dir)
		}
	}
	if !s.May(way[last], 0o4) {
		out = append(out, way[last])
	}
	return out
}

// May reports whether the mode of a file gives the user the permission of a bit: 4 to read,
// 2 to write, 1 to pass.
func (s Service) May(path string, bit os.FileMode) bool {
	owner, err := ownerOf(path)
	switch {
	case err != nil || s.UID == 0:
		return true
	case owner.uid == s.UID:
		return owner.mode&(bit<<6) != 0
	case slices.Contains(s.Groups, owner.gid):
		return owner.mode&(bit<<3) != 0
	}
	return owner.mode&bit != 0
}
