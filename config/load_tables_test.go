package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/config"
)

// nativeTables writes tables and a configuration that names them, and returns the configuration's
// path.
func nativeTables(t *testing.T, settings, keyTable, signingTable string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mailseal.toml": "authserv_id = \"mx.example.com\"\n" + settings, "key.table": keyTable,
		"signing.table": signingTable,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "mailseal.toml")
}

const named = "key_table = \"file:key.table\"\nsigning_table = \"%s:signing.table\"\n"

func TestNativeTables(t *testing.T) {
	const keyTable = "k1 example.com:s1:./k1.pem\nk2 %:s2:/k/2.pem\n"
	const signingTable = "*@example.com k1\nexample.com k2:@%\n* k2\n"
	for _, tt := range []struct {
		kind string
		want []string // the patterns and keys of each rule
		warn string
	}{
		{"refile", []string{"*@example.com k1", "* k2"},
			"signing.table:2: signing_table: example.com matches no sender"},
		{"file", []string{"*@example.com k2 @%", "* k2"},
			"signing.table:1: signing_table: *@example.com matches no sender"},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			path := nativeTables(t, fmt.Sprintf(named, tt.kind), keyTable, signingTable)
			c, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range c.Sign {
				got = append(got, strings.TrimSpace(strings.Join(r.From, ",")+" "+
					strings.Join(r.Keys, ",")+" "+r.Identifier))
				if r.Canonicalization != "relaxed/relaxed" || len(r.Headers) == 0 {
					t.Errorf("a rule lacks the options of [signing]: %+v", r)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("rules: got %q, want %q", got, tt.want)
			}
			if k := c.Keys["k1"]; k.Domain != "example.com" || k.Selector != "s1" ||
				k.File != filepath.Join(filepath.Dir(path), "k1.pem") {
				t.Errorf("key: got %+v", k)
			}
			if p := c.Keys["k2"].Problem("file", "gone"); !strings.HasSuffix(p.Error(),
				"key.table:2: key_table: gone") {
				t.Errorf("a problem with a key: got %s", p)
			}
			if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0].Error(), tt.warn) ||
				!strings.Contains(c.Warnings[1].Text, "localhost") {
				t.Errorf("warnings: got %v, want one with %q and one about localhost", c.Warnings,
					tt.warn)
			}
		})
	}
}

// TestNativeMultiple holds that multiple_signatures with multiple_signatures all lines sign, each
// by a rule of its own, and defers a message whose keys do not all work, as OpenDKIM does.
func TestNativeMultiple(t *testing.T) {
	const keyTable = "k1 example.com:s1:/k1.pem\nk2 example.com:s2:/k2.pem\nk3 org:s3:/k3.pem\n"
	const signingTable = "*@example.com k1\n*@* k2:@%\n*@example.org k3\n"
	for _, tt := range []struct {
		name, settings string
		match          config.Match
		want           string // keys and on_key_error of the rules
	}{
		{"first", "", config.MatchFirst, "k1 skip, k2 skip"},
		{"OpenDKIM's name", "multiple_signatures = true\n", config.MatchAll, "k1 tempfail, k2 tempfail, k3 accept"},
		{"Mailseal's name", "signing.match = \"all\"\n", config.MatchAll, "k1 tempfail, k2 tempfail, k3 accept"},
		{"on_key_error of the file", "multiple_signatures = true\nsigning.on_key_error = \"reject\"\n",
			config.MatchAll, "k1 reject, k2 reject, k3 accept"},
	} {
		c, err := config.Load(nativeTables(t, tt.settings+fmt.Sprintf(named, "refile"), keyTable,
			signingTable))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, r := range c.Sign {
			got = append(got, fmt.Sprintf("%s %v", strings.Join(r.Keys, "+"), r.OnKeyError))
		}
		if strings.Join(got, ", ") != tt.want || c.Signing.Match != tt.match {
			t.Errorf("%s: got %q, match %q; want %s, match %q", tt.name, got, c.Signing.Match,
				tt.want, tt.match)
		}
	}
	contrary := "multiple_signatures = true\nsigning.match = \"first\"\n" +
		fmt.Sprintf(named, "refile")
	if _, err := config.Load(nativeTables(t, contrary, keyTable, signingTable)); err == nil ||
		!strings.Contains(err.Error(),
			"signing.match: is \"first\", but with multiple_signatures") {
		t.Errorf("match = first beside multiple_signatures: got %v", err)
	}
}

func TestNativeMistakes(t *testing.T) {
	for _, tt := range []struct{ name, settings, keyTable, signingTable, want string }{
		{"no such key", fmt.Sprintf(named, "file"), "K1 example.com:s:/k\n", "example.com k1\n",
			"signing.table:1: key_table: key \"k1\": not in KeyTable"},
		{"corrupt key", fmt.Sprintf(named, "file"), "# keys\nk1 example.com:s\n",
			"example.com k1\n", "key.table:2: key_table: key \"k1\": it needs domain:selector:key"},
		{"no table", "key_table = \"file:key.table\"\nsigning_table = \"file:none\"\n", "", "",
			"mailseal.toml: signing_table: "},
		{"a kind that is not read", "key_table = \"file:key.table\"\nsigning_table = \"lua:/x\"\n",
			"", "", "mailseal.toml: signing_table: lua: this kind of data set is not supported"},
		{"a name alone", "key_table = \"key.table\"\nsigning_table = \"file:signing.table\"\n", "",
			"", `mailseal.toml: key_table: "key.table" names no file; write "file:key.table" or "refile:key.table"`},
		{"an expression that does not compile", fmt.Sprintf(named, "refile"),
			"k1 example.com:s:/k\n", "(a@example.com k1\n", "signing.table:1: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Load(nativeTables(t, tt.settings, tt.keyTable, tt.signingTable))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
