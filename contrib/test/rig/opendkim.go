package rig

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// OpenDKIM starts Debian's OpenDKIM as a milter on TCP that signs for one domain, and returns its
// host:port. lines are further settings of opendkim.conf. It runs as the test's own user, which
// must own the key file.
func OpenDKIM(t testing.TB, domain, selector, keyFile string, lines ...string) string {
	t.Helper()
	listen := FreePort(t, "127.0.0.1")
	StartOpenDKIM(t, "inet:"+port(listen)+"@127.0.0.1",
		append([]string{"Mode s", "OversignHeaders From", "Domain " + domain,
			"Selector " + selector, "KeyFile " + keyFile}, lines...)...)
	return listen
}

// StartOpenDKIM starts Debian's OpenDKIM on a socket, inet:port@host or unix:/path, with the lines
// of an opendkim.conf, and waits until it can be reached.
func StartOpenDKIM(t testing.TB, socket string, lines ...string) *Process {
	t.Helper()
	return startConfigured(t, "opendkim", "-x", socket,
		append([]string{"RequireSafeKeys no"}, lines...))
}

// StartOpenDMARC starts Debian's OpenDMARC on a socket, as StartOpenDKIM does.
func StartOpenDMARC(t testing.TB, socket string, lines ...string) *Process {
	t.Helper()
	return startConfigured(t, "opendmarc", "-c", socket, lines)
}

// startConfigured starts a milter of the OpenDKIM family, whose option names the file of its
// configuration.
func startConfigured(t testing.TB, name, option, socket string, lines []string) *Process {
	t.Helper()
	conf := "Socket " + socket + "\nSyslog no\n" + strings.Join(lines, "\n") + "\n"
	file := filepath.Join(t.TempDir(), name+".conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := Tool(t, name, "usr/sbin/"+name, "-f", option, file)
	p := start(t, cmd, StartOptions{})
	network, address := "unix", strings.TrimPrefix(socket, "unix:")
	if at, host, ok := strings.Cut(strings.TrimPrefix(socket, "inet:"), "@"); ok {
		network, address = "tcp", net.JoinHostPort(host, at)
	}
	// asked to end, it takes 5 s, and it has nothing to write
	t.Cleanup(func() { p.Signal(syscall.SIGKILL) })
	if err := p.AwaitSocket(network, address); err != nil {
		t.Fatal(err)
	}
	return p
}
