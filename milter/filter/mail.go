package filter

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/authres"
	"mailseal/milter/expression"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// mail is a message at the end of its header: what every Judge of a Filter knows.
type mail struct {
	milter.Mail
	filter    *Filter
	from      message.From
	author    message.Address
	authorErr error
	id        string // the authserv-id of our fields
	doubt     string // what is wrong with From, "" if nothing is
	forged    []int  // the fields to be removed, as indices into the header
}

// query asks the signing table about the message.
func (ml mail) query() sign.Query {
	env := ml.Envelope
	return sign.Query{
		Author:     ml.author,
		Login:      env.AuthUser,
		Client:     env.Client,
		DaemonName: env.DaemonName,
		Recipients: env.Recipients,
		Facts:      ml.facts(),
		Sender:     env.Sender,
		ListID:     ml.Header.ListID(),
		Lines:      sign.Lines{Limit: milter.LineLimit(env.MTA), MayChange: ml.MayChange},
	}
}

// known is what expressions may ask of the message at the end of its header.
func (ml mail) known() expression.Known {
	return expression.NewKnown(ml.Envelope, ml.Header, ml.author, ml.Role, time.Now())
}

// facts returns known as a function that computes it at most once: most messages are signed without
// a rule that asks.
func (ml mail) facts() func() *expression.Known {
	return sync.OnceValue(func() *expression.Known {
		k := ml.known()
		return &k
	})
}

// pass lets the message go on, without the fields that only we may have written.
func (ml mail) pass() milter.Outcome {
	return milter.Outcome{
		Action:  action.Accept,
		Author:  string(ml.author.Domain),
		Edits:   message.Edits{Remove: ml.forged},
		Details: ml.fromDetails(),
	}
}

// fromDetails returns the attributes of the log line about the From fields: why there is no
// author, or what is wrong with them.
func (ml mail) fromDetails() []slog.Attr {
	switch {
	case ml.authorErr != nil:
		return []slog.Attr{slog.String("from", ml.authorErr.Error())}
	case ml.doubt != "":
		return []slog.Attr{slog.String("from", ml.doubt)}
	}
	return nil
}

// refuseFrom refuses a message because of its From field, and says what is wrong with it.
func (ml mail) refuseFrom() milter.Outcome {
	return milter.Outcome{
		Action: action.Reject,
		Reply: milter.Reply{
			Code:     550,
			Enhanced: "5.6.0",
			Text:     "The From field is not valid (RFC 5322): " + ml.doubt,
		},
		Author:  string(ml.author.Domain),
		Details: ml.fromDetails(),
	}
}

// leave lets the message go on, neither signed nor judged. What keeps us from it is written by the
// sender, a stranger too, who must not get forged results through by it: they are removed all the
// same.
func (ml mail) leave(why string) milter.Outcome {
	out := ml.pass()
	out.Details = append(out.Details, slog.String("left_alone", why))
	return out
}

// invalid defers the message, since a setting has no valid value. The configuration does not let
// one through: this is a bug in Mailseal.
func (ml mail) invalid(setting string, value fmt.Stringer) milter.Outcome {
	return milter.Outcome{
		Action:  action.Tempfail,
		Level:   levelInvalid,
		Author:  string(ml.author.Domain),
		Details: []slog.Attr{slog.String("error", setting+": "+value.String())},
	}
}

// unsigned lets a message of ours go on without a signature, and says so.
func (ml mail) unsigned(reason string) milter.Judge {
	ml.filter.count(func(n Counters) { n.Unsigned(reason) })
	out := ml.pass()
	out.Edits.Insert = ml.authResult()
	out.Details = append(out.Details, slog.String("unsigned", reason))
	out.Level = max(out.Level, unsignedLevel(reason))
	return immediate{out}
}

// authResult is the Authentication-Results field for mail of a user who logged in, if it is asked
// for.
func (ml mail) authResult() []message.Field {
	env := ml.Envelope
	if !ml.filter.AuthResult || env.AuthUser == "" {
		return nil
	}
	r := authres.Result{Method: "auth", Value: "pass", Comment: env.AuthType}
	r.Properties = []authres.Property{{Type: "smtp", Name: "auth", Value: env.AuthUser}}
	return authres.Field{ID: ml.id, Results: []authres.Result{r}}.Fields()
}

// immediate is a Judge that has its outcome at the end of the header.
type immediate struct{ outcome milter.Outcome }

// Wants implements milter.Judge.
func (i immediate) Wants() milter.Wants { return milter.Wants{} }

// Decide implements milter.Judge.
func (i immediate) Decide(context.Context, *message.Message,
	[]byte) milter.Outcome {
	return i.outcome
}
