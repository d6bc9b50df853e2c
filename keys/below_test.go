package keys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseBelow(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "keys")
	signer, err := Generate(Ed25519, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Marshal(signer)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		"keys/a.example/mail.pem": text, "secret.pem": text, "keys/bad.pem": []byte("?"),
	} {
		path = filepath.Join(top, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"out.pem": "../secret.pem", "far.pem": filepath.Join(top, "secret.pem"),
		"in.pem": "a.example/mail.pem", "up": "..",
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, text, dir string
		want            string // in the error; "": a key
	}{
		{"a key", string(text), dir, ""},
		{"a key, no directory", string(text), "", ""},
		{"relative", "a.example/mail.pem", dir, ""},
		{"absolute and below", dir + "/a.example/mail.pem", dir, ""},
		{"with the prefix of tables", "file:" + dir + "/a.example/mail.pem\n", dir, ""},
		{"a link that stays inside", "in.pem", dir, ""},
		{"no directory", "/etc/opendkim/keys/mail.private", "", "/etc/opendkim/keys/mail.private"},
		{"no directory, relative", "a.example/mail.pem", "", "key_dir"},
		{"elsewhere", filepath.Join(top, "secret.pem"), dir, "not below"},
		{"a neighbour of the same beginning", dir + "s/mail.pem", dir, "not below"},
		{"up", "../secret.pem", dir, "escapes"},
		{"up behind the directory", dir + "/../secret.pem", dir, "escapes"},
		{"a link that leads out", "out.pem", dir, "escapes"},
		{"an absolute link that leads out", "far.pem", dir, "escapes"},
		{"a link on the way", "up/secret.pem", dir, "escapes"},
		{"missing", "b.example/mail.pem", dir, "b.example/mail.pem"},
		{"a directory", dir + "/a.example", dir, "directory"},
		{"no key in it", "bad.pem", dir, "bad.pem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseBelow([]byte(tt.text), tt.dir)
			switch {
			case tt.want == "" && (err != nil || got == nil):
				t.Errorf("got %v, want a key", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// A broken key is not taken for a path: an error would show it.
func TestParseBelowHidesKeys(t *testing.T) {
	const broken = "/MC4CAQAwBQYDK2VwBCIEIO/9Pq1KyZ/fVQnJ8vF8E2KQ0yL5R8/broken"
	_, err := ParseBelow([]byte(broken), t.TempDir())
	if !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), "MC4CAQ") {
		t.Errorf("got %v", err)
	}
}
