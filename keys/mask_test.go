package keys

import (
	"fmt"
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"no address", "a?b@c", "a?b@c"},
		{"nothing to hide", "GET https://keys.example:8200/v1/x: 503", "GET https://keys.example:8200/v1/x: 503"},
		{"user", "https://joe@keys.example/v1", "https://***@keys.example/v1"},
		{"user and password", `url "https://joe:pw@keys.example/v1": no`, `url "https://***@keys.example/v1": no`},
		{"query", "https://keys.example/v1?token=pw#part", "https://keys.example/v1?***"},
		{"fragment", "https://keys.example/v1#pw", "https://keys.example/v1#***"},
		{"both, and two of them", "a://x:pw@h?pw b://y:pw@h", "a://***@h?*** b://***@h"},
		{"slash in the password", "postgres://joe:pw/pw@h/mail", "postgres://***@h/mail"},
		{"question mark in the password", "postgres://joe:pw?pw@h/mail", "postgres://***@h/mail"},
		{"at in the password", "postgres://joe:pw@pw@h/mail", "postgres://***@h/mail"},
		{"IPv6", "http://[::1]:80/x", "http://[::1]:80/x"},
		{"at in the path, which may be that of a password", "http://h/x@y", "http://***@y"},
		{"address in the query", "http://h/signing/x?login=pw@h", "http://h/signing/x?***"},
		{"cut off", "https://joe:", "https://joe:"},
	} {
		if got := Mask(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzMask wants no secret to be left, wherever it stands in an address, and a second masking to
// change nothing.
func FuzzMask(f *testing.F) {
	for _, s := range []string{"", "/", "?", "@", ":", "#", "a:b", "]", "%40", "/p:@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		const secret = "S3CR3T"
		if strings.ContainsAny(s, " \t\n\v\f\r\"'`<>\u0085\u00a0") {
			return
		}
		for _, form := range []string{"https://joe:%s%s@host/v1", "https://%[2]s%[1]s@host",
			"https://host/v1?token=%s%s", "https://joe:%[2]s%[1]s@host/x?y"} {
			address := fmt.Sprintf(form, secret, s)
			got := Mask("before " + address + " after")
			if strings.Contains(got, secret) && !strings.Contains(s, secret) {
				t.Errorf("%q: %q", address, got)
			}
			if again := Mask(got); again != got {
				t.Errorf("%q: masked again %q", got, again)
			}
		}
	})
}
