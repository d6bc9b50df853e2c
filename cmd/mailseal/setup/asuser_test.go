package setup

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mailseal/cmd/mailseal/keyring"
	"mailseal/cmd/mailseal/service"
	"mailseal/config"
)

// TestMain makes keys where the test has started itself as a child, as the program would.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "keygen" {
		if err := keygen(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "mailseal: "+err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// keygen is "mailseal keygen" for the flags that setup gives. Root must not run it.
func keygen(args []string) error {
	if os.Geteuid() == 0 {
		return fmt.Errorf("root makes keys")
	}
	given := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		given[args[i]] = args[i+1]
	}
	return keyring.GenerateFiles(keyring.FileOptions{
		Domain: given["--domain"], Selector: given["--selector"], Dir: given["--dir"],
		Algorithms: strings.Split(given["--algorithm"], ","), RSABits: keyring.DefaultRSABits,
	}, io.Discard)
}

// TestKeysOfUser holds that keys are made by the service's user: where that user may not write,
// root does not do it instead.
func TestKeysOfUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	const user = 65534
	s := newSite(t)
	s.o.Service = &service.Service{Name: "nobody", UID: user, GID: user}
	for dir := s.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(s.o.State, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := s.run(nil)
	if err == nil || !strings.Contains(err.Error(), "must belong to that user: chown -R nobody: "+
		s.o.State) {
		t.Errorf("a state directory of root's: got %v", err)
	}
	if found, err := filepath.Glob(filepath.Join(s.o.State, "*")); err != nil || len(found) > 0 {
		t.Errorf("root made %v, %v", found, err)
	}
	if err := os.Remove(s.o.State); err != nil {
		t.Fatal(err)
	}
	r, err := s.run(nil)
	if err != nil || len(r.Faults) > 0 {
		t.Fatalf("%v, %+v", err, r)
	}
	err = filepath.WalkDir(s.o.State, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != user || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s belongs to %d, mode %v", path, uid, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(s.o.State, "keys/example.com/*.pem")); len(
		found) != 2 {
		t.Errorf("keys: %v", found)
	}
}

// TestOpenDMARC takes over how OpenDMARC judges, and says that it must go.
func TestOpenDMARC(t *testing.T) {
	s := newSite(t)
	s.write("opendmarc.conf", "AuthservID old.example.com\nSocket inet:8893@localhost\nRejectFailures true\n"+
		"IgnoreAuthenticatedClients true\n")
	s.o.IgnoreOpenDKIM, s.o.OpenDMARC = false, filepath.Join(s.dir, "opendmarc.conf")
	r, err := s.run(nil)
	if err != nil || len(r.Faults) > 0 {
		t.Fatalf("%v, %+v", err, r)
	}
	cfg, err := config.Load(s.o.Config)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Policy.DMARC.Reject.String(); got != "reject" ||
		cfg.AuthservID != "mail.example.com" || !signsFor(cfg, "example.com") {
		t.Errorf("p_reject %s, %s\n%s", got, cfg.AuthservID, s.read("etc/mailseal.toml"))
	}
	if todo := strings.Join(r.Todo, "\n"); !strings.Contains(todo, "disable --now opendmarc") {
		t.Errorf("todo: %s", todo)
	}
	s.write("opendmarc.conf", "RejectFailures perhaps\n")
	if err := os.Remove(s.o.Config); err != nil {
		t.Fatal(err)
	}
	if _, err := s.run(nil); err == nil || !strings.Contains(err.Error(), "opendmarc.conf") {
		t.Errorf("with a mistake: %v", err)
	}
}
