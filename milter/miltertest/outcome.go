package miltertest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"mailseal/milter/guard"
)

// Stage is the stage of the protocol at which a message was decided.
type Stage string

// The stages, in the order of time.
const (
	AtConnect Stage = "connect"
	AtHelo    Stage = "helo"
	AtMail    Stage = "mail"
	AtRcpt    Stage = "rcpt"
	AtData    Stage = "data"
	AtHeader  Stage = "header"
	AtEOH     Stage = "eoh"
	AtBody    Stage = "body"
	AtEnd     Stage = "end"
)

// Reply is a milter's verdict, and the reply that the MTA sends to its client for it.
type Reply struct {
	Verdict guard.Code // Accept, Continue, Reject, TempFail, Discard, ReplyCode, ConnFail, SkipBody
	Text    string     // "550 5.7.1 Command rejected"; "" for Continue before the end
}

// Refused reports whether the client is refused.
func (r Reply) Refused() bool {
	return strings.HasPrefix(r.Text, "4") || strings.HasPrefix(r.Text, "5")
}

func (r Reply) String() string {
	if r.Text == "" {
		return r.Verdict.String()
	}
	return r.Text
}

// Edit is a change that the milter asked for.
type Edit struct {
	Kind guard.Code `json:"-"`
	Do   string     `json:"do"` // "insert", "add", "change", "delete", "quarantine", …
	// for insert: the place; for change and delete: which one of the name, from 1
	Index int    `json:"index,omitempty"`
	Name  string `json:"name,omitempty"` // the field's
	// the field's, with LF line ends; or an address, a reason, a piece of body
	Value string   `json:"value,omitempty"`
	Args  []string `json:"args,omitempty"` // ESMTP arguments of an address
}

// String shows the edit in one line or, for a folded value, in several.
func (e Edit) String() string {
	switch e.Kind {
	case guard.AddHeader:
		return fmt.Sprintf("add %s:%s", e.Name, e.Value)
	case guard.InsertHeader, guard.ChangeHeader:
		if e.Do == "delete" {
			return fmt.Sprintf("delete %s[%d]", e.Name, e.Index)
		}
		return fmt.Sprintf("%s [%d] %s:%s", e.Do, e.Index, e.Name, e.Value)
	case guard.ReplaceBody:
		return fmt.Sprintf("body %d octets", len(e.Value))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Do, e.Value, strings.Join(e.Args, " ")))
}

// kinds names the edits and says how many strings each has behind its index: at least, at most.
var kinds = map[guard.Code]struct {
	do       string
	indexed  bool
	min, max int
}{
	guard.AddHeader:      {"add", false, 2, 2},
	guard.InsertHeader:   {"insert", true, 2, 2},
	guard.ChangeHeader:   {"change", true, 2, 2},
	guard.QuarantineMail: {"quarantine", false, 1, 1},
	guard.AddRcpt:        {"add recipient", false, 1, 1},
	guard.AddRcptArgs:    {"add recipient", false, 1, 2},
	guard.DeleteRcpt:     {"delete recipient", false, 1, 1},
	guard.ChangeSender:   {"change sender", false, 1, 2},
}

// parseEdit reads the packet of an edit.
func parseEdit(p guard.Packet) (Edit, error) {
	if p.Code == guard.ReplaceBody {
		return Edit{Kind: p.Code, Do: "body", Value: string(p.Data)}, nil
	}
	kind := kinds[p.Code]
	e, data := Edit{Kind: p.Code, Do: kind.do}, p.Data
	if kind.indexed && len(data) >= 4 {
		e.Index = int(int32(binary.BigEndian.Uint32(data)))
		data = data[4:]
	}
	n := bytes.Count(data, []byte{0})
	if n < kind.min || n > kind.max || data[len(data)-1] != 0 {
		return e, fmt.Errorf("%w: the edit %q has %d strings: %.80q", ErrFilter, kind.do, n, data)
	}
	words := strings.Split(string(data[:len(data)-1]), "\x00")
	e.fill(words, kind.min)
	return e, nil
}

// fill takes over the strings of an edit.
func (e *Edit) fill(words []string, needed int) {
	if needed == 1 {
		e.Value = words[0]
		if len(words) == 2 && words[1] != "" {
			e.Args = strings.Fields(words[1])
		}
		return
	}
	e.Name, e.Value = words[0], words[1]
	if e.Kind == guard.ChangeHeader && e.Value == "" {
		e.Do = "delete"
	}
}

// Refusal is a recipient that the milter refused.
type Refusal struct {
	Recipient string
	Reply     Reply
}

// Outcome is the result for one message.
type Outcome struct {
	Stage      Stage    // where the fate was decided
	Reply      Reply    // what the client is told in the end
	Recipients []string // those that were not refused, before edits
	Refusals   []Refusal
	Edits      []Edit
	// edits that the MTA drops without a word, such as those with a NUL on Sendmail
	Ignored    []Edit
	Quarantine string        // the reason to hold the message, "" for none
	Skipped    bool          // the milter skipped the rest of the body
	Progress   int           // progress packets before the first edit
	Took       time.Duration // from MAIL to the verdict
	Judging    time.Duration // from the end of the message to the verdict

	mail *transaction
}

// Refused reports whether the message was refused, as a whole or for every recipient.
func (o Outcome) Refused() bool { return o.Reply.Refused() }

// Sender returns the envelope's sender after the edits.
func (o Outcome) Sender() string {
	sender := o.mail.From
	for _, e := range o.Edits {
		if e.Kind == guard.ChangeSender {
			sender = strings.Trim(e.Value, "<>")
		}
	}
	return sender
}

// Delivered returns the message as the MTA would deliver it, with CRLF line ends; nil if it was
// refused or discarded.
func (o Outcome) Delivered() []byte {
	if o.Refused() || o.Reply.Verdict == guard.Discard {
		return nil
	}
	return o.mail.deliver(o.Edits)
}
