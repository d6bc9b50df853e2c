package guard_test

import (
	"errors"
	"net"
	"net/textproto"
	"slices"
	"testing"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
)

// A5 and A6: with a Response that always continues, one session serves a connection, whatever it
// answers; the session knows its connection; Serve ends with it.
func TestA05OneSessionForAConnection(t *testing.T) {
	r := open(t, defaults, func(r *rig) {
		r.filter.stage = map[string]gomilter.Response{"RCPT": always{gomilter.RespReject}}
	})
	r.hello()
	for range 3 {
		r.ask(guard.Mail, "<a@example.com>\x00")
		r.send(guard.Rcpt, "<b@example.com>\x00")
		r.want(guard.Reject)
		r.send(guard.EndOfHeader, "")
		r.send(guard.EndOfBody, "")
		r.want(guard.Accept)
	}
	if err := r.quit(); err != nil {
		t.Error(err)
	}
	if n := count(r.filter.log(), "NEW"); n != 1 {
		t.Errorf("%d sessions for one connection", n)
	}
}

// The library is given one connection, and its Serve does not wait for the end of it. When it
// leaves, that is said once.
func TestA06ListenerGivesOneConnection(t *testing.T) {
	client, server := pair(t)
	go client.Write(append([]byte("\x00\x00\x00\x0dO"), offer(6, allActions, allProtocol)...))
	c, err := guard.Handshake(server, defaults)
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	ln := c.Listener(func() {
		left++
		if c.Context().Err() == nil {
			t.Error("the library left before the connection ended")
		}
	})
	library, err := ln.Accept()
	if err != nil || library.RemoteAddr() != c.RemoteAddr() || ln.Addr() == nil {
		t.Fatalf("first Accept: %v, %v", library, err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Accept: %v, want net.ErrClosed", err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Context().Err(); err != nil {
		t.Errorf("the connection ended with its listener: %v", err)
	}
	c.Close()
	if left != 0 {
		t.Error("the library left, though a callback may be at work")
	}
	library.Close()
	library.Close()
	if left != 1 {
		t.Errorf("the library left %d times, want 1", left)
	}
}

// Sendmail sends no ABORT between messages: go-milter's own collection of header fields would grow
// for ever.
func TestA07FieldsDoNotLeakIntoTheNextMessage(t *testing.T) {
	for _, sinks := range []bool{false, true} {
		var seen []int
		r := open(t, defaults, func(r *rig) {
			r.sinks = sinks
			r.filter.onHeads = func(h textproto.MIMEHeader) {
				seen = append(seen, len(h["Subject"]))
			}
		})
		r.hello()
		for range 3 {
			r.message("body")
			r.want(guard.Accept)
		}
		if err := r.quit(); err != nil {
			t.Error(err)
		}
		want := []int{1, 1, 1}
		if sinks {
			want = []int{0, 0, 0} // the library never sees a field
		}
		if !slices.Equal(seen, want) {
			t.Errorf("sinks %v: go-milter held %v fields, want %v", sinks, seen, want)
		}
	}
}

func TestA08MacrosByStage(t *testing.T) {
	type sight struct{ daemon, auth, queue, latest string }
	var got []sight
	look := func(c *guard.Conn) {
		got = append(got, sight{
			c.Macro(guard.StageConnect, "{daemon_name}"), c.Macro(guard.StageMail, "{auth_authen}"),
			c.Latest("i"), c.Latest("{daemon_name}"),
		})
	}
	r := open(t, defaults, func(r *rig) {
		r.filter.eom = func(_ *gomilter.Modifier, c *guard.Conn) (gomilter.Response, error) {
			look(c)
			return always{gomilter.RespAccept}, nil
		}
	})
	r.send(guard.Macro, "C{daemon_name}\x00ORIGINATING\x00j\x00mx.example\x00")
	r.ask(guard.Connect, "client.example\x00U")
	r.send(guard.Macro, "H")
	r.ask(guard.Helo, "client.example\x00")
	r.send(guard.Macro, "M{auth_authen}\x00user\x00{mail_addr}\x00\x00")
	r.send(guard.Macro, "Mi\x00QUEUE1\x00{auth_authen}\x00user\x00")
	r.ask(guard.Mail, "<a@example.com>\x00")
	r.ask(guard.Rcpt, "<b@example.com>\x00")
	r.send(guard.Macro, "L{daemon_name}\x00smtpd\x00")
	r.send(guard.Header, "A\x00\x00")
	r.send(guard.EndOfHeader, "")
	r.send(guard.Macro, "Ei\x00QUEUE2\x00")
	r.send(guard.EndOfBody, "")
	r.want(guard.Accept)
	// The next message has no macros at all: nothing of the first may show.
	r.message("")
	r.want(guard.Accept)
	if err := r.quit(); err != nil {
		t.Error(err)
	}
	want := []sight{
		{"ORIGINATING", "user", "QUEUE2", "smtpd"},
		{"ORIGINATING", "", "", "ORIGINATING"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestA11ClientAddress(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       string // as go-milter says it
		addr       string
		family     guard.Family
		port       uint16
		path       string
	}{
		{"IPv4", "c.example\x004\x30\x39192.0.2.1\x00", "CONNECT c.example tcp4 12345 192.0.2.1",
			"192.0.2.1", '4', 12345, ""},
		{"IPv6, Postfix", "c.example\x006\x00\x01::1\x00", "CONNECT c.example tcp6 1 ::1", "::1", '6', 1, ""},
		{"IPv6, Sendmail", "[IPv6:0:0:0:0:0:0:0:1]\x006\x00\x01IPv6:0:0:0:0:0:0:0:1\x00",
			"CONNECT [IPv6:0:0:0:0:0:0:0:1] tcp6 1 ::1", "::1", '6', 1, ""},
		{"IPv4 in IPv6", "c\x006\x00\x01::ffff:192.0.2.1\x00", "CONNECT c tcp6 1 192.0.2.1", "192.0.2.1", '6', 1, ""},
		{"link-local", "c\x006\x00\x01fe80::1%eth0\x00", "CONNECT c tcp6 1 fe80::1", "fe80::1", '6', 1, ""},
		{"a local process", "localhost\x00U", "CONNECT localhost unknown 0 <nil>", "invalid IP", 'U', 0, ""},
		{"a unix socket", "localhost\x00L\x00\x00/run/s\x00", "CONNECT localhost unix 0 <nil>",
			"invalid IP", 'L', 0, "/run/s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, defaults, nil)
			conn := <-r.conn
			r.ask(guard.Connect, c.data)
			if err := r.quit(); err != nil {
				t.Error(err)
			}
			wantEvents(t, r, "NEW", c.want)
			got := conn.Client()
			if got.Addr.String() != c.addr || got.Family != c.family || got.Port != c.port ||
				got.Path != c.path {
				t.Errorf("client %+v", got)
			}
		})
	}
}

func TestA13PathsAndArguments(t *testing.T) {
	r := open(t, defaults, nil)
	conn := <-r.conn
	r.hello()
	r.ask(guard.Mail, "<a@example.com>\x00SIZE=1000\x00BODY=8BITMIME\x00SMTPUTF8\x00")
	r.ask(guard.Rcpt, "<\"odd >\"@example.net>\x00NOTIFY=NEVER\x00")
	if got := conn.Recipient().Address(); got != `"odd >"@example.net` {
		t.Errorf("recipient %q", got)
	}
	r.ask(guard.Mail, "local\x00") // Postfix, mail of its own host
	if s := conn.Sender(); s.Address() != "local" || s.Args != nil {
		t.Errorf("sender %+v", s)
	}
	r.ask(guard.Mail, "<>\x00")
	if s := conn.Sender(); s.Raw != "<>" || s.Address() != "" {
		t.Errorf("null sender %+v", s)
	}
	if err := r.quit(); err != nil {
		t.Error(err)
	}
	wantEvents(t, r, "NEW", "CONNECT client.example tcp4 12345 192.0.2.1", "HELO client.example",
		"ABORT", "MAIL <a@example.com> SIZE=1000 BODY=8BITMIME SMTPUTF8",
		"RCPT <\"odd >\"@example.net> NOTIFY=NEVER",
		"ABORT", "MAIL local ", "ABORT", "MAIL <> ")
}

func TestA14UnknownAndNewClient(t *testing.T) {
	r := open(t, defaults, nil)
	r.hello()
	r.ask(guard.Unknown, "XDEBUG\x00")
	r.ask(guard.Mail, "<a@example.com>\x00")
	r.send(guard.QuitNewConn, "")
	r.ask(guard.Connect, "second\x004\x00\x01192.0.2.2\x00")
	conn := <-r.conn
	if conn.Helo() != "" || conn.Busy() {
		t.Errorf("the second client inherits HELO %q, busy %v", conn.Helo(), conn.Busy())
	}
	r.ask(guard.Helo, "second\x00")
	r.message("")
	r.want(guard.Accept)
	if err := r.quit(); err != nil {
		t.Error(err)
	}
	if n := count(r.filter.log(), "NEW"); n != 1 {
		t.Errorf("%d sessions", n)
	}
	if !slices.Contains(r.filter.log(), "CONNECT second tcp4 1 192.0.2.2") {
		t.Errorf("the second client was not shown: %q", r.filter.log())
	}
}

func TestA15EndOfBodyWithData(t *testing.T) {
	for _, sinks := range []bool{false, true} {
		r := open(t, defaults, func(r *rig) { r.sinks = sinks })
		r.hello()
		r.ask(guard.Mail, "<>\x00")
		r.send(guard.EndOfHeader, "")
		r.send(guard.Body, "one ")
		r.send(guard.EndOfBody, "two")
		r.want(guard.Accept)
		if err := r.quit(); err != nil {
			t.Error(err)
		}
		if got := r.filter.log(); !slices.Equal(got[len(got)-3:],
			[]string{"BODY one ", "BODY two", "EOM"}) {
			t.Errorf("sinks %v: %q", sinks, got)
		}
	}
}
