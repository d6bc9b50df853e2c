package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/test/hosted"
	"mailseal/contrib/test/rig"
)

func TestSQLImport(t *testing.T) {
	rig.Build(t)
	for _, tc := range []struct {
		name, driver, sql, schema string
		dsn                       func(*testing.T) string
	}{
		{"SQLite", "sqlite", "sqlite", "sqlite.sql",
			func(t *testing.T) string { return filepath.Join(t.TempDir(), "keys.db") }},
		{"PostgreSQL", "postgres", "pgx", "postgresql.sql", func(t *testing.T) string { return rig.Postgres(t).DSN }},
		{"MariaDB", "mysql", "mysql", "mysql.sql", func(t *testing.T) string { return rig.MariaDB(t).DSN }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dsn := tc.dsn(t)
			hosted.Fill(t, tc.sql, dsn, tc.schema)
			file := filepath.Join(t.TempDir(), "mailseal.toml")
			if err := os.WriteFile(file, []byte(hosted.Config(t.TempDir(), tc.driver, dsn, "")),
				0o600); err != nil {
				t.Fatal(err)
			}
			dir := hosted.KeyDirectory(t)
			// the second time there is nothing to do
			for _, want := range []string{"keys: 3, added: 3\n", "keys: 3, added: 0\n"} {
				if said := rig.Run(t, "sql-import", "--config", file, "--source", "hosting",
					dir); said.Code != 0 || !strings.HasSuffix(said.Stdout, want) {
					t.Errorf("said %+v; want %q", said, want)
				}
			}
			for author, want := range map[string]string{"one.example": "d=one.example; s=mail;",
				"ONE-more.example":      "d=one-more.example; s=2026;",
				"xn--bcher-kva.example": "d=xn--bcher-kva.example; s=mail;"} {
				signed := rig.RunWith(t, []byte("From: joe@"+author+"\n\nbody\n"), "sign",
					"--config", file)
				if signed.Code != 0 || !strings.Contains(strings.Join(strings.Fields(signed.Stdout),
					" "), want) {
					t.Errorf("%s: %+v; want %s", author, signed, want)
				}
			}
		})
	}
}
