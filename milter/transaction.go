package milter

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// transaction is one message between MAIL and its verdict. What it holds is bounded by the header
// limit and a little for the envelope, whatever the size of the message.
type transaction struct {
	in       *session
	settings *Settings
	env      *message.Envelope
	role     action.Role
	why      Reason
	fields   *message.Collector // nil once the header was too large
	paths    int                // octets of all recipients
	full     bool               // there were more recipients

	ctx     context.Context // from the end of the header on
	cancel  context.CancelFunc
	decided *Outcome // the outcome, if it was known before the end of the message; nil: judge
	judge   Judge
	message *message.Message
	lines   lineMeter
	skip    bool    // the body is not wanted
	raw     rawBody // the body itself, if that is wanted
	began   time.Time
}

// maxPaths bounds the octets of all recipients of a message, with 32 more for each.
const maxPaths = 256 << 10

func newTransaction(s *session, settings *Settings, env *message.Envelope) *transaction {
	t := &transaction{in: s, settings: settings, env: env,
		fields: message.NewCollector(settings.HeaderLimit)}
	t.role, t.why = settings.Roles.Of(s.listener.Role, env, earlyMacro(s.conn))
	return t
}

// end tells all that works for the message that it is over.
func (t *transaction) end() {
	if t.cancel != nil {
		t.cancel()
	}
}

// recipient takes a recipient. When there are too many it is refused for now (RFC 5321 section
// 4.5.3.1.10), but not to Postfix's own submission, which would keep the whole message in its
// queue: there the filter sees the first ones.
func (t *transaction) recipient(path string) gomilter.Response {
	cost := len(path) + 32
	if t.paths+cost <= maxPaths {
		t.paths += cost
		t.env.Recipients = append(t.env.Recipients, path)
		return nil
	}
	if !t.full {
		t.full = true
		t.in.log.tooManyRecipients(t.env)
	}
	if t.env.Local {
		return nil
	}
	return replyTooMany.tempfail()
}

// field takes a header field. From the first one that does not fit on nothing is kept of the
// header. The log has the message's own line, which comes when the MTA has told the queue id.
func (t *transaction) field(name, value []byte) {
	if t.fields == nil || t.fields.AddBytes(name, value) {
		return
	}
	t.fields = nil
	t.in.event(Overflow)
}

// endOfHeader finds who decides about the message, and what of the body that takes.
func (t *transaction) endOfHeader() {
	t.began = time.Now()
	if t.fields == nil {
		text := fmt.Sprintf("Header too large: more than %d bytes in all fields",
			t.settings.HeaderLimit)
		t.decided = &Outcome{Action: action.Reject, Reply: Reply{552, "5.3.4", text}}
		if t.role == action.RoleOurs { // a stranger must not fill the log with warnings
			t.decided.Level = slog.LevelWarn
		}
		return
	}
	header := t.fields.Header()
	t.fields = nil
	t.message = &message.Message{Header: header}
	t.ctx, t.cancel = context.WithCancel(t.in.ctx)
	w := t.begin()
	t.message.Body = message.NewDigests(w.Hashes)
	t.raw.left = w.Raw
	t.lines.limit = LineLimit(t.env.MTA)
	t.skip = len(w.Hashes) == 0 && w.Raw <= 0
}

// begin asks the filter for a judge, and that for its wishes.
func (t *transaction) begin() Wants {
	defer t.recover("begin")
	t.judge = t.settings.Filter.Begin(t.ctx, t.mail())
	return t.judge.Wants()
}

// mail returns the message for the filter.
func (t *transaction) mail() Mail {
	return Mail{
		Envelope:  t.env,
		Role:      t.role,
		Why:       t.why,
		MayChange: t.in.conn.Agreement().May(guard.ChangeHeaders),
		Header:    t.message.Header,
	}
}

// body takes a piece of the body and reports whether more is wanted.
func (t *transaction) body(p []byte) bool {
	if t.decided != nil || t.skip {
		return false
	}
	t.message.Body.Write(p) // never fails
	t.lines.write(p)
	t.raw.write(p)
	return true
}

// rawBody keeps a body that is not longer than was asked for, and else nothing of it.
type rawBody struct {
	left int // octets that it may still grow by; negative: it was given up
	kept []byte
}

func (r *rawBody) write(p []byte) {
	if r.left < len(p) {
		*r = rawBody{left: -1}
		return
	}
	r.left -= len(p)
	r.kept = append(r.kept, p...)
}

// decide asks the judge, unless all is decided.
func (t *transaction) decide() {
	if t.decided != nil {
		return
	}
	t.message.Body.Close() // never fails
	t.lines.end()
	ctx, cancel := context.WithTimeout(t.ctx, t.settings.Deadline)
	defer cancel()
	defer t.recover("decide")
	o := t.judge.Decide(ctx, t.message, t.raw.kept)
	t.decided = &o
}

// recover turns a panic of a judge into the outcome for internal errors.
func (t *transaction) recover(what string) {
	v := recover()
	if v == nil {
		return
	}
	t.in.event(Panicked)
	t.in.log.panicked(what, t.env, v)
	o := internal(t.settings.OnInternalError)
	if o.Action.GoesOn() {
		o.Edits.Remove = t.clean(&o)
	}
	t.decided = &o
}

// clean returns the fields that must be removed from a message that is accepted unjudged. When that
// fails too, o becomes a tempfail: a forged result must not reach a reader.
func (t *transaction) clean(o *Outcome) (forged []int) {
	cleaner, ok := t.settings.Filter.(Cleaner)
	if !ok || t.message == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			t.in.log.panicked("clean", t.env, v)
			*o = internal(action.Tempfail)
			forged = nil
		}
	}()
	return cleaner.Clean(t.mail())
}

// apply carries the outcome out, or tempfails the message where that is impossible. After an error
// some edits have been made and no verdict can follow them: the connection ends, and the MTA
// tempfails.
func (t *transaction) apply(m editor) (*answer, error) {
	o := t.decided
	if t.in.server.expected.take(t.env) {
		t.decided = &Outcome{
			Action:  action.Reject,
			Reply:   t.testReply(o),
			Author:  o.Author,
			Results: o.Results,
			Details: o.Details,
		}
		o = t.decided
	}
	if was := o.Action; !o.normalize() {
		t.in.event(Unworkable)
		t.in.log.unworkable(t.env, was, errNoAction)
	}
	if o.Action.GoesOn() {
		if err := o.check(t.header(), t.in.conn.Agreement()); err != nil {
			t.in.event(Unworkable)
			t.in.log.unworkable(t.env, o.Action, err)
			o.Action, o.Reply = action.Tempfail, replyInternal
		}
	}
	if o.Action.GoesOn() {
		if err := o.edit(m, t.header()); err != nil {
			t.in.event(Unworkable)
			t.in.log.unworkable(t.env, o.Action, err)
			return nil, err
		}
	}
	t.report(o)
	return o.answer(), nil
}

func (t *transaction) header() message.Header {
	if t.message == nil {
		return nil
	}
	return t.message.Header
}

// report counts the message and writes its line.
func (t *transaction) report(o *Outcome) {
	took := time.Since(t.began)
	t.in.server.metrics.Message(t.role, o.Action, took)
	more := []slog.Attr{slog.String("by", string(t.why))}
	if t.env.Client.IsValid() {
		more = append(more, slog.String("client", t.env.Client.String()))
	}
	if t.env.AuthUser != "" {
		more = append(more, slog.String("user", t.env.AuthUser))
	}
	if o.Action == action.Hold {
		more = append(more, slog.String("reason", o.Reason))
	} else if !o.Action.GoesOn() && o.Reply.Text != "" {
		more = append(more, slog.String("reply", o.Reply.Text))
	}
	if causes := t.fragility(o); len(causes) > 0 {
		more = append(more, fragile(causes))
		t.warnFragile(o, causes)
	}
	t.in.log.message(t.env, t.role, o, took, more...)
}
