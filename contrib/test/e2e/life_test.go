package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
)

// The daemon's own life in front of an MTA: reloads, stops, absences, and what it keeps in memory.

func (s *site) authenticated(t *testing.T) *rig.Client {
	t.Helper()
	c := rig.Dial(t, s.Submission, stranger)
	c.Authenticate(rig.User, rig.Password)
	return c
}

// A reload touches no connection: the message before it and the message after it come in on the
// same one, and the new key signs the second. A bad file changes nothing.
func TestReload(t *testing.T) {
	eachMTA(t, func(t *testing.T, s *site) {
		c := s.authenticated(t)
		c.Deliver(mail("alice@home.example", "before@elsewhere.example"))
		s.signedByUs(t, s.Sink.To(t, "before@elsewhere.example"))

		s.publish(t, "new", "home.example", keys.Ed25519)
		text, err := os.ReadFile(s.key("new"))
		if err != nil {
			t.Fatal(err)
		}
		s.File("/etc/mailseal/new.pem", text, 0o600, "root", "root")
		s.daemon.Configure(strings.NewReplacer(`"ed"`, `"new"`, "/ed.pem",
			"/new.pem").Replace(s.config))
		if !s.daemon.Reload(t) || len(s.daemon.Logs(t, "reloaded")) != 1 {
			t.Fatalf("not reloaded:\n%s", s.daemon.Output())
		}
		c.Deliver(mail("alice@home.example", "after@elsewhere.example"))
		d := s.Sink.To(t, "after@elsewhere.example")
		s.signedByUs(t, d)
		if !strings.Contains(string(d.Data), "s=new;") {
			t.Errorf("the new key did not sign:\n%s", d.Data)
		}

		s.daemon.Configure("no such thing = 1\n")
		if s.daemon.Reload(t) || !strings.Contains(s.daemon.Output(), "not reloaded") {
			t.Errorf("a file with a mistake has been loaded:\n%s", s.daemon.Output())
		}
		c.Deliver(mail("alice@home.example", "still@elsewhere.example"))
		s.signedByUs(t, s.Sink.To(t, "still@elsewhere.example"))
		c.Quit()
	})
}

// SIGTERM in the middle of a message: the message is signed, then the daemon is gone, and mail
// waits until it is back.
func TestStop(t *testing.T) {
	eachMTA(t, func(t *testing.T, s *site) {
		c := s.authenticated(t)
		c.Envelope("alice@home.example", "last@elsewhere.example")
		s.daemon.Signal(syscall.SIGTERM)
		s.daemon.AwaitOutput(t, `"msg":"stopping"`)
		if r := c.Data(mail("alice@home.example",
			"last@elsewhere.example").Message); r.Code != 250 {
			t.Fatalf("the message in progress: %s", r)
		}
		s.signedByUs(t, s.Sink.To(t, "last@elsewhere.example"))
		c.Quit()
		s.daemon.Ended(t)

		if r := s.refused(t); r.Code/100 != 4 {
			t.Errorf("while the daemon is away: %s, want 4xx", r)
		}
		s.serve(t)
		c = s.authenticated(t)
		c.Deliver(mail("alice@home.example", "back@elsewhere.example"))
		s.signedByUs(t, s.Sink.To(t, "back@elsewhere.example"))
		c.Quit()
	})
}

// refused tries to send a message and returns the first reply that is not a yes.
func (s *site) refused(t *testing.T) rig.Reply {
	t.Helper()
	c := rig.Dial(t, s.SMTP, stranger)
	for _, command := range []string{"MAIL FROM:<a@stranger.example>",
		"RCPT TO:<away@home.example>", "DATA"} {
		if r := c.Do(command); r.Code/100 > 3 {
			return r
		}
	}
	t.Fatal("the message was taken")
	return rig.Reply{}
}

// Sendmail sends no ABORT between messages: who keeps anything from one to the next, grows.
func TestMemoryOfManyMessages(t *testing.T) {
	measurable(t)
	// Delivered later, by queue runners: this is about what goes in.
	s := newSite(t, rig.Sendmail, rig.Options{Append: "define(`confDELIVERY_MODE', `q')dnl\n"})
	var fields []string
	for i := range 300 {
		fields = append(fields, fmt.Sprintf("X-Field-%d: %s", i, strings.Repeat("x", 85)))
	}
	c := s.authenticated(t)
	send := func(from, to int) {
		for i := from; i < to; i++ {
			c.Deliver(mail("alice@home.example", fmt.Sprintf("many%d@elsewhere.example", i),
				fields...))
		}
	}
	send(0, 100) // pools and caches are full then
	before := s.daemon.Memory(t, "VmRSS")
	send(100, 1000)
	c.Quit()
	if after := s.daemon.Memory(t, "VmRSS"); after > before+16<<20 {
		t.Errorf("after 100 messages of 30 KB header %d KiB, after 1,000 %d KiB", before>>10,
			after>>10)
	}
	if n := len(s.daemon.Logs(t, "message")); n != 1000 {
		t.Errorf("%d log lines for 1,000 messages", n)
	}
	s.signedByUs(t, s.Sink.To(t, "many999@elsewhere.example"))
}

func TestMemoryOfLargeMessage(t *testing.T) {
	measurable(t)
	s := newSite(t, rig.Postfix, rig.Options{Append: "message_size_limit = 0\n"})
	send := func(to string, size int) {
		m := mail("alice@home.example", to)
		m.Message += strings.Repeat(strings.Repeat("x", 70)+"\n", size/71)
		c := s.authenticated(t)
		c.Deliver(m)
		c.Quit()
		s.signedByUs(t, s.Sink.To(t, to))
	}
	send("small@elsewhere.example", 1<<20)
	before := s.daemon.Memory(t, "VmHWM")
	send("large@elsewhere.example", 25<<20)
	if after := s.daemon.Memory(t, "VmHWM"); after > before+8<<20 {
		t.Errorf("a message of 25 MB took memory from %d KiB to %d KiB", before>>10, after>>10)
	}
}

// measurable skips a test of memory where it would measure the race detector's.
func measurable(t *testing.T) {
	t.Helper()
	if rig.Race {
		t.Skip("memory is measured without the race detector")
	}
}
