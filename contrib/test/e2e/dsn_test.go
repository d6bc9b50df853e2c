package e2e

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
)

// TestImportedDSN imports tables of OpenDKIM's that are in a real database, completes the sketch of
// the source as its comment says, and has mail signed with it: by address, by domain and by "*",
// with keys in the column and in files that it names.
func TestImportedDSN(t *testing.T) {
	for _, tt := range []struct {
		name, driver, backend string
		start                 func(testing.TB) *rig.Database
		login, base           string
	}{
		{"PostgreSQL", "pgx", "pgsql", rig.Postgres, "mailseal:hunter2", "postgres"},
		{"MariaDB", "mysql", "mysql", rig.MariaDB, "mailseal:hunter2", "mail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, dir := tt.start(t), t.TempDir()
			db, err := sql.Open(tt.driver, server.DSN)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			text, err := keys.Marshal(made.key(t, "dsn", keys.RSA))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "keys", "file.pem")
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, statement := range []string{
				"CREATE TABLE dkim_keys (id VARCHAR(99), domain VARCHAR(99), selector " +
					"VARCHAR(99), keypath TEXT, active INT)",
				"CREATE TABLE dkim_signing (author VARCHAR(99), keyname VARCHAR(99))",
				fmt.Sprintf("INSERT INTO dkim_keys VALUES ('k1', 'a.example', 'column', '%s', "+
					"1), ('k2', 'b.example', 'file', '%s', 1), "+
					"('k3', 'x.example', 'everybody', '%s', 1), ('k1', 'a.example', 'old', 'gone', 0)",
					text, file, file),
				"INSERT INTO dkim_signing VALUES ('a.example', 'k1'), ('b.example', 'k1'), " +
					"('boss@b.example', 'k2'), ('*', 'k3')",
			} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			host, port, _ := net.SplitHostPort(server.Address())
			at := fmt.Sprintf("dsn:%s://%s@%s+%s/%s/table=", tt.backend, tt.login, port, host,
				tt.base)
			conf := filepath.Join(dir, "opendkim.conf")
			lines := "Socket inet:8891@localhost\nMode s\nAuthservID mx.example.com\n" +
				"KeyTable " + at + "dkim_keys?keycol=id?datacol=domain,selector,keypath?filter=active=1\n" +
				"SigningTable " + at + "dkim_signing?keycol=author?datacol=keyname\n"
			if err := os.WriteFile(conf, []byte(lines), 0o600); err != nil {
				t.Fatal(err)
			}
			if said := rig.Run(t, "import-opendkim", "--conf", conf, "--out",
				filepath.Join(dir, "out")); said.Code != 0 {
				t.Fatalf("%+v", said)
			}
			path := filepath.Join(dir, "out", "mailseal.toml")
			completeSketch(t, path, "hunter2", filepath.Join(dir, "keys"))
			if said := rig.Run(t, "check", "--config", path, "--no-mta"); said.Code != 0 ||
				!strings.Contains(said.Stdout, "answers key_query and signing_query") {
				t.Errorf("check: %+v", said)
			}
			for author, want := range map[string]string{
				"joe@a.example": "d=a.example; s=column", "boss@b.example": "d=b.example; s=file",
				"joe@b.example": "d=a.example; s=column", "joe@c.example": "d=x.example; s=everybody",
			} {
				said := rig.RunWith(t, []byte("From: "+author+"\r\nSubject: s\r\n\r\nhi\r\n"),
					"sign", "--config", path)
				if flat := strings.Join(strings.Fields(said.Stdout), " "); said.Code != 0 ||
					!strings.Contains(flat, want) {
					t.Errorf("%s: want %s: %+v", author, want, said)
				}
			}
		})
	}
}

// completeSketch does what the sketch's comment says.
func completeSketch(t *testing.T, path, password, dir string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	inSketch := false
	for line := range strings.Lines(string(text)) {
		inSketch = inSketch || strings.HasPrefix(line, "# [sources")
		if rest, ok := strings.CutPrefix(line, "#"); ok && inSketch {
			line = strings.TrimPrefix(rest, " ")
		}
		line = strings.ReplaceAll(line, "PASSWORD", password)
		b.WriteString(strings.ReplaceAll(line, "/etc/opendkim/keys", dir))
	}
	if !inSketch {
		t.Fatalf("no sketch in\n%s", text)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
