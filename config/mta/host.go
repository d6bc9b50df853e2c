package mta

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mailseal/keys/files"
)

// Host is the machine that is looked at. Paths are absolute.
type Host interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error) // names, sorted
	Lstat(path string) (Node, error)
}

// Node describes the file at a path.
type Node struct {
	Mode     fs.FileMode
	UID, GID uint32
	Target   string // of a symbolic link
	ModTime  time.Time
}

// HostAt returns the host whose root directory is root: "/" is this one.
func HostAt(root string) Host { return directory(root) }

type directory string

// maxFile bounds what is read of a file: sendmail.cf has 70 KB.
const maxFile = 4 << 20

func (d directory) path(path string) string { return filepath.Join(string(d), path) }

func (d directory) ReadFile(path string) ([]byte, error) {
	return files.Read(d.path(path), maxFile)
}

func (d directory) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(d.path(path))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (d directory) Lstat(path string) (Node, error) {
	info, err := os.Lstat(d.path(path))
	if err != nil {
		return Node{}, err
	}
	n := Node{Mode: info.Mode(), UID: hidden, GID: hidden, ModTime: info.ModTime()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		n.UID, n.GID = stat.Uid, stat.Gid
	}
	if n.Mode.Type() == fs.ModeSymlink {
		n.Target, err = os.Readlink(d.path(path))
	}
	return n, err
}

// hidden is the owner that the kernel shows in place of those that a user namespace does not have:
// systemd's PrivateUsers hides all others from a service.
const hidden = 65534

// reason is an error without the path, which findings name themselves.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

// identity is a user and its groups, as a process has them.
type identity struct {
	name string
	uid  uint32
	gids map[uint32]bool
}

var root = identity{name: "root"}

// identityOf reads what a process of a user runs as: initgroups(3), with the host's own files.
func identityOf(h Host, user string) (identity, error) {
	out := identity{name: user, gids: map[uint32]bool{}}
	passwd, err := h.ReadFile("/etc/passwd")
	if err != nil {
		return out, err
	}
	f, ok := entry(passwd, user)
	if !ok || len(f) < 4 {
		return out, fmt.Errorf("no user %s in /etc/passwd", user)
	}
	uid, err1 := strconv.ParseUint(f[2], 10, 32)
	gid, err2 := strconv.ParseUint(f[3], 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return out, fmt.Errorf("user %s in /etc/passwd: %w", user, err)
	}
	out.uid = uint32(uid)
	out.gids[uint32(gid)] = true
	groups, err := h.ReadFile("/etc/group")
	for line := range strings.Lines(string(groups)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || !slices.Contains(strings.Split(f[3], ","), user) {
			continue
		}
		if gid, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			out.gids[uint32(gid)] = true
		}
	}
	return out, err
}

// groupID returns the number of a group.
func groupID(h Host, name string) (uint32, bool) { return number(h, "/etc/group", name) }

// userID returns the number of a user.
func userID(h Host, name string) (uint32, bool) { return number(h, "/etc/passwd", name) }

func number(h Host, file, name string) (uint32, bool) {
	text, err := h.ReadFile(file)
	if err != nil {
		return 0, false
	}
	f, ok := entry(text, name)
	if !ok || len(f) < 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(f[2], 10, 32)
	return uint32(n), err == nil
}

// groupName returns the name of a group, its number where it has none.
func groupName(h Host, gid uint32) string {
	text, _ := h.ReadFile("/etc/group") // without it the number has to do
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 &&
			f[2] == strconv.FormatUint(uint64(gid), 10) {
			return f[0]
		}
	}
	return strconv.FormatUint(uint64(gid), 10)
}

// entry finds a line of passwd(5) or group(5).
func entry(text []byte, name string) ([]string, bool) {
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); f[0] == name {
			return f, true
		}
	}
	return nil, false
}
