package shadow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// viewer plays the MTA towards the new filter.
type viewer struct {
	mirror *mirror
	spaces bool
	framer *guard.Framer
	agreed guard.Agreement

	pair  *pair // the message that is being shown, nil when its fate is known
	side  *side // what the filter has said to it
	from  message.Header
	stage guard.Code // the last command of the message
}

// errSlow says that the filter took longer than a message may.
var errSlow = errors.New("too slow")

// errAnswer says that the filter answered what makes no sense.
var errAnswer = errors.New("an answer that makes no sense")

// watch shows the filter all that is offered.
func (v *viewer) watch(ctx context.Context, dial Dial) error {
	nc, err := dial(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	if err := v.greet(nc); err != nil {
		return err
	}
	for {
		it, ok := v.mirror.take(ctx)
		if !ok {
			return nil
		}
		if err := v.show(it); err != nil {
			return err
		}
		if v.mirror.isEmpty() {
			if err := v.framer.Flush(); err != nil {
				return err
			}
		}
	}
}

// greet negotiates. The filter is offered all that an MTA has, but for leading space where there is none to be had.
func (v *viewer) greet(nc net.Conn) error {
	patience := v.mirror.options.Patience
	v.framer = guard.NewFramer(nc, guard.Limits{Handshake: patience, Idle: patience, InPacket: patience, Write: patience})
	offer := guard.Agreement{Version: guard.Version, Actions: 0x1ff, Protocol: 0x1fffff}
	if !v.spaces {
		offer.Protocol &^= guard.LeadingSpace
	}
	if err := v.framer.WritePacket(guard.Negotiate, offer.Data()); err != nil {
		return err
	}
	p, err := v.framer.ReadPacket()
	if err != nil {
		return err
	}
	if p.Code != guard.Negotiate {
		return errAnswer
	}
	v.agreed, err = guard.ParseAgreement(p.Data)
	return err
}

// show takes the next item.
func (v *viewer) show(it item) error {
	switch it.code {
	case guard.Mail:
		return v.begin(it)
	case guard.Abort, guard.QuitNewConn:
		v.leave(whyUnseen)
		return v.framer.WritePacket(it.code)
	case forget:
		v.leave(whyUnseen)
		return v.framer.WritePacket(guard.Abort)
	case finish:
		return v.end(partly, nil)
	case guard.Connect, guard.Helo:
		p, err := v.ask(it.code, it.data)
		if err == nil && p.Code != guard.Continue {
			err = fmt.Errorf("%v was answered with %v", it.code, p.Code)
		}
		return err
	case guard.Macro:
		return v.framer.WritePacket(it.code, it.data)
	case guard.EndOfBody:
		return v.end(decided, it.data)
	}
	return v.part(it)
}

// begin begins a message, with an ABORT before it: the upstream may have refused the one before.
func (v *viewer) begin(it item) error {
	v.leave(whyUnseen)
	v.pair, v.side, v.from = it.pair, &side{}, nil
	p, err := v.ask(guard.Mail, it.data)
	if err == nil {
		v.answered(guard.Mail, p)
	}
	return err
}

// part shows a part of the message: a recipient, a header field, some of the body.
func (v *viewer) part(it item) error {
	if v.pair == nil {
		return nil
	}
	if it.code == guard.Header {
		v.noteFrom(it.data)
	}
	p, err := v.ask(it.code, it.data)
	if err == nil {
		v.answered(it.code, p)
	}
	return err
}

// answered takes the answer to a command before the end of the message.
func (v *viewer) answered(code guard.Code, p guard.Packet) {
	if p.Code == guard.Continue || p.Code == guard.SkipBody {
		return
	}
	if code == guard.Rcpt && p.Code != guard.Accept && p.Code != guard.Discard {
		v.side.refused++
		return
	}
	v.decide(decided, code, p)
}

// end ends the message and takes edits and verdict.
func (v *viewer) end(f fate, data []byte) error {
	if v.pair == nil {
		return nil
	}
	if err := v.framer.WritePacket(guard.EndOfBody, data); err != nil {
		return err
	}
	for start := time.Now(); ; {
		p, err := v.read()
		switch {
		case err != nil:
			return err
		case p.Code == guard.Progress && time.Since(start) > v.mirror.options.Patience:
			return errSlow
		case p.Code == guard.Progress:
		case isEdit(p.Code):
			v.side.add(p)
		default:
			v.decide(f, guard.EndOfBody, p)
			return nil
		}
	}
}

// ask sends a command and reads the answer, which is to continue where none is sent.
func (v *viewer) ask(code guard.Code, data []byte) (guard.Packet, error) {
	if err := v.framer.WritePacket(code, data); err != nil {
		return guard.Packet{}, err
	}
	if !v.agreed.Answers(code) {
		return guard.Packet{Code: guard.Continue}, nil
	}
	return v.read()
}

func (v *viewer) read() (guard.Packet, error) {
	p, err := v.framer.ReadPacket()
	if isTimeout(err) {
		return p, errSlow
	}
	return p, err
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// decide settles our side of the message.
func (v *viewer) decide(f fate, stage guard.Code, p guard.Packet) {
	v.side.fate = f
	v.side.decide(stage, p)
	if a, err := v.from.Author(); err == nil {
		v.pair.setAuthor(a.Domain.String())
	}
	v.pair.settleOurs(v.side)
	v.pair = nil
}

// leave gives the message up, if there is one.
func (v *viewer) leave(why string) {
	if v.pair != nil {
		v.pair.giveUp(why)
		v.pair = nil
	}
}

// maxFrom bounds what is kept of From fields for the author.
const maxFrom = 64 << 10

// noteFrom keeps a From field.
func (v *viewer) noteFrom(data []byte) {
	name, value, ok := cutField(data)
	if !ok || len(data) > maxFrom || len(v.from) > 1 {
		return
	}
	if f := message.NewField(name, []byte(value)); f.Is("From") {
		v.from = append(v.from, f)
	}
}
