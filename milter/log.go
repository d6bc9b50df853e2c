package milter

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

// logger logs events, each with one method.
type logger struct{ *slog.Logger }

// message writes the one line of a message.
func (l logger) message(env *message.Envelope, role action.Role, o *Outcome, took time.Duration,
	more ...slog.Attr) {
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("queue", env.QueueID),
		slog.String("role", role.String()),
		slog.String("author", o.Author),
		slog.String("results", o.Results),
		slog.String("action", o.Action.String()),
		slog.Duration("took", took.Round(time.Microsecond)),
	)
	attrs = append(append(attrs, more...), o.Details...)
	if n := o.removed(); n > 0 {
		attrs = append(attrs, slog.Int("removed", n))
	}
	l.line(o.level(), "message", attrs)
}

// line is LogAttrs without looking for the place in the source that logs, which is not shown.
func (l logger) line(level slog.Level, text string, attrs []slog.Attr) {
	ctx, h := context.Background(), l.Handler()
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(time.Now(), level, text, 0)
	r.AddAttrs(attrs...)
	_ = h.Handle(ctx, r) // as slog does: there is nowhere to say it
}

// panicked reports a bug in Mailseal.
func (l logger) panicked(what string, env *message.Envelope, v any) {
	l.Error("panic: a bug in Mailseal, please report this line", "in", what, "queue", env.QueueID,
		"panic", fmt.Sprint(v), "stack",
		string(debug.Stack()))
}

// unworkable reports an outcome that cannot be carried out.
func (l logger) unworkable(env *message.Envelope, was action.Action, err error) {
	l.Error("the MTA does not support the action, so the message is deferred", "queue", env.QueueID,
		"action",
		was.String(), "error", err)
}

// lost reports a message whose connection ended before it could get its verdict.
func (l logger) lost(env *message.Envelope) {
	l.Warn("the connection ended before the verdict, so the MTA decides without it", "queue",
		env.QueueID)
}

// tooManyRecipients is logged once for a message, since the sender chooses how many more
// there are.
func (l logger) tooManyRecipients(env *message.Envelope) {
	what := "too many recipients: the others are deferred"
	if env.Local {
		what = "too many recipients: the filter sees only the first ones"
	}
	l.Warn(what, "queue", env.QueueID, "client", env.Client, "recipients", len(env.Recipients))
}

func (l logger) exempt(env *message.Envelope) {
	l.Info("the client is exempt, so the message is not processed", "queue", env.QueueID, "client",
		env.Client,
		"name", env.ClientName, "sender", env.Sender)
}

func (l logger) aborted(env *message.Envelope) {
	l.Debug("the MTA aborted the message", "queue", env.QueueID)
}

func (l logger) listening(ln *Listener) {
	l.Info("listening", "on", ln.String(), "role", ln.Role.String())
	for _, w := range ln.Warnings {
		l.Warn(w, "on", ln.String())
	}
}

func (l logger) closedListener(ln *Listener) { l.Info("no longer listening", "on", ln.String()) }

func (l logger) lacking(ln *Listener, sentence string) {
	l.Warn("the MTA does not support a feature", "on", ln.String(), "what", sentence)
}

func (l logger) malformed(ln *Listener, peer string, err error) {
	l.Warn("connection closed", "on", ln.String(), "peer", peer, "error", err)
}

func (l logger) broken(ln *Listener, peer string, err error) {
	l.Info("connection lost", "on", ln.String(), "peer", peer, "error", err)
}

func (l logger) acceptFailed(ln *Listener, err error, pause time.Duration) {
	l.Error("cannot accept connections", "on", ln.String(), "error", err, "pause", pause)
}

func (l logger) atLimit(ln *Listener, limit int) {
	l.Warn("the limit of connections is reached, so new connections wait: raise "+
		"limits.connections if this repeats", "on", ln.String(), "limit", limit)
}

func (l logger) draining(open int) { l.Info("stopping", "connections", open) }

func (l logger) drained(phase string, open int) {
	l.Info("closing connections", "which", phase, "connections", open)
}

// fragile returns the attribute that names what may break a signature behind us.
func fragile(causes []Event) slog.Attr { return slog.String("fragile", words(causes)) }

// fragile warns that signatures of a domain may break behind us.
func (l logger) fragile(env *message.Envelope, author string, why []string) {
	l.Warn("signatures of this author's domain may break on the way; see SIGNATURES THAT BREAK in mailseal.toml(5)",
		"queue", env.QueueID, "author", author, "why", strings.Join(why, "; "))
}

// manyFragile logs that the warnings about signatures that may break are incomplete.
func (l logger) manyFragile() {
	l.Warn("signatures of further domains may break on the way, but are not logged in this hour; " +
		"the metric mailseal_fragile_total counts all")
}
