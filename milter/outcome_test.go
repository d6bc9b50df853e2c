package milter

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
	"mailseal/milter/miltertest"
)

// fields returns the fields of a delivered message, line ends as CRLF, without those that the MTA
// adds.
func fields(delivered []byte) []string {
	head, _, _ := strings.Cut(string(delivered), "\r\n\r\n")
	var out []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if strings.HasPrefix(line, "\t") {
			out[len(out)-1] += "\r\n" + line
		} else {
			out = append(out, line)
		}
	}
	return slices.DeleteFunc(out, func(f string) bool {
		return strings.HasPrefix(f, "Received:") || strings.HasPrefix(f, "Date:") ||
			strings.HasPrefix(f, "Message-Id:")
	})
}

func TestForgedFieldsAreRemoved(t *testing.T) {
	judge := func(_ context.Context, m Mail, whole *message.Message, _ []byte) Outcome {
		return Outcome{Action: action.Accept, Edits: message.Edits{
			Remove: ForgedFields("mx.example.com", m, whole.Header),
			Insert: messagetest.Header("Authentication-Results: mx.example.com; ours",
				"DKIM-Signature: ours;\n\tfolded"),
		}}
	}
	const (
		bad1   = "Authentication-Results: mx.example.com; dkim=pass"
		theirs = "Authentication-Results: mx.example.net; dkim=pass"
		bad2   = "authentication-results: (x) mx.example.com; spf=pass"
		from   = "From: a@example.net"
		ar     = "Authentication-Results: mx.example.com; ours"
		sig    = "DKIM-Signature: ours;\r\n\tfolded"
	)
	sent := []string{bad1, theirs, bad2, from}
	for _, c := range []struct {
		name, client, user string
		want               []string
	}{
		{"stranger", "198.51.100.1", "", []string{ar, sig, theirs, from}},
		{"authenticated", "198.51.100.1", "alice", []string{ar, sig, theirs, from}},
		{"relay", "192.0.2.1", "", append([]string{ar, sig}, sent...)},
		{"our network", "127.0.0.1", "", append([]string{ar, sig}, sent...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachMTA(t, func(t *testing.T, o miltertest.Options) {
				o.Client = netip.MustParseAddr(c.client)
				x := letter("Q1")
				x.Raw, x.Auth = []byte(strings.Join(sent, "\n")+"\n\nHello.\n"), c.user
				got := serve(t, Settings{Filter: &filter{decide: judge}, Roles: ours}).dial(
					o).deliver(x)
				if f := fields(got.Delivered()); got.Refused() || !slices.Equal(f, c.want) {
					t.Errorf("got %v %q\nwant  %q\nedits %q", got.Reply, f, c.want, got.Edits)
				}
			})
		})
	}
}

func TestOutcomes(t *testing.T) {
	insert := message.Edits{Insert: messagetest.Header("X-New: 1")}
	tested := map[action.Action]bool{}
	for _, c := range []struct {
		name    string
		outcome Outcome
		code    guard.Code
		reply   string
		hold    string
		edits   int
	}{
		{"accept", Outcome{Action: action.Accept}, guard.Accept, "250 2.0.0 Ok: queued", "", 0},
		{"mark", Outcome{Action: action.Mark, Edits: insert}, guard.Accept, "250 2.0.0 Ok: queued", "", 1},
		{"hold", Outcome{Action: action.Hold, Reason: "p=quarantine", Edits: insert}, guard.Accept,
			"250 2.0.0 Ok: queued", "p=quarantine", 2},
		{"reject", Outcome{Action: action.Reject, Reply: Reply{550, "5.7.1", "No"}, Edits: insert},
			guard.ReplyCode, "550 5.7.1 No", "", 0},
		{"reject with a percent sign", Outcome{Action: action.Reject, Reply: Reply{550, "5.7.1",
			"100%\nsure"}}, guard.ReplyCode, "550-5.7.1 100%\r\n550 5.7.1 sure", "", 0},
		{"tempfail", Outcome{Action: action.Tempfail, Edits: insert}, guard.ReplyCode,
			"451 4.7.1 Temporary failure, please try again later", "", 0},
		{"discard", Outcome{Action: action.Discard}, guard.Discard, "250 2.0.0 Ok: queued", "", 0},
		{"unknown", Outcome{Action: 200, Edits: insert}, guard.ReplyCode,
			"451 4.7.1 Temporary failure, please try again later", "", 0},
		{"none", Outcome{}, guard.ReplyCode, "451 4.7.1 Temporary failure, please try again later", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{decide: func(context.Context, Mail, *message.Message,
				[]byte) Outcome {
				return c.outcome
			}}
			r := serve(t, Settings{Filter: f})
			m := r.dial(postfix)
			for range 2 { // the session stays as it is, whatever the verdict
				got := m.deliver(letter("Q1"))
				if got.Reply.Verdict != c.code || got.Reply.Text != c.reply ||
					got.Quarantine != c.hold || len(got.Edits) != c.edits {
					t.Errorf("got %v %q, hold %q, edits %q", got.Reply.Verdict, got.Reply.Text,
						got.Quarantine, got.Edits)
				}
			}
			done, bugs := c.outcome.Action.String(), 0
			if !c.outcome.Action.IsValid() {
				done, bugs = "tempfail", 2
			}
			if r.counts.messages["theirs "+done] != 2 ||
				len(r.log.with("msg=message", "action="+done)) != 2 {
				t.Errorf("counted %v and logged %s, want 2 of %s", r.counts.messages, r.log, done)
			}
			if n := len(r.log.with("level=ERROR", "no valid action",
				"invalid action")); n != bugs || r.counts.event(Unworkable) != bugs {
				t.Errorf("%d outcomes without a valid action logged, %d counted; want %d", n,
					r.counts.event(Unworkable), bugs)
			}
		})
		tested[c.outcome.Action] = true
	}
	for _, a := range action.All() {
		if !tested[a] {
			t.Errorf("no case has the action %s", a)
		}
	}
}

// An outcome that cannot be carried out must not be carried out by halves.
func TestUnworkable(t *testing.T) {
	without := func(a guard.Action) miltertest.Options {
		o := postfix
		o.Offer = guard.Offer{Version: 6, Actions: 0x1ff &^ a, Protocol: 0x1fffff}
		return o
	}
	edits := message.Edits{Remove: []int{0}, Insert: messagetest.Header("X-New: 1")}
	for _, c := range []struct {
		name    string
		mta     miltertest.Options
		outcome Outcome
	}{
		{"no field may be added", without(guard.AddHeaders), Outcome{Action: action.Accept, Edits: edits}},
		{"no field may be removed", without(guard.ChangeHeaders), Outcome{Action: action.Accept, Edits: edits}},
		{"nothing is held", without(guard.Quarantine), Outcome{Action: action.Hold}},
		{"a field that is not there", postfix, Outcome{Action: action.Accept, Edits: message.Edits{Remove: []int{3}}}},
		{"a field before the first", postfix, Outcome{Action: action.Accept, Edits: message.Edits{Remove: []int{-1}}}},
		{"a NUL", postfix, Outcome{Action: action.Accept, Edits: message.Edits{Remove: []int{0},
			Insert: []message.Field{message.NewField("X", []byte(" a\x00b"))}}}},
		{"a bare CR", postfix, Outcome{Action: action.Accept,
			Edits: message.Edits{Insert: []message.Field{message.NewField("X", []byte(" a\rb"))}}}},
		{"another field inside", postfix, Outcome{Action: action.Accept,
			Edits: message.Edits{Insert: []message.Field{message.NewField("X", []byte(" a\nY: b"))}}}},
		{"a line end at the end", postfix, Outcome{Action: action.Accept,
			Edits: message.Edits{Insert: []message.Field{message.NewField("X", []byte(" a\n"))}}}},
		{"no name", postfix, Outcome{Action: action.Accept,
			Edits: message.Edits{Insert: []message.Field{message.NewField("", []byte(" a"))}}}},
		{"a space in the name", postfix, Outcome{Action: action.Accept,
			Edits: message.Edits{Insert: []message.Field{message.NewField("X Y", []byte(" a"))}}}},
		{"too large", postfix, Outcome{Action: action.Accept,
			Edits: message.Edits{Insert: []message.Field{message.NewField("X", []byte(strings.Repeat("x", 65000)))}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filter{decide: func(context.Context, Mail, *message.Message,
				[]byte) Outcome {
				return c.outcome
			}}
			r := serve(t, Settings{Filter: f, OnInternalError: action.Accept})
			got := r.dial(c.mta).deliver(letter("Q1"))
			if !strings.HasPrefix(got.Reply.Text, "451 4.3.0 ") || len(got.Edits) > 0 {
				t.Errorf("got %v, edits %q", got.Reply, got.Edits)
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
		action  action.Action
		want    guard.Code
		replies string
	}{
		{"in Decide", &filter{decide: boom}, 0, guard.ReplyCode, "451 4.3.0 "},
		{"in Begin", &filter{begin: func(context.Context, Mail) { panic("boom") }}, action.Tempfail,
			guard.ReplyCode, "451 4.3.0 "},
		{"no judge", noJudge{}, 0, guard.ReplyCode, "451 4.3.0 "},
		{"no filter", nil, 0, guard.ReplyCode, "451 4.3.0 "},
		{"to be refused", &filter{decide: boom}, action.Reject, guard.ReplyCode, "554 5.3.0 "},
		{"to be accepted", &filter{decide: boom}, action.Accept, guard.Accept, "250 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachMTA(t, func(t *testing.T, o miltertest.Options) {
				r := serve(t, Settings{Filter: c.filter, OnInternalError: c.action})
				m := r.dial(o)
				for i := range 2 {
					got := m.deliver(letter("Q1"))
					if got.Reply.Verdict != c.want ||
						!strings.HasPrefix(got.Reply.Text, c.replies) {
						t.Errorf("message %d: got %v, want %v %q", i, got.Reply, c.want, c.replies)
					}
				}
				if r.counts.event(Panicked) != 2 ||
					len(r.log.with("level=ERROR", "queue=", "stack=")) != 2 {
					t.Errorf("%d counted", r.counts.event(Panicked))
				}
			})
		})
	}
}

type noJudge struct{}

func (noJudge) Begin(context.Context, Mail) Judge { return nil }
