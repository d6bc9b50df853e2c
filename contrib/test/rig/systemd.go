package rig

import (
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// This file does what systemd would do with the units of contrib/systemd: users, directories,
// sockets, the service.

// unit is a systemd unit as far as it is understood here: the values of each setting, whatever its
// section.
type unit map[string][]string

func (r *Root) unit(name string) unit {
	r.t.Helper()
	u := unit{}
	for line := range strings.Lines(snippet(r.t, "systemd/"+name)) {
		setting, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(setting, "#") {
			u[setting] = append(u[setting], value)
		}
	}
	return u
}

func (u unit) one(setting, fallback string) string {
	if len(u[setting]) == 0 {
		return fallback
	}
	return u[setting][0]
}

func (u unit) mode(setting string) fs.FileMode {
	n, err := strconv.ParseUint(u.one(setting, "0755"), 8, 32)
	if err != nil {
		panic(fmt.Sprintf("%s=%s", setting, u[setting]))
	}
	return fs.FileMode(n)
}

// Socket is a listening socket that systemd holds for a service.
type Socket struct {
	Name string // FileDescriptorName=
	Path string // inside the root
	file *os.File
}

// SocketUnit makes the socket of a unit of contrib/systemd, as "systemctl start" would.
func (r *Root) SocketUnit(name string) *Socket {
	r.t.Helper()
	u := r.unit(name)
	s := &Socket{Name: u.one("FileDescriptorName", name), Path: u.one("ListenStream", "")}
	r.Directory(path.Dir(s.Path), u.mode("DirectoryMode"), "root", "root")
	l, err := net.ListenUnix("unix",
		&net.UnixAddr{Net: "unix", Name: shortPath(r.t, r.Path(s.Path))})
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close() // the file is a duplicate
	l.SetUnlinkOnClose(false)
	if s.file, err = l.File(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { s.file.Close() })
	r.own(s.Path, u.mode("SocketMode"), u.one("SocketUser", "root"), u.one("SocketGroup", "root"))
	return s
}

// ServiceUnit starts the service of a unit of contrib/systemd as its user, in its directories, with
// sockets, and waits until it says that it is ready. It must speak up every two seconds. The
// hardening is left out: it takes a systemd.
func (r *Root) ServiceUnit(name string, sockets ...*Socket) *Daemon {
	r.t.Helper()
	u := r.unit(name)
	owner, group := u.one("User", "root"), u.one("Group", "root")
	for setting, parent := range map[string]string{"RuntimeDirectory": "/run",
		"StateDirectory": "/var/lib"} {
		if dir := u.one(setting, ""); dir != "" {
			r.Directory(filepath.Join(parent, dir), u.mode(setting+"Mode"), owner, group)
		}
	}
	words := strings.Fields(u.one("ExecStart", ""))
	if len(sockets) > 0 {
		// The process must find its own number in the environment.
		words = append([]string{"/bin/sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, words...)
	}
	cmd := r.Command(words[0], words[1:]...)
	var names []string
	for _, s := range sockets {
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.file)
		names = append(names, s.Name)
	}
	cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(sockets)), "LISTEN_FDNAMES="+
		strings.Join(names, ":"))
	cmd.SysProcAttr.Credential = credential(r.t, owner, group)
	cmd.Env = append(cmd.Env, "WATCHDOG_USEC=2000000")
	d := &Daemon{t: r.t}
	d.begin(cmd, DaemonOptions{})
	return d
}

// credential is for a process of a user of a Root, and of a group; "" for the group of the user's
// name.
func credential(t testing.TB, user, group string) *syscall.Credential {
	t.Helper()
	return &syscall.Credential{Uid: uint32(uid(t, user)), Gid: uint32(gid(t, cmp.Or(group, user)))}
}

// ReloadUnit does what "systemctl reload" does with a service of a unit of contrib/systemd: it runs
// the commands of ExecReload one after another, as the service's user, and stops at the first that
// fails. It returns what they wrote.
func (r *Root) ReloadUnit(name string, s *Daemon) (string, error) {
	r.t.Helper()
	u := r.unit(name)
	for _, line := range u["ExecReload"] {
		if line == "/bin/kill -HUP $MAINPID" {
			s.Signal(syscall.SIGHUP)
			continue
		}
		words := strings.Fields(line)
		cmd := r.Command(words[0], words[1:]...)
		cmd.SysProcAttr.Credential = credential(r.t, u.one("User", "root"), u.one("Group", "root"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return string(out), err
		}
	}
	return "", nil
}
