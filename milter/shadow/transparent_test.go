package shadow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
	"mailseal/milter/shadow"
)

const all = guard.AddHeaders | guard.ChangeHeaders | guard.Quarantine | guard.ChangeBody |
	guard.AddRecipients | guard.ChangeFrom

var modern = guard.Agreement{Version: 6, Actions: all, Protocol: guard.LeadingSpace | guard.Skip}

func asking(p guard.Protocol) guard.Agreement {
	return guard.Agreement{Version: 6, Actions: all, Protocol: p}
}

// withMacros is what libmilter's smfi_setsymlist makes of a modern milter.
func withMacros() guard.Agreement {
	a := modern
	a.Actions |= guard.SetMacros
	a.Macros[guard.StageMail] = []string{"{mail_addr}", "i"}
	a.Macros[guard.StageEndOfHeader] = []string{"{daemon_name}"}
	return a
}

// upstreams are milters that differ in all that a proxy could get wrong.
var upstreams = []struct {
	name string
	asks guard.Agreement
	says func(guard.Packet, int) []guard.Packet
}{
	{name: "continues", asks: modern},
	{name: "edits", asks: modern, says: atEnd(
		packet(guard.Progress, ""),
		guard.Packet{Code: guard.ChangeHeader, Data: numbered(2, "Authentication-Results", "")},
		guard.Packet{Code: guard.ChangeHeader, Data: numbered(1, "Subject", " changed")},
		guard.Packet{Code: guard.InsertHeader,
			Data: numbered(0, "DKIM-Signature", " v=1; d=example.com;\n\ts=old")},
		packet(guard.AddHeader, "X-Last\x00 value\x00"),
		packet(guard.QuarantineMail, "looked odd\x00"),
		packet(guard.ChangeSender, "<other@example.com>\x00"),
		packet(guard.ReplaceBody, "another body\r\n"),
		packet(guard.Accept, ""))},
	{name: "edits without leading space", asks: asking(0), says: atEnd(
		guard.Packet{Code: guard.ChangeHeader, Data: numbered(1, "Authentication-Results", "")},
		guard.Packet{Code: guard.ChangeHeader, Data: numbered(1, "Subject", "changed")},
		guard.Packet{Code: guard.InsertHeader,
			Data: numbered(0, "DKIM-Signature", "v=1; d=example.com;\n\ts=old")},
		guard.Packet{Code: guard.InsertHeader, Data: numbered(1, "X-Empty", "")},
		packet(guard.AddHeader, "X-Last\x00 two\x00"),
		packet(guard.Continue, ""))},
	{name: "no body", asks: asking(guard.LeadingSpace | guard.NoBody)},
	{name: "no header, no leading space", asks: asking(guard.NoHeaders | guard.NoEOH)},
	{name: "envelope alone", asks: asking(
		guard.NoHeaders | guard.NoEOH | guard.NoBody | guard.NoHelo | guard.NoConnect)},
	{name: "message alone", asks: asking(
		guard.NoConnect | guard.NoHelo | guard.NoMail | guard.NoRcpt | guard.LeadingSpace)},
	{name: "silent", asks: asking(
		guard.LeadingSpace | guard.NoReplyHeader | guard.NoReplyEOH | guard.NoReplyBody |
			guard.NoData | guard.NoUnknown)},
	{name: "silent throughout", asks: asking(0xff000 | guard.NoReplyHeader)},
	{name: "no DATA", asks: asking(guard.NoData | guard.NoUnknown | guard.LeadingSpace)},
	{name: "version 2", asks: guard.Agreement{Version: 2, Actions: all}},
	{name: "asks for macros", asks: withMacros()},
	{name: "rejects at RCPT", asks: modern,
		says: at(guard.Rcpt, packet(guard.ReplyCode, "550 5.1.1 no such user 100%%\x00"))},
	{name: "rejects at MAIL", asks: modern, says: at(guard.Mail, packet(guard.Reject, ""))},
	{name: "accepts at MAIL", asks: modern, says: at(guard.Mail, packet(guard.Accept, ""))},
	{name: "accepts at EOH", asks: modern, says: at(guard.EndOfHeader, packet(guard.Accept, ""))},
	{name: "rejects at EOH", asks: modern, says: at(guard.EndOfHeader, packet(guard.Reject, ""))},
	{name: "accepts in the body", asks: modern, says: at(guard.Body, packet(guard.Accept, ""))},
	{name: "skips the body", asks: modern, says: at(guard.Body, packet(guard.SkipBody, ""))},
	{name: "rejects a header field", asks: modern, says: at(guard.Header, packet(guard.TempFail, ""))},
	{name: "discards", asks: modern, says: atEnd(packet(guard.Discard, ""))},
	{name: "rejects", asks: modern, says: atEnd(packet(guard.ReplyCode, "550-5.7.1 a\r\n550 5.7.1 b\x00"))},
	{name: "tempfails", asks: modern, says: atEnd(packet(guard.TempFail, ""))},
	{name: "accepts at CONNECT", asks: modern, says: at(guard.Connect, packet(guard.Accept, ""))},
	{name: "rejects at HELO", asks: modern, says: at(guard.Helo, packet(guard.ReplyCode, "554 5.7.1 go away\x00"))},
	{name: "drops the client", asks: modern, says: at(guard.Mail, packet(guard.ConnFail, ""))},
	{name: "dies at the end", asks: modern, says: atEnd(packet(guard.Progress, ""), hangUp)},
	{name: "dies in the edits", asks: modern, says: atEnd(packet(guard.AddHeader, "X-A\x00 b\x00"), hangUp)},
	{name: "dies at RCPT", asks: modern, says: at(guard.Rcpt, hangUp)},
	{name: "says what nobody asked for", asks: asking(guard.NoReplyHeader | guard.LeadingSpace),
		says: at(guard.Header, packet(guard.Reject, ""))},
}

// sessions are messages that both are shown: three with a reset, a HELO in the middle and a client
// that leaves.
func session(t *testing.T, path string, as miltertest.MTA, o miltertest.Options) string {
	c := dial(t, path, as, o)
	defer c.Close()
	var b strings.Builder
	say := func(what string, o miltertest.Outcome, err error) {
		fmt.Fprintf(&b, "%s: %s %v %q %q %q broken=%t\n%s\n", what, o.Stage, o.Reply, o.Recipients,
			o.Refusals, o.Quarantine, err != nil, o.Sender())
		if err == nil {
			fmt.Fprintf(&b, "%s\n", o.Delivered())
		}
	}
	two := miltertest.Message{From: "a@example.com", To: []string{"x@example.net", "y@example.net"},
		FromArgs: []string{"SIZE=1"}, Raw: []byte(simple)}
	first, err := c.Send(two)
	say("first", first, err)
	if err == nil {
		_, err = c.Begin(two)
	}
	if err == nil {
		fmt.Fprintln(&b, c.Reset() == nil)
		_, err = c.Begin(two)
	}
	if err == nil {
		fmt.Fprintln(&b, c.Hello("again.example.com") == nil)
		large := two
		large.Raw = []byte(simple + strings.Repeat("0123456789abcdef0123456789abcdef\n", 8000))
		o, err := c.Send(large)
		say("large", o, err)
		two.Raw = []byte("From: <>\nX:y\nY:  z\nZ: \nEmpty:\nFolded:\n\tone\n two\n\n")
		o, err = c.Send(two)
		say("odd, no body", o, err)
	}
	fmt.Fprintln(&b, c.Quit())
	return b.String()
}

const simple = "Received: from x\n\tby y\nAuthentication-Results: mx.example.com; dkim=pass\nSubject: hello\n" +
	"Authentication-Results: mx.example.com; spf=pass\nFrom: A <a@example.com>\nTo: b@example.net\n\nbody\n"

// moods are what our own filter does meanwhile; none of it may make a difference.
var moods = []struct {
	name   string
	filter ours
	change func(*shadow.Options)
}{
	{"signs", func(context.Context, milter.Mail) milter.Outcome { return signing("example.com", "new") }, nil},
	{"panics", func(context.Context, milter.Mail) milter.Outcome { panic("on purpose") }, nil},
	{"is slow", func(ctx context.Context, _ milter.Mail) milter.Outcome {
		<-ctx.Done()
		return milter.Outcome{Action: action.Reject}
	}, func(o *shadow.Options) { o.Patience = 50 * time.Millisecond }},
	{"cannot follow", nil, func(o *shadow.Options) { o.Memory = 2000 }},
}

func signing(domain, selector string) milter.Outcome {
	f := message.NewField("DKIM-Signature",
		[]byte(" v=1; a=rsa-sha256; d="+domain+"; s="+selector+"; b=x"))
	return milter.Outcome{Action: action.Accept, Edits: message.Edits{Insert: []message.Field{f},
		Remove: []int{1}}}
}

// TestTransparent holds that an MTA gets through the proxy what it gets from the upstream, and the
// upstream from the MTA what it gets without the proxy.
func TestTransparent(t *testing.T) {
	offers := map[string]guard.Offer{"": {}, "no leading space, no silence": {Version: 6,
		Actions: 0x1ff, Protocol: 0x7f}}
	for _, u := range upstreams {
		for name, offer := range offers {
			if name != "" && u.asks.Protocol&^0x7f != 0 {
				continue // it asks for what was not offered: another test's business
			}
			for _, as := range []miltertest.MTA{miltertest.Postfix, miltertest.Sendmail} {
				t.Run(strings.TrimSuffix(u.name+"/"+as.String()+"/"+name, "/"), func(t *testing.T) {
					t.Parallel()
					transparent(t, &standIn{asks: u.asks, says: u.says}, as,
						miltertest.Options{Offer: offer})
				})
			}
		}
	}
}

func transparent(t *testing.T, old *standIn, as miltertest.MTA, o miltertest.Options) {
	old.listen(t)
	want := session(t, old.path, as, o)
	wantSeen := old.seen()
	for _, mood := range moods {
		r := start(t, old, mood.filter, func(o *shadow.Options) {
			if mood.change != nil {
				mood.change(o)
			}
		})
		if got := session(t, r.path, as, o); got != want {
			a, b := parting(got, want)
			t.Errorf("ours %s: the MTA gets %q, without us %q", mood.name, a, b)
		}
		r.stop()
		// What is in flight when the MTA closes before it has read everything, the kernel drops or
		// not.
		if got := old.seen(); got != wantSeen &&
			!strings.HasPrefix(t.Name(), "TestTransparent/says_what_nobody") {
			a, b := parting(got, wantSeen)
			t.Errorf("ours %s: the upstream sees %q, without us %q", mood.name, a, b)
		}
	}
}

// parting returns what follows where two texts part.
func parting(a, b string) (string, string) {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	i = max(0, i-60)
	return a[i:min(len(a), i+200)], b[i:min(len(b), i+200)]
}

// TestUpstreamAway holds that without an upstream the MTA sees a connection that closes, and no
// mail passes.
func TestUpstreamAway(t *testing.T) {
	var trouble bytes.Buffer
	r := start(t, &standIn{path: "/nonexistent/socket"}, ours(nil),
		func(o *shadow.Options) { o.Log = slog.New(slog.NewTextHandler(&trouble, nil)) })
	for range 3 {
		_, err := miltertest.Dial(t.Context(), "unix:"+r.path, miltertest.Options{})
		if err == nil || errors.Is(err, miltertest.ErrFilter) {
			t.Errorf("Dial: %v, want a closed connection", err)
		}
	}
	r.stop()
	if n := r.recorder.Summary().Unreached; n != 3 {
		t.Errorf("unreached: %d, want 3", n)
	}
	if n := strings.Count(trouble.String(), "cannot be reached"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, trouble.String())
	}
}
