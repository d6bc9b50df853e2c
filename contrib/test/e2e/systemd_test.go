package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"mailseal/contrib/test/rig"
)

// The units of contrib/systemd: their sockets are where each MTA's snippet looks, the service runs
// as a user of its own, tells how it is, and no connection is refused while it restarts.

func TestSystemd(t *testing.T) {
	for _, u := range []struct {
		name, socket string
		start        startMTA
	}{
		{"Postfix", "mailseal-postfix.socket", rig.Postfix},
		{"Sendmail", "mailseal-unix.socket", rig.Sendmail},
	} {
		t.Run(u.name, func(t *testing.T) {
			s := prepare(t, u.start, rig.Options{})
			socket := s.SocketUnit(u.socket)
			if socket.Path != s.MilterSocket() {
				t.Fatalf("the unit's socket is %s, the snippet's %s", socket.Path, s.MilterSocket())
			}
			s.handOver(socket)
			service := s.ServiceUnit("mailseal.service", socket)
			s.asService(t, service)
			service.Await(t, "WATCHDOG=1", 2)
			s.reloaded(t, service)
			s.restarted(t, service, socket)
		})
	}
}

// handOver makes the configuration one that listens on systemd's socket, and the keys the service's
// own.
func (s *site) handOver(socket *rig.Socket) {
	listen := regexp.MustCompile(`(?m)^address = .*(\ngroup = .*)?$`)
	config := s.Read("/etc/mailseal/mailseal.toml")
	s.Write("/etc/mailseal/mailseal.toml",
		listen.ReplaceAllString(config, `address = "fd:`+socket.Name+`"`))
	for _, selector := range []string{"rsa", "ed"} {
		file := "/etc/mailseal/" + selector + ".pem"
		s.File(file, []byte(s.Read(file)), 0o600, "mailseal", "mailseal")
	}
}

func (s *site) asService(t *testing.T, service *rig.Daemon) {
	t.Helper()
	info, err := os.Stat(fmt.Sprint("/proc/", service.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if user := info.Sys().(*syscall.Stat_t).Uid; user == 0 {
		t.Error("the service runs as root")
	}
	c := s.authenticated(t)
	c.Deliver(mail("alice@home.example", "unit@elsewhere.example"))
	c.Quit()
	s.signedByUs(t, s.Sink.To(t, "unit@elsewhere.example"))
}

// reloaded wants a reload to say what is wrong with a configuration, or which domains it would take
// the signature from, and the service to go on as before.
func (s *site) reloaded(t *testing.T, service *rig.Daemon) {
	t.Helper()
	good := s.Read("/etc/mailseal/mailseal.toml")
	s.Write("/etc/mailseal/mailseal.toml", good+"[polizei]\n")
	if out, err := s.ReloadUnit("mailseal.service", service); err == nil ||
		!strings.Contains(out, "polizei") {
		t.Errorf("reloading a mistake: %v, %q", err, out)
	}
	s.Write("/etc/mailseal/mailseal.toml", good[:strings.Index(good, "[[sign]]")])
	if out, err := s.ReloadUnit("mailseal.service", service); err == nil ||
		!strings.Contains(out, "refused") {
		t.Errorf("reloading a file that was cut off: %v, %q", err, out)
	}
	s.Write("/etc/mailseal/mailseal.toml", good)
	if out, err := s.ReloadUnit("mailseal.service", service); err != nil {
		t.Errorf("reloading: %v, %q", err, out)
	}
	service.Await(t, "RELOADING=1", 2) // the mistake was found before the daemon was asked
	service.Await(t, "READY=1", 3)
}

// restarted lets a message come in while no one serves: systemd's socket keeps the MTA waiting
// until someone does.
func (s *site) restarted(t *testing.T, service *rig.Daemon, socket *rig.Socket) {
	t.Helper()
	service.Signal(syscall.SIGTERM)
	service.Await(t, "STOPPING=1", 1)
	service.Ended(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.Local(t, mail("alice@home.example", "meanwhile@elsewhere.example").Message, "-i", "-f",
			"alice@home.example", "-t")
	}()
	s.ServiceUnit("mailseal.service", socket)
	<-sent
	s.signedByUs(t, s.Sink.To(t, "meanwhile@elsewhere.example"))
}
