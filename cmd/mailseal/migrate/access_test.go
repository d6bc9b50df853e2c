package migrate

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/service"
)

func TestGive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if notes := give(service.Service{Name: "mailseal", GID: os.Getegid()}, path); len(notes) != 0 {
		t.Errorf("a group of ours: got %v", notes)
	}
	notes := give(service.Find("no-such-user"), path)
	if len(notes) != 1 || !strings.HasSuffix(notes[0].Text,
		"once there is a group of that name: chgrp no-such-user "+path) {
		t.Errorf("no such group: got %v", notes)
	}
}

// TestKeysToDo judges for a user and a group that own only what a case gives them.
func TestKeysToDo(t *testing.T) {
	us, ours := os.Geteuid(), os.Getegid()
	if us == 0 {
		us = 4242 // root may do everything
	}
	nobody := service.Service{Name: "mailseal", UID: 54321, GID: 54321, Groups: []int{54321}}
	for _, tc := range []struct {
		name            string
		svc             service.Service
		directory, file os.FileMode
		want            string // "" for nothing, DIR for the directory of the keys
	}{
		{"everybody may", nobody, 0o755, 0o644, ""},
		{"the file is closed", nobody, 0o755, 0o600, "no access to DIR/a/1.pem, DIR/a/2.pem. "},
		{"the directory is closed", nobody, 0o700, 0o644, "no access to DIR/a. "},
		{"the group may", service.Service{Name: "mailseal", UID: 54321, Groups: []int{ours}}, 0o750, 0o640, ""},
		{"the group may list and not pass", service.Service{Name: "mailseal", UID: 54321,
			Groups: []int{ours}}, 0o740, 0o640, "no access to DIR/a. "},
		{"the owner may", service.Service{Name: "mailseal", UID: us}, 0o700, 0o600, ""},
		{"the user does not exist", service.Service{Name: "mailseal", UID: -1}, 0o700, 0o600, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			toml := "authserv_id = \"mx.example.com\"\n"
			for i, name := range []string{"a/1.pem", "a/2.pem", "a/none.pem"} {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if i < 2 {
					if err := os.WriteFile(path, nil, tc.file); err != nil {
						t.Fatal(err)
					}
				}
				toml += "[keys.\"k" + strconv.Itoa(i) + "._domainkey.example.com\"]\nfile = \"" +
					path + "\"\n"
			}
			if err := os.Chmod(filepath.Join(dir, "a"), tc.directory); err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() == 0 && tc.svc.UID == us {
				for _, name := range []string{"a", "a/1.pem", "a/2.pem"} {
					if err := os.Chown(filepath.Join(dir, name), us, -1); err != nil {
						t.Fatal(err)
					}
				}
			}
			open(t, dir)
			notes := keysToDo(tc.svc, toml)
			want := strings.ReplaceAll(tc.want, "DIR", dir)
			if want == "" && len(notes) > 0 || want != "" &&
				(len(notes) != 1 || !strings.Contains(notes[0].Text, want) ||
					!strings.Contains(notes[0].Text, "chgrp -R mailseal "+dir+
						"/a && chmod -R g+rX "+dir+"/a")) {
				t.Errorf("got %v, want %q", notes, want)
			}
		})
	}
}

// open lets everybody pass the directories above dir that are the test's own.
func open(t *testing.T, dir string) {
	t.Helper()
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
