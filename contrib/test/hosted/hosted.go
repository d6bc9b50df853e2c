// Package hosted makes databases with the keys of a hoster for tests, and sends mail of its domains
// through a daemon that signs with them.
package hosted

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

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	_ "mailseal/keys/keysql" // the drivers
	"mailseal/milter/dns/dnstest"
)

// Domains is how many domains the databases have, d0.example and up. Domain i has a key of its own,
// selector s.
const Domains = 40

// Key returns the key of a domain.
func Key(i int) keys.Key {
	seed := bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize)
	return keys.Key{Domain: fmt.Sprintf("d%d.example", i), Selector: "s",
		Signer: ed25519.NewKeyFromSeed(seed)}
}

// Zone publishes the keys of all domains.
func Zone(t testing.TB) *dnstest.Zone {
	t.Helper()
	zone := dnstest.Must("")
	for i := range Domains {
		record, err := Key(i).Record(keys.RecordOptions{})
		if err != nil {
			t.Fatal(err)
		}
		zone.AddTXT(record.Name, record.Text)
	}
	return zone
}

// Fill makes the tables of a file of contrib/sql, with a key and a row of the signing table for
// each domain.
func Fill(t testing.TB, driver, dsn, schema string) {
	t.Helper()
	top, err := rig.Repository()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(top, "contrib/sql", schema))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
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
	for i := range Domains {
		k := Key(i)
		seed := base64.StdEncoding.EncodeToString(k.Signer.(ed25519.PrivateKey).Seed())
		exec(fmt.Sprintf("INSERT INTO dkim_keys VALUES ('k%d', '%s', 's', '%s')", i, k.Domain,
			seed))
		exec(fmt.Sprintf("INSERT INTO dkim_signing VALUES ('%s', '', 'k%d')", k.Domain, i))
	}
}

// SQLite makes a database in a file, and returns the file's name.
func SQLite(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.db")
	Fill(t, "sqlite", path, "sqlite.sql")
	return path
}

const config = `
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

// Config returns a mailseal.toml that signs with the keys of a database. The daemon listens at the
// socket s in a directory; settings are further ones of [sources.hosting].
func Config(dir, driver, dsn, settings string) string {
	return fmt.Sprintf(config, dir, driver, dsn, settings)
}
