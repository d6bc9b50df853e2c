package milter

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// ours are the roles of a small host: loopback is one address, so that 127.0.0.2 is a stranger.
var ours = Roles{Authenticated: true, DaemonNames: []string{"ORIGINATING"}, Relays: prefixes("192.0.2.0/24"), Networks: prefixes("127.0.0.1/32")}

func eachMTA(t *testing.T, f func(t *testing.T, p profile)) {
	for _, p := range []profile{postfix, sendmail, oldMTA} {
		t.Run(p.name, func(t *testing.T) { f(t, p) })
	}
}

func TestFiveMessagesOnOneConnection(t *testing.T) {
	eachMTA(t, func(t *testing.T, p profile) {
		f := &filter{wants: Wants{Hashes: []message.BodyHash{{Canonicalization: message.Relaxed, Limit: message.Whole}}}}
		r := serve(t, Settings{Filter: f, Roles: ours})
		m := r.dial(p)
		m.hello(stranger, "")
		for i := range 5 {
			x := letter(fmt.Sprintf("Q%d", i))
			if i%2 == 1 {
				x.user = "alice"
			}
			x.body = strings.Repeat("x\r\n", i)
			if got := m.deliver(x); got.code != guard.Accept {
				t.Fatalf("message %d: %v %q", i, got.code, got.reply)
			}
			got := f.last(t)
			role, why := Theirs, ByDefault
			if x.user != "" {
				role, why = Ours, ByAuthentication
			}
			if got.Role != role || got.Why != why || got.envelope.AuthUser != x.user || got.envelope.QueueID != x.id {
				t.Errorf("message %d: %s by %s, user %q, queue id %q", i, got.Role, got.Why, got.envelope.AuthUser, got.envelope.QueueID)
			}
			if len(got.Header) != 3 || string(got.Header[2].Value()) != " "+x.id || got.whole.Body.Size() != int64(len(x.body)) {
				t.Errorf("message %d: header %q, body of %d octets", i, got.Header, got.whole.Body.Size())
			}
			if len(r.log.with("msg=message", "queue="+x.id+" ", "role="+string(role)+" ")) != 1 {
				t.Errorf("message %d has not one line", i)
			}
		}
		m.write(guard.Quit)
		m.wantClosed()
		if n := len(r.log.with("msg=message")); n != 5 {
			t.Errorf("%d lines for 5 messages", n)
		}
	})
}

func TestEnvelope(t *testing.T) {
	r := Roles{Authenticated: true, DaemonNames: []string{"ORIGINATING"}}
	for _, c := range []struct {
		name, client, daemon string
		mail                 mail
		want                 message.Envelope
		role                 Role
	}{
		{"stranger", stranger, "smtpd", letter("Q1"),
			message.Envelope{Client: addr("198.51.100.1"), ClientName: "mail.example.net", DaemonName: "smtpd"}, Theirs},
		{"IPv6 as Sendmail has it", client("[IPv6:2001:db8::1]", '6', 25, "IPv6:2001:db8:0:0:0:0:0:1"), "MTA", letter("Q1"),
			message.Envelope{Client: addr("2001:db8::1"), DaemonName: "MTA"}, Theirs},
		{"IPv6 as Postfix has it", client("mail.example.net", '6', 25, "2001:db8::1"), "smtpd", letter("Q1"),
			message.Envelope{Client: addr("2001:db8::1"), ClientName: "mail.example.net", DaemonName: "smtpd"}, Theirs},
		{"daemon name of the smtpd, not of main.cf", stranger, "ORIGINATING", letter("Q1"),
			message.Envelope{Client: addr("198.51.100.1"), ClientName: "mail.example.net", DaemonName: "ORIGINATING"}, Ours},
		{"Postfix sendmail(1)", client("localhost", '4', 0, "127.0.0.1"), "", mail{id: "Q1", from: "", rcpts: []string{"b@example.com"}},
			message.Envelope{Client: addr("127.0.0.1"), ClientName: "localhost", Local: true}, Ours},
		{"sendmail -bs", client("localhost", 'U', 0, ""), "", letter("Q1"),
			message.Envelope{ClientName: "localhost", Local: true}, Ours},
		{"client that hung up", client("unknown", 'U', 0, ""), "", letter("Q1"), message.Envelope{}, Theirs},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{}
			rig := serve(t, Settings{Filter: f, Roles: r})
			m := rig.dial(postfix)
			m.hello(c.client, c.daemon)
			m.deliver(c.mail)
			got, want := f.last(t), c.want
			want.Helo, want.MTA, want.Hostname, want.QueueID, want.Listener = "client.example.net", postfix.v, "mx.example.com", "Q1", "unix:"+rig.path
			want.Sender, want.SenderArgs = strings.Trim(c.mail.from, "<>"), []string{"SIZE=1000"}
			want.Recipients = []string{"b@example.com"}
			if g, w := fmt.Sprintf("%+v", got.envelope), fmt.Sprintf("%+v", want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
			if got.Role != c.role {
				t.Errorf("got %s by %s, want %s", got.Role, got.Why, c.role)
			}
		})
	}
}

// What is between two messages must not leak from one to the other, and HELO and client must survive it.
func TestInterrupted(t *testing.T) {
	eachMTA(t, func(t *testing.T, p profile) {
		for _, c := range []struct {
			name string
			do   func(m *mta)
		}{
			{"RSET after MAIL", func(m *mta) { m.envelope(letter("Q0")); m.write(guard.Abort) }},
			{"EHLO after MAIL", func(m *mta) {
				m.envelope(letter("Q0"))
				m.tell(guard.Helo, "client.example.net\x00")
				m.write(guard.Abort)
				m.write(guard.Abort)
			}},
			{"DATA given up in the header", func(m *mta) { m.envelope(letter("Q0")); m.header(letter("Q0")); m.write(guard.Abort) }},
			{"DATA given up in the body", func(m *mta) { m.envelope(letter("Q0")); m.content(letter("Q0")); m.write(guard.Abort) }},
			{"only recipient refused by the MTA", func(m *mta) { x := letter("Q0"); x.rcpts = nil; m.envelope(x) }},
		} {
			t.Run(c.name, func(t *testing.T) {
				f := &filter{}
				r := serve(t, Settings{Filter: f, Roles: ours})
				m := r.dial(p)
				m.hello(stranger, "")
				c.do(m)
				m.deliver(letter("Q1"))
				got := f.last(t)
				if len(f.seen) != 1 || len(got.Header) != 3 || len(got.envelope.Recipients) != 1 {
					t.Errorf("%d judged, %d fields, recipients %q", len(f.seen), len(got.Header), got.envelope.Recipients)
				}
				if got.envelope.QueueID != "Q1" || got.envelope.Helo != "client.example.net" || got.envelope.Client != addr("198.51.100.1") {
					t.Errorf("got %+v", got.envelope)
				}
				if n := len(r.log.with("msg=message")); n != 1 {
					t.Errorf("%d lines for one message", n)
				}
			})
		}
	})
}

// A connection that ends in the middle of a message ends whatever was begun for it.
func TestConnectionLostInMessage(t *testing.T) {
	begun := make(chan context.Context, 1)
	f := &filter{begin: func(ctx context.Context, _ Mail) { begun <- ctx }}
	r := serve(t, Settings{Filter: f})
	m := r.dial(sendmail)
	m.hello(stranger, "")
	m.envelope(letter("Q1"))
	m.content(letter("Q1"))
	m.Flush()
	ctx := <-begun
	m.nc.Close()
	<-ctx.Done()
}

func TestHeaderTooLarge(t *testing.T) {
	eachMTA(t, func(t *testing.T, p profile) {
		f := &filter{}
		r := serve(t, Settings{Filter: f, HeaderLimit: 4000, OnInternalError: Accept})
		m := r.dial(p)
		m.hello(stranger, "")
		x := letter("Q1")
		for range 100 {
			x.fields = append(x.fields, "X: "+strings.Repeat("x", 1000))
		}
		m.envelope(x)
		m.header(x)
		if got := m.earlyAnswer(x); got.early != (p.protocol&guard.NoReplyEOH == 0) || got.code != guard.ReplyCode || got.reply != "552 5.3.4 Header too large: more than 4000 octets in all fields" {
			t.Errorf("got %v %q", got.code, got.reply)
		}
		if got := m.deliver(letter("Q2")); got.code != guard.Accept || len(f.last(t).Header) != 3 || len(f.seen) != 1 {
			t.Errorf("the message after it: %v %q, %d fields", got.code, got.reply, len(f.last(t).Header))
		}
		if r.counts.event(Overflow) != 1 || len(r.log.with("header too large", "limit=4000")) != 1 {
			t.Errorf("%d counted", r.counts.event(Overflow))
		}
		if len(r.log.with("msg=message", "action=reject", "Header too large")) != 1 {
			t.Error("the refused message has no line")
		}
	})
}

func TestTooManyRecipients(t *testing.T) {
	f := &filter{}
	r := serve(t, Settings{Filter: f})
	for _, c := range []struct {
		name, client string
		refused      bool
	}{{"SMTP", stranger, true}, {"Postfix sendmail(1)", client("localhost", '4', 0, "127.0.0.1"), false}} {
		t.Run(c.name, func(t *testing.T) {
			m := r.dial(postfix)
			m.hello(c.client, "")
			x := letter("Q1")
			x.from, x.rcpts = "a@example.net", []string{"first"}
			m.envelope(x)
			long, last := strings.Repeat("x", 1000)+"@example.com", guard.Packet{}
			for range maxPaths / 1000 {
				last = m.ask(guard.Rcpt, long+"\x00")
			}
			if refused := last.Code == guard.ReplyCode && strings.HasPrefix(string(last.Data), "452 4.5.3 "); refused != c.refused {
				t.Errorf("the last one was answered with %v %q", last.Code, last.Data)
			}
			m.content(x)
			if got := m.end(x); got.code != guard.Accept {
				t.Errorf("got %v %q", got.code, got.reply)
			}
			size := 0
			for _, path := range f.last(t).envelope.Recipients {
				size += len(path)
			}
			if size > maxPaths || size < maxPaths*9/10 {
				t.Errorf("recipients of %d octets were kept", size)
			}
		})
	}
}

func TestExemptClient(t *testing.T) {
	f := &filter{}
	r := serve(t, Settings{Filter: f, Exempt: Exempt{Networks: prefixes("198.51.100.0/24")}})
	m := r.dial(postfix)
	m.hello(stranger, "")
	for range 2 {
		if p := m.ask(guard.Mail, "<a@example.net>\x00"); p.Code != guard.Accept {
			t.Errorf("MAIL was answered with %v", p.Code)
		}
	}
	if len(f.seen) > 0 || r.counts.event(Exempted) != 2 {
		t.Errorf("%d judged, %d counted", len(f.seen), r.counts.event(Exempted))
	}
}

func TestBodyWanted(t *testing.T) {
	hash := []message.BodyHash{{Canonicalization: message.Simple, Limit: message.Whole}}
	for _, c := range []struct {
		name  string
		wants Wants
		size  int
		raw   int
		read  int64
	}{
		{"nothing", Wants{}, 100000, 0, 0},
		{"hashes", Wants{Hashes: hash}, 100000, 0, 100000},
		{"all of it", Wants{Hashes: hash, Raw: 100000}, 100000, 100000, 100000},
		{"itself alone", Wants{Raw: 100000}, 100000, 100000, 100000},
		{"not so much", Wants{Hashes: hash, Raw: 99999}, 100000, 0, 100000},
		{"given up at once", Wants{Hashes: hash, Raw: 10}, 100000, 0, 100000},
		{"empty", Wants{Hashes: hash, Raw: 10}, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{wants: c.wants}
			m := serve(t, Settings{Filter: f}).dial(sendmail)
			m.hello(stranger, "")
			x := letter("Q1")
			x.body = strings.Repeat("0123456789", c.size/10)
			m.deliver(x)
			got := f.last(t)
			if len(got.raw) != c.raw || got.raw != nil && string(got.raw) != x.body || got.whole.Body.Size() != c.read {
				t.Errorf("kept %d octets, hashed %d, want %d, %d", len(got.raw), got.whole.Body.Size(), c.raw, c.read)
			}
			if _, ok := got.whole.Body.Sum(hash[0]); ok != (c.wants.Hashes != nil) {
				t.Errorf("the hash is known: %v", ok)
			}
		})
	}
}

// Where the protocol allows it, an MTA is told to keep a body that nobody wants.
func TestBodyIsSkipped(t *testing.T) {
	answering := postfix
	answering.protocol &^= guard.NoReplyBody
	for wants, want := range map[int]guard.Code{0: guard.SkipBody, 1000: guard.Continue} {
		m := serve(t, Settings{Filter: &filter{wants: Wants{Raw: wants}}}).dial(answering)
		m.hello(stranger, "")
		m.envelope(letter("Q1"))
		m.header(letter("Q1"))
		m.tell(guard.EndOfHeader, "")
		if p := m.ask(guard.Body, "text\r\n"); p.Code != want {
			t.Errorf("wanted %d octets: the body is answered with %v, want %v", wants, p.Code, want)
		}
	}
}

func TestProgressAndDeadline(t *testing.T) {
	f := &filter{decide: func(ctx context.Context, _ Mail, _ *message.Message, _ []byte) Outcome {
		<-ctx.Done()
		return Outcome{Action: Accept, Results: ctx.Err().Error()}
	}}
	r := serve(t, Settings{Filter: f, Deadline: 200 * time.Millisecond}, func(o *Options, _ *ListenOptions) {
		o.Limits.Progress = 20 * time.Millisecond
	})
	m := r.dial(sendmail)
	m.hello(stranger, "")
	x := letter("Q1")
	m.envelope(x)
	m.content(x)
	m.write(guard.EndOfBody)
	m.read(guard.Progress)
	m.read(guard.Progress)
	for code := guard.Progress; code == guard.Progress; {
		p, err := m.ReadPacket()
		if code = p.Code; err != nil || code != guard.Progress && code != guard.Accept {
			t.Fatalf("got %v, %v", p.Code, err)
		}
	}
	if len(r.log.with("results=\"context deadline exceeded\"")) != 1 {
		t.Error("the judge had no deadline")
	}
}

func TestMessageLine(t *testing.T) {
	f := &filter{decide: func(_ context.Context, m Mail, _ *message.Message, _ []byte) Outcome {
		return Outcome{Action: Reject, Reply: Reply{550, "5.7.1", "DMARC policy"}, Author: "example.net", Results: "dkim=none spf=fail"}
	}}
	r := serve(t, Settings{Filter: f})
	m := r.dial(sendmail)
	m.hello(stranger, "")
	m.deliver(letter("Q1"))
	const want = `level=INFO msg=message queue=Q1 role=theirs author=example.net results="dkim=none spf=fail" action=reject took=`
	if got := r.log.with(want, `by=stranger client=198.51.100.1 reply="DMARC policy"`); len(got) != 1 {
		t.Errorf("no such line: %s", want)
	}
	if got := r.counts.messages["theirs reject"]; got != 1 {
		t.Errorf("%d counted", got)
	}
}

func TestFragile(t *testing.T) {
	sign := func(context.Context, Mail, *message.Message, []byte) Outcome {
		return Outcome{Action: Accept, Edits: message.Edits{Insert: header("DKIM-Signature: v=1")}}
	}
	pass := func(context.Context, Mail, *message.Message, []byte) Outcome { return Outcome{Action: Accept} }
	long := strings.Repeat("x", 995)
	for _, c := range []struct {
		name            string
		profile         profile
		decide          func(context.Context, Mail, *message.Message, []byte) Outcome
		to, body        string
		lines, rewrites int
		says            string
	}{
		{"sound", sendmail, sign, "a@example.com, b@example.com", "short\r\n", 0, 0, ""},
		{"long line, Sendmail", sendmail, sign, "a@example.com", long + "\r\n", 1, 0, "a line over 990 octets will be broken"},
		{"long line, Postfix bears it", postfix, sign, "a@example.com", long + "\r\n", 0, 0, ""},
		{"long line, Postfix", postfix, sign, "a@example.com", long + "1234\r\n", 1, 0, "a line over 998 octets will be broken"},
		{"long line at the end", postfix, sign, "a@example.com", long + "1234", 1, 0, "a line over 998 octets will be broken"},
		{"long line in the header", postfix, sign, "a@example.com (" + long + ")", "short\r\n", 1, 0, "a line over 998 octets will be broken"},
		{"addresses, Sendmail", sendmail, sign, "a@example.com,b@example.com", "short\r\n", 0, 1, "the addresses of To will be rewritten"},
		{"addresses, Postfix", postfix, sign, "a@example.com,b@example.com", "short\r\n", 0, 0, ""},
		{"not signed", sendmail, pass, "a@example.com,b@example.com", long + "\r\n", 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{decide: c.decide, wants: Wants{Hashes: []message.BodyHash{{Limit: message.Whole}}}}
			r := serve(t, Settings{Filter: f})
			m := r.dial(c.profile)
			m.hello(stranger, "")
			x := letter("Q1")
			x.fields[1], x.body = "To: "+c.to, c.body
			m.deliver(x)
			if lines, rewrites := r.counts.event(LongLine), r.counts.event(Rewritten); lines != c.lines || rewrites != c.rewrites {
				t.Errorf("counted %d long lines and %d rewritten, want %d and %d", lines, rewrites, c.lines, c.rewrites)
			}
			if said := len(r.log.with("fragile=")) > 0; said != (c.says != "") || said && len(r.log.with(c.says)) != 1 {
				t.Errorf("the log does not say %q", c.says)
			}
		})
	}
}
