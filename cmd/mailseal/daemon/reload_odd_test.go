package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mailseal/config"
	"mailseal/keys/files"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReloadOdd replaces each file of a site by one that never ends: a reload says so and the
// old state serves on.
func TestReloadOdd(t *testing.T) {
	odd := map[string]func(path string) error{
		"a pipe":             func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a link to a device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"a directory":        func(path string) error { return os.Mkdir(path, 0o700) },
	}
	names := []string{"mailseal.toml", "a.conf", "keys.json"}
	for what, make := range odd {
		for _, name := range names {
			t.Run(name+" is "+what, func(t *testing.T) {
				s := newLossSite(t, 1, func(s *lossSite) {
					makeManaged(s.t, s.dir, "one.example")
					s.write("mailseal.toml", s.head()+"include = [\"a.conf\"]\n"+
						fmt.Sprintf(lossListen, s.dir)+
						"[[sign]]\nfrom = [\"*@one.example\"]\nmanaged = \"one.example\"\n")
					s.write("a.conf", s.rules(s.domains[0]))
				})
				path := filepath.Join(s.dir, name)
				if err := errors.Join(os.Remove(path), make(path)); err != nil {
					t.Fatal(err)
				}
				if _, err := s.daemon.reload(t.Context(), false); err == nil ||
					!strings.Contains(err.Error(), name) {
					t.Errorf("got %v, want an error that names %s", err, name)
				}
				if lost := s.unsigned(); len(lost) > 0 {
					t.Errorf("%q go unsigned", lost)
				}
			})
		}
	}
}

// TestReloadWarns wants a reload to give the warnings of a start.
func TestReloadWarns(t *testing.T) {
	s := newLossSite(t, 1, func(s *lossSite) {
		s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+s.rules(s.domains...))
	})
	text := s.head() + fmt.Sprintf(lossListen, s.dir) + s.rules(s.domains...) +
		"[metrics]\naddress = \"0.0.0.0:9\"\npprof = true\n"
	s.write("mailseal.toml", text)
	if err := os.Chmod(filepath.Join(s.dir, "mailseal.toml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(filepath.Join(s.dir, "mailseal.toml"))
	if err != nil {
		t.Fatal(err)
	}
	said, err := s.daemon.reload(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings(cfg) {
		if !slices.Contains(said, w) || !strings.Contains(s.log.String(), "level=WARN") {
			t.Errorf("a start warns of %q, the reload does not: %q", w, said)
		}
	}
	for _, want := range []string{"pprof", "can be read by all users",
		"takes effect only after a restart"} {
		if !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("no warning with %q in %q", want, said)
		}
	}
}

// TestUnsignedList wants a list that cannot be read to be an error in the log, and no more.
func TestUnsignedList(t *testing.T) {
	dir := socketDir(t)
	if err := unix.Mkfifo(filepath.Join(dir, "signed.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &lossSite{t: t, dir: dir}
	s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, dir)+s.rules("one.example"))
	var log bytes.Buffer
	d, err := build(context.Background(), filepath.Join(dir, "mailseal.toml"), io.Writer(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer d.closeListeners()
	if !strings.Contains(log.String(), "level=ERROR") ||
		!strings.Contains(log.String(), files.ErrSpecial.Error()) {
		t.Errorf("log:\n%s", &log)
	}
}
