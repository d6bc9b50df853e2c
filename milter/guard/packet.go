package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is the cause of every connection that the guard ends because of what the peer sent:
// a length out of bounds, a command of the wrong shape, a command at the wrong time. The error that
// wraps it says which, in a sentence for the log.
var ErrMalformed = errors.New("malformed packet")

// malformed returns an ErrMalformed with a sentence for the log.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Code is the letter that a packet begins with: a command of the MTA or an answer of the filter.
// The two sets overlap.
type Code byte

// The commands of an MTA.
const (
	Abort     Code = 'A' // forget the message; never answered
	Body      Code = 'B' // a piece of the body, at most 65,535 octets from both MTAs
	Connect   Code = 'C' // the SMTP client
	Macro     Code = 'D' // macros for the command that follows; never answered
	EndOfBody Code = 'E' // the message is complete: edits, then a verdict
	Helo      Code = 'H' // HELO or EHLO
	// the client has gone, another one follows on this connection; never answered
	QuitNewConn Code = 'K'
	Header      Code = 'L' // one header field
	Mail        Code = 'M' // MAIL FROM
	EndOfHeader Code = 'N' // the header is complete
	Negotiate   Code = 'O' // the offer, and the filter's answer to it
	Quit        Code = 'Q' // the end; never answered
	Rcpt        Code = 'R' // RCPT TO
	Data        Code = 'T' // DATA
	Unknown     Code = 'U' // an SMTP command that the MTA does not know
)

// The answers of a filter: verdicts first, then the edits that may come before the verdict at
// EndOfBody.
const (
	Accept         Code = 'a' // no more of this message (or, at Connect, of this client) is shown
	Continue       Code = 'c' // go on; at EndOfBody: accept
	Discard        Code = 'd' // take the message and throw it away
	ConnFail       Code = 'f' // drop the SMTP connection
	Reject         Code = 'r' // 5xx of the MTA's choice
	SkipBody       Code = 's' // send no more body; needs Skip
	TempFail       Code = 't' // 4xx of the MTA's choice
	ReplyCode      Code = 'y' // a code and text of ours; "%" is doubled
	Progress       Code = 'p' // still thinking: the MTA's clock begins again
	AddRcptArgs    Code = '2' // add a recipient, with ESMTP arguments
	AddRcpt        Code = '+' // add a recipient
	DeleteRcpt     Code = '-' // remove a recipient
	ReplaceBody    Code = 'b' // a piece of the new body
	ChangeSender   Code = 'e' // another envelope sender
	AddHeader      Code = 'h' // add a header field at the MTA's place of choice
	InsertHeader   Code = 'i' // add a header field at a place of ours
	ChangeHeader   Code = 'm' // change or delete a header field
	QuarantineMail Code = 'q' // hold the message
)

var commandNames = map[Code]string{
	Abort: "ABORT", Body: "BODY", Connect: "CONNECT", Macro: "MACRO", EndOfBody: "EOB",
	Helo:        "HELO",
	QuitNewConn: "QUIT_NC", Header: "HEADER", Mail: "MAIL", EndOfHeader: "EOH", Negotiate: "OPTNEG",
	Quit: "QUIT",
	Rcpt: "RCPT", Data: "DATA", Unknown: "UNKNOWN",
}

// String names a command as the protocol's texts do, and any other code by its letter or number.
func (c Code) String() string {
	if name, ok := commandNames[c]; ok {
		return name
	}
	if c > ' ' && c <= '~' {
		return fmt.Sprintf("%q", rune(c))
	}
	return fmt.Sprintf("0x%02x", byte(c))
}

// Packet is one whole packet without its length.
type Packet struct {
	Code Code
	Data []byte
}

// headSize is a packet's length (four octets, big endian, counting what follows) and its code.
const headSize = 5

// AppendPacket appends the packet of a code and its data, given in parts, to dst.
func AppendPacket(dst []byte, code Code, data ...[]byte) []byte {
	size := 0
	for _, part := range data {
		size += len(part)
	}
	dst = appendHead(dst, code, size)
	for _, part := range data {
		dst = append(dst, part...)
	}
	return dst
}

// appendHead appends what comes before a packet's data of the given size.
func appendHead(dst []byte, code Code, size int) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(size+1)), byte(code))
}
