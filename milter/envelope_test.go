package milter

import (
	"testing"

	"mailseal/milter/guard"
)

func TestLocal(t *testing.T) {
	loopback := guard.Client{Host: "localhost", Family: guard.FamilyInet, Addr: addr("127.0.0.1")}
	with := func(c guard.Client, change func(*guard.Client)) guard.Client {
		change(&c)
		return c
	}
	for _, c := range []struct {
		name   string
		client guard.Client
		path   string
		daemon string
		want   bool
	}{
		{"Postfix sendmail(1)", loopback, "a@example.com", "", true},
		{"Postfix bounce", loopback, "", "", true},
		{"Postfix sendmail(1), IPv6 only", with(loopback, func(c *guard.Client) {
			c.Family, c.Addr = guard.FamilyInet6, addr("::1")
		}), "a", "", true},
		{"SMTP from loopback", with(loopback, func(c *guard.Client) { c.Port = 40000 }),
			"<a@example.com>", "smtpd", false},
		{"SMTP without brackets", with(loopback, func(c *guard.Client) { c.Port = 40000 }),
			"a@example.com", "smtpd", false},
		{"SMTP from loopback, port unknown", loopback, "<a@example.com>", "smtpd", false},
		{"stranger, port unknown", with(loopback,
			func(c *guard.Client) { c.Addr = addr("198.51.100.1") }), "a@example.com", "", false},
		{"sendmail -bs", guard.Client{Host: "localhost", Family: guard.FamilyUnknown}, "<a@example.com>", "", true},
		{"client that hung up", guard.Client{Host: "unknown", Family: guard.FamilyUnknown},
			"<a@example.com>", "", false},
		{"family unknown at a daemon", guard.Client{Host: "localhost", Family: guard.FamilyUnknown},
			"<a@example.com>", "MTA", false},
		{"unix socket", guard.Client{Host: "localhost", Family: guard.FamilyUnix, Path: "/x"}, "a", "", false},
		{"nothing known", guard.Client{}, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := isLocal(c.client, guard.Path{Raw: c.path}, c.daemon); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestVerifiedName(t *testing.T) {
	for host, want := range map[string]string{
		"mail.example.com": "mail.example.com", "[192.0.2.1]": "", "[IPv6:::1]": "", "unknown": "", "": "",
	} {
		if got := verifiedName(host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}
