package milter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
)

// ours are the roles of a small host: loopback is one address, so that 127.0.0.2 is a stranger.
var ours = Roles{Authenticated: true, DaemonNames: []string{"ORIGINATING"},
	Relays: prefixes("192.0.2.0/24"), Networks: prefixes("127.0.0.1/32")}

func TestFiveMessagesOnOneConnection(t *testing.T) {
	eachMTA(t, func(t *testing.T, o miltertest.Options) {
		f := &filter{wants: Wants{Hashes: []message.BodyHash{{Canonicalization: message.Relaxed,
			Limit: message.Whole}}}}
		r := serve(t, Settings{Filter: f, Roles: ours})
		c := r.dial(o)
		for i := range 5 {
			x := with(letter(fmt.Sprintf("Q%d", i)), strings.Repeat("x\r\n", i))
			role, why := action.RoleTheirs, ByDefault
			if i%2 == 1 {
				x.Auth, role, why = "alice", action.RoleOurs, ByAuthentication
			}
			if got := c.deliver(x); got.Refused() {
				t.Fatalf("message %d: %v", i, got.Reply)
			}
			got := f.last(t)
			// An old Postfix or Sendmail that is asked for no macros sends the queue id, too.
			if got.Role != role || got.Why != why || got.envelope.AuthUser != x.Auth ||
				got.envelope.QueueID != x.Queue {
				t.Errorf("message %d: %s by %s, user %q, queue id %q", i, got.Role, got.Why,
					got.envelope.AuthUser, got.envelope.QueueID)
			}
			if len(got.Header) != 3 || string(got.Header[2].Value()) != " "+x.Queue ||
				got.whole.Body.Size() != int64(3*i) {
				t.Errorf("message %d: header %q, body of %d octets", i, got.Header,
					got.whole.Body.Size())
			}
			if len(r.log.with("msg=message", "queue="+x.Queue+" ", "role="+role.String()+
				" ")) != 1 {
				t.Errorf("message %d has not one line", i)
			}
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		if n := len(r.log.with("msg=message")); n != 5 {
			t.Errorf("%d lines for 5 messages", n)
		}
	})
}

func TestEnvelope(t *testing.T) {
	as := func(o miltertest.Options, change func(*miltertest.Options)) miltertest.Options {
		change(&o)
		return o
	}
	v6 := func(o *miltertest.Options) {
		o.Client, o.ClientName = addr("2001:db8::1"), "[IPv6:2001:db8::1]"
	}
	local := func(o *miltertest.Options) { o.Local, o.ClientName = true, "" }
	originating := func(o *miltertest.Options) {
		o.Macros = map[string]string{"{daemon_name}": "ORIGINATING"}
	}
	for _, c := range []struct {
		name string
		mta  miltertest.Options
		want message.Envelope
		role action.Role
	}{
		{"stranger", postfix, message.Envelope{Client: stranger, ClientName: "mail.example.net",
			DaemonName: "mx.example.com"}, action.RoleTheirs},
		{"IPv6 as Sendmail has it", as(sendmail, v6), message.Envelope{Client: addr("2001:db8::1"),
			DaemonName: "MTA"}, action.RoleTheirs},
		{"IPv6 as Postfix has it", as(postfix, v6), message.Envelope{Client: addr("2001:db8::1"),
			DaemonName: "mx.example.com"}, action.RoleTheirs},
		{"daemon name of the smtpd, not of main.cf", as(postfix, originating),
			message.Envelope{Client: stranger, ClientName: "mail.example.net",
				DaemonName: "ORIGINATING"}, action.RoleOurs},
		{"Postfix sendmail(1)", as(postfix, local),
			message.Envelope{Client: addr("127.0.0.1"), ClientName: "localhost", Local: true,
				DaemonName: "mx.example.com"}, action.RoleOurs},
		{"sendmail -bs", as(sendmail, local), message.Envelope{ClientName: "localhost", Local: true}, action.RoleOurs},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{}
			r := serve(t, Settings{Filter: f,
				Roles: Roles{Authenticated: true, DaemonNames: []string{"ORIGINATING"}}})
			x := letter("Q1")
			x.FromArgs = []string{"SIZE=1000", "SMTPUTF8"}
			r.dial(c.mta).deliver(x)
			got, want := f.last(t), c.want
			want.Helo, want.Hostname, want.QueueID, want.Listener = "client.example.com",
				"mx.example.com", "Q1", "unix:"+r.path
			want.MTA = map[miltertest.MTA]string{miltertest.Postfix: "Postfix 3.7.11",
				miltertest.Sendmail: "8.17.1.9/8.17.1.9/Debian-2"}[c.mta.As]
			want.Sender, want.SenderArgs, want.Recipients = "a@example.net", x.FromArgs, x.To
			if want.Local {
				want.Helo = "localhost"
			}
			if g, w := fmt.Sprintf("%+v", got.envelope), fmt.Sprintf("%+v", want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
			if got.Role != c.role {
				t.Errorf("got %s by %s, want %s", got.Role, got.Why, c.role)
			}
		})
	}
}

// What is between two messages must not leak from one to the other, and HELO and client must
// survive it.
func TestInterrupted(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(c caller) error
	}{
		{"RSET after MAIL", func(c caller) error { return errors.Join(begin(c, letter("Q0")), c.Reset()) }},
		{"EHLO after MAIL", func(c caller) error {
			return errors.Join(begin(c, letter("Q0")), c.Hello("again.example.com"))
		}},
		{"only recipient refused by the MTA", func(c caller) error {
			x := letter("Q0")
			x.To = nil
			return errors.Join(begin(c, x), c.Reset())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachMTA(t, func(t *testing.T, o miltertest.Options) {
				f := &filter{}
				r := serve(t, Settings{Filter: f, Roles: ours})
				m := r.dial(o)
				m.must(c.do(m))
				m.deliver(letter("Q1"))
				one(t, f, r, 3)
				if got := f.last(t).envelope; got.QueueID != "Q1" || !strings.HasSuffix(got.Helo,
					".example.com") || got.Client != stranger {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func begin(c caller, m miltertest.Message) error {
	_, err := c.Begin(m)
	return err
}

// one wants one message to have been judged, whole and alone.
func one(t *testing.T, f *filter, r *rig, fields int) {
	t.Helper()
	got := f.last(t)
	if len(f.seen) != 1 || len(got.Header) != fields || len(got.envelope.Recipients) != 1 {
		t.Errorf("%d judged, %d fields, recipients %q", len(f.seen), len(got.Header),
			got.envelope.Recipients)
	}
	if n := len(r.log.with("msg=message")); n != 1 {
		t.Errorf("%d lines for one message", n)
	}
}

// The same for what MTAs do rarely, or not at all: a message that is given up in its header or
// body, one that begins without the end of the one before.
func TestInterruptedInData(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *wire)
	}{
		{"ABORT in the header", func(w *wire) { w.send(guard.Header, "X\x00 y\x00"); w.send(guard.Abort, "") }},
		{"ABORT in the body", func(w *wire) { w.content(); w.send(guard.Abort, "") }},
		{"MAIL in the header", func(w *wire) { w.send(guard.Header, "X\x00 y\x00") }},
		{"MAIL in the body", func(w *wire) { w.content() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{}
			r := serve(t, Settings{Filter: f, Roles: ours})
			w := r.wire()
			w.hello()
			w.envelope()
			c.do(w)
			w.envelope()
			w.content()
			if p := w.ask(guard.EndOfBody, ""); p.Code != guard.Accept {
				t.Errorf("got %v %q", p.Code, p.Data)
			}
			one(t, f, r, 1)
		})
	}
}

// A client that hung up before its address could be read has no address: it is no local process.
func TestClientThatHungUp(t *testing.T) {
	f := &filter{}
	w := serve(t, Settings{Filter: f, Roles: ours}).wire()
	w.tell(guard.Connect, "unknown\x00U")
	w.envelope()
	w.content()
	w.ask(guard.EndOfBody, "")
	if got := f.last(t); got.Role != action.RoleTheirs || got.envelope.Local ||
		got.envelope.Client.IsValid() {
		t.Errorf("got %s by %s: %+v", got.Role, got.Why, got.envelope)
	}
}

// A connection that ends in the middle of a message ends whatever was begun for it.
func TestConnectionLostInMessage(t *testing.T) {
	begun := make(chan context.Context, 1)
	f := &filter{begin: func(ctx context.Context, _ Mail) { begun <- ctx }}
	w := serve(t, Settings{Filter: f}).wire()
	w.hello()
	w.envelope()
	w.content()
	ctx := <-begun
	w.nc.Close()
	<-ctx.Done()
}

func TestHeaderTooLarge(t *testing.T) {
	eachMTA(t, func(t *testing.T, o miltertest.Options) {
		f := &filter{}
		r := serve(t, Settings{Filter: f, HeaderLimit: 4000, OnInternalError: action.Accept})
		c := r.dial(o)
		got := c.deliver(letter("Q1", slices.Repeat([]string{"X: " + strings.Repeat("x", 1000)},
			100)...))
		stage := miltertest.AtEnd
		if c.Agreement().Answers(guard.EndOfHeader) {
			stage = miltertest.AtEOH
		}
		if got.Stage != stage || got.Reply.Text != "552 5.3.4 Header too large: more than 4000 bytes in all fields" {
			t.Errorf("got %v at %s, want it at %s", got.Reply, got.Stage, stage)
		}
		if got := c.deliver(letter("Q2")); got.Refused() || len(f.last(t).Header) != 3 ||
			len(f.seen) != 1 {
			t.Errorf("the message after it: %v, %d fields", got.Reply, len(f.last(t).Header))
		}
		if r.counts.event(Overflow) != 1 {
			t.Errorf("%d counted", r.counts.event(Overflow))
		}
		lines := r.log.with("too large")
		if len(lines) != 1 || len(r.log.with("msg=message queue=Q1", "action=reject",
			"Header too large")) != 1 {
			t.Errorf("want the one line of the message, got %q", lines)
		}
	})
}

func TestTooManyRecipients(t *testing.T) {
	for name, local := range map[string]bool{"SMTP": false, "Postfix sendmail(1)": true} {
		t.Run(name, func(t *testing.T) {
			f := &filter{}
			r := serve(t, Settings{Filter: f})
			x, o := letter("Q1"), postfix
			x.To = slices.Repeat([]string{strings.Repeat("x", 1000) + "@example.com"}, maxPaths/900)
			o.Local = local
			got := r.dial(o).deliver(x)
			if refused := len(got.Refusals) > 0; refused == local || got.Refused() {
				t.Errorf("%d were refused; %v", len(got.Refusals), got.Reply)
			}
			for _, no := range got.Refusals {
				if !strings.HasPrefix(no.Reply.Text, "452 4.5.3 ") {
					t.Errorf("one was refused with %v", no.Reply)
				}
			}
			if n := len(r.log.with("too many recipients")); n != 1 {
				t.Errorf("said %d times", n)
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
	c := r.dial(postfix)
	for range 2 { // the session goes on: someone may log in
		if got := c.deliver(letter("Q1")); got.Stage != miltertest.AtMail || got.Refused() {
			t.Errorf("got %v at %s", got.Reply, got.Stage)
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
		{"nothing", Wants{}, 100_000, 0, 0},
		{"hashes", Wants{Hashes: hash}, 100_000, 0, 100_000},
		{"all of it", Wants{Hashes: hash, Raw: 100_000}, 100_000, 100_000, 100_000},
		{"itself alone", Wants{Raw: 100_000}, 100_000, 100_000, 100_000},
		{"not so much", Wants{Hashes: hash, Raw: 99_999}, 100_000, 0, 100_000},
		{"given up at once", Wants{Hashes: hash, Raw: 10}, 100_000, 0, 100_000},
		{"empty", Wants{Hashes: hash, Raw: 10}, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{wants: c.wants}
			body := strings.Repeat("01234567\r\n", c.size/10)
			serve(t, Settings{Filter: f}).dial(sendmail).deliver(with(letter("Q1"), body))
			got := f.last(t)
			if len(got.raw) != c.raw || got.raw != nil && string(got.raw) != body ||
				got.whole.Body.Size() != c.read {
				t.Errorf("kept %d octets, hashed %d, want %d, %d", len(got.raw),
					got.whole.Body.Size(), c.raw, c.read)
			}
			if _, ok := got.whole.Body.Sum(hash[0]); ok != (c.wants.Hashes != nil) {
				t.Errorf("the hash is known: %v", ok)
			}
		})
	}
}

// Where the protocol allows it, an MTA is told to keep a body that no one wants.
func TestBodyIsSkipped(t *testing.T) {
	o := postfix
	o.Offer = guard.Offer{Version: 6, Actions: 0x1ff, Protocol: 0x1fffff &^ guard.NoReplyBody}
	for wants, want := range map[int]bool{0: true, 1000: false} {
		if got := serve(t, Settings{Filter: &filter{wants: Wants{Raw: wants}}}).dial(o).deliver(
			letter("Q1")); got.Skipped != want {
			t.Errorf("wanted %d octets: skipped is %v", wants, got.Skipped)
		}
	}
}

func TestProgressAndDeadline(t *testing.T) {
	f := &filter{decide: func(ctx context.Context, _ Mail, _ *message.Message, _ []byte) Outcome {
		<-ctx.Done()
		return Outcome{Action: action.Accept, Results: ctx.Err().Error()}
	}}
	r := serve(t, Settings{Filter: f, Deadline: 200 * time.Millisecond},
		func(o *Options, _ *ListenOptions) {
			o.Limits.Progress = 20 * time.Millisecond
		})
	got := r.dial(sendmail).deliver(letter("Q1"))
	if got.Refused() || got.Progress < 2 {
		t.Errorf("got %v after %d progress packets", got.Reply, got.Progress)
	}
	if len(r.log.with("results=\"context deadline exceeded\"")) != 1 {
		t.Error("the judge had no deadline")
	}
}

func TestMessageLine(t *testing.T) {
	f := &filter{decide: func(context.Context, Mail, *message.Message, []byte) Outcome {
		return Outcome{Action: action.Reject, Reply: Reply{550, "5.7.1", "DMARC policy"},
			Author: "example.net", Results: "spf=fail dkim=none"}
	}}
	r := serve(t, Settings{Filter: f})
	r.dial(sendmail).deliver(letter("Q1"))
	const want = `level=INFO msg=message queue=Q1 role=theirs author=example.net ` +
		`results="spf=fail dkim=none" action=reject took=`
	if got := r.log.with(want, `by=stranger client=198.51.100.1 reply="DMARC policy"`); len(
		got) != 1 {
		t.Errorf("no such line: %s", want)
	}
	if got := r.counts.messages["theirs reject"]; got != 1 {
		t.Errorf("%d counted", got)
	}
}
