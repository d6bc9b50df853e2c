package main

import (
	"bytes"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/keys"
)

// hosted is how many domains the tests' databases have, d0.example and up. Domain i has a key of its own, selector s.
const hosted = 40

func hostedKey(i int) keys.Key {
	return keys.Key{Domain: fmt.Sprintf("d%d.example", i), Selector: "s", Signer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32))}
}

// fillDatabase makes the tables of contrib/sql with all domains but the last, whose signing row names a key that is not
// there, and one that has none.
func fillDatabase(t *testing.T, driver, dsn, schema string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	text, err := os.ReadFile(filepath.Join("../../contrib/sql", schema))
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if strings.Contains(statement, "CREATE") {
			exec(statement)
		}
	}
	for i := range hosted {
		k := hostedKey(i)
		seed := base64.StdEncoding.EncodeToString(k.Signer.(ed25519.PrivateKey).Seed())
		exec(fmt.Sprintf("INSERT INTO dkim_keys VALUES ('k%d', '%s', 's', '%s')", i, k.Domain, seed))
		exec(fmt.Sprintf("INSERT INTO dkim_signing VALUES ('%s', '', 'k%d')", k.Domain, i))
	}
}

const sourcesConfig = `
authserv_id = "mx.example.com"
mode = ["sign"]
[[listen]]
address = "unix:%s/s"
[sources.hosting]
driver = "%s"
dsn = "%s"
key_query = "SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1"
signing_query = "SELECT key_name FROM dkim_signing WHERE domain = $1 AND login IN ('', $2)"
timeout = "1s"
%s
[[sign]]
source = "hosting"
`

// sqliteFile makes a database in a file.
func sqliteFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.db")
	fillDatabase(t, "sqlite", path, "sqlite.sql")
	return path
}

// Keys of sources in the key table, in rules with and without keys, and for the command sign.
func TestSourceKeys(t *testing.T) {
	path := sqliteFile(t)
	for _, tc := range []struct {
		name, table, want string
	}{
		{"a rule without keys", "[[sign]]\nsource = \"hosting\"", "d=d7.example; s=s;"},
		{"a rule with keys of a source", "[[sign]]\nfrom = [\"*\"]\nsource = \"hosting\"\nkeys = [\"k8\"]", "d=d8.example; s=s;"},
		{"the key table", "[keys.k9]\nsource = \"hosting\"\n[[sign]]\nfrom = [\"*\"]\nkeys = [\"k9\"]", "d=d9.example; s=s;"},
		{"the key table says more", "[keys.k9]\nsource = \"hosting\"\nselector = \"other\"\ndomain = \"%\"\n[[sign]]\nfrom = [\"*\"]\nkeys = [\"k9\"]", "d=d7.example; s=other;"},
		{"no such key", "[keys.gone]\nsource = \"hosting\"\n[[sign]]\nfrom = [\"*\"]\nkeys = [\"gone\"]", ""},
		{"no key for the sender", "[[sign]]\nfrom = [\"*@d7.example\"]\nsource = \"hosting\"\nkeys = [\"gone\"]", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mailseal.toml")
			text := strings.Replace(fmt.Sprintf(sourcesConfig, t.TempDir(), "sqlite", path, ""), "[[sign]]\nsource = \"hosting\"\n", tc.table, 1)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			f := signFlags{config: file}
			var out bytes.Buffer
			err := f.run(t.Context(), "-", strings.NewReader("From: joe@d7.example\n\nbody\n"), &out)
			if tc.want == "" {
				if codeOf(err) != exitUnknown || out.Len() != 0 {
					t.Errorf("wrote %q, %v", &out, err)
				}
				return
			}
			if err != nil || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), tc.want) {
				t.Errorf("got %q, %v; want %s", &out, err, tc.want)
			}
		})
	}
}

func TestCheckSources(t *testing.T) {
	path := sqliteFile(t)
	for _, tc := range []struct {
		name, dsn, old, new string
		code                int
		says                []string
	}{
		{"good", path, "mode", "mode", 0, []string{"source hosting: sqlite answers key_query and signing_query"}},
		{"away", "/nonexistent/keys.db", "mode", "mode", exitBad, []string{"sources.hosting", "key_query", "the file /nonexistent/keys.db does not exist"}},
		{"a wrong query", path, "private_key FROM", "secret FROM", exitBad, []string{"sources.hosting", "key_query", "secret"}},
		{"a key that is there", path, "[[sign]]", "[keys.k1]\nsource = \"hosting\"\n[[sign]]", 0, []string{"keys: 1"}},
		{"a key that is not", path, "[[sign]]", "[keys.kk]\nsource = \"hosting\"\n[[sign]]", exitBad, []string{"keys.kk.source", "no such key"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mailseal.toml")
			text := strings.Replace(fmt.Sprintf(sourcesConfig, t.TempDir(), "sqlite", tc.dsn, ""), tc.old, tc.new, 1)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := (&checkFlags{config: file}).run(t.Context(), &out)
			if codeOf(err) != tc.code {
				t.Errorf("exit code %d, want %d: %v", codeOf(err), tc.code, err)
			}
			for _, s := range tc.says {
				if !strings.Contains(out.String(), s) {
					t.Errorf("says\n%s\nwithout %q", &out, s)
				}
			}
		})
	}
}
