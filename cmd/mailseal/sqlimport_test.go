package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/keyring"
	"mailseal/contrib/test/hosted"
)

func importSQL(t *testing.T, path, dir string, o keyring.ImportOptions, out io.Writer) error {
	t.Helper()
	cfg, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	return keyring.ImportSQL(t.Context(), cfg, dir, o, out)
}

// Nothing is imported by halves.
func TestSQLImportRefuses(t *testing.T) {
	path := hosted.SQLite(t)
	file := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(file, []byte(hosted.Config(t.TempDir(), "sqlite", path, "")),
		0o600); err != nil {
		t.Fatal(err)
	}
	dir := hosted.KeyDirectory(t)
	if err := os.WriteFile(filepath.Join(dir, "one.example", "broken.pem"), []byte("no key"),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, dir, source string
		code              int
	}{
		{"a broken key", dir, "hosting", exitBad},
		{"no keys", t.TempDir(), "hosting", exitBad},
		{"no such source", dir, "hostign", exitUsage},
	} {
		var out bytes.Buffer
		if err := importSQL(t, file, tc.dir, keyring.ImportOptions{Source: tc.source},
			&out); codeOf(err) != tc.code || out.Len() > 0 {
			t.Errorf("%s: wrote %q, %v; want code %d", tc.name, &out, err, tc.code)
		}
	}
}

// Keys that belong to no domain are not skipped in silence.
func TestSQLImportLooseKeys(t *testing.T) {
	path := hosted.SQLite(t)
	file := filepath.Join(t.TempDir(), "mailseal.toml")
	if err := os.WriteFile(file, []byte(hosted.Config(t.TempDir(), "sqlite", path, "")),
		0o600); err != nil {
		t.Fatal(err)
	}
	dir := hosted.KeyDirectory(t)
	for _, name := range []string{"loose.pem", "one.example/old/mail.pem"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("L", 42)+"A="),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	err := importSQL(t, file, dir, keyring.ImportOptions{Source: "hosting"}, &out)
	if codeOf(err) != exitBad || !strings.Contains(err.Error(),
		"loose.pem: its domain is not known; use --domain") || out.Len() > 0 {
		t.Errorf("without a domain: wrote %q, %v", &out, err)
	}
	err = importSQL(t, file, dir, keyring.ImportOptions{Source: "hosting", Domain: "Loose.example"},
		&out)
	for _, want := range []string{"keys: 4, added: 4\n", "added loose._domainkey.loose.example\n",
		"skipped " + dir + "/one.example/old/mail.pem"} {
		if err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("wrote %q, %v; want %q", &out, err, want)
		}
	}
}
