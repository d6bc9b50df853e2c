package milter

import (
	"cmp"
	"net/netip"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

func prefixes(s ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

func TestRole(t *testing.T) {
	roles := Roles{
		Authenticated: true,
		DaemonNames:   []string{"ORIGINATING"},
		Macros:        map[string][]string{"tls_version": {"TLSv1.3"}, "cert_subject": nil},
		Relays:        prefixes("192.0.2.0/28", "2001:db8:1::/48"),
		Networks:      prefixes("127.0.0.1/32", "192.0.2.0/24", "2001:db8::/32"),
		Hosts:         message.Hosts{"mx.example.com", ".example.net", "!bad.example.net"},
	}
	anyone := Roles{Networks: prefixes("0.0.0.0/0", "::/0")}
	for _, c := range []struct {
		name     string
		roles    Roles
		listener action.Role
		env      message.Envelope
		macros   map[string]string
		want     action.Role
		why      Reason
	}{
		{name: "stranger", env: message.Envelope{Client: addr("198.51.100.1")},
			want: action.RoleTheirs, why: ByDefault},
		{name: "stranger on loopback", env: message.Envelope{Client: addr("127.0.0.2")},
			want: action.RoleTheirs, why: ByDefault},
		{name: "network", env: message.Envelope{Client: addr("192.0.2.99")}, want: action.RoleOurs, why: ByNetwork},
		{name: "network, IPv6", env: message.Envelope{Client: addr("2001:db8:2::1")},
			want: action.RoleOurs, why: ByNetwork},
		{name: "network, IPv4 as IPv6", env: message.Envelope{Client: addr("::ffff:192.0.2.99")},
			want: action.RoleOurs, why: ByNetwork},
		{name: "network, IPv6 with zone", env: message.Envelope{Client: addr("2001:db8:2::1%eth0")},
			want: action.RoleOurs, why: ByNetwork},
		{name: "relay inside a network", env: message.Envelope{Client: addr("192.0.2.3")},
			want: action.RoleRelay, why: ByRelay},
		{name: "relay, IPv6", env: message.Envelope{Client: addr("2001:db8:1::1")},
			want: action.RoleRelay, why: ByRelay},
		{name: "authenticated", env: message.Envelope{Client: addr("198.51.100.1"),
			AuthType: "PLAIN", AuthUser: "a"}, want: action.RoleOurs, why: ByAuthentication},
		{name: "authenticated by type alone", env: message.Envelope{AuthType: "EXTERNAL"},
			want: action.RoleOurs, why: ByAuthentication},
		{name: "authenticated at a relay", env: message.Envelope{Client: addr("192.0.2.3"),
			AuthUser: "a"}, want: action.RoleOurs, why: ByAuthentication},
		{name: "authenticated, not asked for", roles: Roles{DaemonNames: []string{"x"}},
			env: message.Envelope{AuthUser: "a"}, want: action.RoleTheirs, why: ByDefault},
		{name: "daemon", env: message.Envelope{Client: addr("198.51.100.1"),
			DaemonName: "ORIGINATING"}, want: action.RoleOurs, why: ByDaemon},
		{name: "daemon of a relay", env: message.Envelope{Client: addr("192.0.2.3"),
			DaemonName: "ORIGINATING"}, want: action.RoleOurs, why: ByDaemon},
		{name: "other daemon", env: message.Envelope{DaemonName: "originating"},
			want: action.RoleTheirs, why: ByDefault},
		{name: "no daemon, empty name listed", roles: Roles{DaemonNames: []string{""}},
			want: action.RoleTheirs, why: ByDefault},
		{name: "macro with a value", macros: map[string]string{"tls_version": "TLSv1.3"},
			want: action.RoleOurs, why: ByMacro},
		{name: "macro with another value", macros: map[string]string{"tls_version": "TLSv1.2"},
			want: action.RoleTheirs, why: ByDefault},
		{name: "macro with any value", macros: map[string]string{"cert_subject": "x"},
			want: action.RoleOurs, why: ByMacro},
		{name: "local submission", env: message.Envelope{Local: true}, want: action.RoleOurs, why: BySubmission},
		{name: "local submission in a network", env: message.Envelope{Local: true,
			Client: addr("127.0.0.1")}, want: action.RoleOurs, why: ByNetwork},
		{name: "host", env: message.Envelope{Client: addr("198.51.100.1"),
			ClientName: "MX.example.com"}, want: action.RoleOurs, why: ByHost},
		{name: "host in a relay's network", env: message.Envelope{Client: addr("192.0.2.3"),
			ClientName: "mx.example.com"}, want: action.RoleRelay, why: ByRelay},
		{name: "host whose name says no, in a network",
			env:  message.Envelope{Client: addr("192.0.2.99"), ClientName: "bad.example.net"},
			want: action.RoleOurs, why: ByNetwork},
		{name: "host whose name says no", env: message.Envelope{Client: addr("198.51.100.1"),
			ClientName: "bad.example.net"}, want: action.RoleTheirs, why: ByDefault},
		{name: "host that only the HELO names", env: message.Envelope{Client: addr("198.51.100.1"),
			Helo: "mx.example.com"}, want: action.RoleTheirs, why: ByDefault},
		{name: "host without an address", env: message.Envelope{ClientName: "mx.example.com"},
			want: action.RoleTheirs, why: ByDefault},
		{name: "unknown client", want: action.RoleTheirs, why: ByDefault},
		{name: "unknown client where everybody is ours", roles: anyone, want: action.RoleTheirs, why: ByDefault},
		{name: "known client where everybody is ours", roles: anyone,
			env: message.Envelope{Client: addr("198.51.100.1")}, want: action.RoleOurs, why: ByNetwork},
		{name: "listener for ours", listener: action.RoleOurs,
			env: message.Envelope{Client: addr("198.51.100.1")}, want: action.RoleOurs, why: ByListener},
		{name: "listener for theirs, authenticated", listener: action.RoleTheirs,
			env: message.Envelope{AuthUser: "a"}, want: action.RoleTheirs, why: ByListener},
		{name: "listener for relays, local", listener: action.RoleRelay,
			env: message.Envelope{Local: true}, want: action.RoleRelay, why: ByListener},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.roles
			if r.Networks == nil && r.DaemonNames == nil {
				r = roles
			}
			role, why := r.Of(cmp.Or(c.listener, action.RoleAuto), &c.env,
				func(name string) string { return c.macros[name] })
			if role != c.want || why != c.why {
				t.Errorf("got %s by %s, want %s by %s", role, why, c.want, c.why)
			}
		})
	}
}

func TestExempt(t *testing.T) {
	x := Exempt{Networks: prefixes("192.0.2.0/24"),
		Hosts: []string{"mon.example.com", ".example.net", ""}}
	for _, c := range []struct {
		name, client, host string
		want               bool
	}{
		{"network", "192.0.2.1", "", true},
		{"other network", "198.51.100.1", "", false},
		{"host", "198.51.100.1", "Mon.Example.com.", true},
		{"below a host", "198.51.100.1", "a.mon.example.com", false},
		{"below a domain", "198.51.100.1", "a.b.example.net", true},
		{"the domain itself", "198.51.100.1", "example.net", false},
		{"longer name", "198.51.100.1", "badexample.net", false},
		{"unknown", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := x.Has(&message.Envelope{Client: addr(c.client),
				ClientName: c.host}); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
