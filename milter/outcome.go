package milter

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// Outcome is a Judge's decision about a message. The zero Outcome is a temporary failure: a
// Judge that did not decide must not let mail pass unsigned.
type Outcome struct {
	Action action.Action
	Reply  Reply         // for Reject and Tempfail; the zero Reply is a general one
	Reason string        // for Hold: what the MTA notes beside the message
	Edits  message.Edits // for Accept and Hold

	// Covers are the names of the fields that signatures of ours cover; none when the outcome adds
	// no signature.
	Covers []string

	// For the log line of the message.
	Level   slog.Level  // the zero Level is LevelInfo
	Author  string      // the author domain, or ""
	Results string      // such as "spf=none dkim=pass"
	Details []slog.Attr // what else is worth saying, after all other keys
}

// level is that of the log line. A message that is deferred comes again and again until an operator
// does something.
func (o *Outcome) level() slog.Level {
	if o.Action == action.Tempfail {
		return max(o.Level, slog.LevelWarn)
	}
	return o.Level
}

// removed returns how many fields of the message are removed before it goes on.
func (o *Outcome) removed() int {
	switch o.Action {
	case action.Accept, action.Mark, action.Hold:
		return len(slices.Compact(slices.Sorted(slices.Values(o.Edits.Remove))))
	}
	return 0
}

// errNoAction means that an outcome has no valid action. The message is deferred.
var errNoAction = errors.New("the filter returned no valid action")

// errEdit means that an outcome cannot be carried out. The message is deferred: it must not
// leave unsigned, and no forged field may reach a reader.
var errEdit = errors.New("edit")

// maxField is what a field that we insert may measure: Sendmail refuses a longer packet.
const maxField = 65000

// editor is the part of guard.Conn that edits.
type editor interface {
	ChangeHeader(index int, name, value string) error
	InsertHeader(index int, name, value string) error
	Quarantine(reason string) error
}

// check tells why an outcome cannot be carried out, before the first edit is made. The error wraps
// errEdit.
func (o *Outcome) check(h message.Header, a guard.Agreement) error {
	switch {
	case len(o.Edits.Insert) > 0 && !a.May(guard.AddHeaders):
		return fmt.Errorf("%w: the MTA does not allow fields to be added", errEdit)
	case len(o.Edits.Remove)+len(o.Edits.Change) > 0 && !a.May(guard.ChangeHeaders):
		return fmt.Errorf("%w: the MTA does not allow fields to be changed or removed", errEdit)
	case o.Action == action.Hold && !a.May(guard.Quarantine):
		return fmt.Errorf("%w: the MTA cannot hold messages", errEdit)
	}
	for _, i := range o.Edits.Remove {
		if i < 0 || i >= len(h) {
			return fmt.Errorf("%w: no field %d among %d", errEdit, i, len(h))
		}
	}
	for _, c := range o.Edits.Change {
		if c.At < 0 || c.At >= len(h) || !h[c.At].Is(c.Field.Name()) || len(c.Field.Value()) == 0 {
			return fmt.Errorf("%w: field %d among %d cannot become %.40q", errEdit, c.At, len(h),
				c.Field.Name())
		}
		if err := checkField(c.Field); err != nil {
			return err
		}
	}
	for _, f := range o.Edits.Insert {
		if err := checkField(f); err != nil {
			return err
		}
	}
	return nil
}

// checkField refuses what an MTA would change, drop, or take for two fields: of a NUL, Sendmail
// drops the whole edit and says nothing; a bare CR is removed by both.
func checkField(f message.Field) error {
	raw := f.Raw()
	if len(raw) > maxField {
		return fmt.Errorf("%w: %.40q has %d octets, %d are possible", errEdit, f.Name(), len(raw),
			maxField)
	}
	if !isFieldName(f.Name()) {
		return fmt.Errorf("%w: %.40q is not a field name", errEdit, f.Name())
	}
	for i, c := range raw {
		isBareCR := c == '\r' && (i+1 == len(raw) || raw[i+1] != '\n')
		if c == 0 || isBareCR || c == '\n' && !isFold(raw, i) {
			return fmt.Errorf("%w: %.40q has the invalid byte %#02x", errEdit, f.Name(), c)
		}
	}
	return nil
}

// isFieldName reports whether a field may have this name (RFC 5322 section 2.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}

// isFold reports whether the LF at i ends a line that white space continues.
func isFold(raw []byte, i int) bool {
	return raw[i-1] == '\r' && i+1 < len(raw) && (raw[i+1] == ' ' || raw[i+1] == '\t')
}

// edit makes the edits of an outcome that check has passed.
//
// Changes come first, while the fields are still counted as they came. All removals come before any
// insertion: a field that is inserted above others of its name shifts their count on both MTAs.
// Removals go from the last instance up: Postfix counts again after each, Sendmail does not, and
// only this order suits both. Insertions are at 0, above the MTA's own Received, where each pushes
// the one before down: the last one ends on top.
func (o *Outcome) edit(m editor, h message.Header) error {
	at := slices.Sorted(slices.Values(o.Edits.Remove))
	at = slices.Compact(at)
	wanted := slices.Clone(at)
	for _, c := range o.Edits.Change {
		wanted = append(wanted, c.At)
	}
	places := ordinals(h, wanted)
	for _, c := range o.Edits.Change {
		if err := m.ChangeHeader(places[c.At], h[c.At].Name(),
			string(c.Field.Value())); err != nil {
			return fmt.Errorf("%w: %w", errEdit, err)
		}
	}
	for _, i := range slices.Backward(at) {
		if err := m.ChangeHeader(places[i], h[i].Name(), ""); err != nil {
			return fmt.Errorf("%w: %w", errEdit, err)
		}
	}
	for _, f := range slices.Backward(o.Edits.Insert) {
		if err := m.InsertHeader(0, f.Name(), string(f.Value())); err != nil {
			return fmt.Errorf("%w: %w", errEdit, err)
		}
	}
	if o.Action == action.Hold {
		if err := m.Quarantine(holdReason(o.Reason)); err != nil {
			return fmt.Errorf("%w: %w", errEdit, err)
		}
	}
	return nil
}

// holdReason returns one line that says something: an MTA takes an empty reason for none.
func holdReason(s string) string {
	s = printable(s)
	if s == "" {
		return "held by policy"
	}
	return s[:min(len(s), maxReplyLine)]
}

// answer returns the verdict of an outcome whose edits have been made. What is not listed is
// deferred.
func (o *Outcome) answer() *answer {
	switch o.Action {
	case action.Accept, action.Mark, action.Hold:
		return answerAccept
	case action.Discard:
		return answerDiscard
	case action.Reject:
		return o.Reply.reject()
	}
	return o.Reply.tempfail()
}

// normalize maps an action that answer does not know to Tempfail, so that log and metrics agree
// with the answer. It reports whether the action was known.
func (o *Outcome) normalize() bool {
	switch o.Action {
	case action.Accept, action.Mark, action.Hold, action.Tempfail, action.Reject, action.Discard:
		return true
	}
	o.Action = action.Tempfail
	return false
}

// internal is the outcome for a message that we could not judge for a reason of our own.
func internal(a action.Action) Outcome {
	switch a {
	case action.Accept:
		return Outcome{Action: action.Accept}
	case action.Reject:
		return Outcome{Action: action.Reject, Reply: Reply{554, "5.3.0", "Internal failure"}}
	}
	return Outcome{Action: action.Tempfail, Reply: replyInternal}
}

// ordinals returns, for each index in at, its place among the fields of its name, counted from 1 at
// the top. It walks the header once, however many fields a stranger forged.
func ordinals(h message.Header, at []int) map[int]int {
	if len(at) == 0 {
		return nil
	}
	seen := map[string]int{}
	for _, i := range at {
		seen[strings.ToLower(h[i].Name())] = 0
	}
	out := make(map[int]int, len(at))
	for i, f := range h {
		name := strings.ToLower(f.Name())
		if n, wanted := seen[name]; wanted {
			seen[name] = n + 1
			out[i] = n + 1
		}
	}
	return out
}
