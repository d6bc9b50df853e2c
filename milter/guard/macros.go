package guard

import "bytes"

// macros holds the macros of each stage as they came. They are looked up in the few names that a
// stage has: most of them are sent with every message, Postfix's before every header field, and
// never asked for.
type macros struct {
	raw   [stages][]byte // names and values by turns, each NUL-terminated
	fresh [stages]bool   // sent since the last command of the stage
}

// keepMacros is the memory that a stage keeps between messages.
const keepMacros = 1 << 10

// stageOf returns where the macros of a command are kept: those of the header fields and of the
// body belong to what ends them. It is false for a command without macros, such as ABORT.
func stageOf(command Code) (Stage, bool) {
	switch command {
	case Connect:
		return StageConnect, true
	case Helo:
		return StageHelo, true
	case Mail:
		return StageMail, true
	case Rcpt:
		return StageRcpt, true
	case Data:
		return StageData, true
	case Header, EndOfHeader:
		return StageEndOfHeader, true
	case Body, EndOfBody:
		return StageEndOfMessage, true
	}
	return 0, false
}

// set takes the data of a MACRO packet: the command that it is for, then names and values.
func (m *macros) set(data []byte) error {
	if len(data) == 0 {
		return malformed("MACRO without a command")
	}
	pairs := data[1:]
	if len(pairs) > 0 && pairs[len(pairs)-1] != 0 || bytes.Count(pairs, []byte{0})%2 != 0 {
		return malformed("MACRO is not pairs of terminated strings")
	}
	if stage, ok := stageOf(Code(data[0])); ok {
		m.raw[stage] = append(m.raw[stage][:0], pairs...)
		m.fresh[stage] = true
	}
	return nil
}

// command forgets what a command makes out of date: at MAIL all of the message before, and at every
// command its own macros if none were sent since the last of its kind.
func (m *macros) command(code Code) {
	stage, ok := stageOf(code)
	if !ok {
		return
	}
	if code == Mail {
		for s := StageRcpt; s < stages; s++ {
			m.clear(s)
		}
	}
	if (code == Mail || code == Helo || code == Connect) && !m.fresh[stage] {
		m.clear(stage)
	}
	m.fresh[stage] = false
}

// clear forgets a stage, and gives back the memory of one that was large.
func (m *macros) clear(s Stage) {
	if cap(m.raw[s]) > keepMacros {
		m.raw[s] = nil
	}
	m.raw[s] = m.raw[s][:0]
	m.fresh[s] = false
}

// reset forgets everything.
func (m *macros) reset() {
	for s := range stages {
		m.clear(s)
	}
}

// get returns the value of a stage's macro.
func (m *macros) get(s Stage, name string) (string, bool) {
	if s >= stages {
		return "", false
	}
	for pairs := m.raw[s]; len(pairs) > 0; {
		var key, value []byte
		key, pairs, _ = bytes.Cut(pairs, []byte{0})
		value, pairs, _ = bytes.Cut(pairs, []byte{0})
		if string(key) == name {
			return string(value), true
		}
	}
	return "", false
}

// newestFirst is the order of time, backwards.
var newestFirst = [...]Stage{StageEndOfMessage, StageEndOfHeader, StageData, StageRcpt, StageMail,
	StageHelo, StageConnect}

// latest returns a macro's value at the last stage that has it.
func (m *macros) latest(name string) string {
	for _, s := range newestFirst {
		if value, ok := m.get(s, name); ok {
			return value
		}
	}
	return ""
}
