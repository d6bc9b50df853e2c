package shadow

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/milter/guard"
)

// The limits of both connections are far beyond what MTAs and milters have themselves: it is for them to lose patience.
const (
	idleLimit   = 24 * time.Hour
	packetLimit = 2 * time.Hour
)

// conn is an MTA's connection and that to the upstream. Two goroutines serve it, one for each direction.
type conn struct {
	recorder *Recorder
	mta      *guard.Framer
	upstream *guard.Framer
	deal     deal
	mirror   *mirror // nil: nothing is judged, for the reason in why
	why      string
	log      func(what string, err error)
	busy     atomic.Bool // a message is being looked at

	mu      sync.Mutex
	owed    guard.Code // the command that the upstream is to answer
	skipped bool       // the upstream does not want the rest of this body
	pair    *pair      // the message, nil between messages and once the upstream has decided
	theirs  *side
	queue   string // the queue id that came before MAIL
}

func newConn(mta, upstream net.Conn, r *Recorder) *conn {
	limits := guard.Limits{Handshake: packetLimit, Idle: idleLimit, InPacket: packetLimit, Write: packetLimit}
	return &conn{recorder: r, mta: guard.NewFramer(mta, limits), upstream: guard.NewFramer(upstream, limits)}
}

// serve hands packets on until either side has closed, and closes the other. What has come before is handed on first.
func (c *conn) serve() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer c.end()
		c.toMTA()
	}()
	func() {
		defer c.end()
		c.toUpstream()
	}()
	<-ended
	c.watch(c.abandon)
}

// end ends both connections, for whatever reason one of the two goroutines has.
func (c *conn) end() {
	if v := recover(); v != nil {
		c.log("panic", panicError(v))
	}
	c.close()
}

func (c *conn) close() {
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
		c.deal = strike(offer, theirs)
		answer.Data = c.deal.optneg(answer.Data)
	}
	return send(c.mta, answer)
}

func (c *conn) unjudged(why string) {
	if c.mirror != nil {
		c.mirror, c.why = nil, why
	}
}

func send(f *guard.Framer, p guard.Packet) error {
	if err := f.WritePacket(p.Code, p.Data); err != nil {
		return err
	}
	return f.Flush()
}

// toUpstream hands commands on. Those that the upstream declined are answered here.
func (c *conn) toUpstream() {
	for {
		p, err := c.mta.ReadPacket()
		if err != nil {
			_ = c.upstream.Flush()
			return
		}
		shown := true
		c.watch(func() { shown = c.command(p) })
		c.show(p)
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
			return
		}
	}
}

// toMTA hands answers on as they come.
func (c *conn) toMTA() {
	for {
		p, err := c.upstream.ReadPacket()
		if err != nil {
			_ = c.mta.Flush()
			return
		}
		code, data := p.Code, c.deal.outbound(p)
		c.watch(func() { code = c.answer(p) })
		err = c.mta.WritePacket(code, data...)
		if err == nil {
			err = c.mta.Flush() // an edit, too, tells the MTA that the filter lives
		}
		if err != nil {
			return
		}
	}
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
	case guard.Abort, guard.Quit, guard.QuitNewConn:
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
	return c.wants(code)
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
	if c.theirs.refused == 0 {
		c.theirs.fate = aborted
	} else {
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
		c.recorder.unseen.Add(1)
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
