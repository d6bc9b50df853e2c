package keyring

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOwner holds that keys which root makes belong to whom the directory belongs to that is there
// already, and so do the directories that are made.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	top := t.TempDir()
	const uid, gid = 54321, 54322
	if err := os.Chown(top, uid, gid); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(top, "keys", "example.com")
	o := FileOptions{Domain: "example.com", Selector: "s", Dir: dir,
		Algorithms: []string{"ed25519"}}
	if err := GenerateFiles(o, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Dir(dir), dir, filepath.Join(dir, "s.pem")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		owner := info.Sys().(*syscall.Stat_t)
		if owner.Uid != uid || owner.Gid != gid || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s belongs to %d:%d with mode %04o", path, owner.Uid, owner.Gid,
				info.Mode().Perm())
		}
	}
}
