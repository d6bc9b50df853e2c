package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mailseal/keys"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/miltertest/mtatest"
)

// The end-to-end tests drive the program itself behind real MTAs. This file sets a site up: a MTA, a DNS server on
// loopback, keys, a configuration and the daemon.

// program builds mailseal as the Makefile does, or with the race detector when the tests have it, and returns its path.
var program = sync.OnceValues(func() (string, error) {
	file, err := filepath.Abs("../../.root/bin/mailseal")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("make", "-s", "-C", "../..", "build", "BIN="+file)
	if raceDetector {
		file += "-race"
		cmd = exec.Command("go", "build", "-race", "-o", file, ".")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return file, nil
})

func build(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the program itself: not with -short")
	}
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// mailseal runs a command of the program with a message (or nothing) on standard input.
func mailseal(t testing.TB, stdin []byte, args ...string) (stdout string, code int) {
	t.Helper()
	cmd := exec.Command(build(t), args...)
	cmd.Stdin = strings.NewReader(string(stdin))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if complaints.Len() > 0 {
		t.Logf("mailseal %s: %s", strings.Join(args, " "), &complaints)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// The addresses from which clients come. Only the first is in ours.networks; IPv6's ::1 is a stranger, too.
const (
	local    = "127.0.0.1"
	stranger = "127.0.0.2"
	relay    = "127.0.0.3"
)

// site is a mail host with Mailseal.
type site struct {
	*mtatest.MTA
	daemon *mtatest.Process
	zone   *dnstest.Zone
	dns    *dnstest.Server
	txt    map[string]string // the key records, by name
	keys   string            // the host's directory with the private keys, NAME.pem
}

// startMTA is mtatest.Postfix or mtatest.Sendmail.
type startMTA func(testing.TB, mtatest.Options) *mtatest.MTA

// newSite starts everything. o.Milter = "" puts a unix socket between the two, otherwise TCP on a port of its own.
// settings are tables for mailseal.toml.
func newSite(t testing.TB, start startMTA, o mtatest.Options, settings ...string) *site {
	t.Helper()
	s := prepare(t, start, o, settings...)
	s.serve(t)
	return s
}

// prepare starts everything but the daemon.
func prepare(t testing.TB, start startMTA, o mtatest.Options, settings ...string) *site {
	t.Helper()
	build(t)
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

// serve starts the daemon and waits until it listens.
func (s *site) serve(t testing.TB) {
	t.Helper()
	t.Cleanup(func() { // runs after the one that stops the daemon
		if strings.Contains(s.daemon.Output(), "DATA RACE") {
			t.Errorf("the race detector found something:\n%s", s.daemon.Output())
		}
	})
	s.daemon = s.Start("/usr/sbin/mailseal", "serve", "--config", "/etc/mailseal/mailseal.toml")
	s.daemon.AwaitOutput(t, "msg=listening")
}

// publish makes a key, keeps it in a file and puts its record into the DNS.
func (s *site) publish(t testing.TB, selector, domain string, a keys.Algorithm) {
	t.Helper()
	private, err := keys.Generate(a, 0)
	if err != nil {
		t.Fatal(err)
	}
	record, err := keys.Key{Domain: domain, Selector: selector, Signer: private}.Record(keys.RecordOptions{})
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
func (s *site) install(t testing.TB, o mtatest.Options, settings []string) {
	t.Helper()
	s.Install(build(t), "/usr/sbin/mailseal")
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

// configure writes mailseal.toml.
func (s *site) configure(o mtatest.Options, settings ...string) {
	listen := fmt.Sprintf("address = %q", "unix:"+s.MilterSocket())
	if host, port, err := net.SplitHostPort(o.Milter); err == nil {
		listen = fmt.Sprintf("address = %q", "inet:"+port+"@"+host)
	} else if s.Name == "Postfix" {
		listen += "\ngroup = \"postfix\""
	}
	s.Write("/etc/mailseal/mailseal.toml", fmt.Sprintf(`
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
`, listen, s.dns.Addr(), strings.Join(settings, "\n")))
}

// kinds are the ways in which the two MTAs reach a milter.
var kinds = []struct {
	name  string
	start startMTA
	tcp   bool
	o     mtatest.Options
}{
	{"Postfix, chrooted, unix socket", mtatest.Postfix, false, mtatest.Options{}},
	{"Postfix, chrooted, TCP", mtatest.Postfix, true, mtatest.Options{}},
	{"Postfix, not chrooted, unix socket", mtatest.Postfix, false, mtatest.Options{Unchrooted: true}},
	{"Sendmail, unix socket", mtatest.Sendmail, false, mtatest.Options{}},
	{"Sendmail, TCP", mtatest.Sendmail, true, mtatest.Options{}},
}

// eachKind runs a test on a site of each kind.
func eachKind(t *testing.T, run func(*testing.T, *site)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if k.tcp {
				k.o.Milter = mtatest.FreePort(t, local)
			}
			run(t, newSite(t, k.start, k.o))
		})
	}
}

// eachMTA runs a test on both MTAs, over the socket that each would use by itself.
func eachMTA(t *testing.T, run func(*testing.T, *site)) {
	t.Run("Postfix", func(t *testing.T) { run(t, newSite(t, mtatest.Postfix, mtatest.Options{})) })
	t.Run("Sendmail", func(t *testing.T) { run(t, newSite(t, mtatest.Sendmail, mtatest.Options{})) })
}
