package miltertest

import (
	"strings"

	"mailseal/milter/guard"
)

// header is a message's header in the MTA's hands while a milter edits it, from the MTA's own
// Received down.
type header struct {
	mta     MTA
	leading bool // white space after the colon is part of the values that the milter sends
	lines   []line
}

// line is one field and what the MTA thinks of it.
type line struct {
	field
	own bool // the MTA's own Received: never counted by name
	// Sendmail's default for a field that the message has not: counted by place, not by name
	absent  bool
	deleted bool // Sendmail only: still counted by name until the milter is through
}

// newHeader makes the header of a message that has been received.
func newHeader(mta MTA, leading bool, received field, fields []field) *header {
	h := &header{mta: mta, leading: leading, lines: []line{{field: received, own: true}}}
	if mta == Sendmail {
		h.addDefaults(fields)
	}
	for _, f := range fields {
		h.lines = append(h.lines, line{field: f})
	}
	return h
}

// defaults are the fields that Sendmail keeps a place for, below its Received, in every message
// that lacks them; resentDefaults those in a message that has been resent.
var (
	defaults       = []string{"Return-Path", "Date", "From", "Full-Name", "Message-Id"}
	resentDefaults = []string{"Return-Path", "Resent-Date", "Resent-From", "Full-Name",
		"Resent-Message-Id"}
)

func (h *header) addDefaults(fields []field) {
	names := defaults
	if isResent(fields) {
		names = resentDefaults
	}
	for _, name := range names {
		if !has(fields, name) {
			h.lines = append(h.lines, line{field: field{name: name}, absent: true})
		}
	}
}

func isResent(fields []field) bool {
	for _, f := range fields {
		if len(f.name) > 7 && strings.EqualFold(f.name[:7], "Resent-") {
			return true
		}
	}
	return false
}

func has(fields []field, name string) bool {
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			return true
		}
	}
	return false
}

// apply makes one edit. Edits of anything but header fields are not its business.
func (h *header) apply(e Edit) {
	f := field{e.Name, h.value(e.Value)}
	switch e.Kind {
	case guard.AddHeader:
		h.add(f)
	case guard.InsertHeader:
		h.insert(min(max(e.Index, 0), len(h.lines)), f)
	case guard.ChangeHeader:
		h.change(e.Index, f, e.Value == "")
	}
}

// value is what the MTA makes of a value that the milter sends: bare CR is dropped, lines that
// would not be folded are, and without HDR_LEADSPC there is a space before it.
func (h *header) value(v string) string {
	fold := "\t"
	if h.mta == Sendmail {
		fold = " "
	}
	lines := strings.Split(strings.ReplaceAll(v, "\r", ""), "\n")
	for i, l := range lines[1:] {
		if l == "" || l[0] != ' ' && l[0] != '\t' {
			lines[i+1] = fold + l
		}
	}
	v = strings.Join(lines, "\n")
	if !h.leading {
		v = " " + v
	}
	return v
}

func (h *header) insert(at int, f field) {
	h.lines = append(h.lines[:at:at], append([]line{{field: f}}, h.lines[at:]...)...)
}

// add puts a field where the MTA likes: Postfix at the end, Sendmail in the place that it kept for
// the field or before the first of its name.
func (h *header) add(f field) {
	if h.mta == Sendmail {
		for i, l := range h.lines {
			switch {
			case l.own || !strings.EqualFold(l.name, f.name):
			case l.absent:
				h.lines[i] = line{field: f}
				return
			default:
				h.insert(i, f)
				return
			}
		}
	}
	h.insert(len(h.lines), f)
}

// change gives the n-th field of its name another value, or deletes it. Index 0 means 1, to both
// MTAs.
func (h *header) change(n int, f field, del bool) {
	at := h.find(max(n, 1), f.name)
	switch {
	case at < 0 && del:
	case at < 0:
		h.add(f)
	case del && h.mta == Sendmail:
		h.lines[at].deleted = true
	case del:
		h.lines = append(h.lines[:at:at], h.lines[at+1:]...)
	default:
		h.lines[at] = line{field: f}
	}
}

// find returns where the n-th field of a name is that the milter may know of, or -1.
func (h *header) find(n int, name string) int {
	for i, l := range h.lines {
		if l.own || l.absent || !strings.EqualFold(l.name, name) {
			continue
		}
		if n--; n == 0 {
			return i
		}
	}
	return -1
}

// droppedLate are the fields that Sendmail shows to a milter and does not deliver; droppedEarly
// those that Postfix drops before.
var (
	droppedLate  = []string{"Bcc", "Resent-Bcc", "Return-Path", "Content-Length", "Full-Name"}
	droppedEarly = []string{"Bcc", "Resent-Bcc", "Return-Path", "Content-Length"}
)

func isOneOf(name string, names []string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// delivered returns the fields that leave the MTA. What fills Sendmail's empty places comes from
// fill.
func (h *header) delivered(fill map[string]string) (out []field) {
	for _, l := range h.lines {
		value, filled := fill[l.name]
		switch {
		case l.deleted || h.mta == Sendmail && isOneOf(l.name, droppedLate):
		case l.absent && filled:
			out = append(out, field{l.name, value})
		case !l.absent:
			out = append(out, l.field)
		}
	}
	return out
}
