package guard

import (
	"bytes"
	"encoding/binary"
)

// The edits and the verdict below are what go-milter's Modifier and answers come to. The library
// allocates a writer of 4 KB for each of their packets, most of what a message allocates, only to
// hand it to Write, which takes it apart.

// InsertHeader makes the MTA insert a field at a position among all fields, 0 for the top. The
// value is as in a message, with the white space after the colon; its lines end with CRLF or LF. It
// is called while the end of a message is being answered. The error is an ErrNoAnswer, or the
// network's.
func (c *Conn) InsertHeader(index int, name, value string) error {
	return c.editField(InsertHeader, AddHeaders, index, name, value)
}

// ChangeHeader makes the MTA replace the value of the index-th field of a name, counted from 1; ""
// removes the field. Otherwise it works like InsertHeader.
func (c *Conn) ChangeHeader(index int, name, value string) error {
	return c.editField(ChangeHeader, ChangeHeaders, index, name, value)
}

// Quarantine has the MTA hold the message, and note the reason. It is otherwise as InsertHeader.
func (c *Conn) Quarantine(reason string) error {
	return c.edit(QuarantineMail, Quarantine, append([]byte(reason), 0))
}

// Answer gives the verdict on the command that is being looked at, which must then get no other
// answer. An error, as of Write, has ended the connection.
func (c *Conn) Answer(verdict Code, data []byte) error {
	return c.reply(verdict, data)
}

func (c *Conn) editField(code Code, action Action, index int, name, value string) error {
	data := make([]byte, 0, 4+len(name)+1+len(value)+1)
	data = binary.BigEndian.AppendUint32(data, uint32(index))
	data = append(append(data, name...), 0)
	at := len(data)
	data = append(append(data, value...), 0)
	// MTAs have LF inside a value; of CRLF Postfix makes CR CR LF.
	data = append(data[:at], bytes.ReplaceAll(data[at:], []byte("\r\n"), []byte("\n"))...)
	return c.edit(code, action, data)
}
