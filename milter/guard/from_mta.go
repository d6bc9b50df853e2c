package guard

import (
	"errors"
	"io"
)

// fromMTA is what go-milter is about to read, and what it owes for it.
type fromMTA struct {
	head    []byte // to be read first, in scratch
	rest    []byte // then this, in scratch or in the framer's buffer
	stream  bool   // then what is left of the framer's packet
	scratch []byte
	end     bool // then the end of the message, whose packet had some of the body in it

	owed Code // the command that go-milter is answering, 0 if none
	mute bool // it was made here: the MTA waits for no answer
	skip bool // the rest of this message's body is not wanted
	over bool // this message has its verdict
}

// Read gives go-milter the next octets of a command. When it has read a whole one and comes back,
// its answer goes out and the next command is waited for. All errors but io.EOF are kept for Err:
// go-milter would only print them.
func (c *Conn) Read(p []byte) (int, error) {
	for len(c.head) == 0 && len(c.rest) == 0 {
		if err := c.advance(); err != nil {
			// the answers to what came before it stand; err says why no more come
			_ = c.framer.Flush()
			c.finish(err)
			return 0, io.EOF
		}
	}
	from := &c.head
	if len(c.head) == 0 {
		from = &c.rest
	}
	n := copy(p, *from)
	*from = (*from)[n:]
	return n, nil
}

// advance takes one step in the MTA's packets, which may or may not leave something for go-milter.
func (c *Conn) advance() (err error) {
	if c.stream {
		c.rest, err = c.framer.chunk()
		c.stream = c.framer.left > 0
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	if c.end {
		c.passEnd()
		return nil
	}
	code, err := c.framer.next()
	if err != nil {
		return err
	}
	if err := shape(code, c.framer.left); err != nil {
		return err
	}
	if c.phase, err = c.phase.after(code); err != nil {
		return err
	}
	if code == Body {
		return c.body()
	}
	data, err := c.framer.rest()
	if err != nil {
		return err
	}
	return c.command(code, data)
}

// settle sees to the answer of the command before: one that go-milter was not given by the filter,
// and the end of the message that a verdict means. A message is never let through because of a
// missing verdict.
func (c *Conn) settle() error {
	if c.owed != 0 {
		verdict := Continue
		if c.owed == EndOfBody {
			verdict = TempFail
		}
		if err := c.verdict(verdict, nil); err != nil {
			return err
		}
	}
	if c.over {
		c.over = false
		if err := c.framer.Flush(); err != nil {
			return err
		}
		c.busy.Store(false)
	}
	if c.draining.Load() && !c.busy.Load() {
		return errDrained
	}
	return nil
}

// command acts on a whole packet, of any command but Body.
func (c *Conn) command(code Code, data []byte) (err error) {
	if code == Macro {
		return c.macros.set(data)
	}
	c.macros.command(code)
	switch code {
	case Connect:
		return c.connect(data)
	case Helo:
		c.helo, err = text(code, data)
	case Mail:
		return c.mail(data)
	case Rcpt:
		c.rcpt, err = parsePath(code, data)
	case Header:
		return c.headerField(data)
	case Unknown:
		if _, err = text(code, data); err == nil {
			err = c.answer(code, Continue)
		}
		return err
	case EndOfBody:
		return c.endOfBody(data)
	case Abort:
		c.busy.Store(false)
	case Quit:
		err = c.framer.Flush() // go-milter will not come back
	case QuitNewConn:
		c.newClient()
		return nil
	}
	c.pass(code, data)
	return err
}

// pass leaves a packet for go-milter.
func (c *Conn) pass(code Code, data []byte) {
	c.passHead(c.scratch[:0], code, len(data))
	c.rest = data
}

// passHead leaves packets made here, and behind them the head of one with size octets of data.
func (c *Conn) passHead(before []byte, code Code, size int) {
	c.leave(code, appendHead(before, code, size))
}

// leave leaves packets made here, of which the last is of the given code.
func (c *Conn) leave(code Code, packets []byte) {
	c.head, c.scratch = packets, packets
	if cap(packets) > keepOut {
		c.scratch = nil
	}
	switch code {
	case Abort, Quit:
		c.owed = 0
	default:
		c.owed, c.mute = code, false
	}
}

// answer tells the MTA about a command that go-milter does not see.
func (c *Conn) answer(command, verdict Code) error {
	if !c.agreed.Answers(command) {
		return nil
	}
	return c.framer.WritePacket(verdict)
}

func (c *Conn) connect(data []byte) (err error) {
	if c.client, err = parseClient(data); err != nil {
		return err
	}
	c.leave(Connect, AppendPacket(c.scratch[:0], Connect, c.client.appendTo(nil)))
	return nil
}

// newClient forgets the client after QUIT_NC, which go-milter does not know.
func (c *Conn) newClient() {
	c.client, c.helo = Client{}, ""
	c.macros.reset()
	c.busy.Store(false)
	c.pass(Abort, nil)
}

// mail begins a message, with an ABORT for go-milter before it: Sendmail sends none between
// messages, and go-milter would keep every field that it ever saw.
func (c *Conn) mail(data []byte) (err error) {
	if c.sender, err = parsePath(Mail, data); err != nil {
		return err
	}
	c.rcpt, c.skip = Path{}, false
	c.busy.Store(true)
	c.passHead(AppendPacket(c.scratch[:0], Abort), Mail, len(data))
	c.rest = data
	return nil
}

// headerField hands a header field on. Where the MTA has taken the space after the colon away, it
// is put back: most fields have one, and an MTA takes one away at most.
func (c *Conn) headerField(data []byte) error {
	end, err := splitHeader(data)
	if err != nil {
		return err
	}
	name, value := data[:end], data[end+1:len(data)-1]
	lacksSpace := !c.agreed.Has(LeadingSpace) && len(value) > 0 && value[0] != '\t' &&
		value[0] != '\n'
	switch {
	case c.onHeader != nil:
		if lacksSpace {
			data[end] = ' '
			value = data[end : len(data)-1]
		}
		if err := c.onHeader(name, value); err != nil {
			return err
		}
		return c.answer(Header, Continue)
	case lacksSpace:
		c.leave(Header, AppendPacket(c.scratch[:0], Header, name, []byte{0, ' '}, value, []byte{0}))
	default:
		c.pass(Header, data)
	}
	return nil
}

// body hands a packet of body on as it arrives, without waiting for the whole of it: what a
// connection holds of a message is one buffer, and the octets are hashed while the processor has
// them at hand.
func (c *Conn) body() error {
	if c.onBody == nil && !c.skip {
		c.passHead(c.scratch[:0], Body, c.framer.left)
		c.stream = c.framer.left > 0
		return nil
	}
	for c.framer.left > 0 {
		p, err := c.framer.chunk()
		if err != nil {
			return err
		}
		if err := c.sinkBody(p); err != nil {
			return err
		}
	}
	if c.skip && c.agreed.Has(Skip) {
		return c.answer(Body, SkipBody)
	}
	return c.answer(Body, Continue)
}

func (c *Conn) sinkBody(p []byte) error {
	if c.skip {
		return nil
	}
	err := c.onBody(p)
	if errors.Is(err, ErrSkip) {
		c.skip = true
		return nil
	}
	return err
}

// endOfBody hands the end of the message on. Neither MTA puts body into that packet, but libmilter
// would take it.
func (c *Conn) endOfBody(data []byte) error {
	switch {
	case len(data) == 0 || c.skip:
	case c.onBody != nil:
		if err := c.sinkBody(data); err != nil {
			return err
		}
	default:
		c.pass(Body, data)
		c.mute, c.end = true, true
		return nil
	}
	c.passEnd()
	return nil
}

func (c *Conn) passEnd() {
	c.end = false
	c.pass(EndOfBody, nil)
	c.judge(true)
}
