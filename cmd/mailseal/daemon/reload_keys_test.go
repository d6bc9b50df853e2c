package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keySite is a site whose rules have their keys in files.
func keySite(t *testing.T, names ...string) *lossSite {
	return newLossSite(t, 0, func(s *lossSite) {
		text := s.head() + fmt.Sprintf(lossListen, s.dir)
		for _, name := range names {
			s.write(name+".pem", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
			text += fmt.Sprintf("[[sign]]\nfrom = [\"*@%[1]s\"]\nkeys = [\"s._domainkey.%[1]s\"]\n"+
				"[keys.\"s._domainkey.%[1]s\"]\nfile = %[2]q\n", name,
				filepath.Join(s.dir, name+".pem"))
		}
		s.write("mailseal.toml", text)
		s.domains = names
	})
}

// TestReloadWithoutKeyFile wants a reload to warn of a key whose file is gone, and to be refused
// where the daemon could not start with the files as they are.
func TestReloadWithoutKeyFile(t *testing.T) {
	s := keySite(t, "one.example", "two.example")
	hide := func(name string) {
		if err := os.Remove(filepath.Join(s.dir, name+".pem")); err != nil {
			t.Fatal(err)
		}
	}
	hide("one.example")
	said, err := s.daemon.reload(t.Context(), false)
	all := strings.Join(said, "\n")
	if err != nil || !strings.Contains(all, "key s._domainkey.one.example: ") ||
		!strings.Contains(all, "until the daemon is restarted") {
		t.Errorf("one file of two: %v, %q", err, said)
	}
	hide("two.example")
	if _, err = s.daemon.reload(t.Context(), false); !errors.Is(err, ErrRefused) ||
		!strings.Contains(err.Error(), "one.example.pem") {
		t.Errorf("no file: got %v, want a refusal that names the files", err)
	}
	if lost := s.unsigned(); len(lost) > 0 {
		t.Errorf("unsigned after the refusal: %q", lost)
	}
	if _, err = s.daemon.reload(t.Context(), true); err != nil {
		t.Errorf("accepted: %v", err)
	}
}

// TestReloadWithoutManagedKey wants a reload to warn of an active key of the state directory whose
// file is gone, or is no key, whether or not the key is in memory.
func TestReloadWithoutManagedKey(t *testing.T) {
	for _, inMemory := range []bool{true, false} {
		s := newLossSite(t, 0, func(s *lossSite) {
			makeManaged(s.t, s.dir, "one.example")
			s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+
				"[[sign]]\nfrom = [\"*@one.example\"]\nmanaged = \"one.example\"\n")
		})
		want := "handled by on_key_error"
		if inMemory {
			want = "the key in memory stays in use until the daemon is restarted"
			s.domains = []string{"one.example"}
			if lost := s.unsigned(); len(lost) > 0 {
				t.Fatalf("unsigned before: %q", lost)
			}
		}
		found, err := filepath.Glob(filepath.Join(s.dir, "keys", "one.example", "*"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%q, %v", found, err)
		}
		if err := os.WriteFile(found[0], []byte("truncated"), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := s.daemon.reload(t.Context(), false)
		if all := strings.Join(said, "\n"); err != nil || !strings.Contains(all, want) ||
			!strings.Contains(s.log.String(), "cannot be read from state_directory") {
			t.Errorf("in memory %v: %v, %q", inMemory, err, said)
		}
	}
}
