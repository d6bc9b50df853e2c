package miltertest

import (
	"fmt"
	"strings"
	"time"

	"mailseal/milter/guard"
)

// maxChunk is how much of a body both MTAs put into one packet.
const maxChunk = 65535

// transaction is a message in the MTA's hands.
type transaction struct {
	Message
	mta      MTA
	local    bool
	leading  bool
	hostname string
	helo     string
	peer     string // "name [address]"
	now      time.Time

	rcpt     string   // the one that is being shown
	accepted []string // those that were not refused
	*content
}

// content is a message as the MTA has read it.
type content struct {
	raw    []byte
	fields []field
	shown  [][]byte // the fields as the milter sees them
	body   []byte
}

// read reads a message; one that is sent again, as when measuring, only the first time.
func (c *Conn) read(raw []byte) *content {
	if last := c.last; last != nil && len(raw) > 0 && len(raw) == len(last.raw) &&
		&raw[0] == &last.raw[0] {
		return last
	}
	n := &content{raw: raw}
	n.fields, n.body = split(raw)
	if c.options.As == Postfix {
		n.fields = without(n.fields, droppedEarly)
	}
	for _, f := range n.fields {
		value := f.value
		if !c.agreed.Has(guard.LeadingSpace) {
			value = strings.TrimPrefix(value, " ")
		}
		n.shown = append(n.shown, []byte(f.name+"\x00"+value+"\x00"))
	}
	c.last = n
	return n
}

func (c *Conn) newTransaction(m Message) *transaction {
	c.queued++
	if m.Queue == "" {
		m.Queue = fmt.Sprintf("4XQ%06X", c.queued)
	}
	return &transaction{
		Message: m, mta: c.options.As, local: c.options.Local, leading: c.agreed.Has(guard.LeadingSpace),
		hostname: c.options.Hostname, helo: c.options.Helo,
		peer: c.connectionMacro("_"), now: c.options.Now(), content: c.read(m.Raw),
	}
}

func without(fields []field, names []string) []field {
	var out []field
	for _, f := range fields {
		if !isOneOf(f.name, names) {
			out = append(out, f)
		}
	}
	return out
}

// Send sends a message. A message that the milter refuses is no error; the error is the network's,
// or an ErrFilter when the milter does what the MTA does not put up with. The outcome is then what
// the MTA would tell its client.
func (c *Conn) Send(m Message) (Outcome, error) {
	o, err := c.Begin(m)
	if err != nil || o.Stage != "" {
		return o, err
	}
	return c.Finish(o)
}

// Begin sends MAIL and RCPT only. The outcome has a Stage when the milter has already decided;
// otherwise it is for Finish, or Reset, Hello, Drop or Close comes next.
func (c *Conn) Begin(m Message) (Outcome, error) {
	c.mail = c.newTransaction(m)
	return c.play(Outcome{mail: c.mail}, c.sendMail, c.sendRcpt)
}

// Finish sends the rest of a message that Begin has begun.
func (c *Conn) Finish(o Outcome) (Outcome, error) {
	return c.play(o, c.sendData, c.sendHeader, c.sendBody, c.sendEnd)
}

// play takes steps until one of them decides.
func (c *Conn) play(o Outcome, steps ...func(*Outcome) (*decision, error)) (Outcome, error) {
	start := time.Now()
	d, err := c.session, error(nil)
	for i := 0; d == nil && err == nil && i < len(steps); i++ {
		d, err = steps[i](&o)
	}
	o.Took += time.Since(start)
	switch {
	case err != nil:
		o.Reply = Reply{guard.TempFail, c.options.As.texts().broken}
		c.session = &decision{AtConnect, o.Reply}
	case d != nil:
		o.Stage, o.Reply, o.Recipients = d.stage, d.reply, o.mail.accepted
		if d != c.session {
			err = c.after(d.stage)
		}
	}
	return o, err
}

// after does what the MTA does when a message has been decided on: Postfix sends ABORT after every
// one, Sendmail when its client gives up.
func (c *Conn) after(stage Stage) error {
	if c.options.As == Postfix || stage == AtRcpt {
		return c.Reset()
	}
	c.mail = nil
	return nil
}

// decided makes a decision of a verdict, nil if it is none.
func decided(stage Stage, r Reply, err error) (*decision, error) {
	if err != nil || r.Verdict == guard.Continue || r.Verdict == guard.SkipBody {
		return nil, err
	}
	return &decision{stage, r}, nil
}

// path writes an address as the MTA shows it: local mail comes to Postfix without brackets.
func (t *transaction) path(address string, args []string) []byte {
	if !t.local || t.mta == Sendmail {
		address = "<" + address + ">"
	}
	return []byte(strings.Join(append([]string{address}, args...), "\x00") + "\x00")
}

func (c *Conn) sendMail(*Outcome) (*decision, error) {
	r, err := c.event(guard.NoMail, guard.Mail, c.mail.path(c.mail.From, c.mail.FromArgs))
	return decided(AtMail, r, err)
}

// sendRcpt shows the recipients. With one refused the others go on; with none left there is no
// message.
func (c *Conn) sendRcpt(o *Outcome) (*decision, error) {
	t := c.mail
	var last Reply
	for _, to := range t.To {
		t.rcpt = to
		r, err := c.event(guard.NoRcpt, guard.Rcpt, t.path(to, t.ToArgs))
		switch {
		case err != nil:
			return nil, err
		case r.Refused():
			o.Refusals = append(o.Refusals, Refusal{to, r})
			last = r
			continue
		}
		t.accepted = append(t.accepted, to)
		if d, _ := decided(AtRcpt, r, nil); d != nil {
			return d, nil
		}
	}
	if len(t.accepted) == 0 && len(t.To) > 0 {
		return &decision{AtRcpt, last}, nil
	}
	return nil, nil
}

// sendData says DATA, which came into the protocol with version 4. An older milter gets its macros
// from Sendmail alone.
func (c *Conn) sendData(*Outcome) (*decision, error) {
	if c.agreed.Version < 4 {
		if c.options.As == Sendmail {
			return nil, c.sendMacros(guard.Data)
		}
		return nil, nil
	}
	r, err := c.event(guard.NoData, guard.Data)
	return decided(AtData, r, err)
}

// sendHeader shows the fields in their order, without the MTA's own Received.
func (c *Conn) sendHeader(*Outcome) (*decision, error) {
	for _, f := range c.mail.shown {
		if c.agreed.Has(guard.NoHeaders) {
			break
		}
		r, err := c.command(guard.Header, f)
		if d, err := decided(AtHeader, r, err); d != nil || err != nil {
			return d, err
		}
	}
	if c.agreed.Has(guard.NoEOH) {
		return nil, nil
	}
	r, err := c.command(guard.EndOfHeader)
	return decided(AtEOH, r, err)
}

// sendBody shows the body in pieces that may end anywhere; of an empty one, not even a piece.
func (c *Conn) sendBody(o *Outcome) (*decision, error) {
	for rest := c.mail.body; len(rest) > 0 && !o.Skipped && !c.agreed.Has(guard.NoBody); {
		n := min(len(rest), maxChunk)
		r, err := c.command(guard.Body, rest[:n])
		if d, err := decided(AtBody, r, err); d != nil || err != nil {
			return d, err
		}
		o.Skipped = r.Verdict == guard.SkipBody
		rest = rest[n:]
	}
	return nil, nil
}

// sendEnd ends the message and takes what the milter has to say to it: progress packets, edits, a
// verdict.
func (c *Conn) sendEnd(o *Outcome) (*decision, error) {
	if err := c.sendMacros(guard.EndOfBody); err != nil {
		return nil, err
	}
	if err := c.framer.WritePacket(guard.EndOfBody); err != nil {
		return nil, err
	}
	start := time.Now()
	for {
		p, err := c.framer.ReadPacket()
		if err != nil {
			return nil, fmt.Errorf("the answer to EOB: %w", err)
		}
		_, isEdit := kinds[p.Code]
		switch {
		case p.Code == guard.Progress:
			o.Progress++
		case isEdit || p.Code == guard.ReplaceBody:
			if err := c.edit(o, p); err != nil {
				return nil, err
			}
		default:
			o.Judging = time.Since(start)
			r, err := c.verdict(guard.EndOfBody, p)
			if err != nil {
				return nil, err
			}
			return &decision{AtEnd, r}, nil
		}
	}
}

// edit notes an edit. Of a malformed one Sendmail takes no notice.
func (c *Conn) edit(o *Outcome, p guard.Packet) error {
	e, err := parseEdit(p)
	switch {
	case err != nil && c.options.As == Sendmail:
		o.Ignored = append(o.Ignored, e)
		return nil
	case err != nil:
		return err
	case e.Kind == guard.QuarantineMail:
		o.Quarantine = e.Value
	}
	o.Edits = append(o.Edits, e)
	return nil
}
