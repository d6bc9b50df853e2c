package rig

import (
	"fmt"
	"strings"
	"testing"
)

// users are those of every root. Numbers from 60100 up, so that on the host they are unused.
var users = []struct {
	name     string
	uid, gid int
	home     string
}{
	{"root", 0, 0, "/root"},
	{"daemon", 1, 1, "/usr/sbin"},
	{"mail", 8, 8, "/var/mail"},
	{"nobody", 65534, 65534, "/nonexistent"},
	{"postfix", 60101, 60101, "/var/spool/postfix"},
	{"smmta", 60103, 60103, "/var/lib/sendmail"},
	{"smmsp", 60104, 60104, "/var/lib/sendmail"},
	{"opendkim", 60105, 60105, "/run/opendkim"},
	{"mailseal", 60106, 60106, "/var/lib/mailseal"},
	{"alice", 60110, 60110, "/home/alice"},
}

// groups without a user of their name.
var groups = map[string]int{"postdrop": 60102, "sasl": 45, "nogroup": 65534}

// host is what any Debian host has under /etc. Names are looked up in files alone: no test ever
// asks a real DNS server.
var host = map[string]string{
	"/etc/passwd": passwd(),
	"/etc/group":  group(),
	"/etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.0.2 " +
		"stranger.example\n127.0.0.3 relay.example\n",
	"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: " +
		"files\nprotocols: files\naliases: files\n",
	"/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
	"/etc/host.conf":   "multi on\n",
	"/etc/mailname":    Hostname + "\n",
	"/etc/services": "smtp 25/tcp mail\nsubmission 587/tcp\nsubmissions 465/tcp " +
		"smtps\ndomain 53/tcp\ndomain 53/udp\nsyslog 514/udp\n",
}

// The addresses of loopback from which clients come. A test's configuration says which of them are
// whose; any other address of 127.0.0.0/8 is there, too.
const (
	Host     = "127.0.0.1" // programs of the mail host itself
	Stranger = "127.0.0.2"
	Relay    = "127.0.0.3"
	Frontend = "127.0.0.4" // a proxy before the MTA
)

// Hostname is what every MTA of this package calls itself.
const Hostname = "mx.home.example"

func passwd() string {
	var b strings.Builder
	for _, u := range users {
		fmt.Fprintf(&b, "%s:x:%d:%d::%s:/usr/sbin/nologin\n", u.name, u.uid, u.gid, u.home)
	}
	return b.String()
}

func group() string {
	var b strings.Builder
	for _, u := range users {
		if u.gid != groups["nogroup"] {
			fmt.Fprintf(&b, "%s:x:%d:\n", u.name, u.gid)
		}
	}
	for name, gid := range groups {
		fmt.Fprintf(&b, "%s:x:%d:\n", name, gid)
	}
	return b.String()
}

func uid(t testing.TB, name string) int {
	t.Helper()
	for _, u := range users {
		if u.name == name {
			return u.uid
		}
	}
	t.Fatalf("no user %q in the private root", name)
	return 0
}

func gid(t testing.TB, name string) int {
	t.Helper()
	for _, u := range users {
		if u.name == name {
			return u.gid
		}
	}
	id, ok := groups[name]
	if !ok {
		t.Fatalf("no group %q in the private root", name)
	}
	return id
}
