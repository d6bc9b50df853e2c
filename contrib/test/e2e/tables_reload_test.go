package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// reload has Mailseal read its files again, wants it to take them or not, and returns what it logs
// meanwhile.
func (r rival) reload(t *testing.T, want bool) string {
	t.Helper()
	before := len(r.daemon.Output())
	got := r.daemon.Reload(t)
	said := r.daemon.Output()[before:]
	if got != want {
		t.Fatalf("reloaded: %v, want %v; the log says:\n%s", got, want, said)
	}
	return said
}

// TestTablesReload holds that OpenDKIM's own tables, by name, take effect at a reload as they are
// then; while one is broken or gone the old ones stay in effect, and the log names its file and
// line.
func TestTablesReload(t *testing.T) {
	for _, tt := range []struct{ kind, everybody string }{{"file", ""}, {"refile", "*@"}} {
		t.Run(tt.kind, func(t *testing.T) {
			line := func(domain, key string) string {
				return tt.everybody + domain + " " + key + "\n"
			}
			m := newMoved(t, "k1 example.com:s1:DIR/key.pem\n", line("example.com", "k1"), "")
			r := m.native(t, tt.kind, `"127.0.0.1"`)
			mails := []sent{{"u@example.com", "a@elsewhere.example"},
				{"u@example.org", "a@elsewhere.example"}}
			signed := func(when string, want ...string) {
				t.Helper()
				if got := r.answers(t, client{address: "127.0.0.1", name: "localhost"},
					mails); !slices.Equal(got, want) {
					t.Errorf("%s: got %q, want %q", when, got, want)
				}
			}
			table := func(name, text string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text),
					0o600); err != nil {
					t.Fatal(err)
				}
			}
			signed("at the start", "example.com/s1", "")

			table("KeyTable", "k1 example.com:s2:./key.pem\nk2 example.org:s3:./key.pem\n")
			table("SigningTable", line("example.com", "k1")+line("example.org", "k2:@example.org"))
			signed("before a reload", "example.com/s1", "")
			r.reload(t, true)
			signed("after a reload", "example.com/s2", "example.org/s3/@example.org")

			table("SigningTable", "# broken\n"+line("example.com", "nokey"))
			if said := r.reload(t, false); !strings.Contains(said, "SigningTable:2: ") ||
				!strings.Contains(said, "nokey") {
				t.Errorf("a line without its key: the log says %s", said)
			}
			signed("with a broken signing table", "example.com/s2", "example.org/s3/@example.org")

			table("SigningTable", line("example.com", "k1"))
			table("KeyTable", "k1 example.com\n")
			if said := r.reload(t, false); !strings.Contains(said, "KeyTable:1: ") {
				t.Errorf("a broken key: the log says %s", said)
			}
			signed("with a broken key table", "example.com/s2", "example.org/s3/@example.org")

			if err := os.Remove(filepath.Join(m.dir, "KeyTable")); err != nil {
				t.Fatal(err)
			}
			if said := r.reload(t, false); !strings.Contains(said, "KeyTable: no such file") {
				t.Errorf("no key table: the log says %s", said)
			}
			signed("without a key table", "example.com/s2", "example.org/s3/@example.org")

			table("KeyTable", "k1 example.com:s4:./key.pem\n")
			if said := r.reload(t, false); !strings.Contains(said, "example.org") {
				t.Errorf("a domain that signed is in no table: the log says %s", said)
			}
			signed("with tables that were cut off", "example.com/s2", "example.org/s3/@example.org")

			table("KeyTable", "k1 example.com:s4:./key.pem\nk2 example.org:s5:./key.pem\n")
			table("SigningTable", line("example.com", "k1")+line("example.org", "k2:@example.org"))
			r.reload(t, true)
			signed("once all is well", "example.com/s4", "example.org/s5/@example.org")
		})
	}
}
