package e2e

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mailseal/contrib/test/rig"
)

// twins are two MTAs of a kind: one with OpenDKIM, one with the shadow before the same OpenDKIM.
// Whatever is done to both must have the same answers, and the same message must come out.
type twins struct {
	*oldHost
	direct, shadowed *rig.MTA
	socket           string // OpenDKIM's
	opendkimProcess  *rig.Process
	shadowProcess    *shadowProcess
}

func newTwins(t *testing.T, start startMTA) *twins {
	t.Helper()
	return newTwinsBefore(t, start,
		func(w *twins, _ string) { w.opendkimProcess = w.opendkim(t, w.socket) })
}

// newTwinsBefore starts the old milter by a function of one's own.
func newTwinsBefore(t *testing.T, start startMTA, old func(w *twins, hostport string)) *twins {
	t.Helper()
	w := &twins{oldHost: newOldHost(t, "sv")}
	direct, front := rig.FreePort(t, local), rig.FreePort(t, local)
	w.socket = milterAddress(direct)
	old(w, direct)
	w.shadowProcess = w.shadow(t, milterAddress(front), w.socket)
	w.direct, w.shadowed = start(t, rig.Options{Milter: direct}),
		start(t, rig.Options{Milter: front})
	return w
}

// milterAddress writes host:port as milters do.
func milterAddress(hostport string) string {
	host, port, _ := strings.Cut(hostport, ":")
	return "inet:" + port + "@" + host
}

// clients are one connection to each of the two.
type clients struct {
	*twins
	t    *testing.T
	a, b *rig.Client
}

func (w *twins) stranger(t *testing.T) *clients {
	return &clients{w, t, w.direct.Dial(t, stranger), w.shadowed.Dial(t, stranger)}
}

func (w *twins) user(t *testing.T) *clients {
	c := &clients{w, t, rig.Dial(t, w.direct.Submission, stranger),
		rig.Dial(t, w.shadowed.Submission, stranger)}
	c.a.Authenticate(rig.User, rig.Password)
	c.b.Authenticate(rig.User, rig.Password)
	return c
}

// queueID is what differs in the replies of two MTAs that do the same.
var queueID = regexp.MustCompile(`queued as \S+|^2\.0\.0 \S{14} `)

func (c *clients) same(what string, a, b rig.Reply) rig.Reply {
	c.t.Helper()
	if a.Code != b.Code || queueID.ReplaceAllString(a.Text, "") != queueID.ReplaceAllString(b.Text,
		"") {
		c.t.Errorf("%s: through the shadow %s, without it %s", what, b, a)
	}
	return b
}

func (c *clients) do(command string) rig.Reply {
	c.t.Helper()
	return c.same(command, c.a.Do(command), c.b.Do(command))
}

// trace is what two MTAs write differently: their ids and times.
var trace = regexp.MustCompile(`(?m)^Received: from client\.example .*\r\n([ \t].*\r\n)*`)

// deliver sends a message through both until both are signed in the same second, and compares what
// came out, which it returns.
func (c *clients) deliver(m rig.Mail) rig.Delivery {
	c.t.Helper()
	for try := 1; ; try++ {
		c.same("the message", c.a.Send(m), c.b.Send(m))
		a, b := c.direct.Sink.To(c.t, m.To[0]), c.shadowed.Sink.To(c.t, m.To[0])
		timeA, timeB := signedAt.FindSubmatch(a.Data), signedAt.FindSubmatch(b.Data)
		if timeA != nil && timeB != nil && !bytes.Equal(timeA[1], timeB[1]) && try < 10 {
			continue
		}
		if x, y := trace.ReplaceAllString(string(a.Data), ""),
			trace.ReplaceAllString(string(b.Data), ""); x != y || a.From != b.From ||
			!slices.Equal(slices.Sorted(slices.Values(a.To)), slices.Sorted(slices.Values(b.To))) {
			c.t.Errorf("through the shadow came from %s to %s\n%s\nwithout it from %s to %s\n%s",
				b.From, b.To, y, a.From, a.To, x)
		}
		return b
	}
}

func (c *clients) quit() {
	c.t.Helper()
	c.a.Quit()
	c.b.Quit()
}

func TestShadowInMTA(t *testing.T) {
	for _, k := range []struct {
		name  string
		start startMTA
	}{{"Postfix", rig.Postfix}, {"Sendmail", rig.Sendmail}} {
		t.Run(k.name, func(t *testing.T) {
			w := newTwins(t, k.start)
			t.Run("several messages on one connection", w.severalMessages)
			t.Run("strangers", w.strangers)
			t.Run("RSET and aborted DATA", w.givenUp)
			t.Run("local submission", w.localMail)
			t.Run("OpenDKIM dies in a message", w.dies)
			for _, l := range w.shadowProcess.lines(t) {
				if l.Msg == "differs" {
					t.Errorf("a false difference: %s", l.raw)
				}
			}
		})
	}
}

func (w *twins) severalMessages(t *testing.T) {
	c := w.user(t)
	for _, to := range []string{"one@elsewhere.example", "two@elsewhere.example",
		"three@elsewhere.example"} {
		c.deliver(mail("alice@home.example", to))
	}
	large := mail("alice@home.example", "large@elsewhere.example")
	large.Message += strings.Repeat("0123456789abcdef\n", 20000)
	c.deliver(large)
	c.quit()
}

func (w *twins) strangers(t *testing.T) {
	c := w.stranger(t)
	m := mail("a@stranger.example", "bob@home.example")
	c.deliver(m)
	signed := m
	signed.Message = w.signedByStranger(t, m.Message)
	c.deliver(signed)
	changed := signed
	changed.Message = strings.Replace(signed.Message, "about", "no longer about", 1)
	c.deliver(changed)
	forged := signed
	forged.Message = "Authentication-Results: mx.home.example; dkim=pass header.d=bank.example\n" +
		signed.Message
	c.deliver(forged)
	c.do("MAIL FROM:<a@stranger.example>")
	c.do("RCPT TO:<b@elsewhere.example>") // who may not relay
	c.do("RCPT TO:<bob@home.example>")
	c.same("after a refused recipient", c.a.Data(m.Message), c.b.Data(m.Message))
	c.quit()
}

func (w *twins) givenUp(t *testing.T) {
	c := w.user(t)
	c.do("MAIL FROM:<alice@home.example>")
	c.do("RCPT TO:<never@elsewhere.example>")
	c.do("RSET")
	c.do("NOOP")
	c.do("EHLO client.example")
	c.deliver(mail("alice@home.example", "after@elsewhere.example"))
	c.do("MAIL FROM:<alice@home.example>")
	c.do("RCPT TO:<never@elsewhere.example>")
	c.a.Abort("Subject: half a mess")
	c.b.Abort("Subject: half a mess")
	c = w.user(t)
	c.deliver(mail("alice@home.example", "later@elsewhere.example"))
	c.quit()
}

func (w *twins) localMail(t *testing.T) {
	m := mail("alice@home.example", "local@elsewhere.example")
	for range 2 {
		w.direct.Local(t, m.Message, "-t", "-i", "-f", "alice@home.example")
		w.shadowed.Local(t, m.Message, "-t", "-i", "-f", "alice@home.example")
		a, b := w.direct.Sink.To(t, m.To[0]), w.shadowed.Sink.To(t, m.To[0])
		if len(a.Header("DKIM-Signature")) != 1 || len(b.Header("DKIM-Signature")) != 1 {
			t.Errorf("through the shadow\n%s\nwithout it\n%s", b.Data, a.Data)
		}
	}
}

// dies ends OpenDKIM in the middle of a message: clients are told what the MTA's configuration
// says, in that message, in the same session after it, and in the next; and when OpenDKIM is back
// all is well again.
func (w *twins) dies(t *testing.T) {
	c := w.user(t)
	c.do("MAIL FROM:<alice@home.example>")
	c.do("RCPT TO:<dies@elsewhere.example>")
	w.opendkimProcess.Signal(syscall.SIGKILL)
	_ = w.opendkimProcess.Stop() // killed
	m := mail("alice@home.example", "dies@elsewhere.example")
	if r := c.same("DATA", c.a.Data(m.Message), c.b.Data(m.Message)); r.Code != 451 {
		t.Errorf("the message in which OpenDKIM dies: %s", r)
	}
	c.do("MAIL FROM:<alice@home.example>")
	c.quit()
	c = w.stranger(t)
	if r := c.do("MAIL FROM:<a@stranger.example>"); r.Code != 451 {
		t.Errorf("a message without OpenDKIM: %s", r)
	}
	c.quit()
	w.opendkimProcess = w.opendkim(t, w.socket)
	c = w.user(t)
	c.deliver(mail("alice@home.example", "back@elsewhere.example"))
	c.quit()
}
