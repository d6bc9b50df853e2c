package milter

import (
	"context"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/guard"
	"mailseal/milter/message"
)

func TestForgedFieldsAreRemoved(t *testing.T) {
	own := Own{IDs: []string{"mx.example.com"}}
	forge := func(_ context.Context, m Mail, whole *message.Message, _ []byte) Outcome {
		return Outcome{Action: Accept, Edits: message.Edits{
			Remove: own.Forged(whole.Header, m.Role, m.Why),
			Insert: header("Authentication-Results: mx.example.com; ours", "DKIM-Signature: ours"),
		}}
	}
	const (
		bad1   = "Authentication-Results: mx.example.com; dkim=pass"
		theirs = "Authentication-Results: mx.example.net; dkim=pass"
		bad2   = "authentication-results: (x) mx.example.com; spf=pass"
		from   = "From: a@example.net"
		ar     = "Authentication-Results: mx.example.com; ours"
		sig    = "DKIM-Signature: ours"
	)
	sent := []string{bad1, theirs, bad2, from}
	for _, c := range []struct {
		name, client, user string
		want               []string
	}{
		{"stranger", stranger, "", []string{ar, sig, theirs, from}},
		{"authenticated", stranger, "alice", []string{ar, sig, theirs, from}},
		{"relay", client("backup.example.com", '4', 25, "192.0.2.1"), "", append([]string{ar, sig}, sent...)},
		{"our network", client("localhost", '4', 4000, "127.0.0.1"), "", append([]string{ar, sig}, sent...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachMTA(t, func(t *testing.T, p profile) {
				m := serve(t, Settings{Filter: &filter{decide: forge}, Roles: ours}).dial(p)
				m.hello(c.client, "")
				x := letter("Q1")
				x.fields, x.user = sent, c.user
				if got := m.deliver(x); got.code != guard.Accept || !slices.Equal(got.fields, c.want) {
					t.Errorf("got %v %q\nwant  %q\nedits %q", got.code, got.fields, c.want, got.edits)
				}
			})
		})
	}
}

func TestOutcomes(t *testing.T) {
	insert := message.Edits{Insert: header("X-New: 1")}
	for _, c := range []struct {
		name    string
		outcome Outcome
		want    result
	}{
		{"accept", Outcome{Action: Accept}, result{code: guard.Accept}},
		{"hold", Outcome{Action: Hold, Reason: "p=quarantine", Edits: insert}, result{code: guard.Accept, hold: "p=quarantine", edits: []string{"i 0 X-New"}}},
		{"reject", Outcome{Action: Reject, Reply: Reply{550, "5.7.1", "No"}, Edits: insert}, result{code: guard.ReplyCode, reply: "550 5.7.1 No"}},
		{"tempfail", Outcome{Action: Tempfail, Edits: insert}, result{code: guard.ReplyCode, reply: "451 4.7.1 Temporary failure, please try again later"}},
		{"discard", Outcome{Action: Discard}, result{code: guard.Discard}},
		{"none", Outcome{}, result{code: guard.ReplyCode, reply: "451 4.7.1 Temporary failure, please try again later"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{decide: func(context.Context, Mail, *message.Message, []byte) Outcome { return c.outcome }}
			m := serve(t, Settings{Filter: f}).dial(postfix)
			m.hello(stranger, "")
			for range 2 { // the session stays as it is, whatever the verdict
				got := m.deliver(letter("Q1"))
				if got.code != c.want.code || got.reply != c.want.reply || got.hold != c.want.hold || !slices.Equal(got.edits, c.want.edits) {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			}
		})
	}
}

// An outcome that cannot be carried out must not be carried out by halves.
func TestUnworkable(t *testing.T) {
	without := func(a guard.Action) profile {
		p := postfix
		p.actions &^= a
		return p
	}
	edits := message.Edits{Remove: []int{0}, Insert: header("X-New: 1")}
	for _, c := range []struct {
		name    string
		profile profile
		outcome Outcome
	}{
		{"no field may be added", without(guard.AddHeaders), Outcome{Action: Accept, Edits: edits}},
		{"no field may be removed", without(guard.ChangeHeaders), Outcome{Action: Accept, Edits: edits}},
		{"nothing is held", without(guard.Quarantine), Outcome{Action: Hold}},
		{"a field that is not there", postfix, Outcome{Action: Accept, Edits: message.Edits{Remove: []int{3}}}},
		{"a field before the first", postfix, Outcome{Action: Accept, Edits: message.Edits{Remove: []int{-1}}}},
		{"a NUL", postfix, Outcome{Action: Accept, Edits: message.Edits{Remove: []int{0}, Insert: []message.Field{message.NewField("X", []byte(" a\x00b"))}}}},
		{"a bare CR", postfix, Outcome{Action: Accept, Edits: message.Edits{Insert: []message.Field{message.NewField("X", []byte(" a\rb"))}}}},
		{"another field inside", postfix, Outcome{Action: Accept, Edits: message.Edits{Insert: []message.Field{message.NewField("X", []byte(" a\nY: b"))}}}},
		{"a line end at the end", postfix, Outcome{Action: Accept, Edits: message.Edits{Insert: []message.Field{message.NewField("X", []byte(" a\n"))}}}},
		{"no name", postfix, Outcome{Action: Accept, Edits: message.Edits{Insert: []message.Field{message.NewField("", []byte(" a"))}}}},
		{"a space in the name", postfix, Outcome{Action: Accept, Edits: message.Edits{Insert: []message.Field{message.NewField("X Y", []byte(" a"))}}}},
		{"too large", postfix, Outcome{Action: Accept, Edits: message.Edits{Insert: []message.Field{message.NewField("X", []byte(strings.Repeat("x", 65000)))}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{decide: func(context.Context, Mail, *message.Message, []byte) Outcome { return c.outcome }}
			r := serve(t, Settings{Filter: f, OnInternalError: Accept})
			m := r.dial(c.profile)
			m.hello(stranger, "")
			got := m.deliver(letter("Q1"))
			if !strings.HasPrefix(got.reply, "451 4.3.0 ") || len(got.edits) > 0 || got.hold != "" {
				t.Errorf("got %v %q, edits %q", got.code, got.reply, got.edits)
			}
			if r.counts.event(Unworkable) != 1 || len(r.log.with("level=ERROR", "queue=Q1")) != 1 {
				t.Error("nothing was counted, or logged")
			}
		})
	}
}

func TestPanicInJudge(t *testing.T) {
	boom := func(context.Context, Mail, *message.Message, []byte) Outcome { panic("boom") }
	for _, c := range []struct {
		name    string
		filter  Filter
		action  Action
		want    guard.Code
		replies string
	}{
		{"in Decide", &filter{decide: boom}, "", guard.ReplyCode, "451 4.3.0 "},
		{"in Begin", &filter{begin: func(context.Context, Mail) { panic("boom") }}, Tempfail, guard.ReplyCode, "451 4.3.0 "},
		{"no judge", noJudge{}, "", guard.ReplyCode, "451 4.3.0 "},
		{"no filter", nil, "", guard.ReplyCode, "451 4.3.0 "},
		{"to be refused", &filter{decide: boom}, Reject, guard.ReplyCode, "554 5.3.0 "},
		{"to be accepted", &filter{decide: boom}, Accept, guard.Accept, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachMTA(t, func(t *testing.T, p profile) {
				r := serve(t, Settings{Filter: c.filter, OnInternalError: c.action})
				m := r.dial(p)
				m.hello(stranger, "")
				for i := range 2 {
					m.envelope(letter("Q1"))
					m.header(letter("Q1"))
					// Where the end of the header is answered, a message without a judge has its answer there.
					p := m.earlyAnswer(letter("Q1"))
					if p.code != c.want || !strings.HasPrefix(p.reply, c.replies) {
						t.Errorf("message %d: got %v %q, want %v %q", i, p.code, p.reply, c.want, c.replies)
					}
				}
				if r.counts.event(Panicked) != 2 || len(r.log.with("level=ERROR", "queue=", "stack=")) != 2 {
					t.Errorf("%d counted", r.counts.event(Panicked))
				}
			})
		})
	}
}

// earlyAnswer ends a message of which only the envelope and the header were sent, and returns its verdict wherever that comes.
func (m *mta) earlyAnswer(x mail) result {
	m.t.Helper()
	if m.agreedProtocol&guard.NoReplyEOH != 0 {
		m.write(guard.EndOfHeader)
	} else if p := m.ask(guard.EndOfHeader, ""); p.Code != guard.Continue {
		return result{code: p.Code, early: true, reply: strings.TrimSuffix(string(p.Data), "\x00")}
	}
	for p := range chunks(x.body, 65535) {
		m.write(guard.Body, p)
		if m.agreedProtocol&guard.NoReplyBody == 0 {
			if p, err := m.ReadPacket(); err != nil || p.Code != guard.Continue && p.Code != guard.SkipBody {
				m.t.Fatalf("BODY was answered with %v %q, %v", p.Code, p.Data, err)
			}
		}
	}
	return m.end(x)
}

type noJudge struct{}

func (noJudge) Begin(context.Context, Mail) Judge { return nil }
