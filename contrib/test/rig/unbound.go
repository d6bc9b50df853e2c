package rig

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// DNSZone is a zone of a private DNS, from the root down.
type DNSZone struct {
	Name   string // with the final dot
	Text   string // lines of a master file; delegations with NS records, without DS
	Signed bool
	Spoil  func(signed string) string // changes the zone when it has been signed; nil leaves it
}

// Unbound starts Debian's unbound as a resolver on loopback that validates, over zones of its own,
// of which the first must be the root's. It returns host:port. A zone comes behind those above it.
// The test is skipped, with the reason, when the group dns has not been fetched.
func Unbound(t testing.TB, zones []DNSZone) string {
	t.Helper()
	dir := t.TempDir()
	var conf strings.Builder
	address := FreePort(t, "127.0.0.1")
	fmt.Fprintf(&conf, `server:
	interface: 127.0.0.1@%s
	chroot: ""
	username: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	module-config: "validator iterator"
	trust-anchor-file: %q
	val-log-level: 2
	do-ip6: no
	unblock-lan-zones: yes
	insecure-lan-zones: yes
`, port(address), dir, filepath.Join(dir, "dsset-."))
	for i := len(zones) - 1; i >= 0; i-- { // a zone's DS records are part of the one above it
		zones[i].write(t, dir)
	}
	for _, z := range zones {
		fmt.Fprintf(&conf, `auth-zone:
	name: %q
	zonefile: %q
	for-upstream: yes
	for-downstream: no
	fallback-enabled: no
`, z.Name, z.file(dir))
	}
	file := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, Tool(t, "dns", "usr/sbin/unbound", "-d", "-d", "-c", file), StartOptions{})
	if err := p.AwaitSocket("tcp", net.JoinHostPort("127.0.0.1", port(address))); err != nil {
		t.Fatal(err)
	}
	return address
}

// NamedCheckZone has BIND's named-checkzone read a zone file. It returns what that says, and
// whether it would load the zone.
func NamedCheckZone(t testing.TB, name, text string) (said string, isGood bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// Hosts outside of the zone are not looked up: there is no network.
	out, err := Tool(t, "dns", "usr/bin/named-checkzone", "-i", "local", name,
		file).CombinedOutput()
	return string(out), err == nil
}

func (z DNSZone) file(dir string) string { return filepath.Join(dir, "zone-"+z.Name) }

// write puts the zone into its file, signed if it shall be.
func (z DNSZone) write(t testing.TB, dir string) {
	t.Helper()
	if err := os.WriteFile(z.file(dir), []byte(z.Text), 0o600); err != nil {
		t.Fatal(err)
	}
	if !z.Signed {
		return
	}
	run(t, Tool(t, "dns", "usr/bin/dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K",
		dir, z.Name))
	sign := Tool(t, "dns", "usr/bin/dnssec-signzone", "-q", "-S", "-z", "-g", "-K", dir, "-d", dir,
		"-o", z.Name,
		"-f", z.file(dir)+".signed", z.file(dir))
	sign.Dir = dir
	run(t, sign)
	text, err := os.ReadFile(z.file(dir) + ".signed")
	if err != nil {
		t.Fatal(err)
	}
	if z.Spoil != nil {
		text = []byte(z.Spoil(string(text)))
	}
	if err := os.WriteFile(z.file(dir), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &out)
	}
}
