package e2e

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mailseal/contrib/test/rig"
)

// What "make install" puts where, and the demonstration that "make demo" shows.

func TestInstall(t *testing.T) {
	rig.Build(t)
	dependsOn(t, "Makefile", "contrib/*", "contrib/systemd/*", "contrib/man/*", "contrib/sql/*")
	dest := t.TempDir()
	install := func() {
		t.Helper()
		cmd := exec.Command("make", "-s", "-C", "../../..", "install", "DESTDIR="+dest, "PREFIX=/usr", "BIN="+dest+"/build/mailseal")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("make install: %v\n%s", err, out)
		}
	}
	install()
	for _, file := range []string{
		"/usr/sbin/mailseal", "/etc/mailseal/mailseal.toml",
		"/usr/lib/systemd/system/mailseal.service", "/usr/lib/systemd/system/mailseal-shadow.service", "/usr/lib/systemd/system/mailseal-postfix.socket",
		"/usr/lib/sysusers.d/mailseal.conf", "/usr/share/man/man1/mailseal.1", "/usr/share/man/man5/mailseal.toml.5",
		"/usr/share/mailseal/sql/postgresql.sql", "/usr/share/mailseal/sql/mysql.sql", "/usr/share/mailseal/sql/sqlite.sql",
	} {
		if _, err := os.Stat(dest + file); err != nil {
			t.Error(err)
		}
	}
	t.Run("units", func(t *testing.T) { units(t, dest) })
	t.Run("an existing configuration stays", func(t *testing.T) {
		config := dest + "/etc/mailseal/mailseal.toml"
		if err := os.WriteFile(config, []byte("# mine\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		install()
		if b, err := os.ReadFile(config); err != nil || string(b) != "# mine\n" {
			t.Errorf("the configuration is now %q, %v", b, err)
		}
	})
}

// dependsOn reads files that programs will read for the test, so that go test does not take an older result for current.
func dependsOn(t *testing.T, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		files, err := filepath.Glob(filepath.Join("../../..", p))
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %s: %v", p, err)
		}
		for _, f := range files {
			if _, err := os.ReadFile(f); err != nil && !errors.Is(err, syscall.EISDIR) {
				t.Fatal(err)
			}
		}
	}
}

// units has systemd read the units as they were installed, and rate the service's exposure: below 1.5 of 10, with what a
// daemon that needs the network can be denied.
func units(t *testing.T, dest string) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here")
	}
	for _, name := range []string{"sysinit", "basic", "shutdown", "sockets", "timers", "network-online"} {
		target := dest + "/usr/lib/systemd/system/" + name + ".target"
		if err := os.WriteFile(target, []byte("[Unit]\nDescription=of every host\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"verify", "--root=" + dest, "--man=no", "mailseal.service", "mailseal-postfix.socket", "mailseal-unix.socket", "mailseal-rotate.service", "mailseal-rotate.timer", "mailseal-shadow.service"},
		{"security", "--root=" + dest, "--offline=true", "--threshold=15", "mailseal.service"},
		{"security", "--root=" + dest, "--offline=true", "--threshold=18", "mailseal-shadow.service"},
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		complaints := ""
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "mailseal") { // the others are about the bare directory
				complaints += line
			}
		}
		if err != nil || args[0] == "verify" && complaints != "" {
			t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, complaints)
		}
	}
}

func TestDemo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:8891")
	if err != nil {
		t.Skip("port 8891, where the demonstration listens, is in use")
	}
	l.Close()
	said := rig.Run(t, "demo", "--dir", filepath.Join(t.TempDir(), "var"))
	if said.Code != 0 || !strings.Contains(said.Stdout, "DKIM-Signature: ") || !strings.Contains(said.Stdout, "dkim=pass") {
		t.Errorf("demo: %+v", said)
	}
}
