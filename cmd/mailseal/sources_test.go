package main

import (
	"bytes"
	"mailseal/contrib/test/hosted"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Keys of sources in the key table, in rules with and without keys, and for the command sign.
func TestSourceKeys(t *testing.T) {
	path := hosted.SQLite(t)
	for _, tc := range []struct {
		name, table, want string
	}{
		{"a rule without keys", "[[sign]]\nsource = \"hosting\"", "d=d7.example; s=s;"},
		{"a rule with keys of a source",
			"[[sign]]\nfrom = [\"*\"]\nsource = \"hosting\"\nkeys = [\"k8\"]",
			"d=d8.example; s=s;"},
		{"the key table", "[keys.k9]\nsource = \"hosting\"\n[[sign]]\nfrom = [\"*\"]\nkeys = [\"k9\"]",
			"d=d9.example; s=s;"},
		{"the key table says more", "[keys.k9]\nsource = \"hosting\"\nselector = " +
			"\"other\"\ndomain = \"%\"\n[[sign]]\nfrom = [\"*\"]\nkeys = [\"k9\"]",
			"d=d7.example; s=other;"},
		{"no such key", "[keys.gone]\nsource = \"hosting\"\n[[sign]]\nfrom = [\"*\"]\nkeys = [\"gone\"]", ""},
		{"no key for the sender", "[[sign]]\nfrom = [\"*@d7.example\"]\nsource = \"hosting\"\nkeys = [\"gone\"]", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mailseal.toml")
			text := strings.Replace(hosted.Config(t.TempDir(), "sqlite", path, ""),
				"[[sign]]\nsource = \"hosting\"\n", tc.table, 1)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			f := signFlags{config: file}
			var out bytes.Buffer
			err := f.run(t.Context(), "-", strings.NewReader("From: joe@d7.example\n\nbody\n"),
				&out)
			if tc.want == "" {
				if codeOf(err) != exitUnknown || out.Len() != 0 {
					t.Errorf("wrote %q, %v", &out, err)
				}
				return
			}
			if err != nil || !strings.Contains(strings.Join(strings.Fields(out.String()), " "),
				tc.want) {
				t.Errorf("got %q, %v; want %s", &out, err, tc.want)
			}
		})
	}
}

func TestCheckSources(t *testing.T) {
	path := hosted.SQLite(t)
	for _, tc := range []struct {
		name, dsn, old, new string
		code                int
		says                []string
	}{
		{"good", path, "mode", "mode", 0, []string{"source hosting: sqlite answers key_query and signing_query"}},
		{"away", "/nonexistent/keys.db", "mode", "mode", exitBad, []string{"sources.hosting",
			"key_query", "the file /nonexistent/keys.db does not exist"}},
		{"a wrong query", path, "private_key FROM", "secret FROM", exitBad,
			[]string{"sources.hosting", "key_query", "secret"}},
		{"a key that is there", path, "[[sign]]", "[keys.k1]\nsource = \"hosting\"\n[[sign]]", 0, []string{"keys: 1"}},
		{"a key that is not", path, "[[sign]]", "[keys.kk]\nsource = \"hosting\"\n[[sign]]",
			exitBad, []string{"keys.kk.source", "no such key"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mailseal.toml")
			text := strings.Replace(hosted.Config(t.TempDir(), "sqlite", tc.dsn, ""), tc.old,
				tc.new, 1)
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
