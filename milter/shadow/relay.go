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

// relay is an MTA's connection and that to the upstream. Two goroutines serve it, one for each
// direction.
type relay struct {
	recorder *Recorder
	mta      *peer
	upstream *peer
	agreed   negotiation
	mirror   *mirror // nil: nothing is judged, for the reason in why
	why      string
	log      func(what string, err error)
	busy     atomic.Bool // a message is being looked at
	leaving  atomic.Bool // with the message the connection is to end
	// it is not for the upstream to go on: the MTA has gone or is about to, or we have
	over atomic.Bool

	mu      sync.Mutex
	owed    guard.Code // the command that the upstream is to answer
	skipped bool       // the upstream does not want the rest of this body
	pair    *pair      // the message, nil between messages and once the upstream has decided
	theirs  *side
	queue   string // the queue id that came before MAIL
}

func newRelay(mta, upstream net.Conn, r *Recorder) *relay {
	return &relay{recorder: r, mta: newPeer(mta), upstream: newPeer(upstream)}
}

// serve hands packets on until both sides have closed, or one is broken.
func (r *relay) serve() {
	ended := make(chan time.Duration) // how long the other direction may go on
	for _, d := range []struct {
		handOn func() error
		to     *peer
		limit  time.Duration
	}{{r.toMTA, r.mta, halfLimit}, {r.toUpstream, r.upstream, leftLimit}} {
		go func() {
			r.run(d.handOn, d.to)
			ended <- d.limit
		}()
	}
	limit := time.AfterFunc(<-ended, r.close)
	<-ended
	limit.Stop()
	r.close()
	r.watch(r.abandon)
}

// run hands on in one direction. Where a side closes properly, the other is told that, and no more:
// it may have read only some of what came before, and not answered the last of it.
func (r *relay) run(handOn func() error, to *peer) {
	err := errPanic
	defer func() {
		if v := recover(); v != nil {
			r.log("panic: a bug in Mailseal, please report this line", panicError(v))
		}
		if err != io.EOF || to.closeWrite() != nil {
			r.close()
		}
	}()
	err = handOn()
}

// errPanic is how a direction ends that does not come to its end.
var errPanic = errors.New("panic")

func (r *relay) close() {
	r.over.Store(true)
	_ = r.mta.Close()
	_ = r.upstream.Close()
}

// negotiate hands the MTA's offer on and its answer back, with what the mirror needs besides. What
// cannot be read is handed on as it is, and nothing is judged.
func (r *relay) negotiate() error {
	first, err := r.mta.ReadPacket()
	if err != nil {
		return err
	}
	if err := send(r.upstream, first); err != nil || first.Code != guard.Negotiate {
		r.unjudged(whyPlain)
		return err
	}
	answer, err := r.upstream.ReadPacket()
	if err != nil {
		return err
	}
	offer, err1 := guard.ParseOffer(first.Data)
	theirs, err2 := guard.ParseAgreement(answer.Data)
	switch {
	case answer.Code != guard.Negotiate || err1 != nil || err2 != nil:
		r.unjudged(whyPlain)
	case r.mirror == nil:
		r.agreed = negotiation{theirs: theirs, mta: theirs}
	default:
		r.agreed = negotiation{theirs: theirs, mta: theirs}
		r.watch(func() {
			n := negotiate(offer, theirs)
			answer.Data, r.agreed = n.optneg(answer.Data), n
		})
	}
	return send(r.mta, answer)
}

func (r *relay) unjudged(why string) {
	if r.mirror != nil {
		r.mirror, r.why = nil, why
	}
}

func send(f *peer, p guard.Packet) error {
	if err := f.WritePacket(p.Code, p.Data); err != nil {
		return err
	}
	return f.Flush()
}

// toUpstream hands commands on. Those that the upstream declined are answered here. The error is
// io.EOF at the end.
func (r *relay) toUpstream() error {
	for {
		p, err := r.mta.ReadPacket()
		if err != nil {
			r.over.Store(true)
			_ = r.upstream.Flush() // there may be macros
			return err
		}
		shown := true
		r.watch(func() {
			shown = r.command(p)
			r.show(p)
		})
		switch {
		case shown:
			err = r.upstream.WritePacket(p.Code, r.agreed.toUpstream(p)...)
		case p.Code != guard.Macro && r.agreed.mta.Answers(p.Code):
			err = r.mta.WritePacket(guard.Continue)
		}
		if err == nil && p.Code != guard.Macro { // which a command follows
			err = r.upstream.Flush()
		}
		if err != nil {
			return err
		}
	}
}

// toMTA hands answers on as they come. The error is io.EOF at the end.
func (r *relay) toMTA() error {
	for {
		p, err := r.upstream.ReadPacket()
		if err != nil {
			r.broken(err)
			return err
		}
		code, data := p.Code, r.agreed.toMTA(p)
		r.watch(func() { code = r.answer(p) })
		err = r.mta.WritePacket(code, data...)
		if err == nil {
			err = r.mta.Flush() // an edit, too, tells the MTA that the filter lives
		}
		if err != nil {
			return err
		}
		if r.last() {
			r.close()
		}
	}
}

// leave ends the connection, if there is a message as soon as that has its verdict.
func (r *relay) leave() {
	r.leaving.Store(true)
	if r.last() {
		r.close()
	}
}

func (r *relay) last() bool { return r.leaving.Load() && !r.busy.Load() }

// broken notes that the upstream has ended a connection that was not at its end.
func (r *relay) broken(err error) {
	if r.over.Load() {
		return
	}
	r.recorder.broke(err)
	r.busy.Store(false) // a message without its filter has no verdict to come
	r.watch(func() {
		if r.pair != nil {
			r.theirs.fate, r.theirs.why = unjudged, whyBroken
		}
	})
}

// watch keeps a bug in watching from what is watched.
func (r *relay) watch(f func()) {
	defer func() {
		if v := recover(); v != nil {
			r.log("panic: a bug in Mailseal, please report this line", panicError(v))
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// show gives the mirror what is part of a message or of its client.
func (r *relay) show(p guard.Packet) {
	if r.mirror == nil {
		return
	}
	switch p.Code {
	case guard.Mail: // command has shown it, with its pair
	case guard.Data, guard.Unknown, guard.Negotiate, guard.Quit:
	default:
		r.mirror.offer(p.Code, p.Data, nil)
	}
}

// command notes a command and reports whether the upstream is to see it.
func (r *relay) command(p guard.Packet) (shown bool) {
	switch p.Code {
	case guard.Macro:
		return r.macro(p.Data)
	case guard.Mail:
		r.abandon()
		r.begin(p.Data)
	case guard.Abort, guard.QuitNewConn:
		r.abandon()
	case guard.Quit:
		r.over.Store(true)
		r.abandon()
	}
	shown = r.wants(p.Code)
	if shown && r.agreed.theirs.Answers(p.Code) {
		r.owed = p.Code
	}
	return shown
}

func (r *relay) wants(code guard.Code) bool {
	return r.agreed.shows(code) && !(code == guard.Body && r.skipped)
}

// macro notes the queue id.
func (r *relay) macro(data []byte) (shown bool) {
	if len(data) == 0 {
		return true
	}
	code := guard.Code(data[0])
	id := macro(data[1:], "i")
	switch {
	case code == guard.Mail:
		r.queue = id
	case r.pair != nil && id != "" && code != guard.Helo:
		r.pair.setQueue(id)
	}
	return r.agreed.showsMacros(code) && !(code == guard.Body && r.skipped)
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
func (r *relay) begin(data []byte) {
	path, _, _ := bytes.Cut(data, []byte{0})
	r.pair = &pair{report: r.recorder.report, queue: r.queue,
		sender: string(bytes.Trim(path, "<>"))}
	r.theirs, r.skipped, r.queue = &side{}, false, ""
	r.busy.Store(true)
	if r.mirror == nil {
		r.pair.giveUp(r.why)
		return
	}
	r.mirror.offer(guard.Mail, data, r.pair)
}

// abandon ends a message on which the upstream has not decided. If it refused all there was to
// refuse, that was its decision.
func (r *relay) abandon() {
	r.busy.Store(false)
	if r.pair == nil {
		return
	}
	switch {
	case r.theirs.fate == unjudged:
	case r.theirs.refused == 0:
		r.theirs.fate = aborted
	default:
		r.theirs.stage = guard.Rcpt
	}
	r.pair.settleTheirs(r.theirs)
	r.pair = nil
}

// answer notes an answer of the upstream and returns the one for the MTA: a body that the upstream
// declines is still wanted by the mirror.
func (r *relay) answer(p guard.Packet) guard.Code {
	owed := r.owed
	switch {
	case p.Code == guard.Progress:
		return p.Code
	case isEdit(p.Code):
		if r.pair != nil {
			r.theirs.add(p)
		}
		return p.Code
	}
	r.owed = 0
	if owed == guard.Body && p.Code == guard.SkipBody && r.mirror != nil {
		r.skipped = true
		return guard.Continue
	}
	if r.pair != nil {
		r.verdict(owed, p)
	} else if p.Code != guard.Continue && (owed == guard.Connect || owed == guard.Helo) {
		r.recorder.session(verdictText(p))
	}
	return p.Code
}

// verdict notes a verdict, and settles the message if it is the last.
func (r *relay) verdict(owed guard.Code, p guard.Packet) {
	passes := p.Code == guard.Accept || p.Code == guard.Discard || p.Code == guard.ConnFail
	switch {
	case owed != guard.EndOfBody && (p.Code == guard.Continue || p.Code == guard.SkipBody):
		return
	case owed == guard.Rcpt && !passes:
		r.theirs.refused++
		if r.theirs.verdict.Code == 0 {
			r.theirs.decide(owed, p)
		}
		return
	}
	r.theirs.decide(owed, p)
	if owed != guard.EndOfBody && r.mirror != nil {
		r.mirror.offer(rest(owed, p.Code), nil, nil)
	}
	r.busy.Store(false)
	r.pair.settleTheirs(r.theirs)
	r.pair = nil
}

// rest is what is left to do for the mirror when the upstream decides before the end. A message
// that it lets pass when the header is complete can still be signed, though not right:
// who would sign it can be told.
func rest(owed, verdict guard.Code) guard.Code {
	if verdict == guard.Accept && (owed == guard.EndOfHeader || owed == guard.Body) {
		return finish
	}
	return forget
}
