package rig

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Tool prepares a program of a group of contrib/test/fetch.sh that needs no root directory of its
// own: it runs where it was unpacked, with its own dynamic loader and libraries, as any user. The
// test is skipped, with the reason, when the group has not been fetched.
func Tool(t testing.TB, group, program string, args ...string) *exec.Cmd {
	t.Helper()
	skipShort(t, "a real "+group)
	base := filepath.Join(repository(t), ".root")
	if why := absent(base, group); why != "" {
		t.Skip(why)
	}
	root := filepath.Join(base, group)
	loader := one(t, filepath.Join(root, "usr/lib*/ld-linux*.so.*"),
		filepath.Join(root, "lib*/ld-linux*.so.*"))
	triplet := filepath.Base(one(t, filepath.Join(root, "usr/lib/*-linux-gnu*")))
	libraries := strings.Join([]string{filepath.Join(root, "usr/lib", triplet),
		filepath.Join(root, "lib", triplet), filepath.Join(root, "usr/lib")}, ":")
	cmd := exec.Command(loader, append([]string{"--library-path", libraries,
		filepath.Join(root, program)}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	return cmd
}

// one returns the first file that matches any of the patterns.
func one(t testing.TB, patterns ...string) string {
	t.Helper()
	for _, p := range patterns {
		if found, _ := filepath.Glob(p); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatalf("no file like %q", patterns)
	return ""
}
