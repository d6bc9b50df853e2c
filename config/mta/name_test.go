package mta

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"none", nil, nil},
		{"myhostname", map[string]string{"/etc/postfix/main.cf": "mydomain = example.com\n" +
			"myhostname = mail.$mydomain\n"}, []string{"mail.example.com"}},
		{"the host's full name", map[string]string{"/etc/postfix/main.cf": "\n",
			"/etc/hostname": "mail.example.com\n"}, []string{"mail.example.com"}},
		{"the host's name and mydomain",
			map[string]string{"/etc/postfix/main.cf": "mydomain = example.com\n",
				"/etc/hostname": "mail\n"}, []string{"mail.example.com"}},
		{"localdomain", map[string]string{"/etc/postfix/main.cf": "\n", "/etc/hostname": "mail\n"}, nil},
		{"Dj", map[string]string{"/etc/mail/sendmail.cf": "Djmail.example.com\n"}, []string{"mail.example.com"}},
		{"Dj of other macros", map[string]string{"/etc/mail/sendmail.cf": "Dj$w.Foo.COM\n", "/etc/hostname": "mail\n",
			"/etc/hosts": "192.0.2.1 mail.example.com mail\n"}, []string{"mail.example.com"}},
		{"both the same", map[string]string{"/etc/postfix/main.cf": "myhostname = mail.example.com\n",
			"/etc/mail/sendmail.cf": "DjMail.Example.com\n"},
			[]string{"mail.example.com"}},
		{"both, different", map[string]string{"/etc/postfix/main.cf": "myhostname = a.example.com\n",
			"/etc/mail/sendmail.cf": "Djb.example.com\n"},
			[]string{"a.example.com", "b.example.com"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newTestHost(t, tt.files)
			if got := Names(h, "/etc/postfix", "/etc/mail"); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
