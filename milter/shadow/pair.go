package shadow

import (
	"bytes"
	"sync"

	"mailseal/milter/guard"
)

// fate is how a message ended for one of the two filters.
type fate uint8

const (
	decided fate = iota // there is a verdict
	// there is one, made without the body: the upstream let the message pass before it came
	partly
	aborted  // the client gave it up
	unjudged // there is none, for a reason of ours
)

// side is what one of the two filters made of a message, in the packets that it sent.
type side struct {
	fate    fate
	why     string     // for unjudged, which of the upstream means that it left
	stage   guard.Code // the command that the verdict answered
	verdict guard.Packet
	edits   []guard.Packet
	refused int // recipients
	size    int // octets of edits
}

// What is kept of a message's edits.
const (
	maxEdits     = 256
	maxEditsSize = 256 << 10
)

// add keeps an edit. Of a new body that there is one is enough.
func (s *side) add(p guard.Packet) {
	if p.Code == guard.ReplaceBody {
		p.Data = nil
	}
	if len(s.edits) == maxEdits || s.size+len(p.Data) > maxEditsSize {
		return
	}
	s.size += len(p.Data)
	s.edits = append(s.edits, guard.Packet{Code: p.Code, Data: bytes.Clone(p.Data)})
}

// decide keeps the verdict.
func (s *side) decide(stage guard.Code, p guard.Packet) {
	s.stage, s.verdict = stage, guard.Packet{Code: p.Code, Data: bytes.Clone(p.Data)}
}

// isEdit reports whether an answer is an edit, and no verdict.
func isEdit(c guard.Code) bool {
	switch c {
	case guard.AddRcptArgs, guard.AddRcpt, guard.DeleteRcpt, guard.ReplaceBody, guard.ChangeSender,
		guard.AddHeader,
		guard.InsertHeader, guard.ChangeHeader, guard.QuarantineMail:
		return true
	}
	return false
}

// pair is a message and what both filters made of it. It is reported once, when both have settled.
type pair struct {
	report func(*pair)

	mu           sync.Mutex
	queue        string // the MTA's queue id
	sender       string // MAIL FROM
	author       string // the From field's domain, "" when we did not see it
	theirs, ours *side
}

// settle says what became of the message for one of the two. The first word counts.
func (p *pair) settle(of **side, s *side) {
	p.mu.Lock()
	isFirst := *of == nil
	if isFirst {
		*of = s
	}
	isWhole := isFirst && p.theirs != nil && p.ours != nil
	p.mu.Unlock()
	if isWhole {
		p.report(p)
	}
}

func (p *pair) settleTheirs(s *side) { p.settle(&p.theirs, s) }
func (p *pair) settleOurs(s *side)   { p.settle(&p.ours, s) }

// giveUp settles our side of a message that we have no verdict on.
func (p *pair) giveUp(why string) { p.settleOurs(&side{fate: unjudged, why: why}) }

// size is about how much a message keeps that both have settled.
func (p *pair) size() int { return 4*itemCost + len(p.sender) + p.theirs.size + p.ours.size }

func (p *pair) setQueue(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = id
}

func (p *pair) setAuthor(domain string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.author = domain
}
