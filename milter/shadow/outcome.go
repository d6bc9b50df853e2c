package shadow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/authres"
	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// Outcome is what one of the two filters made of a message, for people and for comparison.
type Outcome struct {
	// "accept", "hold", "reject 550", "tempfail", "discard", "drop"
	Verdict string `json:"verdict"`
	Refused int    `json:"refused,omitempty"` // recipients
	// "example.com/mail/rsa-sha256": d=, s= and a= of each signature added
	Signed []string `json:"signed,omitempty"`
	Sealed []string `json:"sealed,omitempty"` // likewise of ARC-Seal
	// "pass example.org": each result that is not "none"
	DKIM  []string `json:"dkim,omitempty"`
	SPF   []string `json:"spf,omitempty"` // "pass", of the sender if there are several
	DMARC []string `json:"dmarc,omitempty"`
	// "authentication-results[2]": fields, by their number among those of the name
	Removed []string `json:"removed,omitempty"`
	// fields, likewise; "sender", "recipients", "body"
	Changed    []string `json:"changed,omitempty"`
	OtherAdded []string `json:"other_added,omitempty"` // names of fields; not compared

	signatures []signature
	atFirst    map[string]int // removals of the first field of a name, so far
}

// outcome reads a side's packets.
func (s *side) outcome() Outcome {
	o := Outcome{Verdict: verdictText(s.verdict), Refused: s.refused}
	for _, e := range s.edits {
		o.take(e)
	}
	if o.Verdict == "accept" && slices.ContainsFunc(s.edits,
		func(e guard.Packet) bool { return e.Code == guard.QuarantineMail }) {
		o.Verdict = "hold"
	}
	for _, list := range []*[]string{&o.Signed, &o.Sealed, &o.DKIM, &o.SPF, &o.DMARC, &o.Removed,
		&o.Changed, &o.OtherAdded} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return o
}

// verdictText names a verdict, with the code where the filter and not the MTA chose it.
func verdictText(p guard.Packet) string {
	switch p.Code {
	case guard.Continue, guard.Accept:
		return "accept"
	case guard.Reject:
		return "reject"
	case guard.TempFail:
		return "tempfail"
	case guard.Discard:
		return "discard"
	case guard.ConnFail:
		return "drop"
	case guard.ReplyCode:
		code := string(p.Data[:min(3, len(p.Data))])
		if strings.HasPrefix(code, "4") {
			return "tempfail " + code
		}
		return "reject " + code
	}
	return p.Code.String()
}

// take takes an edit.
func (o *Outcome) take(e guard.Packet) {
	switch e.Code {
	case guard.AddHeader:
		o.added(e.Data)
	case guard.InsertHeader:
		o.added(e.Data[min(4, len(e.Data)):])
	case guard.ChangeHeader:
		o.changed(e.Data)
	case guard.AddRcpt, guard.AddRcptArgs, guard.DeleteRcpt:
		o.Changed = append(o.Changed, "recipients")
	case guard.ChangeSender:
		o.Changed = append(o.Changed, "sender")
	case guard.ReplaceBody:
		o.Changed = append(o.Changed, "body")
	}
}

// cutField reads a name and a value, each terminated.
func cutField(data []byte) (name, value string, ok bool) {
	n, rest, ok := bytes.Cut(data, []byte{0})
	if !ok {
		return "", "", false
	}
	val, _, ok := bytes.Cut(rest, []byte{0})
	return string(n), string(val), ok
}

func (o *Outcome) added(data []byte) {
	name, value, ok := cutField(data)
	if !ok {
		return
	}
	switch f := message.NewField(name, []byte(value)); {
	case f.Is("DKIM-Signature"):
		s := readSignature(f)
		o.Signed = append(o.Signed, s.name)
		o.signatures = append(o.signatures, s)
	case f.Is("ARC-Seal"):
		o.Sealed = append(o.Sealed, readSignature(f).name)
	case f.Is(authres.FieldName):
		o.results(f.Value())
	default:
		o.OtherAdded = append(o.OtherAdded, name)
	}
}

// changed takes a change of a field. Index 0 is the first, as it is to both MTAs. Who removes the
// first again and again, as OpenDKIM does with signatures, means the second then.
func (o *Outcome) changed(data []byte) {
	if len(data) < 4 {
		return
	}
	name, value, ok := cutField(data[4:])
	if !ok {
		return
	}
	index := int(max(1, int32(binary.BigEndian.Uint32(data))))
	name = strings.ToLower(name)
	if value == "" && index == 1 {
		if o.atFirst == nil {
			o.atFirst = map[string]int{}
		}
		o.atFirst[name]++
		index = o.atFirst[name]
	}
	what := fmt.Sprintf("%s[%d]", name, index)
	if value == "" {
		o.Removed = append(o.Removed, what)
	} else {
		o.Changed = append(o.Changed, what)
	}
}

// results reads an Authentication-Results field. A part without effect is treated as if it were
// missing.
func (o *Outcome) results(value []byte) {
	f, _ := authres.Parse(value) // all that can be read of it
	ofSender := func(r authres.Result) bool {
		return r.Method == "spf" && property(r, "smtp", "mailfrom") != ""
	}
	sender := slices.ContainsFunc(f.Results, ofSender)
	for _, r := range f.Results {
		if r.Value == "none" {
			continue
		}
		switch r.Method {
		case "dkim":
			o.DKIM = append(o.DKIM, strings.TrimSpace(r.Value+" "+strings.ToLower(property(r,
				"header", "d"))))
		case "spf":
			if len(o.SPF) == 0 && !sender || ofSender(r) {
				o.SPF = []string{r.Value}
			}
		case "dmarc":
			o.DMARC = append(o.DMARC, r.Value)
		}
	}
}

func property(r authres.Result, kind, name string) string {
	for _, p := range r.Properties {
		if strings.EqualFold(p.Type, kind) && strings.EqualFold(p.Name, name) {
			return p.Value
		}
	}
	return ""
}
