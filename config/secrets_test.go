package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// notSecret are the settings that are paths of files without a secret, or of keys, which are judged
// where they are loaded.
var notSecret = []string{
	"test.certificate",
	"state_directory", "key_file", "keys.NAME.file", "sources.NAME.client_certificate",
	"sources.NAME.ca_file", "sources.NAME.key_dir",
	"control.address", "reports.directory", "reports.spool_directory", "reports.intake.address",
	"reports.intake.changes", "reports.web.certificate", "reports.intake.address_databases",
}

// TestPathsAreJudged wants each setting that is a path to be of a type that reports whether its
// file holds a secret.
func TestPathsAreJudged(t *testing.T) {
	for path, s := range settingsByPath() {
		isSecret := typeAt(path) == reflect.TypeFor[SecretFile]()
		if s.form == "path" && isSecret == slices.Contains(notSecret, path) {
			t.Errorf("%s: a secret: %t; make it a SecretFile, or add it to the list", path,
				isSecret)
		}
		if s.form == "web address" && typeAt(path) != reflect.TypeFor[URL]() {
			t.Errorf("%s: an address can hold a password; make it a URL", path)
		}
	}
}

func TestSecrets(t *testing.T) {
	const key = "[keys.\"s._domainkey.example.com\"]\nprivate_key = \"YW4gRWQyNTUxOSBzZWVkIGhhcyAzMiBvY3RldHMuLi4=\"\n"
	const web = "[sources.web]\ndriver = \"http\"\nurl = \"%s\"\n"
	for _, tt := range []struct {
		name, main, included string
		want                 []string // files and settings
	}{
		{"none", "", "", nil},
		{"a key", key, "", []string{`mailseal.toml keys."s._domainkey.example.com".private_key`}},
		{"a key in an included file", "", key, []string{`a.conf keys."s._domainkey.example.com".private_key`}},
		{"an address", fmt.Sprintf(web, "https://keys.example/v1"), "", nil},
		{"with a password", fmt.Sprintf(web, "https://joe:pw@keys.example/v1"), "",
			[]string{"mailseal.toml sources.web.url"}},
		{"with a token", "", fmt.Sprintf(web, "https://keys.example/v1?token=pw"), []string{"a.conf sources.web.url"}},
		{"files", fmt.Sprintf(web, "https://keys.example/v1") +
			"token_file = \"token\"\nclient_certificate = \"crt\"\nclient_key = \"key\"\nca_file = \"ca\"\n", "",
			[]string{"key sources.web.client_key", "token sources.web.token_file"}},
		{"a server's DSN", "[sources.db]\ndriver = \"mysql\"\ndsn = \"u:p@unix(/s)/d\"\nkey_query = \"SELECT $1\"\n",
			"", []string{"mailseal.toml sources.db.dsn"}},
		{"a database in a file", "[sources.db]\ndriver = \"sqlite\"\ndsn = " +
			"\"file:k%20.db?mode=ro\"\nkey_query = \"SELECT $1\"\n", "",
			[]string{"mailseal.toml sources.db.dsn", "k .db sources.db.dsn"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"mailseal.toml": "authserv_id = \"mx.example.c" +
				"om\"\ninclude = [\"a.conf\"]\n" + tt.main, "a.conf": tt.included} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := Load(filepath.Join(dir, "mailseal.toml"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range c.Secrets() {
				got = append(got, filepath.Base(s.File)+" "+s.Place.Path)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestAddressesAreMasked puts an address with a password into every setting: no mistake repeats it.
func TestAddressesAreMasked(t *testing.T) {
	const secret = "S3CR3T"
	for _, address := range []string{"https://joe:" + secret + "@host/v1?token=" + secret,
		"https://joe:" + secret + "/@host", "ftp://" + secret + "@host"} {
		for _, sec := range sections {
			for _, s := range sec.settings {
				header := strings.ReplaceAll(sec.header, "[sign.when]", "[[sign]]\n[sign.when]")
				for _, value := range []string{"%q", "[%q]", "{ a = %q }"} {
					text := header + "\n" + s.name + " = " + fmt.Sprintf(value, address) + "\n"
					c, err := Parse("mailseal.toml", []byte(text))
					if err != nil && strings.Contains(err.Error(), secret) {
						t.Errorf("%s.%s shows it:\n%v", sec.path, s.name, err)
					}
					if err == nil && strings.Contains(fmt.Sprintf("%v %+v", c.Warnings, c.Warnings),
						secret) {
						t.Errorf("%s.%s shows it: %v", sec.path, s.name, c.Warnings)
					}
				}
			}
		}
	}
	u := URL("https://joe:" + secret + "@host/v1?token=" + secret)
	if text := fmt.Sprintf("%v %+v %s %q %#v", u, u, u, u, u); strings.Contains(text, secret) ||
		!strings.Contains(text, "host/v1") {
		t.Errorf("printed: %s", text)
	}
	if text, err := u.MarshalText(); err != nil || strings.Contains(string(text), secret) {
		t.Errorf("marshaled: %s, %v", text, err)
	}
}
