package check

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/cmd/mailseal/service"
)

// TestMain lets this program be the child process that judges files.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ProbeCommand {
		if err := Probe(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 2 && os.Args[1] == asGuest {
		if err := checkAsGuest(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// daemonID and neighbourID are users of whom no host has any: the daemon's, and one that uses the
// same keys.
const (
	daemonID    = 54321
	neighbourID = 54322
)

func daemonUser() *service.Service {
	return &service.Service{Name: fmt.Sprint(daemonID), UID: daemonID, GID: daemonID,
		Groups: []int{daemonID}}
}

// give sets the owner, group and mode of a file of the site.
func (s *site) give(t *testing.T, name string, uid, gid int, mode os.FileMode) {
	t.Helper()
	if err := os.Chown(s.path(name), uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.path(name), mode); err != nil {
		t.Fatal(err)
	}
}

func (s *site) mkdir(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(s.path(name), 0o755); err != nil {
		t.Fatal(err)
	}
}

// canRead reports whether a user without further groups can read a file.
func canRead(t *testing.T, uid int, path string) bool {
	t.Helper()
	cmd := exec.Command("cat", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid),
		Gid: uint32(uid)}}
	return cmd.Run() == nil
}

// applySetting puts the first line of a remedy in place of the setting of the configuration with
// its name.
func (s *site) applySetting(t *testing.T, text string) {
	t.Helper()
	line, _, ok := strings.Cut(text, "  # mailseal.toml")
	name, _, _ := strings.Cut(line, " =")
	old, err := os.ReadFile(s.path("mailseal.toml"))
	if !ok || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	lines := strings.Split(string(old), "\n")
	for i := range lines {
		if strings.HasPrefix(lines[i], name+" = ") {
			lines[i] = line
		}
	}
	s.write(t, "mailseal.toml", strings.Join(lines, "\n"), 0o644)
}

// testRightsRemedies has a check by root judge with the rights of the daemon's user, and applies
// what it says. Any other user who could read the key can read it afterwards.
func testRightsRemedies(t *testing.T, executed map[remedyOf]bool) {
	if os.Geteuid() != 0 {
		t.Skip("only root judges with the rights of others")
	}
	at := func(name string) string { return strings.Replace(listen+signing, "s.pem", name, 1) }
	inDir := func(s *site, t *testing.T) {
		s.mkdir(t, "lib/k d")
		if err := os.Rename(s.path("s.pem"), s.path("lib/k d/s.pem")); err != nil {
			t.Fatal(err)
		}
	}
	const unixSocket = "authserv_id = \"mx.example.com\"\nlisten = [{ address = \"unix:DIR/mailseal/m.sock\" }]\n"
	tests := []struct {
		name, toml string
		spoil      func(*site, *testing.T)
		want       remedyOf
		neighbour  string // a file that the neighbour reads
	}{
		{"a key of root", at("s.pem"), func(s *site, t *testing.T) {
			s.give(t, "s.pem", 0, 0, 0o600)
		}, remedyOf{KeyUnreadable, remedy.LetIn}, ""},
		{"a directory of root", at("lib/k d/s.pem"), func(s *site, t *testing.T) {
			inDir(s, t)
			s.give(t, "lib/k d/s.pem", 0, 0, 0o600)
			s.give(t, "lib/k d", 0, 0, 0o700)
			s.give(t, "lib", 0, 0, 0o750)
		}, remedyOf{KeyUnreadable, remedy.LetIn}, ""},
		{"a directory of root in one of the daemon", at("lib/k d/s.pem"),
			func(s *site, t *testing.T) {
				inDir(s, t)
				s.give(t, "lib/k d", 0, 0, 0o700)
				s.give(t, "lib", daemonID, daemonID, 0o700)
			}, remedyOf{KeyUnreadable, remedy.LetIn}, ""},
		{"a domain's own key", listen + "[keys.\"s._domainkey.%\"]\nfile = " +
			"\"lib/%/s.pem\"\n[[sign]]\nfrom = \"*\"\nkeys = \"s._domainkey.%\"\n",
			func(s *site, t *testing.T) {
				s.mkdir(t, "lib/example.com")
				if err := os.Rename(s.path("s.pem"), s.path("lib/example.com/s.pem")); err != nil {
					t.Fatal(err)
				}
				s.give(t, "lib/example.com/s.pem", 0, 0, 0o600)
				s.give(t, "lib/example.com", 0, 0, 0o700)
			}, remedyOf{FileClosed, remedy.LetIn}, ""},
		{"the daemon's own, closed to itself", at("lib/k d/s.pem"), func(s *site, t *testing.T) {
			inDir(s, t)
			s.give(t, "lib/k d/s.pem", daemonID, daemonID, 0o200)
			s.give(t, "lib/k d", daemonID, daemonID, 0o600)
		}, remedyOf{KeyUnreadable, remedy.LetIn}, ""},
		{"a directory of the group, closed to it", at("lib/k d/s.pem"),
			func(s *site, t *testing.T) {
				inDir(s, t)
				s.give(t, "lib/k d/s.pem", 0, daemonID, 0o640)
				s.give(t, "lib/k d", 0, daemonID, 0o740)
			}, remedyOf{KeyUnreadable, remedy.LetIn}, ""},
		{"a neighbour's key", at("s.pem"),
			func(s *site, t *testing.T) { s.give(t, "s.pem", neighbourID, neighbourID, 0o600) },
			remedyOf{KeyUnreadable, remedy.Copy}, "s.pem"},
		{"a neighbour's directory", at("lib/k d/s.pem"), func(s *site, t *testing.T) {
			inDir(s, t)
			s.give(t, "lib/k d/s.pem", 0, neighbourID, 0o640)
			s.give(t, "lib/k d", neighbourID, neighbourID, 0o700)
		}, remedyOf{KeyUnreadable, remedy.Copy}, "lib/k d/s.pem"},
		{"a neighbour's group", at("s.pem"), func(s *site, t *testing.T) { s.give(t, "s.pem", 0, neighbourID, 0o640) },
			remedyOf{KeyUnreadable, remedy.Copy}, "s.pem"},
		{"the short way", "authserv_id = \"mx.example.com\"\nlisten = [{ address = " +
			"\"inet:8891@127.0.0.1\" }]\ndomain = \"example.com\"\nselector = \"s\"\nkey_file = \"s.pem\"\n",
			func(s *site, t *testing.T) { s.give(t, "s.pem", neighbourID, neighbourID, 0o600) },
			remedyOf{KeyUnreadable, remedy.Copy}, "s.pem"},
		{"a neighbour's key that the daemon reads", at("s.pem"),
			func(s *site, t *testing.T) { s.give(t, "s.pem", neighbourID, daemonID, 0o640) },
			remedyOf{FileOwner, remedy.Copy}, "s.pem"},
		{"a neighbour's directory that the daemon passes", at("lib/k d/s.pem"),
			func(s *site, t *testing.T) {
				inDir(s, t)
				s.give(t, "lib/k d/s.pem", 0, daemonID, 0o640)
				s.give(t, "lib/k d", neighbourID, neighbourID, 0o711)
			}, remedyOf{DirectoryOwner, remedy.Copy}, ""},
		{"a key for everybody to read", at("s.pem"),
			func(s *site, t *testing.T) { s.give(t, "s.pem", 0, 0, 0o644) },
			remedyOf{FileMode, remedy.LetIn}, ""},
		{"the configuration", listen + signing,
			func(s *site, t *testing.T) { s.give(t, "mailseal.toml", 0, 0, 0o600) },
			remedyOf{FileClosed, remedy.LetIn}, ""},
		{"a neighbour's configuration", listen + signing, func(s *site,
			t *testing.T) {
			s.give(t, "mailseal.toml", neighbourID, neighbourID, 0o600)
		}, remedyOf{FileClosed, remedy.AccessList}, "mailseal.toml"},
		{"a neighbour's key in OpenDKIM's tables",
			listen + "key_table = \"file:keys\"\nsigning_table = \"file:signing\"\n",
			func(s *site, t *testing.T) {
				s.write(t, "keys", "k example.com:s:"+s.path("s.pem")+"\n", 0o644)
				s.write(t, "signing", "example.com k\n", 0o644)
				s.give(t, "s.pem", neighbourID, neighbourID, 0o600)
			}, remedyOf{KeyUnreadable, remedy.AccessList}, "s.pem"},
		{"the directory of a socket", unixSocket + signing,
			func(s *site, t *testing.T) { s.mkdir(t, "mailseal") }, remedyOf{SocketDirectoryClosed,
				remedy.MakeOwnDirectory}, ""},
		{"another daemon's directory", "authserv_id = \"mx.example.com\"\n[[listen]]\naddress = " +
			"\"unix:DIR/opendkim/m.sock\"\n" + signing, func(s *site, t *testing.T) {
			s.mkdir(t, "opendkim")
			s.give(t, "opendkim", neighbourID, neighbourID, 0o750)
		}, remedyOf{SocketDirectoryClosed, remedy.MoveSocket}, ""},
		{"everybody is ours", listen + "[ours]\nnetworks = [\"0.0.0.0/0\"]\n" + signing, func(s *site, t *testing.T) {},
			remedyOf{OursEveryone, remedy.Setting}, ""},
		{"no directory of a socket", unixSocket + signing, func(*site, *testing.T) {},
			remedyOf{SocketNoDirectory, remedy.MakeOwnDirectory}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.kind == remedy.AccessList && needsRoot(tt.want) {
				t.Skip("setfacl is not installed")
			}
			s := newSite(t, "state_directory = \"DIR/state\"\n"+tt.toml)
			s.user = daemonUser()
			s.mkdir(t, "state")
			s.give(t, "state", daemonID, daemonID, 0o700)
			s.give(t, "s.pem", daemonID, daemonID, 0o600)
			s.give(t, "mailseal.toml", 0, daemonID, 0o640)
			tt.spoil(s, t)
			found, _ := s.check(t)
			if !slices.Contains(codes(found), tt.want.code) {
				t.Fatalf("got %v, want %s", found, tt.want.code)
			}
			for _, f := range found {
				t.Logf("%s: %s", f, f.Fix)
				s.applyRights(t, f)
				executed[remedyOf{f.Code, f.Fix.Kind}] = true
			}
			if !slices.ContainsFunc(found, func(f Finding) bool {
				return f.Code == tt.want.code && f.Fix.Kind == tt.want.kind
			}) {
				t.Errorf("got %v, want the remedy %s", found, tt.want.kind)
			}
			again, _ := s.check(t)
			// the key stays a neighbour's, of which there is a warning
			if tt.want.kind == remedy.AccessList {
				again = slices.DeleteFunc(again,
					func(f Finding) bool { return f.Code == FileOwner })
			}
			if len(again) > 0 {
				t.Errorf("got %v after all was mended", again)
			}
			if tt.neighbour != "" && !canRead(t, neighbourID, s.path(tt.neighbour)) {
				t.Errorf("the neighbour cannot read %s any more", tt.neighbour)
			}
		})
	}
	t.Run("the state directory", func(t *testing.T) { testStateRemedy(t, executed) })
}

// applyRights does what a remedy says: it runs the command, and puts the line, if there is one, in
// place of the one that the finding is about.
func (s *site) applyRights(t *testing.T, f Finding) {
	t.Helper()
	if f.Fix.IsCommand() {
		run(t, f.Fix)
		return
	}
	if f.Fix.Kind == remedy.MoveSocket || f.Fix.Kind == remedy.Setting {
		s.applySetting(t, f.Fix.String())
		return
	}
	command, line, ok := strings.Cut(f.Fix.String(), "\n")
	if !ok || f.Line == 0 {
		t.Fatalf("%s has the remedy %q", f, f.Fix)
	}
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	text, err := os.ReadFile(f.File)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	setting, _, _ := strings.Cut(line, "  # mailseal.toml")
	lines[f.Line-1] = setting
	if err := os.WriteFile(f.File, []byte(strings.Join(lines, "\n")), 0o640); err != nil {
		t.Fatal(err)
	}
}

// testStateRemedy has the daemon use a state directory that root has made.
func testStateRemedy(t *testing.T, executed map[remedyOf]bool) {
	s := newSite(t, "state_directory = \"DIR/state\"\n"+listen+
		"[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"\n")
	s.user = daemonUser()
	s.give(t, "mailseal.toml", 0, daemonID, 0o640)
	s.mkdir(t, "state")
	s.write(t, "state/keys.json", "{\"version\": 1}", 0o600)
	found, _ := s.check(t)
	i := slices.IndexFunc(found, func(f Finding) bool { return f.Code == StateClosed })
	if i < 0 {
		t.Fatalf("got %v, want %s", found, StateClosed)
	}
	run(t, found[i].Fix)
	executed[remedyOf{StateClosed, found[i].Fix.Kind}] = true
	if found, _ = s.check(t); slices.Contains(codes(found), StateClosed) {
		t.Errorf("got %v after all was mended", found)
	}
}

// TestStateOfAnother holds that no command takes a state directory away from the user that it
// belongs to: another daemon may keep its keys there.
func TestStateOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root judges with the rights of others")
	}
	s := newSite(t, "state_directory = \"DIR/state\"\n"+listen+
		"[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"\n")
	s.user = daemonUser()
	s.give(t, "mailseal.toml", 0, daemonID, 0o640)
	s.mkdir(t, "state")
	s.give(t, "state", neighbourID, neighbourID, 0o700)
	found, _ := s.check(t)
	i := slices.IndexFunc(found, func(f Finding) bool { return f.Code == StateClosed })
	if i < 0 {
		t.Fatalf("got %v, want %s", found, StateClosed)
	}
	if fix := found[i].Fix.String(); fix != "" {
		t.Errorf("it advises %q", fix)
	}
}

// TestRightsOfRelativePath judges a key whose configuration is named by a relative path: the child
// process that opens the files runs in another directory.
func TestRightsOfRelativePath(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root judges with the rights of others")
	}
	s := newSite(t, listen+signing)
	s.give(t, "mailseal.toml", 0, daemonID, 0o640)
	s.give(t, "s.pem", daemonID, daemonID, 0o600)
	s.user = daemonUser()
	dir := s.dir
	t.Chdir(dir)
	s.dir = "."
	if found, _ := s.check(t); len(found) > 0 {
		t.Errorf("got %v of a key that the daemon can read", found)
	}
	s.give(t, "s.pem", 0, 0, 0o600)
	found, _ := s.check(t)
	if got := codes(found); !slices.Equal(got, []Code{KeyUnreadable}) {
		t.Fatalf("got %v, want %s", found, KeyUnreadable)
	}
	if !strings.Contains(found[0].Text, filepath.Join(dir, "s.pem")) {
		t.Errorf("%q does not name the place", found[0].Text)
	}
}

// TestUnitHides holds that what the unit's sandbox hides is found, though the user could read it.
func TestUnitHides(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root judges with the rights of others")
	}
	s := newSite(t, "state_directory = \"/var/lib/mailseal\"\n"+listen+signing)
	s.give(t, "mailseal.toml", 0, daemonID, 0o640)
	s.give(t, "s.pem", daemonID, daemonID, 0o600)
	s.user = daemonUser()
	root := t.TempDir()
	unit := filepath.Join(root, "etc/systemd/system/mailseal.service")
	if err := os.MkdirAll(filepath.Dir(unit), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unit, []byte("[Service]\nUser=mailseal\nInaccessiblePaths="+s.dir+"\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	s.user.Unit = service.FindUnit(root, "mailseal.service")
	found, r := s.check(t)
	if got := codes(found); !slices.Equal(got, []Code{FileClosed, KeyUnreadable}) {
		t.Errorf("got %v", found)
	}
	if len(r.Keys) > 0 {
		t.Errorf("the key that the daemon cannot see counts as good")
	}
	if !strings.Contains(r.Judged, unit) {
		t.Errorf("%q does not name the unit", r.Judged)
	}
}
