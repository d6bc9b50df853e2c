package e2e

import (
	"errors"
	"io/fs"
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

// makeInstall runs make with the program that the tests have built, and without Go. It returns what
// make said.
func makeInstall(t *testing.T, target string, variables ...string) string {
	t.Helper()
	dependsOn(t, "Makefile", "contrib/*", "contrib/systemd/*", "contrib/man/*", "contrib/sql/*",
		"contrib/qmail/*", "contrib/postfix/*", "contrib/sendmail/*")
	args := append([]string{"-s", "-C", "../../..", target, "GO=/nowhere/go",
		"BIN=" + rig.Build(t)}, variables...)
	cmd := exec.Command("make", args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make %s: %v\n%s", target, err, out)
	}
	return string(out)
}

func TestInstall(t *testing.T) {
	dest := t.TempDir()
	install := func() {
		t.Helper()
		if out := makeInstall(t, "install", "DESTDIR="+dest, "PREFIX=/usr"); out != "" {
			t.Errorf("make install said %s", out)
		}
	}
	install()
	for _, file := range []string{
		"/usr/sbin/mailseal", "/etc/mailseal/mailseal.toml",
		"/usr/lib/systemd/system/mailseal.service",
		"/usr/lib/systemd/system/mailseal-shadow.service",
		"/usr/lib/systemd/system/mailseal-postfix.socket",
		"/usr/lib/sysusers.d/mailseal.conf", "/usr/share/man/man1/mailseal.1",
		"/usr/share/man/man5/mailseal.toml.5",
		"/usr/share/mailseal/sql/postgresql.sql", "/usr/share/mailseal/sql/mysql.sql",
		"/usr/share/mailseal/sql/sqlite.sql",
		"/usr/share/mailseal/postfix/main.cf", "/usr/share/mailseal/sendmail/sendmail.mc",
		"/usr/share/mailseal/qmail/qmail-remote",
		"/usr/share/bash-completion/completions/mailseal",
		"/usr/share/zsh/site-functions/_mailseal",
		"/usr/share/fish/vendor_completions.d/mailseal.fish",
	} {
		info, err := os.Stat(dest + file)
		if err != nil {
			t.Error(err)
		} else if info.Size() == 0 || info.Mode().Perm()&0o444 != 0o444 {
			t.Errorf("%s has %d bytes and mode %04o", file, info.Size(), info.Mode().Perm())
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

// TestInstallPaths holds that no installed file names a path where nothing has been installed, and
// that what is installed works: the program, its completion, and the service's command line.
func TestInstallPaths(t *testing.T) {
	top := t.TempDir()
	prefix, etc := top+"/opt/mailseal", top+"/opt/etc"
	makeInstall(t, "install", "PREFIX="+prefix, "SYSCONFDIR="+etc)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == prefix+"/sbin/mailseal" {
			return err
		}
		text, err := os.ReadFile(path)
		rest := strings.NewReplacer(prefix+"/sbin/mailseal", "", etc+"/mailseal",
			"").Replace(string(text))
		for _, wrong := range []string{"/usr/sbin/mailseal", "/usr/local/sbin/mailseal",
			"/etc/mailseal"} {
			if strings.Contains(rest, wrong) {
				t.Errorf("%s names %s", path, wrong)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile(prefix + "/lib/systemd/system/mailseal.service")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(unit), "ExecStart=")
	line, _, _ = strings.Cut(line, "\n")
	line = strings.Replace(line, " serve ", " check --no-mta ", 1)
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
	if out, err := exec.Command("bash", "-n",
		prefix+"/share/bash-completion/completions/mailseal").CombinedOutput(); err != nil {
		t.Errorf("the completion: %v\n%s", err, out)
	}
	t.Run("uninstall", func(t *testing.T) {
		key := etc + "/mailseal/mail.pem"
		if err := os.WriteFile(key, []byte("a key"), 0o600); err != nil {
			t.Fatal(err)
		}
		said := makeInstall(t, "uninstall", "PREFIX="+prefix, "SYSCONFDIR="+etc)
		if !strings.Contains(said, etc+"/mailseal was not removed") {
			t.Errorf("it said %q", said)
		}
		var left []string
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				left = append(left, path)
			}
			return nil
		})
		if len(left) != 1 || left[0] != key {
			t.Errorf("there is %q, want the key alone", left)
		}
	})
}

// TestInstallNothing holds that make install builds nothing, and says what is missing.
func TestInstallNothing(t *testing.T) {
	dest := t.TempDir()
	cmd := exec.Command("make", "-s", "-C", "../../..", "install", "DESTDIR="+dest, "BIN="+dest+
		"/none", "RELEASE="+dest+"/neither")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "there is no "+dest+
		"/none to install; run \"make build\" first") {
		t.Errorf("%v: %s", err, out)
	}
	if left, _ := os.ReadDir(dest); len(left) > 0 {
		t.Errorf("it has installed %v all the same", left)
	}
}

// dependsOn reads files that programs will read for the test, so that go test does not take an
// older result for current.
func dependsOn(t *testing.T, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		files, err := filepath.Glob(filepath.Join("../../..", p))
		if err != nil || len(files) == 0 {
			t.Fatalf("no file matches %s: %v", p, err)
		}
		for _, f := range files {
			if _, err := os.ReadFile(f); err != nil && !errors.Is(err, syscall.EISDIR) {
				t.Fatal(err)
			}
		}
	}
}

// units has systemd read the units as they were installed, and rate the exposure of each service:
// at most 1.2 of 10, with what a daemon that needs the network can be denied.
func units(t *testing.T, dest string) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here")
	}
	for _, name := range []string{"sysinit", "basic", "shutdown", "sockets", "timers",
		"network-online"} {
		target := dest + "/usr/lib/systemd/system/" + name + ".target"
		if err := os.WriteFile(target, []byte("[Unit]\nDescription=of every host\n"),
			0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"verify", "--root=" + dest, "--man=no", "mailseal.service", "mailseal-postfix.socket",
			"mailseal-unix.socket", "mailseal-rotate.service", "mailseal-rotate.timer",
			"mailseal-shadow.service"},
		append([]string{"security", "--root=" + dest, "--offline=true", "--threshold=12"},
			services(t)...),
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

// services returns the names of all service units, and holds what each must say of resources.
func services(t *testing.T) []string {
	files, err := filepath.Glob("../../systemd/*.service")
	if err != nil || len(files) == 0 {
		t.Fatal("no units: ", err)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"\nMemoryMax=", "\nTasksMax=", "\nLimitCORE=0\n"} {
			if !strings.Contains(string(text), line) {
				t.Errorf("%s lacks %s", file, strings.TrimSpace(line))
			}
		}
		names = append(names, filepath.Base(file))
	}
	return names
}

// TestDemo takes the ports that the demonstration has by default, so that it must find others, also
// when it runs again.
func TestDemo(t *testing.T) {
	for _, address := range []string{"127.0.0.1:8891", "127.0.0.1:8853"} {
		if l, err := net.Listen("tcp", address); err == nil { // else another program has it
			defer l.Close()
		}
	}
	dir := filepath.Join(t.TempDir(), "var")
	for range 2 {
		said := rig.Run(t, "demo", "--dir", dir)
		if said.Code != 0 || !strings.Contains(said.Stdout, "DKIM-Signature: ") ||
			!strings.Contains(said.Stdout, "dkim=pass") {
			t.Errorf("demo: %+v", said)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "state", "signed.json")); err != nil {
		t.Errorf("the demo keeps its state elsewhere than in its directory: %v", err)
	}
}
