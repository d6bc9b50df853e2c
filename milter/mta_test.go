package milter

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
)

// stranger is the client that no one knows.
var stranger = netip.MustParseAddr("198.51.100.1")

// The MTAs that are played. The old one knows nothing of milter version 6: it wants an answer to
// everything, takes the space after a colon away and does not say what it is.
var (
	postfix = miltertest.Options{As: miltertest.Postfix, Client: stranger,
		ClientName: "mail.example.net"}
	sendmail = miltertest.Options{As: miltertest.Sendmail, Client: stranger,
		ClientName: "mail.example.net"}
	oldMTA = miltertest.Options{As: miltertest.Sendmail, Client: stranger,
		Offer: guard.Offer{Version: 2, Actions: 0x3f, Protocol: 0x7f}}
)

func eachMTA(t *testing.T, f func(t *testing.T, o miltertest.Options)) {
	for name, o := range map[string]miltertest.Options{"Postfix": postfix, "Sendmail": sendmail,
		"an old one": oldMTA} {
		t.Run(name, func(t *testing.T) { f(t, o) })
	}
}

// caller is an SMTP session of an MTA that is played.
type caller struct {
	t testing.TB
	*miltertest.Conn
}

// dial opens a session, which ends with the test.
func (r *rig) dial(o miltertest.Options) caller {
	r.t.Helper()
	c, err := miltertest.Dial(r.t.Context(), "unix:"+r.path, o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return caller{r.t, c}
}

// deliver sends a message and wants the milter to behave.
func (c caller) deliver(m miltertest.Message) miltertest.Outcome {
	c.t.Helper()
	o, err := c.Send(m)
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

// must wants what the caller does in between to succeed.
func (c caller) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// letter is a message of a queue id, with more fields below its own three and a body of one line.
func letter(id string, fields ...string) miltertest.Message {
	all := append([]string{"From: a@example.net", "To: b@example.com", "Subject: " + id}, fields...)
	return miltertest.Message{
		From: "a@example.net", To: []string{"b@example.com"}, Queue: id,
		Raw: []byte(strings.Join(all, "\n") + "\n\nHello.\n"),
	}
}

// with returns a message with another body.
func with(m miltertest.Message, body string) miltertest.Message {
	header, _, _ := strings.Cut(string(m.Raw), "\n\n")
	m.Raw = []byte(header + "\n\n" + body)
	return m
}

// wire is a connection for those who count packets: it says what it is told to, and no more.
type wire struct {
	t  testing.TB
	nc net.Conn
	*guard.Framer
}

// everything is the data of an OPTNEG that offers all.
const everything = "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"

// wire opens a connection and negotiates.
func (r *rig) wire() *wire {
	r.t.Helper()
	nc, err := net.Dial("unix", r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { nc.Close() })
	w := &wire{r.t, nc, guard.NewFramer(nc, guard.Limits{Idle: 20 * time.Second})}
	if p := w.ask(guard.Negotiate, everything); p.Code != guard.Negotiate {
		r.t.Fatalf("the offer was answered with %v", p.Code)
	}
	return w
}

// send sends a packet, at the latest when something is read.
func (w *wire) send(code guard.Code, data string) {
	w.t.Helper()
	if err := w.WritePacket(code, []byte(data)); err != nil {
		w.t.Fatalf("%v: %v", code, err)
	}
}

// next returns the next packet.
func (w *wire) next() guard.Packet {
	w.t.Helper()
	p, err := w.ReadPacket()
	if err != nil {
		w.t.Fatal(err)
	}
	return guard.Packet{Code: p.Code, Data: bytes.Clone(p.Data)}
}

// ask sends a command and returns its answer.
func (w *wire) ask(code guard.Code, data string) guard.Packet {
	w.t.Helper()
	w.send(code, data)
	return w.next()
}

// tell sends a command that is to be continued.
func (w *wire) tell(code guard.Code, data string) {
	w.t.Helper()
	if p := w.ask(code, data); p.Code != guard.Continue {
		w.t.Fatalf("%v was answered with %v %q", code, p.Code, p.Data)
	}
}

// connectData is the CONNECT of a stranger.
const connectData = "mail.example.net\x004\x00\x19198.51.100.1\x00"

func (w *wire) hello() {
	w.t.Helper()
	w.tell(guard.Connect, connectData)
	w.tell(guard.Helo, "client.example.net\x00")
}

func (w *wire) envelope() {
	w.t.Helper()
	w.tell(guard.Mail, "<a@example.net>\x00")
	w.tell(guard.Rcpt, "<b@example.com>\x00")
}

// content sends a header and a body, and what it has not been told to wait for leaves at once.
func (w *wire) content() {
	w.t.Helper()
	w.send(guard.Header, "From\x00 a@example.net\x00")
	w.send(guard.EndOfHeader, "")
	w.send(guard.Body, "Hello.\r\n")
	w.flush()
}

func (w *wire) flush() {
	w.t.Helper()
	if err := w.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

// raw makes the connection ready for octets that the framer does not see.
func (w *wire) raw() {
	w.t.Helper()
	if err := errors.Join(w.Flush(), w.nc.SetDeadline(time.Time{})); err != nil {
		w.t.Fatal(err)
	}
}

// wantClosed wants the server to have closed the connection without another word.
func (w *wire) wantClosed() {
	w.t.Helper()
	if p, err := w.ReadPacket(); err == nil {
		w.t.Errorf("got %v %q, want the end of the connection", p.Code, p.Data)
	}
}
