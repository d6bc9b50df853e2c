package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Root is a private root directory with one group of packages. Each Root is a copy of its own (of
// hard links where nothing is written), gone with the test.
type Root struct {
	dir  string
	t    testing.TB
	logs *syslog
}

// NewRoot makes a root with the packages of a group of contrib/test/fetch.sh. It skips the test,
// saying why, when the group has not been fetched or the test may not chroot.
func NewRoot(t testing.TB, group string) *Root {
	t.Helper()
	skipShort(t, "a real "+group)
	base := filepath.Join(repository(t), ".root")
	if why := unusable(base, group); why != "" {
		t.Skip(why)
	}
	fewFiles()
	dir, err := os.MkdirTemp(base, "run-"+group+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &Root{dir: dir, t: t}
	if err := r.populate(filepath.Join(base, group)); err != nil {
		t.Fatal(err)
	}
	r.logs = newSyslog(t, r.Path("/dev"))
	t.Cleanup(r.logs.report)
	return r
}

// fewFiles lowers the number of files that the daemons may open to an ordinary one. In a container
// it can be a thousand million, and MTAs close every one of them when they start.
var fewFiles = sync.OnceFunc(func() {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur > 4096 {
		limit.Cur = 4096
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // refused: only slower
	}
})

// skipShort skips a test of real servers with -short.
func skipShort(t testing.TB, what string) {
	t.Helper()
	if testing.Short() {
		t.Skip(what + " is started: not with -short")
	}
}

// Repository returns the top directory of the module: .root and contrib are found there wherever
// the test's package is.
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no go.mod above the directory of the test")
}

func repository(t testing.TB) string {
	t.Helper()
	dir, err := Repository()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Dir makes a directory with a short path, for sockets, whose paths have at most 107 bytes. Every
// user may pass it. It is removed with the test.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailseal-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// absent says why the group's files are not there, or not to be used; "" when they are.
func absent(base, group string) string {
	if testing.Short() {
		return "real servers: not with -short"
	}
	if _, err := os.Stat(filepath.Join(base, group)); err == nil {
		return ""
	}
	why, err := os.ReadFile(filepath.Join(base, group+".missing"))
	if err != nil {
		return fmt.Sprintf("no %s: run contrib/test/fetch.sh first", group)
	}
	return fmt.Sprintf("no %s: %s", group, bytes.TrimSpace(why))
}

// unusable says why the group cannot be run in a root of its own; "" when it can.
func unusable(base, group string) string {
	if why := absent(base, group); why != "" {
		return why
	}
	if os.Geteuid() != 0 {
		return "a real " + group + " needs root: its daemons change root directory and user"
	}
	cmd := exec.Command("/usr/bin/env")
	cmd.Path = "/nonexistent"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: filepath.Join(base, group)}
	cmd.Dir = "/"
	if err := cmd.Run(); errors.Is(err, fs.ErrPermission) {
		return "a real " + group + " needs chroot, which is not allowed here"
	}
	return ""
}

// populate links what is only read, copies what a test may write, and adds what every Debian has.
func (r *Root) populate(from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		cp := []string{"-a", filepath.Join(from, e.Name()), r.dir}
		if e.Name() == "usr" {
			cp = append([]string{"-l"}, cp...)
		}
		if out, err := exec.Command("cp", cp...).CombinedOutput(); err != nil {
			return fmt.Errorf("cp %s: %w: %s", strings.Join(cp, " "), err, out)
		}
	}
	for _, dir := range []string{"/dev", "/etc", "/run", "/var/spool", "/var/lib", "/var/log",
		"/var/mail"} {
		if err := os.MkdirAll(r.Path(dir), 0o755); err != nil {
			return err
		}
	}
	r.Directory("/tmp", 0o1777, "root", "root")
	r.Directory("/root", 0o700, "root", "root")
	for name, content := range host {
		r.Write(name, content)
	}
	return r.devices()
}

// devices makes the few device files that the daemons open. Where making them is forbidden (or the
// file system ignores them), /dev/null is a plain file, which does for daemons that only redirect
// to it.
func (r *Root) devices() error {
	for name, minor := range map[string]int{"null": 3, "zero": 5, "random": 8, "urandom": 9} {
		path := r.Path("/dev", name)
		err := syscall.Mknod(path, syscall.S_IFCHR|0o666, 1<<8|minor)
		if err == nil {
			err = os.Chmod(path, 0o666)
		}
		if err == nil {
			var f *os.File
			if f, err = os.OpenFile(path, os.O_RDWR, 0); err == nil {
				f.Close()
				continue
			}
		}
		os.Remove(path)
		if name == "null" {
			r.File("/dev/null", nil, 0o666, "root", "root")
		}
	}
	return nil
}

// Path turns a path inside the root into one of the host.
func (r *Root) Path(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

// Write puts a configuration file, readable by all, into the root.
func (r *Root) Write(path, content string) {
	r.t.Helper()
	r.File(path, []byte(content), 0o644, "root", "root")
}

// File puts a file into the root, with mode and owner (names of the root's own users). A link that
// stood there is replaced, never written through.
func (r *Root) File(path string, content []byte, mode fs.FileMode, owner, group string) {
	r.t.Helper()
	host := r.Path(path)
	if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Remove(host); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(host, content, mode); err != nil {
		r.t.Fatal(err)
	}
	r.own(path, mode, owner, group)
	// Postfix waits until main.cf has been left alone for two seconds.
	past := time.Now().Add(-time.Minute)
	if err := os.Chtimes(host, past, past); err != nil {
		r.t.Fatal(err)
	}
}

// Directory makes a directory with mode and owner.
func (r *Root) Directory(path string, mode fs.FileMode, owner, group string) {
	r.t.Helper()
	if err := os.MkdirAll(r.Path(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.own(path, mode, owner, group)
}

// Link makes a symbolic link inside the root.
func (r *Root) Link(target, path string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.Path(path)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Symlink(target, r.Path(path)); err != nil {
		r.t.Fatal(err)
	}
}

// Chmod gives a file or directory another mode and owner.
func (r *Root) Chmod(path string, mode fs.FileMode, owner, group string) {
	r.t.Helper()
	r.own(path, mode, owner, group)
}

func (r *Root) own(path string, mode fs.FileMode, owner, group string) {
	r.t.Helper()
	info, err := os.Lstat(r.Path(path))
	if err != nil {
		r.t.Fatal(err)
	}
	// A linked program may be in use by another root: what is right stays untouched.
	stat := info.Sys().(*syscall.Stat_t)
	if int(stat.Uid) == uid(r.t, owner) && int(stat.Gid) == gid(r.t, group) &&
		stat.Mode&0o7777 == uint32(mode) {
		return
	}
	if err := os.Chown(r.Path(path), uid(r.t, owner), gid(r.t, group)); err != nil {
		r.t.Fatal(err)
	}
	// The raw mode bits: fs.FileMode has setgid and sticky elsewhere.
	if err := syscall.Chmod(r.Path(path), uint32(mode)); err != nil {
		r.t.Fatal(err)
	}
}

// Install copies a program of the host (or of the test) into the root.
func (r *Root) Install(file, path string) {
	r.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	r.File(path, content, 0o755, "root", "root")
}

// Read returns a file of the root.
func (r *Root) Read(path string) string {
	r.t.Helper()
	return r.read(r.t, path)
}

func (r *Root) read(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(r.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Log returns what the programs in the root sent to syslog so far, a line each.
func (r *Root) Log() string { return r.logs.String() }
