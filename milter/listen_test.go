package milter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"mailseal/milter/action"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		in      string
		want    Address
		text    string // what String makes of it, if not in
		mention string // in the error
	}{
		{in: "inet:8891@127.0.0.1", want: Address{"tcp4", "127.0.0.1:8891"}},
		{in: "inet:8891@localhost", want: Address{"tcp4", "localhost:8891"}},
		{in: "INET:8891@localhost", want: Address{"tcp4", "localhost:8891"}, text: "inet:8891@localhost"},
		{in: "inet:8891", want: Address{"tcp4", ":8891"}},
		{in: "inet:0@127.0.0.1", want: Address{"tcp4", "127.0.0.1:0"}},
		{in: "inet6:8891@::1", want: Address{"tcp6", "[::1]:8891"}},
		{in: "inet6:8891@[::1]", want: Address{"tcp6", "[::1]:8891"}, text: "inet6:8891@::1"},
		{in: "unix:/run/mailseal.sock", want: Address{"unix", "/run/mailseal.sock"}},
		{in: "local:/run/../run/mailseal.sock", want: Address{"unix", "/run/mailseal.sock"},
			text: "unix:/run/mailseal.sock"},
		{in: "fd:mailseal", want: Address{"fd", "mailseal"}},
		{in: "fd:3", want: Address{"fd", "3"}},
		{in: "", mention: "is expected"},
		{in: "8891", mention: "is expected"},
		{in: "unix:", mention: "is expected"},
		{in: "tcp:8891@localhost", mention: "is expected"},
		{in: "unix:run/mailseal.sock", mention: "begins with a slash"},
		{in: "unix:/" + strings.Repeat("x", 107), mention: "107 octets"},
		{in: "inet:127.0.0.1:8891", mention: `did you mean "inet:8891@127.0.0.1"?`},
		{in: "inet:http@localhost", mention: "no port"},
		{in: "inet:65536@localhost", mention: "no port"},
		{in: "inet:-1@localhost", mention: "no port"},
		{in: "inet:8891@::1", mention: "inet6 for IPv6"},
		{in: "inet:8891@a b", mention: "no name of a host"},
		{in: "inet6:8891@127.0.0.1", mention: "inet is for IPv4"},
	} {
		t.Run(c.in, func(t *testing.T) {
			got, err := ParseAddress(c.in)
			if c.mention != "" {
				if !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), c.mention) {
					t.Errorf("got %v, want an ErrAddress that mentions %q", err, c.mention)
				}
				return
			}
			text := c.text
			if text == "" {
				text = c.in
			}
			if err != nil || got != c.want || got.String() != text {
				t.Errorf("got %v (%s), %v, want %v (%s)", got, got, err, c.want, text)
			}
		})
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"inet:8891@127.0.0.1", "inet6:8891@[::1]", "unix:/a/../b", "fd:x",
		"inet:@", "inet6:1@]["} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Errorf("%q became %v, which reads as %q: %v, %v", s, a, a.String(), again, err)
		}
	})
}

// listen opens a socket that is closed with the test.
func listen(t *testing.T, o ListenOptions) *Listener {
	t.Helper()
	o.Role = cmp.Or(o.Role, action.RoleAuto)
	l, err := Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailseal.sock")
	for _, c := range []struct {
		name   string
		mode   fs.FileMode
		before func(t *testing.T)
	}{
		{"new", 0o600, func(*testing.T) {}},
		{"default mode", 0, func(*testing.T) {}},
		{"stale", 0o666, func(t *testing.T) {
			ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			ln.SetUnlinkOnClose(false)
			ln.Close()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.before(t)
			l := listen(t, ListenOptions{Address: "unix:" + path, Mode: c.mode})
			info, err := os.Lstat(path)
			want := c.mode
			if want == 0 {
				want = 0o660
			}
			if err != nil || info.Mode() != want|fs.ModeSocket {
				t.Fatalf("got %v, %v, want mode %v", info, err, want)
			}
			nc, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			nc.Close()
			if l.String() != "unix:"+path {
				t.Errorf("it is called %s", l)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the socket was left: %v", err)
			}
		})
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 0 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
}

func TestUnixSocketRefused(t *testing.T) {
	dir := t.TempDir()
	live := listen(t, ListenOptions{Address: "unix:" + filepath.Join(dir, "live")})
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mail"), 0o600); err != nil {
		t.Fatal(err)
	}
	datagrams, err := net.ListenUnixgram("unixgram",
		&net.UnixAddr{Name: filepath.Join(dir, "other"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	for _, c := range []struct {
		name, path string
		options    ListenOptions
		is         error
		mention    string
	}{
		{name: "live", path: "live", is: ErrInUse, mention: live.address.Target},
		{name: "file", path: "file", mention: "not a socket"},
		{name: "served in another way", path: "other", is: ErrInUse, mention: "it is not known whether it is in use"},
		{name: "no directory", path: "none/sock", mention: "install -d"},
		{name: "no group", path: "new", options: ListenOptions{Group: "no-such-group"},
			mention: `no group "no-such-group"`},
		{name: "no user", path: "new", options: ListenOptions{User: "no-such-user"}, mention: `no user "no-such-user"`},
		{name: "no directory but a file", path: "file/sock", mention: "not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.options.Address, c.options.Role = "unix:"+filepath.Join(dir, c.path), action.RoleAuto
			_, err := Listen(t.Context(), c.options)
			if err == nil || c.is != nil && !errors.Is(err, c.is) ||
				!strings.Contains(err.Error(), c.mention) {
				t.Errorf("got %v, want a mention of %q", err, c.mention)
			}
		})
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "mail" {
		t.Errorf("the file is now %q, %v", data, err)
	}
	if nc, err := net.Dial("unix", live.address.Target); err != nil {
		t.Errorf("the live socket is gone: %v", err)
	} else {
		nc.Close()
	}
}

func TestUnixSocketTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	first := listen(t, ListenOptions{Address: "unix:" + path})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	listen(t, ListenOptions{Address: "unix:" + path})
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if nc, err := net.Dial("unix", path); err != nil {
		t.Errorf("the successor's socket was removed: %v", err)
	} else {
		nc.Close()
	}
}

func TestUnixSocketDirectory(t *testing.T) {
	for mode, warns := range map[fs.FileMode]bool{0o755: false, 0o750: false, 0o775: true,
		0o777: true, 0o777 | fs.ModeSticky: true} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		l := listen(t, ListenOptions{Address: "unix:" + dir + "/sock"})
		if warned := len(l.Warnings) > 0; warned != warns {
			t.Errorf("%v: warnings %q", mode, l.Warnings)
		}
		if warns && !strings.Contains(l.Warnings[0], "chmod go-w "+dir) {
			t.Errorf("%v: no way out in %q", mode, l.Warnings)
		}
	}
}

func TestUnixSocketGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give a socket away")
	}
	for _, c := range []struct {
		user, group string
		uid, gid    int
	}{{"nobody", "daemon", 65534, 1}, {"1234", "4321", 1234, 4321}, {"", "daemon", 0, 1}} {
		path := filepath.Join(t.TempDir(), "sock")
		listen(t, ListenOptions{Address: "unix:" + path, User: c.user, Group: c.group})
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != c.uid || int(st.Gid) != c.gid {
			t.Errorf("%s:%s: it belongs to %d:%d, want %d:%d", c.user, c.group, st.Uid, st.Gid,
				c.uid, c.gid)
		}
	}
}

func TestTCP(t *testing.T) {
	l := listen(t, ListenOptions{Address: "inet:0@127.0.0.1", Role: action.RoleRelay})
	if !strings.HasPrefix(l.String(), "inet:") || strings.HasPrefix(l.String(), "inet:0@") ||
		l.Role != action.RoleRelay {
		t.Errorf("got %s, %s", l, l.Role)
	}
	if _, err := Listen(context.Background(), ListenOptions{Address: l.String(),
		Role: action.RoleAuto}); !errors.Is(err, ErrInUse) ||
		!strings.Contains(err.Error(), l.String()) {
		t.Errorf("got %v, want ErrInUse that names %s", err, l)
	}
}

// TestListenNeedsRole holds that no listener serves without a role: whose mail comes in would be
// anyone's guess.
func TestListenNeedsRole(t *testing.T) {
	for _, role := range []action.Role{0, 200} {
		l, err := Listen(t.Context(), ListenOptions{Address: "inet:0@127.0.0.1", Role: role})
		if err == nil || !strings.Contains(err.Error(), "invalid role") {
			t.Errorf("role %d: got %v, %v", role, l, err)
		}
	}
}

// The sockets of systemd come at the start of a process: the test starts itself as one that was
// given some.
func TestInherited(t *testing.T) {
	if os.Getenv("MILTER_TEST_INHERIT") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		for _, name := range []string{"first", "4", "third"} {
			l, err := Listen(t.Context(), ListenOptions{Address: "fd:" + name,
				Role: action.RoleAuto})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			fmt.Printf("%s %s\n", name, l.Addr())
		}
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestInherited$", "-test.v")
	cmd.Env = append(os.Environ(), "MILTER_TEST_INHERIT=1", "LISTEN_FDS=2",
		"LISTEN_FDNAMES=first:second")
	var want []string
	for i, name := range []string{"first", "4"} {
		path := filepath.Join(dir, name)
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f, err := ln.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		want = append(want, fmt.Sprintf("%s %s\n", []string{"first", "4"}[i], path))
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("a socket that is not there was found")
	}
	for _, w := range append(want,
		`third: listen on fd:third: systemd passed the sockets ["first" "second"]`) {
		if !strings.Contains(string(out), w) {
			t.Errorf("got %s\nwant %s", out, w)
		}
	}
}
