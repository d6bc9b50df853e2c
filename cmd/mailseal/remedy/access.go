package remedy

import (
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Reader is the user that must be able to read files: the daemon's.
type Reader struct {
	User, Group string
	UID         int
	Groups      []int // the first is the one that files are given to
}

// Self is the user of this process.
func Self() Reader {
	r := Reader{UID: os.Geteuid(), Groups: []int{os.Getegid()}}
	r.User, r.Group = strconv.Itoa(r.UID), strconv.Itoa(r.Groups[0])
	if u, err := user.LookupId(r.User); err == nil {
		r.User = u.Username
	}
	if g, err := user.LookupGroupId(r.Group); err == nil {
		r.Group = g.Name
	}
	more, _ := os.Getgroups() // without them fewer remedies are possible
	r.Groups = append(r.Groups, more...)
	return r
}

// Key is a key's file, and where a copy of it would be.
type Key struct {
	File    string
	Copy    string // "" if the configuration cannot name another file
	Setting string // the lines of mailseal.toml that name the copy
}

// LetRead lets a user read a key's file if stops, directories on its path and possibly the
// file itself, prevent that. It does not change the permissions of files that others read,
// too: then the user gets a copy.
func LetRead(r Reader, stops []string, key Key) Remedy {
	if r.isUnknown() {
		return Remedy{}
	}
	if commands := r.open(stops); commands != "" {
		return of(LetIn, commands)
	}
	if key.Copy == "" {
		return LetReadACL(r, stops)
	}
	return CopyKey(r, key)
}

// LetReadFile is LetRead for a file of which the user can have no copy.
func LetReadFile(r Reader, stops []string) Remedy { return LetRead(r, stops, Key{}) }

// LetReadACL lets a user read a file, or pass directories, by access control lists, which take
// nothing from others.
func LetReadACL(r Reader, stops []string) Remedy {
	var commands []string
	for _, path := range stops {
		right := "r"
		if isDirectory(path) {
			right = "x"
		}
		commands = append(commands, "setfacl -m u:"+r.User+":"+right+" "+quote(path))
	}
	return of(AccessList, strings.Join(commands, " && "))
}

// CopyKey gives a user a copy of a key, and has the configuration name it: the key that is there
// stays as it is for others.
func CopyKey(r Reader, key Key) Remedy {
	if r.isUnknown() {
		return Remedy{}
	}
	to := "-o " + r.User + " -g " + r.Group
	command := "install -d " + to + " -m 0700 " + quote(filepath.Dir(key.Copy)) +
		" && install " + to + " -m 0600 " + quote(key.File) + " " + quote(key.Copy)
	return of(Copy, command, key.Setting)
}

// open returns the commands that let the user pass or read each of paths, "" where that would take
// something from others or let the user in where it has no business.
func (r Reader) open(paths []string) string {
	var commands []string
	given := "" // a directory that the user has got with all that is in it
	for _, path := range paths {
		if given != "" && strings.HasPrefix(path, given+"/") {
			continue
		}
		command, isGiven := r.openOne(path)
		if command == "" {
			return ""
		}
		if isGiven {
			given = path
		}
		commands = append(commands, command)
	}
	return strings.Join(commands, " && ")
}

func (r Reader) openOne(path string) (command string, isGiven bool) {
	info, err := os.Stat(path)
	if err != nil {
		return "", false
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	perm, gid := info.Mode().Perm(), int(sys.Gid)
	right := "r"
	if info.IsDir() {
		right = "x"
	}
	isRoots := sys.Uid == 0 && perm&0o077 == 0
	switch {
	case int(sys.Uid) == r.UID:
		return "chmod u+" + right + " " + quote(path), false
	case isRoots && r.owns(filepath.Dir(path)):
		return "chown -R " + r.User + ":" + r.Group + " " + quote(path), true
	case r.sharesGroup():
		return "", false
	case slices.Contains(r.Groups, gid):
		return "chmod g+" + right + " " + quote(path), false
	case isShared(path) || sys.Uid != 0 || gid != 0 && perm&0o070 != 0:
		return "", false
	}
	return "chgrp " + r.Group + " " + quote(path) + " && chmod g=" + right + " " + quote(path),
		false
}

// isUnknown reports whether the user is not known, so that nothing can be given to it.
func (r Reader) isUnknown() bool { return r.User == "" }

// overflowID is the user and group of what has no owner. All programs that run without a user of
// their own have its rights.
const overflowID = 65534

// sharesGroup reports whether the user's group is not its own, so that a file for the group would
// be open to programs that have nothing to do with Mailseal.
func (r Reader) sharesGroup() bool {
	return len(r.Groups) == 0 || r.Groups[0] == overflowID ||
		slices.Contains([]string{"nogroup", "users"}, r.Group)
}

// owns reports whether a directory belongs to the user.
func (r Reader) owns(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == r.UID
}

// isShared reports whether a directory is one that others live in: at the top of the host, or a
// home.
func isShared(path string) bool {
	return strings.Count(filepath.Clean(path), "/") < 2 || filepath.Dir(path) == "/home"
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// GiveDirectory makes a user the owner of the user's directory that now belongs to root,
// with everything in it.
func GiveDirectory(r Reader, dir string) Remedy {
	return of(GiveToUser, r.User, r.Group, quote(dir))
}
