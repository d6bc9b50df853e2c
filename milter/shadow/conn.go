package shadow

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/milter/guard"
)

// conn is an MTA's connection and that to the upstream. Two goroutines serve it, one for each direction.
type conn struct {
	recorder *Recorder
	mta      *end
	upstream *end
	deal     deal
	mirror   *mirror // nil: nothing is judged, for the reason in why
	why      string
	log      func(what string, err error)
	busy     atomic.Bool // a message is being looked at
	leaving  atomic.Bool // with the message the connection is to end
	over     atomic.Bool // it is not for the upstream to go on: the MTA has gone or is about to, or we have

	mu      sync.Mutex
	owed    guard.Code // the command that the upstream is to answer
	skipped bool       // the upstream does not want the rest of this body
	pair    *pair      // the message, nil between messages and once the upstream has decided
	theirs  *side
	queue   string // the queue id that came before MAIL
}

func newConn(mta, upstream net.Conn, r *Recorder) *conn {
	return &conn{recorder: r, mta: newEnd(mta), upstream: newEnd(upstream)}
}

// serve hands packets on until both sides have closed, or one is broken.
func (c *conn) serve() {
	ended := make(chan struct{})
	for _, d := range []struct {
		handOn func() error
		to     *end
	}{{c.toMTA, c.mta}, {c.toUpstream, c.upstream}} {
		go func() {
			c.run(d.handOn, d.to)
			ended <- struct{}{}
		}()
	}
	<-ended
	limit := time.AfterFunc(halfLimit, c.close)
	<-ended
	limit.Stop()
	c.close()
	c.watch(c.abandon)
}

// run hands on in one direction. Where a side closes properly, the other is told that, and no more: it may have read only
// some of what came before, and not answered the last of it.
func (c *conn) run(handOn func() error, to *end) {
	err := errPanic
	defer func() {
		if v := recover(); v != nil {
			c.log("panic", panicError(v))
		}
		if err != io.EOF || to.closeWrite() != nil {
			c.close()
		}
	}()
	err = handOn()
}

// errPanic is how a direction ends that does not come to its end.
var errPanic = errors.New("panic")

func (c *conn) close() {
	c.over.Store(true)
	_ = c.mta.Close()
	_ = c.upstream.Close()
}

// negotiate hands the MTA's offer on and its answer back, with what the mirror needs besides. What cannot be read is
// handed on as it is, and nothing is judged.
func (c *conn) negotiate() error {
	first, err := c.mta.ReadPacket()
	if err != nil {
		return err
	}
	if err := send(c.upstream, first); err != nil || first.Code != guard.Negotiate {
		c.unjudged(whyPlain)
		return err
	}
	answer, err := c.upstream.ReadPacket()
	if err != nil {
		return err
	}
	offer, err1 := guard.ParseOffer(first.Data)
	theirs, err2 := guard.ParseAgreement(answer.Data)
	switch {
	case answer.Code != guard.Negotiate || err1 != nil || err2 != nil:
		c.unjudged(whyPlain)
	case c.mirror == nil:
		c.deal = deal{theirs: theirs, mta: theirs}
	default:
		c.deal = deal{theirs: theirs, mta: theirs}
		c.watch(func() {
			d := strike(offer, theirs)
			answer.Data, c.deal = d.optneg(answer.Data), d
		})
	}
	return send(c.mta, answer)
}

func (c *conn) unjudged(why string) {
	if c.mirror != nil {
		c.mirror, c.why = nil, why
	}
}

func send(f *end, p guard.Packet) error {
	if err := f.WritePacket(p.Code, p.Data); err != nil {
		return err
	}
	return f.Flush()
}

// toUpstream hands commands on. Those that the upstream declined are answered here. The error is io.EOF at the end.
func (c *conn) toUpstream() error {
	for {
		p, err := c.mta.ReadPacket()
		if err != nil {
			c.over.Store(true)
			_ = c.upstream.Flush() // there may be macros
			return err
		}
		shown := true
		c.watch(func() {
			shown = c.command(p)
			c.show(p)
		})
		switch {
		case shown:
			err = c.upstream.WritePacket(p.Code, c.deal.inbound(p)...)
		case p.Code != guard.Macro && c.deal.mta.Answers(p.Code):
			err = c.mta.WritePacket(guard.Continue)
		}
		if err == nil && p.Code != guard.Macro { // which a command follows
			err = c.upstream.Flush()
		}
		if err != nil {
			return err
		}
	}
}

// toMTA hands answers on as they come. The error is io.EOF at the end.
func (c *conn) toMTA() error {
	for {
		p, err := c.upstream.ReadPacket()
		if err != nil {
			c.broken(err)
			return err
		}
		code, data := p.Code, c.deal.outbound(p)
		c.watch(func() { code = c.answer(p) })
		err = c.mta.WritePacket(code, data...)
		if err == nil {
			err = c.mta.Flush() // an edit, too, tells the MTA that the filter lives
		}
		if err != nil {
			return err
		}
		if c.last() {
			c.close()
		}
	}
}

// leave ends the connection, if there is a message as soon as that has its verdict.
func (c *conn) leave() {
	c.leaving.Store(true)
	if c.last() {
		c.close()
	}
}

func (c *conn) last() bool { return c.leaving.Load() && !c.busy.Load() }

// broken notes that the upstream has ended a connection that was not at its end.
func (c *conn) broken(err error) {
	if c.over.Load() {
		return
	}
	c.recorder.broke(err)
	c.busy.Store(false) // a message without its filter has no verdict to come
	c.watch(func() {
		if c.pair != nil {
			c.theirs.fate, c.theirs.why = unjudged, whyBroken
		}
	})
}

// watch keeps a bug in watching from what is watched.
func (c *conn) watch(f func()) {
	defer func() {
		if v := recover(); v != nil {
			c.log("panic", panicError(v))
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// show gives the mirror what is part of a message or of its client.
func (c *conn) show(p guard.Packet) {
	if c.mirror == nil {
		return
	}
	switch p.Code {
	case guard.Mail: // command has shown it, with its pair
	case guard.Data, guard.Unknown, guard.Negotiate, guard.Quit:
	default:
		c.mirror.offer(p.Code, p.Data, nil)
	}
}

// command notes a command and tells whether the upstream is to see it.
func (c *conn) command(p guard.Packet) (shown bool) {
	switch p.Code {
	case guard.Macro:
		return c.macro(p.Data)
	case guard.Mail:
		c.abandon()
		c.begin(p.Data)
	case guard.Abort, guard.QuitNewConn:
		c.abandon()
	case guard.Quit:
		c.over.Store(true)
		c.abandon()
	}
	shown = c.wants(p.Code)
	if shown && c.deal.theirs.Answers(p.Code) {
		c.owed = p.Code
	}
	return shown
}

func (c *conn) wants(code guard.Code) bool {
	return c.deal.shows(code) && !(code == guard.Body && c.skipped)
}

// macro notes the queue id.
func (c *conn) macro(data []byte) (shown bool) {
	if len(data) == 0 {
		return true
	}
	code := guard.Code(data[0])
	id := macro(data[1:], "i")
	switch {
	case code == guard.Mail:
		c.queue = id
	case c.pair != nil && id != "" && code != guard.Helo:
		c.pair.setQueue(id)
	}
	return c.deal.showsMacros(code) && !(code == guard.Body && c.skipped)
}

// macro returns a macro's value among names and values.
func macro(pairs []byte, name string) string {
	for len(pairs) > 0 {
		var key, value []byte
		key, pairs, _ = bytes.Cut(pairs, []byte{0})
		value, pairs, _ = bytes.Cut(pairs, []byte{0})
		if string(key) == name {
			return string(value)
		}
	}
	return ""
}

// begin begins a message.
func (c *conn) begin(data []byte) {
	path, _, _ := bytes.Cut(data, []byte{0})
	c.pair = &pair{report: c.recorder.report, queue: c.queue, sender: string(bytes.Trim(path, "<>"))}
	c.theirs, c.skipped, c.queue = &side{}, false, ""
	c.busy.Store(true)
	if c.mirror == nil {
		c.pair.giveUp(c.why)
		return
	}
	c.mirror.offer(guard.Mail, data, c.pair)
}

// abandon ends a message on which the upstream has not decided. If it refused all there was to refuse, that was its
// decision.
func (c *conn) abandon() {
	c.busy.Store(false)
	if c.pair == nil {
		return
	}
	switch {
	case c.theirs.fate == unjudged:
	case c.theirs.refused == 0:
		c.theirs.fate = aborted
	default:
		c.theirs.stage = guard.Rcpt
	}
	c.pair.settleTheirs(c.theirs)
	c.pair = nil
}

// answer notes an answer of the upstream and returns the one for the MTA: a body that the upstream declines is still
// wanted by the mirror.
func (c *conn) answer(p guard.Packet) guard.Code {
	owed := c.owed
	switch {
	case p.Code == guard.Progress:
		return p.Code
	case isEdit(p.Code):
		if c.pair != nil {
			c.theirs.add(p)
		}
		return p.Code
	}
	c.owed = 0
	if owed == guard.Body && p.Code == guard.SkipBody && c.mirror != nil {
		c.skipped = true
		return guard.Continue
	}
	if c.pair != nil {
		c.verdict(owed, p)
	} else if p.Code != guard.Continue && (owed == guard.Connect || owed == guard.Helo) {
		c.recorder.session(verdictText(p))
	}
	return p.Code
}

// verdict notes a verdict, and settles the message if it is the last.
func (c *conn) verdict(owed guard.Code, p guard.Packet) {
	passes := p.Code == guard.Accept || p.Code == guard.Discard || p.Code == guard.ConnFail
	switch {
	case owed != guard.EndOfBody && (p.Code == guard.Continue || p.Code == guard.SkipBody):
		return
	case owed == guard.Rcpt && !passes:
		c.theirs.refused++
		if c.theirs.verdict.Code == 0 {
			c.theirs.decide(owed, p)
		}
		return
	}
	c.theirs.decide(owed, p)
	if owed != guard.EndOfBody && c.mirror != nil {
		c.mirror.offer(rest(owed, p.Code), nil, nil)
	}
	c.busy.Store(false)
	c.pair.settleTheirs(c.theirs)
	c.pair = nil
}

// rest is what is left to do for the mirror when the upstream decides before the end. A message that it lets pass when
// the header is complete can still be signed, though not as it should be: who would sign it can be told.
func rest(owed, verdict guard.Code) guard.Code {
	if verdict == guard.Accept && (owed == guard.EndOfHeader || owed == guard.Body) {
		return finish
	}
	return forget
}
