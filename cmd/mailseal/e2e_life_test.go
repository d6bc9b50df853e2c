package main_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/milter/miltertest/mtatest"
)

// The daemon's own life in front of a MTA: reloads, stops, absences, and what it keeps in memory.

func (s *site) authenticated(t *testing.T) *mtatest.Client {
	t.Helper()
	c := mtatest.Dial(t, s.Submission, stranger)
	c.Authenticate(mtatest.User, mtatest.Password)
	return c
}

// A reload touches no connection: the message before it and the message after it come in on the same one, and the new
// key signs the second. A bad file changes nothing.
func TestReload(t *testing.T) {
	eachMTA(t, func(t *testing.T, s *site) {
		c := s.authenticated(t)
		c.Deliver(mail("alice@home.example", "before@elsewhere.example"))
		s.signedByUs(t, s.Sink.To(t, "before@elsewhere.example"))

		old := s.Read("/etc/mailseal/mailseal.toml")
		s.publish(t, "new", "home.example", keys.Ed25519)
		text, err := os.ReadFile(s.key("new"))
		if err != nil {
			t.Fatal(err)
		}
		s.File("/etc/mailseal/new.pem", text, 0o600, "root", "root")
		s.Write("/etc/mailseal/mailseal.toml", strings.NewReplacer(`"ed"`, `"new"`, "/ed.pem", "/new.pem").Replace(old))
		s.daemon.Signal(syscall.SIGHUP)
		s.daemon.AwaitOutput(t, "msg=reloaded")
		c.Deliver(mail("alice@home.example", "after@elsewhere.example"))
		d := s.Sink.To(t, "after@elsewhere.example")
		s.signedByUs(t, d)
		if !strings.Contains(string(d.Data), "s=new;") {
			t.Errorf("the new key did not sign:\n%s", d.Data)
		}

		s.Write("/etc/mailseal/mailseal.toml", "no such thing = 1\n")
		s.daemon.Signal(syscall.SIGHUP)
		s.daemon.AwaitOutput(t, "not reloaded")
		c.Deliver(mail("alice@home.example", "still@elsewhere.example"))
		s.signedByUs(t, s.Sink.To(t, "still@elsewhere.example"))
		c.Quit()
	})
}

// SIGTERM in the middle of a message: the message is signed, then the daemon is gone, and mail waits until it is back.
func TestStop(t *testing.T) {
	eachMTA(t, func(t *testing.T, s *site) {
		c := s.authenticated(t)
		c.Envelope("alice@home.example", "last@elsewhere.example")
		s.daemon.Signal(syscall.SIGTERM)
		s.daemon.AwaitOutput(t, "msg=stopping")
		if r := c.Data(mail("alice@home.example", "last@elsewhere.example").Message); r.Code != 250 {
			t.Fatalf("the message under way: %s", r)
		}
		s.signedByUs(t, s.Sink.To(t, "last@elsewhere.example"))
		c.Quit()
		if err, ended := s.daemon.Wait(time.Minute); !ended || err != nil {
			t.Fatalf("the daemon did not end well: %v", err)
		}

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
func (s *site) refused(t *testing.T) mtatest.Reply {
	t.Helper()
	c := mtatest.Dial(t, s.SMTP, stranger)
	for _, command := range []string{"MAIL FROM:<a@stranger.example>", "RCPT TO:<away@home.example>", "DATA"} {
		if r := c.Do(command); r.Code/100 > 3 {
			return r
		}
	}
	t.Fatal("the message was taken")
	return mtatest.Reply{}
}

// Sendmail sends no ABORT between messages: who keeps anything from one to the next, grows.
func TestMemoryOfManyMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("1,000 messages: not with -short")
	}
	measurable(t)
	// Delivered later, by queue runners: this is about what goes in.
	s := newSite(t, mtatest.Sendmail, mtatest.Options{Append: "define(`confDELIVERY_MODE', `q')dnl\n"})
	var fields []string
	for i := range 300 {
		fields = append(fields, fmt.Sprintf("X-Field-%d: %s", i, strings.Repeat("x", 85)))
	}
	c := s.authenticated(t)
	send := func(from, to int) {
		for i := from; i < to; i++ {
			c.Deliver(mail("alice@home.example", fmt.Sprintf("many%d@elsewhere.example", i), fields...))
		}
	}
	send(0, 100) // pools and caches are full then
	before := s.resident(t)
	send(100, 1000)
	c.Quit()
	if after := s.resident(t); after > before+16<<20 {
		t.Errorf("after 100 messages of 30 KB header %d KiB, after 1,000 %d KiB", before>>10, after>>10)
	}
	if n := strings.Count(s.daemon.Output(), "msg=message"); n != 1000 {
		t.Errorf("%d log lines for 1,000 messages", n)
	}
	s.signedByUs(t, s.Sink.To(t, "many999@elsewhere.example"))
}

func TestMemoryOfLargeMessage(t *testing.T) {
	measurable(t)
	s := newSite(t, mtatest.Postfix, mtatest.Options{Append: "message_size_limit = 0\n"})
	send := func(to string, size int) {
		m := mail("alice@home.example", to)
		m.Message += strings.Repeat(strings.Repeat("x", 70)+"\n", size/71)
		c := s.authenticated(t)
		c.Deliver(m)
		c.Quit()
		s.signedByUs(t, s.Sink.To(t, to))
	}
	send("small@elsewhere.example", 1<<20)
	before := s.peak(t)
	send("large@elsewhere.example", 25<<20)
	if after := s.peak(t); after > before+8<<20 {
		t.Errorf("a message of 25 MB took memory from %d KiB to %d KiB", before>>10, after>>10)
	}
}

// measurable skips a test of memory where it would measure the race detector's.
func measurable(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("memory is measured without the race detector")
	}
}

// resident is the daemon's memory in octets, now; peak is the most that it ever was.
func (s *site) resident(t *testing.T) int { return s.memory(t, "VmRSS") }
func (s *site) peak(t *testing.T) int     { return s.memory(t, "VmHWM") }

func (s *site) memory(t *testing.T, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.daemon.PID()))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no %s in:\n%s", name, status)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
