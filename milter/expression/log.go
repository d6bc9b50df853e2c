package expression

import (
	"encoding/json"
	"log/slog"
	"time"

	"mailseal/milter/message"
)

// LogValue implements slog.LogValuer: the facts from which "mailseal policy replay" evaluates a
// rule again, beside those that the line of a message has anyway (client, user, role, time).
// Recipients and the header are left out: a log has no need to keep them.
func (j *Judged) LogValue() slog.Value {
	text, err := json.Marshal(j)
	if err != nil {
		return slog.StringValue(err.Error())
	}
	return slog.AnyValue(json.RawMessage(text))
}

// Line is the line of a message in a JSON log, as far as rules can ask for what it says.
type Line struct {
	Time   time.Time `json:"time"`
	Text   string    `json:"msg"`
	Queue  string    `json:"queue"`
	Role   string    `json:"role"`
	Client string    `json:"client"`
	User   string    `json:"user"`
	Action string    `json:"action"`
	Facts  *Judged   `json:"facts"` // nil where the message was not judged
}

// Judged returns the facts of a line of a message that was judged, nil for any other. What the line
// does not say of the message is reported by Logged.
func (l *Line) Judged() *Judged {
	if l.Facts == nil {
		return nil
	}
	f := *l.Facts
	f.Client.Address, f.Login, f.Role = l.Client, l.User, l.Role
	f.Envelope.SenderDomain = senderDomain(f.Envelope.Sender)
	if len(f.ARC.Sealers) > 0 {
		f.ARC.Sealer = f.ARC.Sealers[0]
	}
	f.Time = clock(l.Time)
	r := reader{header: message.Header(nil)}
	f.Header, f.Headers, f.HeaderCount = r.first, r.all, r.count
	return &f
}

// notLogged are the facts that the line of a message does not hold.
var notLogged = map[string]bool{
	"envelope.recipients": true,
	"dmarc.record":        true,
	"header":              true,
	"headers":             true,
	"header_count":        true,
}

// Logged reports whether a fact is in the line of a message.
func Logged(name string) bool { return !notLogged[name] }
