package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mailseal/contrib/test/rig"
)

// controlled writes a configuration with keys below a directory that every user may enter, and
// returns its path.
func controlled(t *testing.T, more string, owner int) (dir, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailseal-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	state := filepath.Join(dir, "state")
	path = filepath.Join(dir, "mailseal.toml")
	text := fmt.Sprintf("authserv_id = \"mx.example.com\"\nstate_directory = "+
		"%q\n%s\n[[listen]]\naddress = \"unix:%s/s\"\nmode = \"0666\"\n", state, more, dir)
	for _, d := range []string{"one.example", "two.example"} {
		key := filepath.Join(dir, d+".pem")
		if err := os.WriteFile(key, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
			0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(key, owner, -1); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("[keys.\"s._domainkey.%[1]s\"]\nfile = %[2]q\n[[sign]]\nfrom = "+
			"[\"*@%[1]s\"]\nkeys = [\"s._domainkey.%[1]s\"]\n", d, key)
	}
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(state, 0o700),
		os.Chown(state, owner, -1), os.WriteFile(path, []byte(text), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir, path
}

// asUser runs a command as a user, -1 for the test's own, and returns what it wrote and its exit
// code.
func asUser(t *testing.T, uid int, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(rig.Build(t), args...)
	if uid >= 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid),
			Gid: uint32(uid)}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func submit(t *testing.T, dir, domain string) {
	t.Helper()
	cmd := exec.Command(rig.Build(t), "mta", "--milter", "unix:"+dir+"/s", "--from", "joe@"+domain)
	cmd.Stdin = strings.NewReader("From: joe@" + domain + "\nSubject: hello\n\nbody\n")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("d="+domain)) {
		t.Errorf("%s is not signed: %v\n%s", domain, err, out)
	}
}

// otherUser is the number of a user who is neither root nor the daemon's.
const otherUser = 65534

// TestReloadCommand reloads a daemon by the command: a good configuration, a bad one, one that was
// cut off, and that again on purpose; by others than root; and where no daemon is.
func TestReloadCommand(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a command of another user: only root can start it")
	}
	dir, path := controlled(t, "", 0)
	d := rig.Serve(t, rig.DaemonOptions{}, "serve", "--config", path)
	for _, domain := range []string{"one.example", "two.example"} {
		submit(t, dir, domain)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := good[:bytes.LastIndex(good, []byte("[[sign]]"))]
	for _, tt := range []struct {
		name string
		text []byte
		user int
		args string
		code int
		says string
	}{
		{"as it is", good, -1, "reload", 0, "reloaded"},
		{"what it would lose", cut, -1, "check --no-mta --against-running", 1,
			"1 of 2 domains that signed mail in the last 7 days would have no rule or no key: two.example"},
		{"cut off", cut, -1, "reload", 1, "two.example"},
		{"a mistake", append([]byte("mod = 1\n"), good...), -1, "reload", 1, `did you mean "mode"?`},
		{"by another user", good, otherUser, "reload", 3, "run the command as root (sudo)"},
		{"cut off on purpose", cut, -1, "reload --accept", 0, "two.example"},
	} {
		if err := os.WriteFile(path, tt.text, 0o644); err != nil {
			t.Fatal(err)
		}
		out, code := asUser(t, tt.user, append(strings.Fields(tt.args), "--config", path)...)
		if code != tt.code || !strings.Contains(out, tt.says) {
			t.Errorf("%s: exit code %d, want %d with %q\n%s", tt.name, code, tt.code, tt.says, out)
		}
	}
	// The directory and the socket opened, the kernel still says who has come.
	for _, name := range []string{"state", "state/control"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if out, code := asUser(t, otherUser, "reload", "--config", path); code != 1 ||
		!strings.Contains(out, "only root and the daemon's own user") {
		t.Errorf("by another user: exit code %d\n%s", code, out)
	}
	d.Stop(t)
	if out, code := asUser(t, -1, "check", "--no-mta", "--against-running", "--config",
		path); code != 0 {
		t.Errorf("against the list of a daemon that has ended: exit code %d\n%s", code, out)
	}
	if out, code := asUser(t, -1, "reload", "--config", path); code != 3 {
		t.Errorf("without a daemon: exit code %d\n%s", code, out)
	}
}

// TestUser has root start a daemon that becomes another user, and wants what that user cannot read
// to be a mistake.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	const user = "user = \"nobody\"\n"
	dir, path := controlled(t, user, otherUser)
	d := rig.Serve(t, rig.DaemonOptions{}, "serve", "--config", path)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`Uid:(\t65534){4}\n`, `Gid:(\t65534){4}\n`,
		`Groups:\t(65534 )?\n`, `CapEff:\t0+\n`, `CapPrm:\t0+\n`} {
		if !regexp.MustCompile(want).Match(status) {
			t.Errorf("no %s in:\n%s", want, status)
		}
	}
	if strings.Contains(d.Output(), "runs as root") {
		t.Errorf("it says that it is root:\n%s", d.Output())
	}
	submit(t, dir, "one.example")
	if out, code := asUser(t, otherUser, "reload", "--config", path); code != 0 {
		t.Errorf("reloaded by its user: exit code %d\n%s", code, out)
	}
	if out, code := asUser(t, -1, "reload", "--config", path); code != 0 {
		t.Errorf("reloaded by root: exit code %d\n%s", code, out)
	}
	d.Stop(t)
	for name, hide := range map[string]func() error{
		"no key that it could read":       func() error { return errChownAll(dir, "*.pem", 0) },
		"a configuration for root's eyes": func() error { return os.Chmod(path, 0o600) },
	} {
		if err := hide(); err != nil {
			t.Fatal(err)
		}
		if out, code := asUser(t, -1, "serve", "--config", path); code == 0 ||
			!strings.Contains(out, "permission denied") {
			t.Errorf("%s: exit code %d\n%s", name, code, out)
		}
	}
}

func errChownAll(dir, pattern string, uid int) error {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	for _, f := range found {
		if err := os.Chown(f, uid, -1); err != nil {
			return err
		}
	}
	return err
}

// TestRootWarns wants a daemon of root's to say so.
func TestRootWarns(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is root")
	}
	_, path := controlled(t, "", 0)
	d := rig.Serve(t, rig.DaemonOptions{}, "serve", "--config", path)
	d.AwaitOutput(t, "level=WARN msg=\"the daemon runs as root")
}

// TestOddConfiguration starts and reloads a daemon whose configuration never ends, and has a
// command read one from a pipe.
func TestOddConfiguration(t *testing.T) {
	_, path := controlled(t, "", -1)
	d := rig.Serve(t, rig.DaemonOptions{}, "serve", "--config", path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(filepath.Dir(path), "pipe")
	for _, err := range []error{os.Remove(path), unix.Mkfifo(pipe, 0o600), os.Symlink(pipe, path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if d.Reload(t) {
		t.Error("a pipe is in effect")
	}
	for _, err := range []error{os.Remove(path), os.Symlink("/dev/zero", path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if d.Reload(t) {
		t.Error("a device is in effect")
	}
	if most := d.Memory(t, "VmHWM"); most > 200<<20 {
		t.Errorf("it took %d MB to refuse a device", most>>20)
	}
	if out, code := asUser(t, -1, "serve", "--config", pipe); code == 0 ||
		!strings.Contains(out, "not a regular file") {
		t.Errorf("serve: exit code %d\n%s", code, out)
	}
	go func() {
		if err := os.WriteFile(pipe, text, 0); err != nil {
			t.Error(err)
		}
	}()
	if out, code := asUser(t, -1, "check", "--no-mta", "--config", pipe); code != 0 {
		t.Errorf("check: exit code %d\n%s", code, out)
	}
}
