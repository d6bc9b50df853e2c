package guard

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// toMTA is what go-milter has written of an answer that is not complete.
type toMTA struct {
	part []byte
}

// Write takes go-milter's answers. They are checked, and collected until it comes back to read, so
// that all the edits of a message and its verdict leave in one write. The error is an ErrNoAnswer,
// or the network's.
func (c *Conn) Write(p []byte) (int, error) {
	n := len(p)
	if len(c.part) > 0 {
		c.part = append(c.part, p...)
		p = c.part
	}
	for len(p) >= headSize {
		size := int64(binary.BigEndian.Uint32(p))
		if int64(len(p)) < 4+size {
			break
		}
		if err := c.reply(Code(p[4]), p[headSize:4+size]); err != nil {
			c.part = nil
			return 0, err
		}
		p = p[4+size:]
	}
	c.part = append(c.part[:0], p...)
	if len(p) == 0 && cap(c.part) > keepOut {
		c.part = nil
	}
	return n, nil
}

// reply acts on one answer of the filter. A verdict that cannot be given ends the connection, so
// that the MTA defers the message; an edit that cannot be made is the caller's to decide on.
func (c *Conn) reply(code Code, data []byte) error {
	if action, ok := actionOf(code); ok {
		return c.edit(code, action, data)
	}
	err := c.verdict(code, data)
	if err != nil {
		c.finish(err)
	}
	return err
}

// verdict gives the answer that go-milter owes.
func (c *Conn) verdict(code Code, data []byte) error {
	command := c.owed
	c.owed = 0
	switch {
	case command == 0:
		return fmt.Errorf("%w: %v to nothing", ErrNoAnswer, code)
	case code == SkipBody && command == Body:
		c.skip = true
		if !c.agreed.Has(Skip) {
			code = Continue
		}
	case !isVerdict(code):
		return fmt.Errorf("%w: %v to %v", ErrNoAnswer, code, command)
	}
	c.judge(false)
	if c.mute || !c.agreed.Answers(command) {
		if code == Continue || code == SkipBody {
			return nil
		}
		return fmt.Errorf("%w: %v to %v", ErrNoAnswer, code, command)
	}
	c.over = c.over || ends(command, code)
	return c.framer.WritePacket(code, data)
}

func isVerdict(code Code) bool {
	switch code {
	case Accept, Continue, Discard, ConnFail, Reject, TempFail, ReplyCode:
		return true
	}
	return false
}

// ends reports whether a verdict on a command is the last that the MTA wants to know about a
// message.
func ends(command, verdict Code) bool {
	switch command {
	case EndOfBody:
		return true
	case Rcpt:
		return verdict == Accept || verdict == Discard
	case Mail, Data, Header, EndOfHeader, Body:
		return verdict != Continue && verdict != SkipBody
	}
	return false
}

// edit passes on a change of the message. Without HDR_LEADSPC, the MTA puts a space before the
// value by itself.
func (c *Conn) edit(code Code, action Action, data []byte) error {
	switch {
	case c.owed != EndOfBody:
		return fmt.Errorf("%w: the edit %v before the end of the message", ErrNoAnswer, code)
	case !c.agreed.May(action):
		return fmt.Errorf("%w: the edit %v was not agreed on", ErrNoAnswer, code)
	}
	name, value, err := splitEdit(code, data)
	if err != nil {
		return err
	}
	if !c.agreed.Has(LeadingSpace) && isField(code) {
		value = bytes.TrimPrefix(value, []byte{' '})
	}
	c.judge(false)
	return c.framer.WritePacket(code, name, value)
}

// actionOf returns the permission that a filter needs for an edit. It is false if code is
// not an edit.
func actionOf(code Code) (Action, bool) {
	switch code {
	case AddHeader, InsertHeader:
		return AddHeaders, true
	case ChangeHeader:
		return ChangeHeaders, true
	case QuarantineMail:
		return Quarantine, true
	case AddRcpt:
		return AddRecipients, true
	case AddRcptArgs:
		return AddRecipientArgs, true
	case DeleteRcpt:
		return DeleteRecipients, true
	case ChangeSender:
		return ChangeFrom, true
	case ReplaceBody:
		return ChangeBody, true
	}
	return 0, false
}

func isField(code Code) bool {
	return code == AddHeader || code == InsertHeader || code == ChangeHeader
}

// splitEdit checks an edit's shape and returns its data in two parts, the second of which begins
// with a field's value. Of a NUL inside a value Postfix says that data is left over; Sendmail drops
// the edit and accepts the message.
func splitEdit(code Code, data []byte) (before, value []byte, err error) {
	index, want := 0, 1
	switch code {
	case ReplaceBody:
		return nil, data, nil
	case InsertHeader, ChangeHeader:
		index, want = 4, 2
	case AddHeader:
		want = 2
	case ChangeSender, AddRcptArgs:
		want = 1 + bytes.Count(data, []byte{0})/2 // with or without arguments
	}
	if len(data) < index || bytes.Count(data[index:], []byte{0}) != want || data[len(data)-1] != 0 {
		return nil, nil, fmt.Errorf("%w: the edit %v is not %d terminated strings", ErrNoAnswer,
			code, want)
	}
	if want == 1 {
		return nil, data, nil
	}
	end := index + bytes.IndexByte(data[index:], 0) + 1
	if end == index+1 {
		return nil, nil, fmt.Errorf("%w: the edit %v without a name", ErrNoAnswer, code)
	}
	return data[:end], data[end:], nil
}
