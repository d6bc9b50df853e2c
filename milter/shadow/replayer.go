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

// replayer plays the MTA towards the new filter.
type replayer struct {
	mirror *mirror
	spaces bool
	framer *guard.Framer
	agreed guard.Agreement

	pair *pair // the message that is being shown, nil when its fate is known
	side *side // what the filter has said to it
	from message.Header
}

// errSlow says that the filter took longer than a message may.
var errSlow = errors.New("too slow")

// errAnswer says that the filter answered what makes no sense.
var errAnswer = errors.New("an answer that makes no sense")

// watch shows the filter all that is offered.
func (r *replayer) watch(ctx context.Context, dial Dial) error {
	nc, err := dial(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	if err := r.greet(nc); err != nil {
		return err
	}
	for {
		it, ok := r.mirror.take(ctx)
		if !ok {
			return nil
		}
		if err := r.show(it); err != nil {
			return err
		}
		if r.mirror.isEmpty() {
			if err := r.framer.Flush(); err != nil {
				return err
			}
		}
	}
}

// greet negotiates. The filter is offered all that an MTA has, but for leading space where there is
// none available.
func (r *replayer) greet(nc net.Conn) error {
	patience := r.mirror.options.Patience
	r.framer = guard.NewFramer(nc, guard.Limits{Handshake: patience, Idle: patience,
		InPacket: patience, Write: patience})
	offer := guard.Agreement{Version: guard.Version, Actions: 0x1ff, Protocol: 0x1fffff}
	if !r.spaces {
		offer.Protocol &^= guard.LeadingSpace
	}
	if err := r.framer.WritePacket(guard.Negotiate, offer.Data()); err != nil {
		return err
	}
	p, err := r.framer.ReadPacket()
	if err != nil {
		return err
	}
	if p.Code != guard.Negotiate {
		return errAnswer
	}
	r.agreed, err = guard.ParseAgreement(p.Data)
	return err
}

// show takes the next item.
func (r *replayer) show(it item) error {
	switch it.code {
	case guard.Mail:
		return r.begin(it)
	case guard.Abort, guard.QuitNewConn:
		r.leave(whyUnseen)
		return r.framer.WritePacket(it.code)
	case forget:
		r.leave(whyUnseen)
		return r.framer.WritePacket(guard.Abort)
	case finish:
		return r.end(partly, nil)
	case guard.Connect, guard.Helo:
		p, err := r.ask(it.code, it.data)
		if err == nil && p.Code != guard.Continue {
			err = fmt.Errorf("%v was answered with %v", it.code, p.Code)
		}
		return err
	case guard.Macro:
		return r.framer.WritePacket(it.code, it.data)
	case guard.EndOfBody:
		return r.end(decided, it.data)
	}
	return r.part(it)
}

// begin begins a message, with an ABORT before it: the upstream may have refused the one before.
func (r *replayer) begin(it item) error {
	r.leave(whyUnseen)
	r.pair, r.side, r.from = it.pair, &side{}, nil
	p, err := r.ask(guard.Mail, it.data)
	if err == nil {
		r.answered(guard.Mail, p)
	}
	return err
}

// part shows a part of the message: a recipient, a header field, some of the body.
func (r *replayer) part(it item) error {
	if r.pair == nil {
		return nil
	}
	if it.code == guard.Header {
		r.noteFrom(it.data)
	}
	p, err := r.ask(it.code, it.data)
	if err == nil {
		r.answered(it.code, p)
	}
	return err
}

// answered takes the answer to a command before the end of the message.
func (r *replayer) answered(code guard.Code, p guard.Packet) {
	if p.Code == guard.Continue || p.Code == guard.SkipBody {
		return
	}
	if code == guard.Rcpt && p.Code != guard.Accept && p.Code != guard.Discard {
		r.side.refused++
		return
	}
	r.decide(decided, code, p)
}

// end ends the message and takes edits and verdict.
func (r *replayer) end(f fate, data []byte) error {
	if r.pair == nil {
		return nil
	}
	if err := r.framer.WritePacket(guard.EndOfBody, data); err != nil {
		return err
	}
	for start := time.Now(); ; {
		p, err := r.read()
		switch {
		case err != nil:
			return err
		case p.Code == guard.Progress && time.Since(start) > r.mirror.options.Patience:
			return errSlow
		case p.Code == guard.Progress:
		case isEdit(p.Code):
			r.side.add(p)
		default:
			r.decide(f, guard.EndOfBody, p)
			return nil
		}
	}
}

// ask sends a command and reads the answer, which is to continue where none is sent.
func (r *replayer) ask(code guard.Code, data []byte) (guard.Packet, error) {
	if err := r.framer.WritePacket(code, data); err != nil {
		return guard.Packet{}, err
	}
	if !r.agreed.Answers(code) {
		return guard.Packet{Code: guard.Continue}, nil
	}
	return r.read()
}

func (r *replayer) read() (guard.Packet, error) {
	p, err := r.framer.ReadPacket()
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
func (r *replayer) decide(f fate, stage guard.Code, p guard.Packet) {
	r.side.fate = f
	r.side.decide(stage, p)
	if a, err := r.from.Author(); err == nil {
		r.pair.setAuthor(a.Domain.String())
	}
	r.pair.settleOurs(r.side)
	r.pair = nil
}

// leave gives the message up, if there is one.
func (r *replayer) leave(why string) {
	if r.pair != nil {
		r.pair.giveUp(why)
		r.pair = nil
	}
}

// maxFrom bounds what is kept of From fields for the author.
const maxFrom = 64 << 10

// noteFrom keeps a From field.
func (r *replayer) noteFrom(data []byte) {
	name, value, ok := cutField(data)
	if !ok || len(data) > maxFrom || len(r.from) > 1 {
		return
	}
	if f := message.NewField(name, []byte(value)); f.Is("From") {
		r.from = append(r.from, f)
	}
}
