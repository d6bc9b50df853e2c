package mtatest

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// OpenDKIM starts Debian's OpenDKIM as a milter on TCP that signs for one domain, and returns its host:port. lines are
// further settings of opendkim.conf. It runs as the test's own user, which must own the key file.
func OpenDKIM(t testing.TB, domain, selector, keyFile string, lines ...string) string {
	t.Helper()
	listen := FreePort(t, "127.0.0.1")
	conf := "Socket inet:" + port(listen) + "@127.0.0.1\nSyslog no\nRequireSafeKeys no\nMode s\nOversignHeaders From\n" +
		"Domain " + domain + "\nSelector " + selector + "\nKeyFile " + keyFile + "\n"
	for _, line := range lines {
		conf += line + "\n"
	}
	file := filepath.Join(t.TempDir(), "opendkim.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := Tool(t, "opendkim", "usr/sbin/opendkim", "-f", "-x", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := (&Root{t: t}).start(cmd)
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", listen)
		if err == nil {
			conn.Close()
			return listen
		}
		if _, ended := p.Wait(0); ended || time.Now().After(limit) {
			t.Fatalf("opendkim: %v\n%s", err, p.Output())
		}
	}
}
