package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Finding is something that is wrong with a key's file. Where Err is nil the key signs
// nevertheless.
type Finding struct {
	Kind Kind
	Name string // of the key
	Path string // of the file or directory that it is about; "" for a key in the configuration
	File string // of the key, where Path is a directory on the way to it
	Text string // what is wrong
	Err  error  // why the key cannot sign
	// the file cannot be used, and only the key that was loaded before signs: a restart loses it
	IsKept bool

	Owner string // whom the directory should belong to, for DirectoryOwner
	Mode  string // that is safe, as chmod(1) takes it, for DirectoryMode and FileMode
}

// Kind is the kind of a finding.
type Kind string

// The kinds. The first four are about permissions, and no reason not to sign unless
// Options.RequireSafe is set.
const (
	DirectoryOwner Kind = "directory owner" // a user whom we do not trust could replace the key
	DirectoryMode  Kind = "directory mode"  // others could replace the key
	// a user whom we do not trust could read or change the key
	FileOwner Kind = "file owner"
	FileMode  Kind = "file mode" // others could read or change the key
	// one of these, with Options.RequireSafe: the key is refused
	Unsafe     Kind = "unsafe"
	Unreadable Kind = "unreadable" // the file's permissions keep us from reading it
	Absent     Kind = "absent"     // there is no file
	Unusable   Kind = "unusable"   // what the file holds is not a key that can sign
)

// String returns what is wrong.
func (f Finding) String() string { return f.Text }

// Check reports which other users could read a secret's file, or replace it, judged by the
// owner and mode of the file and of every directory on its path. A file that cannot be
// reached is not a finding here. As is the user that the daemon runs as; nil means the user
// of this process.
func Check(path string, as *Reader) []Finding { return newChecker(as).check(path) }

// Reader is a user who reads keys, by number, with all groups.
type Reader struct {
	UID, GID uint32
	Groups   []uint32
	IsOwner  bool // the user is not known: each file is judged for its owner
}

// checker judges for the user that the daemon runs as.
type checker struct {
	uid, gid uint32
	groups   []uint32 // whose members may read
	root     bool     // we run as root, and do not know whom the daemon runs as
}

func newChecker(as *Reader) checker {
	if as != nil && as.IsOwner {
		return checker{root: true}
	}
	if as != nil {
		return checker{uid: as.UID, gid: as.GID, groups: as.Groups}
	}
	c := checker{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()), root: os.Geteuid() == 0}
	ids, _ := os.Getgroups() // without them fewer groups are trusted
	for _, id := range ids {
		c.groups = append(c.groups, uint32(id))
	}
	return c
}

// node is a file or directory on the way.
type node struct {
	path     string
	mode     fs.FileMode
	uid, gid uint32
	others   bool // can every user get here?
	group    bool // can members of groups on the way?
}

func (c checker) check(path string) []Finding {
	nodes, err := way(path)
	if err != nil || len(nodes) == 0 || !nodes[len(nodes)-1].mode.IsRegular() {
		return nil // a directory is no key, and loses its use without the x that chmod takes away
	}
	return c.judge(nodes)
}

// judge looks at the directories on the way and at the file, which comes last.
func (c checker) judge(nodes []node) []Finding {
	file := nodes[len(nodes)-1]
	if c.root { // the file's owner is the daemon's user
		c.uid = file.uid
	}
	for i, n := range nodes {
		nodes[i].mode = c.groupRights(n.path, n.mode)
	}
	file.mode = nodes[len(nodes)-1].mode
	var out []Finding
	for _, n := range nodes[:len(nodes)-1] {
		if f, bad := c.judgeDirectory(n); bad {
			f.File = file.path
			out = append(out, f)
		}
	}
	if f, bad := c.judgeFile(file); bad {
		f.File = file.path
		out = append(out, f)
	}
	return out
}

func (c checker) trusts(uid uint32) bool { return uid == 0 || uid == c.uid }

// mayWrite reports whether members of the group are as good as the owner.
func (c checker) mayWrite(gid uint32) bool { return gid == 0 || gid == c.gid && c.gid != 0 }

func (c checker) mayRead(gid uint32) bool {
	return c.mayWrite(gid) || slices.Contains(c.groups, gid) || c.root
}

// judgeDirectory finds those who could put another file in the key's place. In a sticky directory
// they could not.
func (c checker) judgeDirectory(n node) (Finding, bool) {
	perm, sticky := n.mode.Perm(), n.mode&fs.ModeSticky != 0
	switch {
	case !c.trusts(n.uid):
		return Finding{Path: n.path,
			Text: fmt.Sprintf("directory %s belongs to %s, who could replace the key", n.path,
				userName(n.uid)),
			Kind: DirectoryOwner, Owner: "root"}, true
	case perm&0o002 != 0 && n.others && !sticky:
		return Finding{Path: n.path,
			Text: fmt.Sprintf(
				"directory %s (mode %04o) can be written by all users, who could replace the key",
				n.path, perm),
			Kind: DirectoryMode, Mode: "o-w"}, true
	case perm&0o020 != 0 && n.group && !sticky && !c.mayWrite(n.gid):
		return Finding{Path: n.path,
			Text: fmt.Sprintf(
				"directory %s (mode %04o) can be written by group %s, which could replace the key",
				n.path, perm, groupName(n.gid)),
			Kind: DirectoryMode, Mode: "g-w"}, true
	}
	return Finding{}, false
}

// judgeFile finds those who could read or change the key.
func (c checker) judgeFile(n node) (Finding, bool) {
	perm := n.mode.Perm()
	safe := perm &^ 0o117
	if !c.mayWrite(n.gid) {
		safe &^= 0o020
	}
	if !c.mayRead(n.gid) {
		safe &^= 0o040
	}
	mode := fmt.Sprintf("%04o", safe)
	switch {
	case !c.trusts(n.uid):
		return Finding{Path: n.path, Text: fmt.Sprintf("%s belongs to %s", n.path, userName(n.uid)),
			Kind: FileOwner}, true
	case perm&0o006 != 0 && n.others:
		return Finding{Path: n.path,
			Text: fmt.Sprintf("%s (mode %04o) can be %s by all users", n.path, perm,
				uses(perm, 0o004, 0o002)),
			Kind: FileMode, Mode: mode}, true
	case n.group && (perm&0o020 != 0 && !c.mayWrite(n.gid) || perm&0o040 != 0 && !c.mayRead(n.gid)):
		return Finding{Path: n.path,
			Text: fmt.Sprintf("%s (mode %04o) can be %s by group %s", n.path, perm,
				uses(perm, 0o040, 0o020), groupName(n.gid)), Kind: FileMode, Mode: mode}, true
	}
	return Finding{}, false
}

// uses names what a mode allows with a file, of reading and writing.
func uses(perm, read, write fs.FileMode) string {
	switch {
	case perm&read == 0:
		return "written"
	case perm&write == 0:
		return "read"
	}
	return "read and written"
}

// unusable is the finding about a key that cannot be loaded.
func (c checker) unusable(path string, err error) Finding {
	f := Finding{Kind: Unusable, Path: path, File: path, Text: err.Error(), Err: err}
	switch {
	case errors.Is(err, ErrUnsafe):
		f.Kind = Unsafe
	case errors.Is(err, fs.ErrPermission) && path != "":
		f.Kind, f.Path = Unreadable, StoppedAt(path)
		if f.Path != path {
			f.Text += "; " + userName(c.uid) + " may not pass " + f.Path
		}
	case errors.Is(err, fs.ErrNotExist):
		f.Kind = Absent
		if full, err := filepath.Abs(path); err == nil && path != "" {
			f.Text = full + " does not exist; restore it if it was in use " +
				"(\"mailseal keygen\" makes new keys, with other records)"
		}
	}
	return f
}

// StoppedAt returns the first directory on the way to a file that this process may not pass, or the
// file itself where it may pass all of them. The kernel answers, so that access control lists
// count.
func StoppedAt(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	w := walk{rest: strings.Split(path, "/")}
	if w.enter("/") != nil {
		return "/"
	}
	for links := 0; len(w.rest) > 0 && links <= maxLinks; {
		here := w.stack[len(w.stack)-1]
		if here.mode.IsDir() && unix.Faccessat(unix.AT_FDCWD, here.path, unix.X_OK,
			unix.AT_EACCESS) != nil {
			return here.path
		}
		isLink, err := w.step()
		if err != nil {
			return path
		}
		if isLink {
			links++
		}
	}
	return w.stack[len(w.stack)-1].path
}

// Way returns the directories that lead to a file, and the file, which comes last; links are
// followed.
func Way(path string) ([]string, error) {
	nodes, err := way(path)
	var out []string
	for _, n := range nodes {
		out = append(out, n.path)
	}
	return out, err
}

// maxLinks is how many symbolic links may be on the way, as the kernel has it.
const maxLinks = 40

// way returns the directories that lead to a file, and the file. Secrets in containers hang on
// several symbolic links: each one's directory is on the way.
func way(path string) ([]node, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	w := walk{rest: strings.Split(path, "/")}
	if err := w.enter("/"); err != nil {
		return nil, err
	}
	for links := 0; len(w.rest) > 0; {
		isLink, err := w.step()
		if err != nil {
			return nil, err
		}
		if isLink {
			links++
		}
		if links > maxLinks {
			return nil, fmt.Errorf("%s: too many symbolic links", path)
		}
	}
	return w.seen, nil
}

// walk is a place on the way.
type walk struct {
	stack []node   // the directories from the root to here
	seen  []node   // all that was passed
	rest  []string // names still to go through
}

// step goes through one name.
func (w *walk) step() (isLink bool, err error) {
	name := w.rest[0]
	w.rest = w.rest[1:]
	switch name {
	case "", ".":
		return false, nil
	case "..":
		w.stack = w.stack[:max(1, len(w.stack)-1)]
		return false, nil
	}
	path := filepath.Join(w.stack[len(w.stack)-1].path, name)
	target, err := os.Readlink(path)
	if err != nil {
		return false, w.enter(path)
	}
	if filepath.IsAbs(target) {
		w.stack = w.stack[:1]
	}
	w.rest = append(strings.Split(target, "/"), w.rest...)
	return true, nil
}

// enter looks at a file or directory, to which only those can get who may pass the directory above.
func (w *walk) enter(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	n := node{path: path, mode: info.Mode(), others: true, group: true}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		n.uid, n.gid = sys.Uid, sys.Gid
	}
	if len(w.stack) > 0 {
		above := w.stack[len(w.stack)-1]
		n.others = above.others && above.mode&0o001 != 0
		n.group = above.group && above.mode&0o011 != 0
	}
	w.stack = append(w.stack, n)
	if !slices.ContainsFunc(w.seen, func(s node) bool { return s.path == path }) {
		w.seen = append(w.seen, n)
	}
	return nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
