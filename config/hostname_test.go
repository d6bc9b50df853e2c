package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostNamesAt(t *testing.T) {
	for _, tt := range []struct {
		name            string
		hostname, hosts string
		want            HostNames
	}{
		{"full", "mail.example.com\n", "", HostNames{"mail.example.com", "mail.example.com"}},
		{"short, full in hosts", "mail\n", "127.0.0.1 localhost\n127.0.1.1 mail.example.com mail\n",
			HostNames{"mail", "mail.example.com"}},
		{"short, full as an alias", "mail\n", "192.0.2.1\tmail Mail.example.com # us\n",
			HostNames{"mail", "Mail.example.com"}},
		{"another case", "Mail\n", "192.0.2.1 mail.example.com mail\n", HostNames{"Mail", "mail.example.com"}},
		{"short, another host's line", "mail\n",
			"192.0.2.1 mail.example.com\n192.0.2.2 mx.example.com mx\n", HostNames{"mail", ""}},
		{"short, in a comment", "mail\n", "#192.0.2.1 mail.example.com mail\n", HostNames{"mail", ""}},
		{"short, localdomain", "mail\n", "127.0.1.1 mail.localdomain mail\n", HostNames{"mail", ""}},
		{"no name", "", "127.0.1.1 mail.example.com mail\n", HostNames{}},
		{"not a name", "mail server\n", "", HostNames{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"hostname": tt.hostname, "hosts": tt.hosts} {
				if err := os.WriteFile(filepath.Join(root, "etc", file), []byte(text),
					0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := HostNamesAt(root); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestAuthservID(t *testing.T) {
	for _, tt := range []struct{ text, want, warning string }{
		{"", "", ""},
		{`authserv_id = "mx.example.com"`, "mx.example.com", ""},
		{`authserv_id = "mail"`, "mail", "can be forged"},
		{`authserv_id = "localhost.localdomain"`, "localhost.localdomain", "can be forged"},
	} {
		c, err := Parse("m.toml", []byte(tt.text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if c.AuthservID != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, c.AuthservID, tt.want)
		}
		got := ""
		for _, w := range c.Warnings {
			if w.Path == "authserv_id" {
				got = w.Text
			}
		}
		if (got == "") != (tt.warning == "") || !strings.Contains(got, tt.warning) {
			t.Errorf("%q: got the warning %q, want one with %q", tt.text, got, tt.warning)
		}
	}
}
