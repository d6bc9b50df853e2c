package shadow

import (
	"bytes"
	"encoding/binary"
	"slices"

	"mailseal/milter/guard"
)

// negotiation is what was negotiated with both sides.
type negotiation struct {
	theirs guard.Agreement // what the upstream asked for
	mta    guard.Agreement // what the MTA was asked for
	spaces bool            // the MTA's values have their leading space, the upstream's have not
	more   bool            // the MTA is asked for more macros than the upstream asked for
}

// unwanted names the bits by which a filter declines a command.
var unwanted = [256]guard.Protocol{
	guard.Connect: guard.NoConnect, guard.Helo: guard.NoHelo, guard.Mail: guard.NoMail,
	guard.Rcpt:   guard.NoRcpt,
	guard.Header: guard.NoHeaders, guard.EndOfHeader: guard.NoEOH, guard.Body: guard.NoBody,
}

// silent names the bits that spare the MTA our own answers to what the upstream declined. The
// others are answered: with no replies at all the MTAs' small segments wait for one another.
var silent = map[guard.Protocol]guard.Protocol{
	guard.NoHeaders: guard.NoReplyHeader, guard.NoEOH: guard.NoReplyEOH,
	guard.NoBody: guard.NoReplyBody,
}

// everything is what the mirror needs to be shown.
const everything = guard.NoConnect | guard.NoHelo | guard.NoMail | guard.NoRcpt |
	guard.NoHeaders | guard.NoEOH | guard.NoBody

// negotiate makes the answer to an MTA's offer from the upstream's answer to it. Nothing is added
// that was not offered: Sendmail drops a filter that asks for it.
func negotiate(o guard.Offer, theirs guard.Agreement) negotiation {
	n := negotiation{theirs: theirs, mta: theirs}
	n.mta.Protocol = theirs.Protocol&^everything | o.Protocol&guard.LeadingSpace
	for declined, quiet := range silent {
		if theirs.Has(declined) {
			n.mta.Protocol |= o.Protocol & quiet
		}
	}
	n.spaces = n.mta.Has(guard.LeadingSpace) && !theirs.Has(guard.LeadingSpace)
	n.askMacros()
	return n
}

// maxMacros is how many names Sendmail takes for a stage.
const maxMacros = 50

// askMacros adds what we would ask for where the upstream sets the list of a stage. Where it does
// not, the list is the MTA's own, which the upstream may depend on, and which a list of ours would
// replace.
func (n *negotiation) askMacros() {
	for stage, names := range guard.DefaultWishes().Macros {
		have := n.theirs.Macros[stage]
		if len(have) == 0 {
			continue
		}
		all := slices.Clone(have)
		for _, n := range names {
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
		if len(all) <= maxMacros {
			n.mta.Macros[stage] = all
			n.more = true
		}
	}
}

// shows reports whether the upstream wants to see a command.
func (n *negotiation) shows(code guard.Code) bool {
	bit := unwanted[code]
	return bit == 0 || n.theirs.Protocol&bit == 0
}

// stageOf is whose list of macros goes before a command.
var stageOf = map[guard.Code]guard.Stage{
	guard.Connect: guard.StageConnect, guard.Helo: guard.StageHelo, guard.Mail: guard.StageMail,
	guard.Rcpt: guard.StageRcpt,
	guard.Data: guard.StageData, guard.Header: guard.StageEndOfHeader,
	guard.EndOfHeader: guard.StageEndOfHeader,
	guard.Body:        guard.StageEndOfMessage, guard.EndOfBody: guard.StageEndOfMessage,
}

// showsMacros reports whether the upstream gets a command's macros. Both MTAs send those of the
// envelope's commands to a filter that has declined the commands, too.
func (n *negotiation) showsMacros(of guard.Code) bool {
	switch of {
	case guard.Header, guard.EndOfHeader, guard.Body:
		return n.shows(of)
	}
	return true
}

// macros returns the macros that the upstream has asked for: one that it does not expect, such as
// the sign of a login, could change its mind.
func (n *negotiation) macros(data []byte) []byte {
	if !n.more || len(data) == 0 {
		return data
	}
	stage, known := stageOf[guard.Code(data[0])]
	if !known || len(n.theirs.Macros[stage]) == 0 {
		return data
	}
	out := []byte{data[0]}
	for pairs := data[1:]; len(pairs) > 0; {
		name, rest, _ := bytes.Cut(pairs, []byte{0})
		_, after, _ := bytes.Cut(rest, []byte{0})
		if slices.Contains(n.theirs.Macros[stage], string(name)) {
			out = append(out, pairs[:len(pairs)-len(after)]...)
		}
		pairs = after
	}
	return out
}

// toUpstream returns a command's data as the upstream expects it, in parts: without the one space
// that an MTA takes away after the colon where it was not asked for, and without macros that it has
// not asked for.
func (n *negotiation) toUpstream(p guard.Packet) [][]byte {
	if p.Code == guard.Macro {
		return [][]byte{n.macros(p.Data)}
	}
	if !n.spaces || p.Code != guard.Header {
		return [][]byte{p.Data}
	}
	colon := bytes.IndexByte(p.Data, 0) + 1
	if colon == 0 || colon == len(p.Data) || p.Data[colon] != ' ' {
		return [][]byte{p.Data}
	}
	return [][]byte{p.Data[:colon], p.Data[colon+1:]}
}

var oneSpace = []byte{' '}

// toMTA returns an answer's data as the MTA expects it, in parts: with the space before a value
// that the MTA puts there where leading space was not asked for. A value that is empty in a change
// deletes the field and stays empty.
func (n *negotiation) toMTA(p guard.Packet) [][]byte {
	if !n.spaces || p.Code != guard.AddHeader && p.Code != guard.InsertHeader &&
		p.Code != guard.ChangeHeader {
		return [][]byte{p.Data}
	}
	at := 0
	if p.Code != guard.AddHeader {
		at = min(4, len(p.Data)) // the index
	}
	end := bytes.IndexByte(p.Data[at:], 0)
	value := at + end + 1
	isDelete := p.Code == guard.ChangeHeader && len(p.Data) == value+1
	if end < 0 || value >= len(p.Data) || isDelete {
		return [][]byte{p.Data}
	}
	return [][]byte{p.Data[:value], oneSpace, p.Data[value:]}
}

// optneg returns the answer to the MTA's offer: the upstream's own octets where nothing is to be
// changed about them.
func (n *negotiation) optneg(raw []byte) []byte {
	for stage := range n.mta.Macros {
		if !slices.Equal(n.mta.Macros[stage], n.theirs.Macros[stage]) {
			return n.mta.Data()
		}
	}
	out := bytes.Clone(raw)
	binary.BigEndian.PutUint32(out[8:], uint32(n.mta.Protocol))
	return out
}
