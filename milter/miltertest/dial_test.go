package miltertest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/guard"
)

// milter is the other end: it says what a test wants it to say, right or wrong.
type milter struct {
	agreed  guard.Agreement
	answers map[guard.Code][]guard.Packet // instead of "continue"
	said    []string                      // what the MTA said: "MAIL", "RCPT", …, without macros
	macros  []string                      // each MACRO packet's data
	done    chan struct{}
}

// noReplies is what a filter that only looks at the end asks for.
const noReplies = guard.NoReplyHeader | guard.NoReplyEOH | guard.NoReplyBody |
	guard.NoData | guard.LeadingSpace

func newMilter(p guard.Protocol) *milter {
	return &milter{
		agreed:  guard.Agreement{Version: 6, Actions: guard.AddHeaders | guard.ChangeHeaders, Protocol: p},
		answers: map[guard.Code][]guard.Packet{}, done: make(chan struct{}),
	}
}

func say(code guard.Code, data string) guard.Packet {
	return guard.Packet{Code: code, Data: []byte(data)}
}

// serve listens on a socket for one connection.
func (m *milter) serve(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.done)
		nc, err := ln.Accept()
		ln.Close()
		if err == nil {
			m.talk(nc)
			nc.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-m.done })
	return "unix:" + ln.Addr().String()
}

func (m *milter) talk(nc net.Conn) {
	f := guard.NewFramer(nc, guard.Limits{Idle: 10 * time.Second})
	for {
		p, err := f.ReadPacket()
		if err != nil || p.Code == guard.Quit {
			return
		}
		switch p.Code {
		case guard.Negotiate:
			f.WritePacket(guard.Negotiate, m.agreed.Data())
			continue
		case guard.Macro:
			m.macros = append(m.macros, string(p.Data))
			continue
		}
		m.said = append(m.said, p.Code.String())
		answers, ok := m.answers[p.Code]
		if !ok && m.agreed.Answers(p.Code) {
			answers = []guard.Packet{{Code: guard.Continue}}
		}
		for _, a := range answers {
			f.WritePacket(a.Code, a.Data)
		}
	}
}

func dialTest(t *testing.T, m *milter, o Options) *Conn {
	t.Helper()
	c, err := Dial(context.Background(), m.serve(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

var (
	noon    = func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }
	message = Message{From: "a@example.com", To: []string{"b@example.net"}, Queue: "Q1",
		Raw: []byte("From: a@example.com\nSubject: one\n two\nDate: d\nMessage-Id: m\n\nhello\n")}
)

// bothMTAs runs a test as each of them.
func bothMTAs(t *testing.T, test func(t *testing.T, mta MTA)) {
	for _, mta := range []MTA{Postfix, Sendmail} {
		t.Run(mta.String(), func(t *testing.T) { test(t, mta) })
	}
}

func TestDelivered(t *testing.T) {
	m := newMilter(noReplies)
	m.answers[guard.EndOfBody] = []guard.Packet{
		say(guard.Progress, ""), say(guard.Progress, ""),
		say(guard.ChangeHeader, "\x00\x00\x00\x01subject\x00\x00"),
		say(guard.InsertHeader, "\x00\x00\x00\x00DKIM-Signature\x00 v=1;\n\tb=\x00"),
		say(guard.QuarantineMail, "look at it\x00"),
		say(guard.Accept, ""),
	}
	c := dialTest(t, m, Options{Now: noon, Client: netip.MustParseAddr("192.0.2.1"),
		ClientName: "c.example"})
	o, err := c.Send(message)
	if err != nil {
		t.Fatal(err)
	}
	want := "DKIM-Signature: v=1;\r\n\tb=\r\n" +
		"Received: from client.example.com (c.example [192.0.2.1])\r\n\tby mx.example.com " +
		"(Postfix) with ESMTP id Q1\r\n\tfor <b@example.net>; Sun, 22 Nov 2026 12:00:00 +0000\r\n" +
		"From: a@example.com\r\nDate: d\r\nMessage-Id: m\r\n\r\nhello\r\n"
	if got := string(o.Delivered()); got != want {
		t.Errorf("delivered\n%q\nwant\n%q", got, want)
	}
	if o.Stage != AtEnd || o.Refused() || o.Progress != 2 || o.Quarantine != "look at it" ||
		len(o.Edits) != 3 {
		t.Errorf("outcome %+v", o)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		at     guard.Code
		answer guard.Packet
		stage  Stage
		texts  [2]string // Postfix, Sendmail
	}{
		{"connect", guard.Connect, say(guard.Reject, ""), AtConnect,
			[2]string{"550 5.7.1 Command rejected", "554 5.7.1 Command rejected"}},
		{"helo", guard.Helo, say(guard.TempFail, ""), AtHelo,
			[2]string{"451 4.7.1 Service unavailable - try again later",
				"451 4.3.2 Please try again later"}},
		{"mail", guard.Mail, say(guard.ReplyCode, "550 5.7.1 no\x00"), AtMail,
			[2]string{"550 5.7.1 no", "550 5.7.1 no"}},
		{"rcpt", guard.Rcpt, say(guard.Reject, ""), AtRcpt, [2]string{"550 5.7.1 Command rejected",
			"554 5.7.1 Command rejected"}},
		{"data", guard.Data, say(guard.Reject, ""), AtData, [2]string{"550 5.7.1 Command rejected",
			"554 5.7.1 Command rejected"}},
		{"header", guard.Header, say(guard.Reject, ""), AtHeader,
			[2]string{"550 5.7.1 Command rejected", "554 5.7.1 Command rejected"}},
		{"end of header", guard.EndOfHeader, say(guard.Reject, ""), AtEOH,
			[2]string{"550 5.7.1 Command rejected", "554 5.7.1 Command rejected"}},
		{"body", guard.Body, say(guard.Reject, ""), AtBody, [2]string{"550 5.7.1 Command rejected",
			"554 5.7.1 Command rejected"}},
		{"end", guard.EndOfBody, say(guard.Reject, ""), AtEnd,
			[2]string{"550 5.7.1 Command rejected", "554 5.7.1 Command rejected"}},
		{"a sign doubled", guard.EndOfBody, say(guard.ReplyCode, "451 4.7.1 90%% full\x00"), AtEnd,
			[2]string{"451 4.7.1 90% full", "451 4.7.1 90% full"}},
		{"a sign alone", guard.EndOfBody, say(guard.ReplyCode, "451 4.7.1 90% full\x00"), AtEnd,
			[2]string{"451 4.7.1 90 full", "554 5.7.1 Command rejected"}},
		{"two lines", guard.EndOfBody, say(guard.ReplyCode, "550-5.7.1 a\r\n550 5.7.1 b\x00"),
			AtEnd, [2]string{"550-5.7.1 a\r\n550 5.7.1 b", "550-5.7.1 a\r\n550 5.7.1 b"}},
		{"no code", guard.EndOfBody, say(guard.ReplyCode, "no\x00"), AtEnd,
			[2]string{"451 4.3.5 Server configuration problem - try again later",
				"554 5.7.1 Command rejected"}},
		{"a good code", guard.EndOfBody, say(guard.ReplyCode, "250 fine\x00"), AtEnd,
			[2]string{"451 4.3.5 Server configuration problem - try again later",
				"554 5.7.1 Command rejected"}},
		{"connection refused", guard.EndOfBody, say(guard.ConnFail, ""), AtEnd,
			[2]string{"421 4.7.0 Server closing connection", "421 4.7.0 closing connection"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothMTAs(t, func(t *testing.T, mta MTA) {
				m := newMilter(0)
				m.answers[c.at] = []guard.Packet{c.answer}
				conn := dialTest(t, m, Options{As: mta})
				o, err := conn.Send(message)
				if err != nil {
					t.Fatal(err)
				}
				if o.Stage != c.stage || !o.Refused() || o.Reply.Text != c.texts[mta] ||
					o.Delivered() != nil {
					t.Errorf("got %s at %s, want %s at %s", o.Reply, o.Stage, c.texts[mta], c.stage)
				}
				if err := conn.Quit(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// An early "accept" leaves the message, or at CONNECT the session, without the milter.
func TestEarlyAccept(t *testing.T) {
	for _, at := range []guard.Code{guard.Connect, guard.Helo, guard.Mail, guard.Rcpt,
		guard.EndOfHeader} {
		m := newMilter(0)
		m.answers[at] = []guard.Packet{say(guard.Accept, "")}
		c := dialTest(t, m, Options{As: Sendmail})
		for range 2 {
			o, err := c.Send(message)
			if err != nil || o.Refused() || !strings.HasSuffix(string(o.Delivered()),
				"\r\n\r\nhello\r\n") {
				t.Errorf("%v: %v, %v, %q", at, err, o.Reply, o.Delivered())
			}
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		<-m.done
		if n := len(m.said); slices.Contains(m.said, "EOB") || n == 0 {
			t.Errorf("accepted at %v, and it was told %v", at, m.said)
		}
	}
}

// The order of commands when more happens than one message, as recorded.
func TestSequences(t *testing.T) {
	whole := []string{"MAIL", "RCPT", "HEADER", "HEADER", "HEADER", "HEADER", "EOH", "BODY", "EOB"}
	for _, c := range []struct {
		name              string
		play              func(c *Conn) error
		postfix, sendmail []string // after CONNECT and HELO
	}{
		{"two messages", func(c *Conn) error { return errors.Join(send(c), send(c), c.Quit()) },
			slices.Concat(whole, []string{"ABORT"}, whole, []string{"ABORT", "ABORT"}),
			slices.Concat(whole, whole)},
		{"RSET", func(c *Conn) error { return errors.Join(begin(c), c.Reset(), send(c), c.Quit()) },
			slices.Concat([]string{"MAIL", "RCPT", "ABORT"}, whole, []string{"ABORT", "ABORT"}),
			slices.Concat([]string{"MAIL", "RCPT", "ABORT"}, whole)},
		{"EHLO in the envelope", func(c *Conn) error { return errors.Join(begin(c), c.Hello("h"), send(c), c.Quit()) },
			slices.Concat([]string{"MAIL", "RCPT", "HELO", "ABORT"}, whole,
				[]string{"ABORT", "ABORT"}),
			slices.Concat([]string{"MAIL", "RCPT", "ABORT", "HELO"}, whole)},
		{"gone in DATA", func(c *Conn) error { return errors.Join(begin(c), c.Drop()) },
			[]string{"MAIL", "RCPT", "ABORT", "ABORT"}, []string{"MAIL", "RCPT"}},
		{"unknown command", func(c *Conn) error { _, err := c.Unknown("XYZ"); return errors.Join(err, c.Quit()) },
			[]string{"UNKNOWN", "ABORT"}, []string{"UNKNOWN"}},
		{"RSET without a message", func(c *Conn) error { return errors.Join(c.Reset(), c.Quit()) },
			[]string{"ABORT", "ABORT"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothMTAs(t, func(t *testing.T, mta MTA) {
				m := newMilter(noReplies)
				conn := dialTest(t, m, Options{As: mta})
				if err := c.play(conn); err != nil {
					t.Fatal(err)
				}
				<-m.done
				want := append([]string{"CONNECT", "HELO"}, map[MTA][]string{Postfix: c.postfix,
					Sendmail: c.sendmail}[mta]...)
				if !slices.Equal(m.said, want) {
					t.Errorf("\n got %v\nwant %v", m.said, want)
				}
			})
		})
	}
}

func send(c *Conn) error {
	_, err := c.Send(message)
	return err
}

func begin(c *Conn) error {
	_, err := c.Begin(message)
	return err
}

// A filter that declines a command of the envelope gets its macros all the same; of a field, the
// end of the header or a piece of the body it gets nothing. This is what both MTAs were seen to do.
func TestDeclined(t *testing.T) {
	whole := []string{"CONNECT", "HELO", "MAIL", "RCPT", "DATA", "HEADER", "EOH", "BODY", "EOB"}
	for _, c := range []struct {
		bit               guard.Protocol
		command           string
		postfix, sendmail string // the stages of the macros, of a message with one field
	}{
		{0, "", "CHMRTLNBE", "CHMRE"},
		{guard.NoConnect, "CONNECT", "CHMRTLNBE", "CHMRE"},
		{guard.NoHelo, "HELO", "CHMRTLNBE", "CHMRE"},
		{guard.NoMail, "MAIL", "CHMRTLNBE", "CHMRE"},
		{guard.NoRcpt, "RCPT", "CHMRTLNBE", "CHMRE"},
		{guard.NoData, "DATA", "CHMRTLNBE", "CHMRE"},
		{guard.NoHeaders, "HEADER", "CHMRTNBE", "CHMRE"},
		{guard.NoEOH, "EOH", "CHMRTLBE", "CHMRE"},
		{guard.NoBody, "BODY", "CHMRTLNE", "CHMRE"},
	} {
		t.Run("no "+c.command, func(t *testing.T) {
			bothMTAs(t, func(t *testing.T, mta MTA) {
				m := newMilter(c.bit)
				// or there is nothing to say at HELO
				tls := map[string]string{"{tls_version}": "TLSv1.3"}
				conn := dialTest(t, m, Options{As: mta, Macros: tls})
				_, err := conn.Send(Message{From: "a@example.com", To: []string{"b@example.net"},
					Raw: []byte("From: a\n\nx\n")})
				if err = errors.Join(err, conn.Quit()); err != nil {
					t.Fatal(err)
				}
				<-m.done
				said := slices.DeleteFunc(m.said, func(s string) bool { return s == "ABORT" })
				if want := slices.DeleteFunc(slices.Clone(whole),
					func(s string) bool { return s == c.command }); !slices.Equal(said, want) {
					t.Errorf("it was told %v, want %v", said, want)
				}
				stages := ""
				for _, data := range m.macros {
					stages += data[:1]
				}
				if want := map[MTA]string{Postfix: c.postfix,
					Sendmail: c.sendmail}[mta]; stages != want {
					t.Errorf("macros for %s, want %s", stages, want)
				}
			})
		})
	}
}

func TestAllRecipientsRefused(t *testing.T) {
	m := newMilter(noReplies)
	m.answers[guard.Rcpt] = []guard.Packet{say(guard.Reject, "")}
	c := dialTest(t, m, Options{As: Sendmail})
	two := message
	two.To = []string{"x@example.net", "y@example.net"}
	o, err := c.Send(two)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Refusals) != 2 || o.Refusals[0].Recipient != "x@example.net" || o.Stage != AtRcpt ||
		!o.Refused() || len(o.Recipients) != 0 {
		t.Errorf("outcome %+v", o)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	<-m.done
	if m.said[len(m.said)-1] != "ABORT" {
		t.Errorf("the client gave up, and the milter was told %v", m.said)
	}
}

func TestMacros(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     Options
		lists map[guard.Stage][]string
		want  []string // beginnings of packets that must be there
		not   []string // of such that must not
	}{
		{"Postfix, a list of one listener's", Options{Macros: map[string]string{"{daemon_name}": "ORIGINATING"}},
			map[guard.Stage][]string{guard.StageEndOfMessage: {"{daemon_name}"},
				guard.StageEndOfHeader: {"i"}},
			[]string{"Cj\x00mx.example.com\x00{daemon_name}\x00ORIGINATING\x00",
				"E{daemon_name}\x00mx.example.com\x00", "Li\x00Q1\x00"}, nil},
		{"Sendmail, only the header's list", Options{As: Sendmail},
			map[guard.Stage][]string{guard.StageEndOfHeader: {"i"}},
			[]string{"Ni\x00Q1\x00"}, []string{"E"}},
		{"Sendmail, only the end's list", Options{As: Sendmail},
			map[guard.Stage][]string{guard.StageEndOfMessage: {"i"}},
			[]string{"Ei\x00Q1\x00"}, []string{"N"}},
		{"Sendmail, none", Options{As: Sendmail}, nil, []string{"E{msg_id}\x00m\x00",
			"Mi\x00Q1\x00"}, []string{"N", "L"}},
		{"the administrator's own", Options{Macros: map[string]string{"{mine}": "1"}}, nil,
			[]string{"Cj\x00mx.example.com\x00{daemon_name}\x00mx.example.com\x00{daemon_addr}\x0012" +
				"7.0.0.1\x00v\x00Postfix 3.7.11\x00_\x00localhost [127.0.0.1]\x00{mine}\x001\x00"},
			nil},
		{"the administrator's own, overruled", Options{Macros: map[string]string{"{mine}": "1"}},
			map[guard.Stage][]string{guard.StageConnect: {"j"}},
			[]string{"Cj\x00mx.example.com\x00"}, []string{"Cj\x00mx.example.com\x00{mine}"}},
		{"a login", Options{}, nil, []string{"M{auth_type}\x00PLAIN\x00{auth_authen}\x00user\x00{mai" +
			"l_addr}\x00a@example.com\x00"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMilter(noReplies)
			for stage, list := range c.lists {
				m.agreed.Macros[stage] = list
			}
			conn := dialTest(t, m, c.o)
			mail := message
			mail.Auth = "user"
			if _, err := conn.Send(mail); err != nil {
				t.Fatal(err)
			}
			if err := conn.Quit(); err != nil {
				t.Error(err)
			}
			<-m.done
			begins := func(begin string) bool {
				return slices.ContainsFunc(m.macros,
					func(got string) bool { return strings.HasPrefix(got, begin) })
			}
			for _, begin := range c.want {
				if !begins(begin) {
					t.Errorf("no macros %q in %q", begin, m.macros)
				}
			}
			for _, begin := range c.not {
				if begins(begin) {
					t.Errorf("macros %q in %q", begin, m.macros)
				}
			}
		})
	}
}
