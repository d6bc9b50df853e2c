package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config"
)

// TestFilePerDomain reads files with "%" in their paths.
func TestFilePerDomain(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		domain     string
		file       string // of the key k
		want       string // in the error
	}{
		{"of the author", "[keys.k]\nselector = \"s\"\nfile = \"/k/%/s.pem\"\n[[sign]]\nfrom = " +
			"[\"*\"]\nkeys = [\"k\"]\n",
			"%", "/k/%/s.pem", ""},
		{"of the key", "[keys.k]\ndomain = \"example.com\"\nselector = \"s\"\nfile = " +
			"\"/k/%/s.pem\"\n[[sign]]\nfrom = [\"*@example.com\"]\nkeys = [\"k\"]\n",
			"example.com", "/k/example.com/s.pem", ""},
		{"one domain for all", "[keys.k]\nselector = \"s\"\nfile = " +
			"\"/k/%/s.pem\"\n[[sign]]\nfrom = [\"*\"]\nkeys = [\"k\"]\ndomain = \"example.com\"\n",
			"", "", "is different for each author"},
		{"for seals", "[keys.k]\nselector = \"s\"\nfile = \"/k/%/s.pem\"\n[seal]\nkey = " +
			"\"k\"\ndomain = \"example.com\"\n",
			"", "", "a seal needs a key of one domain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "authserv_id = \"mx.example.com\"\n" + tt.text
			cfg, err := config.Parse(filepath.Join(t.TempDir(), "mailseal.toml"), []byte(text))
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want an error with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if k := cfg.Keys["k"]; k.Domain != tt.domain || k.File != tt.file {
				t.Errorf("got domain %q, file %q, want %q, %q", k.Domain, k.File, tt.domain,
					tt.file)
			}
		})
	}
}
