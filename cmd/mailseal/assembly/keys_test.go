package assembly

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/config"
	"mailseal/keys/keyfile"
)

// good is the seed of an Ed25519 key.
const good = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// TestAnyKey has configurations start with one good key among bad ones, and with none refuses them.
func TestAnyKey(t *testing.T) {
	for _, tc := range []struct {
		name      string
		good, bad int
		says      []string
	}{
		{"no keys", 0, 0, nil},
		{"one good", 1, 0, nil},
		{"one good among bad", 1, 3, nil},
		{"one bad", 0, 1, []string{"no key can sign", "b0._domainkey.example.com"}},
		{"many bad", 0, keysNamed + 5, []string{"no key can sign", "b0._domainkey.example.com", "and others"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := &config.Config{Keys: map[string]config.Key{}}
			add := func(prefix, key string, n int) {
				for i := range n {
					name := fmt.Sprintf("%s%d._domainkey.example.com", prefix, i)
					cfg.Keys[name] = config.Key{Domain: "example.com", Selector: prefix,
						PrivateKey: config.Secret(key)}
				}
			}
			add("b", "x", tc.bad)
			add("good", good, tc.good)
			p := &Parts{Config: cfg, Keys: FileKeys(t.Context(), cfg, nil)}
			err := p.AnyKey(t.Context())
			if (err != nil) != (tc.says != nil) {
				t.Fatalf("got %v, want an error: %v", err, tc.says != nil)
			}
			if err == nil {
				return
			}
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("says\n%v\nwithout %q", err, s)
				}
			}
			if n := strings.Count(err.Error(), "_domainkey"); n > 2*keysNamed {
				t.Errorf("names keys %d times", n)
			}
		})
	}
}

// TestFileKeysWait takes the files away once a reload has made its keys: it has read all of them,
// so that none is missing after the swap.
func TestFileKeysWait(t *testing.T) {
	dir := t.TempDir()
	cfg := &config.Config{Keys: map[string]config.Key{}}
	for i := range 1200 {
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Keys[fmt.Sprint(i)] = config.Key{Domain: "example.com", Selector: "s", File: file}
	}
	old := &Parts{Keys: keyfile.New(t.Context(), nil, keyfile.Options{})}
	source := FileKeys(t.Context(), cfg, old)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name := range cfg.Keys {
		if _, err := source.Key(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}
