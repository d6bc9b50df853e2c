package rig

import (
	"fmt"
	"strings"
	"testing"
)

// The harness itself, with a milter of fifty lines: what is sent arrives, and the milter hears what
// it should.

var servers = []struct {
	name  string
	start func(testing.TB, Options) *MTA
	tcp   bool
	o     Options
}{
	{"Postfix, chrooted, unix", Postfix, false, Options{}},
	{"Postfix, not chrooted, unix", Postfix, false, Options{Unchrooted: true}},
	{"Postfix, chrooted, TCP", Postfix, true, Options{}},
	{"Sendmail, unix", Sendmail, false, Options{}},
	{"Sendmail, TCP", Sendmail, true, Options{}},
}

func TestServers(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			if s.tcp {
				s.o.Milter = FreePort(t, "127.0.0.1")
			}
			m := s.start(t, s.o)
			serveStandIn(t, m, s.o)
			t.Run("stranger", m.stranger)
			t.Run("IPv6", m.ipv6)
			t.Run("authenticated", m.authenticated)
			t.Run("local", m.local)
			t.Run("reinjected", m.reinjected)
			t.Run("awkward session", m.awkward)
			t.Run("held", m.held)
		})
	}
}

func note(from, to, subject string) Mail {
	return Mail{From: from, To: []string{to}, Message: fmt.Sprintf(
		"From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 05:00:00 "+
			"+0000\r\nMessage-ID: <%s>\r\n\r\n.dot\r\n\r\ntext\r\n",
		from, to, subject, to)}
}

// heard checks what the stand-in was told about the message.
func heard(t *testing.T, d Delivery, want string) {
	t.Helper()
	if got := d.Header("X-Stand-In"); len(got) != 1 || got[0] != want {
		t.Errorf("X-Stand-In: got %q, want %q", got, want)
	}
}

func (m *MTA) stranger(t *testing.T) {
	c := m.Dial(t, "127.0.0.2")
	c.Deliver(note("a@stranger.example", "stranger@home.example", "hello"))
	if r := c.Do("MAIL FROM:<a@stranger.example>"); r.Code != 250 {
		t.Fatal(r)
	}
	if r := c.Do("RCPT TO:<b@elsewhere.example>"); r.Code/100 != 5 {
		t.Errorf("a stranger may relay: %s", r)
	}
	c.Quit()
	d := m.Sink.To(t, "stranger@home.example")
	heard(t, d, "tcp4 127.0.0.2 from=a@stranger.example auth=")
	if want := "\r\n\r\n.dot\r\n\r\ntext\r\n"; !strings.HasSuffix(string(d.Data), want) {
		t.Errorf("delivered %q, want an end like %q", d.Data, want)
	}
	if d.From != "a@stranger.example" {
		t.Errorf("sender: got %q", d.From)
	}
}

func (m *MTA) ipv6(t *testing.T) {
	if m.SMTP6 == "" {
		t.Skip("no IPv6 loopback here")
	}
	c := Dial(t, m.SMTP6, "")
	c.Deliver(note("a@stranger.example", "six@home.example", "hello"))
	c.Quit()
	want := "tcp6 ::1 from=a@stranger.example auth="
	if m.Name == "Sendmail" { // its "IPv6:" prefix is more than the library's parser expects
		want = "tcp6 <nil> from=a@stranger.example auth="
	}
	heard(t, m.Sink.To(t, "six@home.example"), want)
}

func (m *MTA) authenticated(t *testing.T) {
	c := Dial(t, m.Submission, "127.0.0.2")
	c.Authenticate(User, Password)
	c.Deliver(note("alice@home.example", "friend@elsewhere.example", "hello"))
	c.Quit()
	heard(t, m.Sink.To(t, "friend@elsewhere.example"),
		"tcp4 127.0.0.2 from=alice@home.example auth="+User)
}

func (m *MTA) local(t *testing.T) {
	m.Local(t, note("alice@home.example", "local@elsewhere.example", "hello").Message, "-t", "-i",
		"-f", "alice@home.example")
	heard(t, m.Sink.To(t, "local@elsewhere.example"),
		"tcp4 127.0.0.1 from=alice@home.example auth=")
}

func (m *MTA) reinjected(t *testing.T) {
	c := Dial(t, m.Reinjected, "127.0.0.1")
	c.Deliver(note("a@stranger.example", "filtered@home.example", "hello"))
	c.Quit()
	if got := m.Sink.To(t, "filtered@home.example").Header("X-Stand-In"); len(got) != 0 {
		t.Errorf("the milter saw a reinjected message: %q", got)
	}
}

func (m *MTA) awkward(t *testing.T) {
	c := m.Dial(t, "127.0.0.2")
	c.Envelope("a@stranger.example", "reset@home.example")
	if r := c.Do("RSET"); r.Code != 250 {
		t.Fatal(r)
	}
	c.Deliver(note("a@stranger.example", "after-reset@home.example", "hello"))
	c.Envelope("a@stranger.example", "aborted@home.example")
	c.Abort("Subject: half a mess")
	m.Dial(t, "127.0.0.2").Deliver(note("a@stranger.example", "after-abort@home.example", "hello"))
	m.Sink.To(t, "after-reset@home.example")
	m.Sink.To(t, "after-abort@home.example")
	for _, never := range []string{"reset@home.example", "aborted@home.example"} {
		if m.Sink.Has(never) {
			t.Errorf("a message to %s was delivered", never)
		}
	}
}

func (m *MTA) held(t *testing.T) {
	c := m.Dial(t, "127.0.0.2")
	c.Deliver(note("a@stranger.example", "held@home.example", "hold me"))
	c.Quit()
	q := m.AwaitHeld(t, "held@home.example")
	if q.From != "a@stranger.example" {
		t.Errorf("held: %+v", q)
	}
	message := m.Message(t, q)
	if !strings.Contains(message, "X-Stand-In: tcp4 127.0.0.2 from=a@stranger.example") ||
		!strings.Contains(message, "\n\n.dot\n\ntext\n") {
		t.Errorf("in the queue:\n%s", message)
	}
}
