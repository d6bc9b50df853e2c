package filter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// selfCheckSize is the largest body that is kept for a self-check.
const selfCheckSize = 256 << 10

// outbound signs a message of ours.
type outbound struct {
	mail
	rules sign.Match
	query sign.Query
	check bool
}

// Wants implements milter.Judge.
func (o *outbound) Wants() milter.Wants {
	w := milter.Wants{Hashes: o.rules.BodyHashes()}
	if o.check {
		w.Raw = selfCheckSize
	}
	return w
}

// Decide implements milter.Judge.
func (o *outbound) Decide(ctx context.Context, m *message.Message, raw []byte) milter.Outcome {
	out := o.pass()
	done, ok := o.sign(ctx, &out, o.rules, o.query, m)
	if !ok {
		return out
	}
	out.Edits.Insert = append(o.authResult(), done.Fields...)
	if o.check && len(done.Fields) > 0 {
		out = o.selfCheck(ctx, out, done, m, raw)
	}
	if out.Action != action.Tempfail && out.Action != action.Reject {
		o.filter.Reports.sent(o.mail, done)
	}
	return out
}

// sign makes the signatures of rules and records the result in out. If it is not ok, the
// message must not be sent unsigned: out refuses it.
func (ml mail) sign(
	ctx context.Context, out *milter.Outcome, rules sign.Match, q sign.Query, m *message.Message,
) (done sign.Signed, ok bool) {
	done, err := ml.filter.Signer.Sign(ctx, rules, q, m)
	ml.countSignatures(done)
	out.Results = strings.TrimSpace(out.Results + " " + signedText(done))
	out.Details = append(out.Details, failures(done)...)
	if len(done.Failed) > 0 {
		out.Level = max(out.Level, levelKeyFailed)
	}
	if err != nil && done.OnKeyError != action.KeyAccept && !errors.Is(err, sign.ErrNoRule) {
		refuse(out, done.OnKeyError, err)
		return done, false
	}
	isOurs := ml.Role == action.RoleOurs
	// no more is promised to strangers' mail
	if len(done.Fields) == 0 && (isOurs || len(done.Withheld) == 0) {
		reason := unsignedReason(done, err)
		ml.filter.count(func(n Counters) { n.Unsigned(reason) })
		out.Details = append(out.Details, slog.String("unsigned", reason))
		out.Level = max(out.Level, unsignedLevel(reason))
	}
	if len(done.Withheld) > 0 {
		if isOurs { // a stranger must not fill the log with warnings
			out.Level = slog.LevelWarn
		}
		out.Details = append(out.Details,
			slog.String("withheld", redirected+": "+strings.Join(done.Withheld, ", ")))
	}
	out.Edits.Remove = append(out.Edits.Remove, done.Remove...)
	out.Covers = done.Covers
	ml.refold(out, done.Fit)
	return done, true
}

// refold has fields refolded whose lines the MTA would break, and says which those are and which
// are not signed.
func (ml mail) refold(out *milter.Outcome, fit sign.Fit) {
	var names []string
	for _, c := range fit.Change {
		if name := c.Field.Name(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	out.Edits.Change = append(out.Edits.Change, fit.Change...)
	for _, w := range []struct {
		done  string
		names []string
	}{{"refolded", names}, {"left_out", fit.Omit}} {
		if len(w.names) > 0 {
			out.Details = append(out.Details, slog.String(w.done, strings.Join(w.names, ", ")))
			ml.filter.count(func(n Counters) { n.LongFields(w.done, len(w.names)) })
		}
	}
}

// refuse defers, or by setting rejects, a message that should have been signed and is not.
func refuse(out *milter.Outcome, what action.OnKeyError, err error) {
	out.Action, out.Edits = action.Tempfail, message.Edits{}
	out.Reply = milter.Reply{Code: 451, Enhanced: "4.7.5",
		Text: "The message cannot be signed at the moment, please try again later"}
	if what == action.KeyReject {
		out.Action = action.Reject
		out.Reply = milter.Reply{Code: 550, Enhanced: "5.7.5", Text: "The message cannot be signed"}
	}
	out.Level = max(out.Level, levelNotSigned)
	out.Details = append(out.Details, slog.String("error", err.Error()))
}

func (ml mail) countSignatures(done sign.Signed) {
	ml.filter.count(func(n Counters) {
		for _, s := range done.Made {
			n.Signed(s)
		}
		if len(done.Made) > 0 && ml.Role == action.RoleOurs {
			n.SignedFor(ml.author.Domain)
		}
		for _, f := range done.Failed {
			n.KeyFailed(f.Key, f.Err)
		}
	})
}

// selfCheck asks the second implementation about the message as it will be.
func (o *outbound) selfCheck(
	ctx context.Context, out milter.Outcome, done sign.Signed, m *message.Message, raw []byte,
) milter.Outcome {
	if raw == nil && m.Body.Size() == 0 {
		raw = []byte{} // an empty body is not one that was too large
	}
	word, err := done.Check(ctx, m.Header.With(out.Edits), raw)
	o.filter.count(func(n Counters) { n.SelfChecked(word) })
	out.Details = append(out.Details, slog.String("self_check", string(word)))
	if err == nil {
		return out
	}
	out.Details = append(out.Details, slog.String("self_check_error", err.Error()))
	out.Level = max(out.Level, selfCheckLevel(word))
	if word == sign.Disagree && o.filter.SelfCheck.Action != action.Accept {
		refuse(&out, o.rules.OnKeyError(), err)
	}
	return out
}

func selfCheckLevel(word sign.Verdict) slog.Level {
	if word == sign.Disagree {
		return levelDisagree
	}
	return levelUnchecked
}

func signedText(done sign.Signed) string {
	var names []string
	for _, s := range done.Made {
		names = append(names, fmt.Sprintf("signed=%s/%s/%s", s.Domain, s.Selector, s.Algorithm))
	}
	return strings.Join(names, " ")
}

func failures(done sign.Signed) []slog.Attr {
	var out []slog.Attr
	for _, f := range done.Failed {
		out = append(out, slog.String("key_error", f.Key+": "+f.Err.Error()))
	}
	return out
}

func unsignedReason(done sign.Signed, err error) string {
	switch {
	case len(done.Withheld) > 0:
		return redirected
	case len(done.Held) > 0:
		return signedAlready
	case errors.Is(err, sign.ErrFirstKey) && len(done.Failed) == 0:
		return firstKey
	case errors.Is(err, sign.ErrNoRule) && len(done.Failed) == 0:
		return noRule
	}
	return keyError
}
