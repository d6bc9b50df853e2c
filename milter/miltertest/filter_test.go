package miltertest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/guard"
)

// What a milter must not do, and what the MTA makes of it.
func TestMilterMisbehaves(t *testing.T) {
	for _, c := range []struct {
		name  string
		teach func(m *milter)
		mtas  []MTA // that do not put up with it
	}{
		{"an action that was not offered", func(m *milter) { m.agreed.Actions |= 1 << 20 }, []MTA{Postfix, Sendmail}},
		{"a protocol bit that was not offered", func(m *milter) { m.agreed.Protocol |= 1 << 28 }, []MTA{Sendmail}},
		{"too many macros", func(m *milter) { m.agreed.Macros[0] = slices.Repeat([]string{"i"}, 51) }, []MTA{Sendmail}},
		{"an answer to what has none",
			func(m *milter) { m.answers[guard.Header] = []guard.Packet{say(guard.Continue, "")} },
			[]MTA{Postfix, Sendmail}},
		{"two verdicts", func(m *milter) {
			m.answers[guard.EndOfBody] = []guard.Packet{say(guard.Accept, ""),
				say(guard.Accept, "")}
		}, []MTA{Postfix, Sendmail}},
		{"an edit before the end", func(m *milter) {
			m.answers[guard.Mail] = []guard.Packet{say(guard.AddHeader, "X\x00y\x00")}
		}, []MTA{Postfix, Sendmail}},
		{"a NUL in a value", func(m *milter) {
			m.answers[guard.EndOfBody] = []guard.Packet{say(guard.AddHeader, "X\x00y\x00z\x00"),
				say(guard.Accept, "")}
		}, []MTA{Postfix}},
		{"an edit without a string", func(m *milter) {
			m.answers[guard.EndOfBody] = []guard.Packet{say(guard.ChangeHeader, "\x00"),
				say(guard.Accept, "")}
		}, []MTA{Postfix}},
		{"skipping the end", func(m *milter) {
			m.answers[guard.EndOfBody] = []guard.Packet{say(guard.SkipBody, "")}
		}, []MTA{Postfix, Sendmail}},
		{"a letter of no meaning", func(
			m *milter) {
			m.answers[guard.EndOfBody] = []guard.Packet{say('z', "")}
		}, []MTA{Postfix, Sendmail}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothMTAs(t, func(t *testing.T, mta MTA) {
				m := newMilter(noReplies)
				c.teach(m)
				conn, err := Dial(context.Background(), m.serve(t), Options{As: mta})
				if err == nil {
					_, err = conn.Send(message)
					err = errors.Join(err, conn.Quit())
				}
				if want := slices.Contains(c.mtas, mta); want != errors.Is(err, ErrFilter) {
					t.Errorf("got %v, want an ErrFilter: %v", err, want)
				}
			})
		})
	}
}

// Sendmail drops a malformed edit and takes the message; the test that looks only at the verdict
// would not see it.
func TestIgnoredEdit(t *testing.T) {
	m := newMilter(noReplies)
	m.answers[guard.EndOfBody] = []guard.Packet{say(guard.AddHeader, "X\x00y\x00z\x00"),
		say(guard.Accept, "")}
	c := dialTest(t, m, Options{As: Sendmail})
	o, err := c.Send(message)
	if err != nil || o.Refused() || len(o.Ignored) != 1 || len(o.Edits) != 0 {
		t.Errorf("%v, %+v", err, o)
	}
}

func TestSkip(t *testing.T) {
	m := newMilter(guard.Skip | guard.NoReplyHeader)
	m.answers[guard.Body] = []guard.Packet{say(guard.SkipBody, "")}
	c := dialTest(t, m, Options{})
	long := message
	long.Raw = []byte("From: a\n\n" + strings.Repeat("0123456789\n", 20000))
	o, err := c.Send(long)
	if err != nil || !o.Skipped || o.Refused() {
		t.Fatalf("%v, %+v", err, o)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	<-m.done
	if n := strings.Count(strings.Join(m.said, " "), "BODY"); n != 1 {
		t.Errorf("%d pieces after a skip", n)
	}
	if got := len(o.Delivered()); got < 20000*12 {
		t.Errorf("%d octets delivered: the body is the MTA's, whatever the milter has read of it",
			got)
	}
}

func TestEnvelopeEdits(t *testing.T) {
	m := newMilter(noReplies)
	m.answers[guard.EndOfBody] = []guard.Packet{
		say(guard.ChangeSender, "<new@example.com>\x00SIZE=1 BODY=7BIT\x00"),
		say(guard.AddRcpt, "<c@example.net>\x00"),
		say(guard.DeleteRcpt, "<b@example.net>\x00"), say(guard.ReplaceBody, "one\r"),
		say(guard.ReplaceBody, "\ntwo"), say(guard.Continue, ""),
	}
	c := dialTest(t, m, Options{})
	o, err := c.Send(message)
	if err != nil {
		t.Fatal(err)
	}
	if o.Sender() != "new@example.com" ||
		!slices.Equal(o.Edits[0].Args, []string{"SIZE=1", "BODY=7BIT"}) {
		t.Errorf("sender %q, %+v", o.Sender(), o.Edits[0])
	}
	if got := string(o.Delivered()); !strings.HasSuffix(got, "\r\n\r\none\r\ntwo\r\n") {
		t.Errorf("delivered %q", got)
	}
	var shown []string
	for _, e := range o.Edits {
		shown = append(shown, e.String())
	}
	want := []string{"change sender <new@example.com> SIZE=1 BODY=7BIT",
		"add recipient <c@example.net>", "delete recipient <b@example.net>", "body 4 octets",
		"body 4 octets"}
	if !slices.Equal(shown, want) {
		t.Errorf("shown %q", shown)
	}
}

func TestClients(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		name string
		o    Options
		want guard.Client
	}{
		{"Postfix, IPv6", Options{Client: v6}, guard.Client{Host: "unknown", Family: '6', Addr: v6, Port: 54321}},
		{"Sendmail, IPv6", Options{As: Sendmail, Client: v6},
			guard.Client{Host: "[IPv6:2001:db8::1]", Family: '6', Addr: v6, Port: 54321}},
		{"Postfix, local", Options{Local: true}, guard.Client{Host: "localhost", Family: '4',
			Addr: netip.MustParseAddr("127.0.0.1")}},
		{"Sendmail, local", Options{As: Sendmail, Local: true}, guard.Client{Host: "localhost", Family: 'U'}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, sender := guarded(t, c.o)
			if got != c.want {
				t.Errorf("the guard sees %+v, want %+v", got, c.want)
			}
			if want := map[bool]string{false: "<a@example.com>", true: "a@example.com"}[c.o.Local &&
				c.o.As == Postfix]; sender != want {
				t.Errorf("sender %q, want %q", sender, want)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"unix:/run/x.sock": "unix /run/x.sock", "local:/run/x": "unix /run/x",
		"inet:8891@127.0.0.1": "tcp 127.0.0.1:8891",
		"inet:127.0.0.1:8891": "tcp 127.0.0.1:8891", "inet:8891": "tcp localhost:8891",
		"inet6:8891@[::1]": "tcp6 [::1]:8891",
		"INET:8891@host":   "tcp host:8891", "tcp:x": "", "/run/x": "", "unix:": "", "": "",
	} {
		network, target, err := address(in)
		if got := strings.TrimSpace(network + " " + target); got != want ||
			(err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		fields    []string
		body      string
	}{
		{"LF", "A: 1\nB:2\n\nx\ny", []string{"A: 1", "B:2"}, "x\r\ny\r\n"},
		{"CRLF", "A: 1\r\n 2\r\n\r\nx\r\n", []string{"A: 1\n 2"}, "x\r\n"},
		{"several folded", "A: 1\n 2\n\t3\nB: 4\n 5\nnot a field\n", []string{"A: 1\n 2\n\t3",
			"B: 4\n 5"}, "not a field\r\n"},
		{"folded without end", "A:" + strings.Repeat("\n b", 300000),
			[]string{"A:" + strings.Repeat("\n b", 300000)}, ""},
		{"space before the colon", "A : 1\n\n", []string{"A: 1"}, ""},
		{"a NUL in a field", "A: 1\x002\n 3\nB:\x00\nC: 4\n 5\x00\n 6\n\nx\x00y\n",
			[]string{"A: 1\n 3", "B:", "C: 4\n 5\n 6"}, "x\x00y\r\n"},
		{"a NUL in a name", "A: 1\nB\x00C: 2\nD: 3\n\nx\n", []string{"A: 1"}, "B\x00C: 2\r\nD: 3\r\n\r\nx\r\n"},
		{"8-bit in a name", "A: 1\nB\xc3\xa4: 2\n\nx\n", []string{"A: 1"}, "B\xc3\xa4: 2\r\n\r\nx\r\n"},
		{"header only", "A: 1", []string{"A: 1"}, ""},
		{"no empty line", "A: 1\nnot a field\n", []string{"A: 1"}, "not a field\r\n"},
		{"nothing", "", nil, ""},
		{"body only", "\nx\n", nil, "x\r\n"},
	} {
		fields, body := split([]byte(c.raw))
		if got := lines(fields); !slices.Equal(got, c.fields) || string(body) != c.body {
			t.Errorf("%s: %q, %q", c.name, got, body)
		}
	}
}

// guarded plays a session towards a guard and returns what that understood of the client and its
// sender.
func guarded(t *testing.T, o Options) (client guard.Client, sender string) {
	t.Helper()
	left, right := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer right.Close()
		g, err := guard.Handshake(right, guard.Options{Wishes: guard.DefaultWishes()})
		if err != nil {
			t.Error(err)
			return
		}
		libraryLoop(g, func() { client, sender = g.Client(), g.Sender().Raw })
	}()
	c, err := New(left, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(message); err != nil {
		t.Error(err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	<-done
	return client, sender
}

// libraryLoop reads commands as go-milter does, continues always, and looks at the end of the
// message.
func libraryLoop(g *guard.Conn, look func()) {
	f := guard.NewFramer(g, guard.Limits{})
	for {
		p, err := f.ReadPacket()
		if err != nil || p.Code == guard.Quit {
			return
		}
		if p.Code == guard.EndOfBody {
			look()
		}
		if p.Code != guard.Abort {
			f.WritePacket(guard.Continue)
		}
	}
}
