package rig

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// syslog is at /dev/log of a root and keeps what is sent there.
type syslog struct {
	t     testing.TB
	lines output
}

// priority is what syslog(3) puts before a line: <priority> and a time stamp.
var priority = regexp.MustCompile(`^<\d+>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?`)

func newSyslog(t testing.TB, dev string) *syslog {
	t.Helper()
	address := &net.UnixAddr{Net: "unixgram", Name: shortPath(t, filepath.Join(dev, "log"))}
	conn, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := os.Chmod(address.Name, 0o666); err != nil {
		t.Fatal(err)
	}
	s := &syslog{t: t}
	go s.collect(conn)
	return s
}

func (s *syslog) collect(conn *net.UnixConn) {
	b := make([]byte, 64<<10)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		line := strings.TrimRight(priority.ReplaceAllString(string(b[:n]), ""), "\x00\n")
		fmt.Fprintf(&s.lines, "%s %s\n", time.Now().Format("15:04:05.000"), line)
	}
}

func (s *syslog) String() string { return s.lines.String() }

// report shows the log of a test that failed.
func (s *syslog) report() {
	if s.t.Failed() && s.String() != "" {
		s.t.Logf("syslog:\n%s", s)
	}
}

// shortPath names a socket through its directory's file descriptor: a socket's path has at most 107
// octets, and a private root may lie deeper than that.
func shortPath(t testing.TB, path string) string {
	t.Helper()
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
}
