package measure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"mailseal/milter/guard"
)

// call is a connection as an MTA makes it, with no more than what holding it open needs: a thousand
// real drivers would not fit.
type call struct {
	nc     net.Conn
	framer *guard.Framer
	agreed uint32 // what is left out, and what goes without an answer
}

// The protocol's bits, as libmilter's mfdef.h has them: what is left out, and what goes without an
// answer.
const (
	noConnect, nrConnect = 1 << 0, 1 << 12
	noHelo, nrHelo       = 1 << 1, 1 << 13
	noMail, nrMail       = 1 << 2, 1 << 14
	noRcpt, nrRcpt       = 1 << 3, 1 << 15
	noHeader, nrHeader   = 1 << 5, 1 << 7
	noEOH, nrEOH         = 1 << 6, 1 << 18
	noBody, nrBody       = 1 << 4, 1 << 19
	noData, nrData       = 1 << 9, 1 << 16
)

// Hold opens so many connections that have said hello.
func Hold(p *Process, n int) (Calls, error) {
	calls := make(Calls, 0, n)
	for range n {
		c, err := dial(p.Socket)
		if err != nil {
			calls.Close()
			return nil, fmt.Errorf("connection %d of %d: %w", len(calls)+1, n, err)
		}
		calls = append(calls, c)
	}
	return calls, p.Settle()
}

// Calls are connections that are held open.
type Calls []*call

// Half sends on each a message's envelope, header and so many octets of its body.
func (cs Calls) Half(p *Process, octets int) error {
	for i, c := range cs {
		if err := c.half(octets); err != nil {
			return fmt.Errorf("connection %d of %d: %w", i+1, len(cs), err)
		}
	}
	return p.Settle()
}

// Close closes all connections in the midst of what they are at.
func (cs Calls) Close() error {
	var errs []error
	for _, c := range cs {
		errs = append(errs, c.nc.Close())
	}
	return errors.Join(errs...)
}

// dial connects and says hello.
func dial(socket string) (*call, error) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	c := &call{nc: nc, framer: guard.NewFramer(nc, guard.Limits{})}
	if err := c.hello(); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return c, nil
}

func (c *call) hello() error {
	offer := []byte("\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")
	if err := c.framer.WritePacket('O', offer); err != nil {
		return err
	}
	answer, err := c.framer.ReadPacket()
	if err != nil || len(answer.Data) < 12 {
		return fmt.Errorf("no agreement: %d octets, %w", len(answer.Data), err)
	}
	c.agreed = binary.BigEndian.Uint32(answer.Data[8:])
	if err := c.say(noConnect, nrConnect, 'C', "localhost\x004\x30\x39127.0.0.1\x00"); err != nil {
		return err
	}
	return c.say(noHelo, nrHelo, 'H', "localhost\x00")
}

// half sends a message's envelope, header and so many octets of its body.
func (c *call) half(octets int) error {
	for _, s := range []struct {
		omitted, unanswered uint32
		code                guard.Code
		data                string
	}{
		{noMail, nrMail, 'M', "<user@example.com>\x00"},
		{noRcpt, nrRcpt, 'R', "<rcpt@example.net>\x00"},
		{noData, nrData, 'T', ""},
		{noHeader, nrHeader, 'L', "From\x00 <user@example.com>\x00"},
		{noHeader, nrHeader, 'L', "Subject\x00 large\x00"},
		{noEOH, nrEOH, 'N', ""},
	} {
		if err := c.say(s.omitted, s.unanswered, s.code, s.data); err != nil {
			return err
		}
	}
	for ; octets > 0; octets -= len(piece) {
		if err := c.say(noBody, nrBody, 'B', piece); err != nil {
			return err
		}
	}
	return c.framer.Flush()
}

// piece is as much of a body as MTAs put into a packet.
var piece = string(Letter(1 << 17)[1000:][:65535])

// say sends a packet, if it is wanted, and reads the answer, if there is one.
func (c *call) say(omitted, unanswered uint32, code guard.Code, data string) error {
	if c.agreed&omitted != 0 {
		return nil
	}
	if err := c.framer.WritePacket(code, []byte(data)); err != nil || c.agreed&unanswered != 0 {
		return err
	}
	answer, err := c.framer.ReadPacket()
	if err == nil && answer.Code != guard.Continue {
		err = fmt.Errorf("%c was answered %c", code, answer.Code)
	}
	return err
}
