package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckDomainKeys checks keys of which each domain has its own file.
func TestCheckDomainKeys(t *testing.T) {
	text := strings.NewReplacer(
		`[keys."s._domainkey.example.com"]`, `[keys."s._domainkey.%"]`,
		`file = "s.pem"`, `file = "keys/%/s.pem"`,
		`from = "example.com"`, `from = "*"`,
		`keys = "s._domainkey.example.com"`, `keys = "s._domainkey.%"`,
	).Replace(goodConfig)
	for _, tt := range []struct {
		name    string
		domains string // that have a key, one a word
		zone    string
		args    []string
		code    int
		want    string
	}{
		{"all of them", "example.com example.net", "RECORD example.com\nRECORD example.net\n", nil,
			exitGood, "2 of 2 records good"},
		{"one is not published", "example.com example.net", "RECORD example.com\n", nil, exitBad,
			"error: s._domainkey.example.net: there is no TXT record"},
		{"one alone", "example.com example.net", "RECORD example.com\n",
			[]string{"--domain", "example.com"}, exitGood, "1 of 1 records good"},
		{"one that has none", "example.com", "RECORD example.com\n",
			[]string{"--domain", "example.org"}, exitBad, "no key signs for example.org"},
		{"no directory", "", "", nil, exitBad, "Mailseal cannot know which domains have a key there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := configured(t, text)
			dir := filepath.Dir(path)
			key, err := os.ReadFile(filepath.Join(dir, "s.pem"))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range strings.Fields(tt.domains) {
				if err := os.MkdirAll(filepath.Join(dir, "keys", d), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "keys", d, "s.pem"), key,
					0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"check", "--config", path, "--zone",
				zoneBeside(t, path, tt.zone)}, tt.args...)
			out, code := runCommand(t, args...)
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("got code %d and\n%swant code %d and %q", code, out, tt.code, tt.want)
			}
		})
	}
}
