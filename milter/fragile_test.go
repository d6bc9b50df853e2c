package milter

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
	"mailseal/milter/miltertest"
)

// signer is a judge whose signature covers some fields.
func signer(author string, covers ...string) func(context.Context, Mail, *message.Message,
	[]byte) Outcome {
	return func(context.Context, Mail, *message.Message, []byte) Outcome {
		return Outcome{
			Action: action.Accept,
			Author: author,
			Edits:  message.Edits{Insert: messagetest.Header("DKIM-Signature: v=1")},
			Covers: covers,
		}
	}
}

func TestFragile(t *testing.T) {
	sign := signer("example.com", "From", "Subject", "Cc")
	pass := func(context.Context, Mail, *message.Message,
		[]byte) Outcome {
		return Outcome{Action: action.Accept}
	}
	reject := func(context.Context, Mail, *message.Message, []byte) Outcome {
		return Outcome{Action: action.Reject, Covers: []string{"From"}}
	}
	refold := func(ctx context.Context, m Mail, w *message.Message, raw []byte) Outcome {
		o := sign(ctx, m, w, raw)
		for i, f := range m.Header {
			if folded, ok := f.Refold(900); ok && f.Is("Cc") {
				o.Edits.Change = append(o.Edits.Change, message.Change{At: i, Field: folded})
			}
		}
		return o
	}
	long := strings.Repeat("x", 995)
	for _, c := range []struct {
		name   string
		mta    miltertest.Options
		decide func(context.Context, Mail, *message.Message, []byte) Outcome
		field  string
		body   string
		want   string   // in the message's line
		says   []string // in the warning
	}{
		{"sound", sendmail, sign, "Cc: a@example.com, b@example.com", "short\r\n", "", nil},
		{"long line, Sendmail", sendmail, sign, "Cc: a@example.com", long + "\r\n", "long_line",
			[]string{"the body has a line of more than 990 bytes"}},
		{"long line, Postfix bears it", postfix, sign, "Cc: a@example.com", long + "\r\n", "", nil},
		{"long line, Postfix", postfix, sign, "Cc: a@example.com", long + "1234\r\n", "long_line",
			[]string{"the body has a line of more than 998 bytes"}},
		{"long line in a signed field", postfix, sign, "Cc: a@example.com (" + long + ")",
			"short\r\n", "long_line", []string{"Cc has a line of more than 998 bytes"}},
		{"long line in another field", postfix, sign, "X-Any: a@example.com (" + long + ")", "short\r\n", "", nil},
		{"long line that is folded again", postfix, refold, "Cc: " + long[:600] + "@example.com, " +
			long[:600] + "@example.com", "short\r\n", "", nil},
		{"addresses, Sendmail", sendmail, sign, "Cc: a@example.com,b@example.com", "short\r\n",
			"rewritten", []string{"the addresses in Cc"}},
		{"addresses in another field", sendmail, sign, "Reply-To: a@example.com,b@example.com", "short\r\n", "", nil},
		{"addresses, Postfix", postfix, sign, "Cc: a@example.com,b@example.com", "short\r\n", "", nil},
		{"8 bits", postfix, sign, "MIME-Version: 1.0", "hell\xc3\xb6\r\n", "eight_bit", []string{"8BITMIME"}},
		{"8 bits without MIME", postfix, sign, "Cc: a@example.com", "hell\xc3\xb6\r\n", "", nil},
		{"7 bits with MIME", sendmail, sign, "Content-Type: text/plain", "hello\r\n", "", nil},
		{"all", sendmail, sign, "Cc: a@example.com,b\r\nContent-Type: text/plain", "\xff" + long +
			"\r\n", "long_line, rewritten, eight_bit",
			[]string{"990", "in Cc", "8BITMIME"}},
		{"not signed", sendmail, pass, "Cc: a@example.com,b@example.com", long + "\r\n", "", nil},
		{"refused", sendmail, reject, "Cc: a@example.com,b@example.com", long + "\r\n", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{decide: c.decide,
				wants: Wants{Hashes: []message.BodyHash{{Limit: message.Whole}}}}
			r := serve(t, Settings{Filter: f})
			r.dial(c.mta).deliver(with(letter("Q1", strings.Split(c.field, "\r\n")...), c.body))
			for _, e := range []Event{LongLine, Rewritten, EightBit} {
				if got, want := r.counts.event(e) == 1,
					strings.Contains(c.want, string(e)); got != want {
					t.Errorf("%s is counted: %v, want %v", e, got, want)
				}
			}
			attr := "fragile=" + c.want
			if strings.Contains(c.want, ",") {
				attr = fmt.Sprintf("fragile=%q", c.want)
			}
			if said := r.log.with("level=INFO", "fragile="); len(said) > 0 != (c.want != "") ||
				c.want != "" && !strings.Contains(said[0], attr) {
				t.Errorf("the line of the message does not say %s: %v", attr, said)
			}
			warned := r.log.with("level=WARN", "author=example.com", "queue=Q1")
			if len(warned) > 1 || len(warned) > 0 != (c.says != nil) {
				t.Fatalf("warned: %v", warned)
			}
			for _, s := range c.says {
				if !strings.Contains(warned[0], s) {
					t.Errorf("the warning does not say %q: %s", s, warned[0])
				}
			}
		})
	}
}

// TestFragileWarnings holds that the log warns once for an author's domain, cause and hour, and not
// of what is not to be warned of, while each message is counted.
func TestFragileWarnings(t *testing.T) {
	author := "one.example"
	f := &filter{wants: Wants{Hashes: []message.BodyHash{{Limit: message.Whole}}}}
	f.decide = func(ctx context.Context, m Mail, w *message.Message, raw []byte) Outcome {
		return signer(author, "Cc")(ctx, m, w, raw)
	}
	r := serve(t, Settings{Filter: f, QuietFragile: []Event{EightBit}})
	long := strings.Repeat("x", 1000) + "\r\n"
	for i, want := range []int{1, 1, 2, 2, 3} {
		fields := []string{"Cc: a@example.com, b@example.com", "MIME-Version: 1.0"}
		switch i {
		case 2:
			fields[0] = "Cc: a@example.com,b@example.com" // another cause
		case 4:
			author = "two.example"
		}
		r.dial(sendmail).deliver(with(letter("Q1", fields...), "\xff"+long))
		if got := len(r.log.with("level=WARN", "may break on the way")); got != want {
			t.Errorf("message %d: %d warnings, want %d", i, got, want)
		}
	}
	if got := r.counts.event(LongLine); got != 5 {
		t.Errorf("%d long lines counted, want 5", got)
	}
	if got := r.counts.event(EightBit); got != 5 || len(r.log.with("level=WARN", "eight_bit")) > 0 {
		t.Errorf("8 bits: %d counted, want 5, without a warning", got)
	}
}

func TestHourly(t *testing.T) {
	now := time.Unix(0, 0)
	h := &hourly{now: func() time.Time { return now }, most: 2}
	for _, step := range []struct {
		after  time.Duration
		text   string
		first  bool
		isFull bool
	}{
		{0, "a", true, false},
		{0, "a", false, false},
		{30 * time.Minute, "b", true, false},
		{0, "c", false, true},
		{0, "d", false, false}, // said already
		{29 * time.Minute, "a", false, false},
		{time.Minute, "a", true, false}, // an hour is over
		{0, "c", false, false},
		{30 * time.Minute, "c", true, false}, // b has made room
		{0, "e", false, true},
	} {
		now = now.Add(step.after)
		if first, isFull := h.first(step.text); first != step.first || isFull != step.isFull {
			t.Errorf("%s at %s: %v, %v; want %v, %v", step.text, now.Sub(time.Unix(0, 0)), first,
				isFull, step.first, step.isFull)
		}
		if len(h.at) > 2 || len(h.oldest) > 2 {
			t.Fatalf("%d texts are kept", len(h.at))
		}
	}
}

// A last line without a line end counts: the MTA gives it one.
func TestLongLineAtTheEnd(t *testing.T) {
	f := &filter{wants: Wants{Raw: 2000}, decide: signer("example.com", "From")}
	r := serve(t, Settings{Filter: f})
	w := r.wire()
	w.hello()
	w.envelope()
	w.content()
	w.send(guard.Body, strings.Repeat("x", 991))
	w.ask(guard.EndOfBody, "")
	if n := r.counts.event(LongLine); n != 1 {
		t.Errorf("counted %d", n)
	}
}

// cleaner is a filter that panics and knows which fields are forged.
type cleaner struct {
	clean func(Mail) []int
}

func (c *cleaner) Begin(context.Context, Mail) Judge { panic("a bug") }
func (c *cleaner) Clean(m Mail) []int                { return c.clean(m) }

// TestCleanAfterPanic holds that forged fields are removed from a message that is accepted since
// judging failed, and that it is deferred where even that fails.
func TestCleanAfterPanic(t *testing.T) {
	forged := func(m Mail) []int { return m.Header.Fields("X-Forged") }
	for _, c := range []struct {
		name  string
		on    action.Action
		clean func(Mail) []int
		want  string
	}{
		{"accepted", action.Accept, forged, "accept"},
		{"rejected", action.Reject, forged, "reject"},
		{"deferred", action.Tempfail, forged, "tempfail"},
		{"cleaning fails too", action.Accept, func(Mail) []int { panic("another") }, "tempfail"},
	} {
		r := serve(t, Settings{Filter: &cleaner{clean: c.clean}, OnInternalError: c.on})
		got := r.dial(postfix).deliver(letter("Q1", "X-Forged: 1", "X-Other: 2", "X-Forged: 3"))
		if len(r.log.with("msg=message", "action="+c.want)) != 1 {
			t.Errorf("%s: not %s", c.name, c.want)
		}
		if text := string(got.Delivered()); c.want == "accept" &&
			(strings.Contains(text, "X-Forged") || !strings.Contains(text, "X-Other")) {
			t.Errorf("%s: header %s", c.name, text)
		}
	}
}

// TestChanges holds that changed fields, removals and insertions each reach the field that they
// mean, on both MTAs.
func TestChanges(t *testing.T) {
	judge := func(_ context.Context, m Mail, _ *message.Message, _ []byte) Outcome {
		to := m.Header.Fields("To")
		x := m.Header.Fields("X")
		return Outcome{Action: action.Accept, Edits: message.Edits{
			Change: []message.Change{
				{At: to[1], Field: messagetest.Header("To: b@example.com,\n\tc@example.com")[0]},
				{At: x[2], Field: messagetest.Header("x: 3\n\tthree")[0]},
			},
			Remove: []int{to[0], x[1]},
			Insert: messagetest.Header("To: new@example.com"),
		}}
	}
	want := []string{"To: new@example.com", "From: a@example.com",
		"To: b@example.com,\r\n\tc@example.com", "X: 1", "x: 3\r\n\tthree", "X: 4"}
	eachMTA(t, func(t *testing.T, o miltertest.Options) {
		x := letter("Q1")
		x.Raw = []byte("From: a@example.com\nTo: a@example.com\nTo: b@example.com, " +
			"c@example.com\nX: 1\nX: 2\nx: 3\nX: 4\n\nHello.\n")
		got := serve(t, Settings{Filter: &filter{decide: judge}}).dial(o).deliver(x)
		if f := strings.Join(fields(got.Delivered()), "|"); got.Refused() ||
			f != strings.Join(want, "|") {
			t.Errorf("got %v %q\nwant  %q\nedits %q", got.Reply, f, want, got.Edits)
		}
	})
}

// TestImpossibleChanges holds that a change which no MTA could carry out defers the message.
func TestImpossibleChanges(t *testing.T) {
	for name, c := range map[string]message.Change{
		"no such field":      {At: 99, Field: messagetest.Header("To: a")[0]},
		"before the first":   {At: -1, Field: messagetest.Header("To: a")[0]},
		"another name":       {At: 0, Field: messagetest.Header("To: a")[0]},
		"empty is a removal": {At: 0, Field: message.NewField("From", nil)},
		"a NUL":              {At: 0, Field: message.NewField("From", []byte(" a\x00"))},
		"another field":      {At: 0, Field: message.NewField("From", []byte(" a\nX: b"))},
		"too large":          {At: 0, Field: message.NewField("From", []byte(" "+strings.Repeat("x", 65000)))},
	} {
		f := &filter{decide: func(context.Context, Mail, *message.Message, []byte) Outcome {
			return Outcome{Action: action.Accept, Edits: message.Edits{Change: []message.Change{c}}}
		}}
		if got := serve(t, Settings{Filter: f}).dial(postfix).deliver(
			letter("Q1")); !got.Reply.Refused() || len(got.Edits) > 0 {
			t.Errorf("%s: %v, edits %q", name, got.Reply, got.Edits)
		}
	}
}

// TestMayChange holds that the filter is told whether the MTA lets fields be changed.
func TestMayChange(t *testing.T) {
	for _, want := range []bool{true, false} {
		o := postfix
		o.Offer = guard.Offer{Version: 6, Actions: 0x1ff, Protocol: 0x1fffff}
		if !want {
			o.Offer.Actions &^= guard.ChangeHeaders
		}
		f := &filter{}
		serve(t, Settings{Filter: f}).dial(o).deliver(letter("Q1"))
		if got := f.last(t).MayChange; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
