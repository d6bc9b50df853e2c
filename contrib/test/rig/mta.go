package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Options say how an MTA is set up beyond what contrib's snippets and Debian's own files say.
type Options struct {
	// Milter is the host:port that is in for the snippet's 127.0.0.1:8891, so that nothing of
	// the host is in the way. Without it the MTA uses the unix socket that the snippet proposes
	// (MilterSocket).
	Milter string
	// Unchrooted runs Postfix's smtpd and cleanup without Debian's chroot.
	Unchrooted bool
	// Sink gets what the MTA delivers; nil for a new one.
	Sink *Sink
	// Also is one more IPv4 host:port where strangers come; "" for none.
	Also string
	// Append is added to main.cf, or to sendmail.mc before MAILER_DEFINITIONS.
	Append string
	// Services are added to master.cf.
	Services string
	// Edit changes main.cf and master.cf before Postfix starts; nil changes nothing.
	Edit func(m *MTA, main, master string) (string, string)
}

// MTA is a running mail server. Mail to any address of home.example (and, from the MTA's own users,
// to any address at all) is delivered to its Sink.
type MTA struct {
	*Root
	Name       string // "Postfix" or "Sendmail"
	Sink       *Sink
	SMTP       string // host:port where strangers come
	SMTP6      string // the same on [::1]; "" where the host has no IPv6 loopback
	Submission string // host:port for authenticated users (User, Password)
	Reinjected string // host:port whose mail no milter sees, for content filters
	process    *Process
	instances  []*instance
}

// MilterSocket is where the snippet lets the MTA find its milter, as a path inside the root.
func (m *MTA) MilterSocket() string {
	if m.Name == "Postfix" {
		return "/var/spool/postfix/mailseal/mailseal.sock"
	}
	return "/run/mailseal/mailseal.sock"
}

// Dial connects an SMTP client to the MTA's port for strangers, from an address of loopback.
func (m *MTA) Dial(t testing.TB, from string) *Client {
	t.Helper()
	return Dial(t, m.SMTP, from)
}

// Restart starts the MTA again with the files as they are now: sendmail.cf is made from sendmail.mc
// first.
func (m *MTA) Restart() {
	m.t.Helper()
	m.process.Stop() // a signal ends it, which is an error to the package os/exec
	if m.Name == "Postfix" {
		m.process = start(m.t, m.Command("/usr/lib/postfix/sbin/master"),
			StartOptions{OwnSession: true})
		for _, i := range m.instances {
			i.restart(m)
		}
	} else {
		m.Write("/etc/mail/sendmail.cf", m.Run(nil, "/usr/bin/m4", "/etc/mail/sendmail.mc"))
		m.process = m.Start("/usr/sbin/sendmail-mta", "-bD", "-q5s")
	}
	m.awaitPort(m.Reinjected)
}

// await waits until the MTA has logged a line.
func (m *MTA) await(line string) {
	m.t.Helper()
	if !m.process.await(&m.logs.lines.news,
		func() bool { return strings.Contains(m.Log(), line) }) {
		m.t.Fatalf("%s did not start (no %q in its log)\n%s", m.Name, line, m.process.Output())
	}
}

// awaitPort waits until the MTA listens at an address.
func (m *MTA) awaitPort(address string) {
	m.t.Helper()
	if err := m.process.AwaitSocket("tcp", address); err != nil {
		m.t.Fatal(err)
	}
}

// FreePort returns an address host:port on which nothing listens now. The port lies below those
// from which the kernel gives outgoing connections theirs: one of those could be taken before the
// server, which binds seconds later, comes. No other call, in any process, returns the same port
// before this process ends.
func FreePort(t testing.TB, host string) string {
	t.Helper()
	address := freePort(host)
	if address == "" {
		t.Fatalf("no port of %s is free", host)
	}
	return address
}

// freePort is FreePort with "" where there is no such host, as where there is no IPv6.
func freePort(host string) string {
	for range 100 {
		number := strconv.Itoa(10000 + rand.IntN(20000))
		if !reserve(number) {
			continue
		}
		address := net.JoinHostPort(host, number)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	return ""
}

// reserve takes a port for this process: the kernel gives the name of a socket without a file to
// one process alone, and takes it back when that ends. Packages are tested beside each other.
func reserve(port string) bool {
	s, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // there are no such sockets here
	}
	if err := syscall.Bind(s, &syscall.SockaddrUnix{Name: "@mailseal-test-port-" +
		port}); err != nil {
		syscall.Close(s)
		return false
	}
	return true // the socket stays open until the process ends
}

// snippet reads a file of contrib.
func snippet(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository(t), "contrib", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// secondChoice takes the snippet's alternative, a line that is commented out, in place of the line
// before it.
func secondChoice(t testing.TB, snippet, line, comment string) string {
	t.Helper()
	first := strings.Index(snippet, "\n"+line)
	second := strings.Index(snippet, "\n"+comment+line)
	if first < 0 || second < first {
		t.Fatalf("no %q, once as it is and then as a comment, in:\n%s", line, snippet)
	}
	return snippet[:first] + "\n" + comment + snippet[first+1:second] + "\n" +
		snippet[second+1+len(comment):]
}

// swap replaces the one place of a text; a snippet that changed under the test's feet is an error.
func swap(t testing.TB, text, old, new string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q stands %d times, want once, in:\n%s", old, n, text)
	}
	return strings.Replace(text, old, new, 1)
}

func port(hostport string) string {
	_, p, err := net.SplitHostPort(hostport)
	if err != nil {
		panic(fmt.Sprintf("%q is not host:port", hostport))
	}
	return p
}

func address(hostport string) string { return strings.TrimSuffix(hostport, ":"+port(hostport)) }
