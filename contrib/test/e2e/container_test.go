package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mailseal/contrib/test/rig"
	"mailseal/milter/miltertest"
)

// TestIPv6Listener has MTAs reach the daemon at [::1].
func TestIPv6Listener(t *testing.T) {
	for name, start := range map[string]startMTA{"Postfix": rig.Postfix, "Sendmail": rig.Sendmail} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "[::1]:0")
			if err != nil {
				t.Skipf("no IPv6 loopback here: %v", err)
			}
			l.Close()
			s := newSite(t, start, rig.Options{Milter: rig.FreePort(t, "::1")})
			t.Run("authenticated and not", s.authenticatedAndNot)
			t.Run("a client over IPv6", s.ipv6)
			t.Run("two forged fields around a stranger's", s.forged)
			t.Run("a stranger's signature", s.verified)
		})
	}
}

// Addresses of a link between the host and a container that only the test uses (RFC 2544 section
// C.2.2).
const (
	hostSide      = "198.18.77.1"
	containerOurs = "198.18.77.2" // in ours.networks
	containerElse = "198.18.77.3"
)

// container is a network namespace with a link to the host's, as a container has.
type container struct {
	t  *testing.T
	ns string
}

// newContainer skips the test where namespaces or links may not be made.
func newContainer(t *testing.T) *container {
	t.Helper()
	if testing.Short() {
		t.Skip("a network namespace: not with -short")
	}
	c := &container{t: t, ns: fmt.Sprintf("mailseal%d", os.Getpid())}
	host, inside := fmt.Sprintf("msh%d", os.Getpid()), fmt.Sprintf("msc%d", os.Getpid())
	t.Cleanup(func() {
		_ = exec.Command("ip", "link", "del", host).Run() // it may not be there
		_ = exec.Command("ip", "netns", "del", c.ns).Run()
	})
	for _, args := range []string{
		"netns add " + c.ns,
		"link add " + host + " type veth peer name " + inside + " netns " + c.ns,
		"addr add " + hostSide + "/29 dev " + host,
		"link set " + host + " up",
		"-n " + c.ns + " addr add " + containerOurs + "/29 dev " + inside,
		"-n " + c.ns + " addr add " + containerElse + "/29 dev " + inside,
		"-n " + c.ns + " link set " + inside + " up",
		"-n " + c.ns + " link set lo up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Skipf("no network namespace with a link: ip %s: %v: %s", args, err, out)
		}
	}
	return c
}

// do runs a function in the container's network. Its sockets stay there. The thread comes back:
// processes that it has started would end with it.
func (c *container) do(f func()) {
	c.t.Helper()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		c.t.Fatal(err)
	}
	defer home.Close()
	ns, err := os.Open("/var/run/netns/" + c.ns)
	if err != nil {
		c.t.Fatal(err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		c.t.Fatal(err)
	}
	defer func() {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err == nil {
			runtime.UnlockOSThread() // else the thread is of no use to others
		}
	}()
	f()
}

// TestContainers has clients in a container send through MTAs on the host, and an MTA in a
// container use the daemon on the host. Whose mail is ours is decided by the container's address.
func TestContainers(t *testing.T) {
	c := newContainer(t)
	for name, start := range map[string]startMTA{"Postfix": rig.Postfix, "Sendmail": rig.Sendmail} {
		t.Run(name, func(t *testing.T) {
			o := rig.Options{Milter: rig.FreePort(t, hostSide), Also: rig.FreePort(t, hostSide)}
			s := prepare(t, start, o)
			s.config = strings.Replace(s.config, `networks = ["127.0.0.1"]`,
				`networks = ["127.0.0.1", "`+containerOurs+`"]`, 1)
			s.serve(t)
			for _, from := range []string{containerOurs, containerElse} {
				to := "from-" + from + "@home.example"
				c.do(func() {
					client := rig.Dial(t, o.Also, from)
					client.Deliver(mail("alice@home.example", to))
					client.Quit()
				})
				if d := s.Sink.To(t, to); from == containerOurs {
					s.signedByUs(t, d)
				} else {
					s.judged(t, d, "dkim=none")
				}
			}
			c.do(func() { s.milterClient(t, milterAddress(o.Milter)) })
		})
	}
}

// milterClient is an MTA that sends one user's message through a daemon.
func (s *site) milterClient(t *testing.T, address string) {
	t.Helper()
	m, err := miltertest.Dial(t.Context(), address, miltertest.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer m.Close()
	text := mail("alice@home.example", "bob@elsewhere.example").Message
	out, err := m.Send(miltertest.Message{From: "alice@home.example",
		To: []string{"bob@elsewhere.example"}, Auth: "alice", Raw: []byte(text)})
	if err != nil || out.Refused() {
		t.Errorf("%v, %v", out.Reply, err)
		return
	}
	s.signedByUs(t, rig.Delivery{Data: out.Delivered()})
}

// A container gets the directory of the socket as a volume, and goes on using it when the daemon
// has been restarted.
func TestSocketThroughBindMount(t *testing.T) {
	s := prepare(t, rig.Postfix, rig.Options{})
	volume := filepath.Join(rig.Dir(t), "volume")
	if err := os.Mkdir(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(filepath.Dir(s.Path(s.MilterSocket())), volume, "", unix.MS_BIND,
		""); err != nil {
		t.Skipf("no bind mounts here: %v", err)
	}
	t.Cleanup(func() { unmount(volume) })
	for range 3 {
		s.serve(t)
		s.milterClient(t, "unix:"+filepath.Join(volume, filepath.Base(s.MilterSocket())))
		s.daemon.Stop(t)
	}
}
