package e2e

import (
	"crypto"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/milter/dns/dnstest"
)

// The end-to-end tests drive the program itself behind real MTAs. This file sets a site up: an MTA,
// a DNS server on loopback, keys, a configuration and the daemon.

func TestMain(m *testing.M) { rig.Main(m) }

// The addresses from which clients come. Only the first is in ours.networks; IPv6's ::1 is a
// stranger, too.
const (
	local    = rig.Host
	stranger = rig.Stranger
	relay    = rig.Relay
)

// site is a mail host with Mailseal.
type site struct {
	*rig.MTA
	daemon *rig.Daemon
	config string // as configure wrote it
	zone   *dnstest.Zone
	dns    *dnstest.Server
	txt    map[string]string // the key records, by name
	keys   string            // the host's directory with the private keys, NAME.pem

	proposed string // the port that stands in for the one that check proposes
}

// startMTA is rig.Postfix or rig.Sendmail.
type startMTA func(testing.TB, rig.Options) *rig.MTA

// newSite starts everything. o.Milter = "" puts a unix socket between the two, otherwise TCP on a
// port of its own. settings are tables for mailseal.toml.
func newSite(t testing.TB, start startMTA, o rig.Options, settings ...string) *site {
	t.Helper()
	s := prepare(t, start, o, settings...)
	s.serve(t)
	return s
}

// prepare starts everything but the daemon.
func prepare(t testing.TB, start startMTA, o rig.Options, settings ...string) *site {
	t.Helper()
	rig.Build(t)
	s := &site{zone: new(dnstest.Zone), txt: map[string]string{}, keys: t.TempDir()}
	var err error
	if s.dns, err = dnstest.Serve(s.zone, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.dns.Close() })
	s.publish(t, "rsa", "home.example", keys.RSA)
	s.publish(t, "ed", "home.example", keys.Ed25519)
	s.publish(t, "mail", "stranger.example", keys.RSA)
	s.MTA = start(t, o)
	s.install(t, o, settings)
	return s
}

// serve starts the daemon with the site's configuration and waits until it is ready.
func (s *site) serve(t testing.TB) {
	t.Helper()
	s.daemon = rig.Mailseal(t, s.config, rig.DaemonOptions{Root: s.Root})
}

// made are the private keys of all sites, by name: with the race detector it takes a second to make
// one.
var made pool

type pool struct {
	mu   sync.Mutex
	keys map[string]crypto.Signer
}

// key returns the key of a name, which it makes at first.
func (p *pool) key(t testing.TB, name string, a keys.Algorithm) crypto.Signer {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil {
		p.keys = map[string]crypto.Signer{}
	}
	if p.keys[name] == nil {
		private, err := keys.Generate(a, 0)
		if err != nil {
			t.Fatal(err)
		}
		p.keys[name] = private
	}
	return p.keys[name]
}

// publish makes a key, keeps it in a file and puts its record into the DNS.
func (s *site) publish(t testing.TB, selector, domain string, a keys.Algorithm) {
	t.Helper()
	private := made.key(t, selector+"._domainkey."+domain, a)
	record, err := keys.Key{Domain: domain, Selector: selector,
		Signer: private}.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.key(selector), text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.zone.AddTXT(record.Name, record.Text)
	s.txt[record.Name] = record.Text
}

func (s *site) key(selector string) string { return filepath.Join(s.keys, selector+".pem") }

// install puts the program, its keys and its configuration into the MTA's root.
func (s *site) install(t testing.TB, o rig.Options, settings []string) {
	t.Helper()
	s.Install(rig.Build(t), "/usr/sbin/mailseal")
	for _, selector := range []string{"rsa", "ed"} {
		text, err := os.ReadFile(s.key(selector))
		if err != nil {
			t.Fatal(err)
		}
		s.File("/etc/mailseal/"+selector+".pem", text, 0o600, "root", "root")
	}
	s.Directory("/var/lib/mailseal", 0o700, "root", "root")
	s.Directory(path.Dir(s.MilterSocket()), 0o755, "root", "root")
	s.configure(o, settings...)
}

// configure makes the configuration, and writes it to mailseal.toml for a process that reads that
// before the daemon.
func (s *site) configure(o rig.Options, settings ...string) {
	listen := fmt.Sprintf("address = %q", "unix:"+s.MilterSocket())
	if host, port, err := net.SplitHostPort(o.Milter); err == nil {
		family := "inet"
		if strings.Contains(host, ":") {
			family = "inet6"
		}
		listen = fmt.Sprintf("address = %q", family+":"+port+"@"+host)
	} else if s.Name == "Postfix" {
		listen += "\ngroup = \"postfix\""
	}
	s.config = fmt.Sprintf(`
authserv_id = "mx.home.example"

[[listen]]
%s

[ours]
networks = ["127.0.0.1"]

[relays]
networks = ["127.0.0.3"]

[dns]
servers = ["%s"]
timeout = "500ms"
tries = 1

[keys."ed._domainkey.home.example"]
domain = "home.example"
selector = "ed"
file = "/etc/mailseal/ed.pem"

[keys."rsa._domainkey.home.example"]
domain = "home.example"
selector = "rsa"
file = "/etc/mailseal/rsa.pem"

[[sign]]
from = ["*@home.example", "*@mx.home.example"]
keys = ["ed._domainkey.home.example", "rsa._domainkey.home.example"]
%s
`, listen, s.dns.Addr(), strings.Join(settings, "\n"))
	s.Write("/etc/mailseal/mailseal.toml", s.config)
}

// kinds are the ways in which the two MTAs reach a milter.
var kinds = []struct {
	name  string
	start startMTA
	tcp   bool
	o     rig.Options
}{
	{"Postfix, chrooted, unix socket", rig.Postfix, false, rig.Options{}},
	{"Postfix, chrooted, TCP", rig.Postfix, true, rig.Options{}},
	{"Postfix, not chrooted, unix socket", rig.Postfix, false, rig.Options{Unchrooted: true}},
	{"Sendmail, unix socket", rig.Sendmail, false, rig.Options{}},
	{"Sendmail, TCP", rig.Sendmail, true, rig.Options{}},
}

// eachKind runs a test on a site of each kind.
func eachKind(t *testing.T, run func(*testing.T, *site)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if k.tcp {
				k.o.Milter = rig.FreePort(t, local)
			}
			run(t, newSite(t, k.start, k.o))
		})
	}
}

// eachMTA runs a test on both MTAs, over the socket that each would use by itself.
func eachMTA(t *testing.T, run func(*testing.T, *site)) {
	t.Run("Postfix", func(t *testing.T) { run(t, newSite(t, rig.Postfix, rig.Options{})) })
	t.Run("Sendmail", func(t *testing.T) { run(t, newSite(t, rig.Sendmail, rig.Options{})) })
}
