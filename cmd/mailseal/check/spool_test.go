package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSpool holds what is said of the directory for rows of reports.
func TestSpool(t *testing.T) {
	for _, tt := range []struct {
		name, collect string
		make          func(t *testing.T, s *site)
		says          string // "": nothing
		root          bool
	}{
		{"off", "false", func(*testing.T, *site) {}, "", false},
		{"missing", "true", func(*testing.T, *site) {},
			"the directory does not exist; run", false},
		{"there", "true", func(t *testing.T, s *site) {
			s.mkdir(t, "spool")
			if os.Geteuid() == 0 {
				s.give(t, "spool", daemonID, daemonID, 0o700)
			}
		}, "", false},
		{"closed", "true", func(t *testing.T, s *site) {
			s.mkdir(t, "spool")
			s.give(t, "spool", 0, 0, 0o700)
		}, "permission denied", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root && os.Geteuid() != 0 {
				t.Skip("takes root")
			}
			s := newSite(t, listen+signing+"[reports]\ncollect = "+tt.collect+
				"\nspool_directory = \"DIR/spool\"\n")
			if os.Geteuid() == 0 {
				s.user = daemonUser()
				s.give(t, "mailseal.toml", 0, daemonID, 0o640)
				s.give(t, "s.pem", daemonID, daemonID, 0o600)
			}
			tt.make(t, s)
			found, _ := s.check(t)
			i := slices.IndexFunc(found, func(f Finding) bool { return f.Code == SpoolClosed })
			if (i >= 0) != (tt.says != "") || i >= 0 && !strings.Contains(found[i].Text, tt.says) {
				t.Errorf("got %v, want %q", found, tt.says)
			}
		})
	}
}

// TestMakeDirectories runs the command for a spool whose parent is missing, in a directory whose
// name a shell would take apart: both directories belong to the user then, and the spool passes its
// group on.
func TestMakeDirectories(t *testing.T) {
	top := filepath.Join(t.TempDir(), "it's a $HOME")
	reports := filepath.Join(top, "reports")
	spool := filepath.Join(reports, "spool")
	if err := os.Mkdir(top, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 1} { // the second time the parent is there
		command := makeDirectories(reports, spool, strconv.Itoa(os.Geteuid()))
		if got := strings.Count(command, "install -d"); got != want {
			t.Errorf("%d directories, want %d: %s", got, want, command)
		}
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		for dir, mode := range map[string]os.FileMode{reports: os.ModeDir | 0o750,
			spool: os.ModeDir | os.ModeSetgid | 0o770} {
			if info, err := os.Stat(dir); err != nil || info.Mode() != mode {
				t.Errorf("%s: got %v, %v; want %v", dir, info, err, mode)
			}
		}
		if err := os.Remove(spool); err != nil {
			t.Fatal(err)
		}
	}
}
