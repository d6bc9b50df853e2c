package spool

import (
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"time"

	"mailseal/milter/report"
)

// The kinds of records.
const (
	kindEvaluation = 1
	kindWrote      = 2
	kindFailing    = 3
	kindSent       = 4
)

// Bits of an evaluation's flags.
const (
	flagDKIM = 1 << iota
	flagSPF
	flagSPFAuth
)

// encoder writes records of one segment.
type encoder struct {
	base     int64 // Unix time, in seconds, against which times are written
	strings  map[string]uint64
	policies map[policyKey]string // as they are written
	failing  map[string]int       // policy domain or signer: failures of it that came with a header
	buf      []byte               // the payload of the next block
}

// policyKey tells policies apart: all else follows from the text.
type policyKey struct{ domain, text, discovery string }

func newEncoder(base time.Time) *encoder {
	return &encoder{
		base:     base.Unix(),
		strings:  map[string]uint64{},
		policies: map[policyKey]string{},
		failing:  map[string]int{},
	}
}

// Bounds of the headers of failing messages in one segment: a flood of forgeries would otherwise
// fill the spool, in which rows of aggregate reports are waiting.
const (
	maxHeaders = 20   // of one domain
	maxFailing = 1024 // domains
)

// failed writes a message that failed. Beyond the bounds it has no header, and is only counted.
func (e *encoder) failed(f report.Failing) {
	domain := f.Evaluation.Policy.Domain + " " + f.Signer
	n, isKnown := e.failing[domain]
	if n >= maxHeaders || !isKnown && len(e.failing) >= maxFailing {
		f.Header = nil
	} else {
		e.failing[domain]++
	}
	text, err := json.Marshal(f)
	if err == nil && len(text) > maxString { // strangers wrote most of it
		f.Signature, f.SPFRecord, f.MailFrom, f.Header = nil, "", "", nil
		text, err = json.Marshal(f)
	}
	if err != nil || len(text) > maxString { // the reader would take the segment for damaged
		return
	}
	e.buf = append(e.buf, kindFailing)
	e.uint(uint64(len(text)))
	e.buf = append(e.buf, text...)
	e.evaluation(&f.Evaluation)
}

func (e *encoder) evaluation(ev *report.Evaluation) {
	e.buf = append(e.buf, kindEvaluation)
	e.time(ev.Time)
	addr := ev.Client.AsSlice()
	e.buf = append(e.buf, byte(len(addr)))
	e.buf = append(e.buf, addr...)
	e.string(e.policy(&ev.Policy))
	var flags byte
	if ev.DKIM {
		flags |= flagDKIM
	}
	if ev.SPF {
		flags |= flagSPF
	}
	if ev.SPFAuth != nil {
		flags |= flagSPFAuth
	}
	e.buf = append(e.buf, flags)
	e.string(ev.Disposition)
	e.string(ev.HeaderFrom)
	e.string(ev.EnvelopeFrom)
	if ev.SPFAuth != nil {
		e.string(ev.SPFAuth.Domain)
		e.string(ev.SPFAuth.Result)
	}
	e.uint(uint64(len(ev.Reasons)))
	for _, r := range ev.Reasons {
		e.string(r.Type)
		e.string(r.Comment)
	}
	signatures := ev.Signatures[:min(len(ev.Signatures), report.MaxSignatures)]
	e.uint(uint64(len(signatures)))
	for _, s := range signatures {
		e.string(s.Domain)
		e.string(s.Selector)
		e.string(s.Result)
		aligned := byte(0)
		if s.Aligned {
			aligned = 1
		}
		e.buf = append(e.buf, aligned)
	}
}

func (e *encoder) wrote(domain string, at time.Time) {
	e.buf = append(e.buf, kindWrote)
	e.time(at)
	e.string(domain)
}

// Bits of the flags of a message that was sent.
const (
	flagCounted = 1 << iota
	flagReply
	flagToList
)

func (e *encoder) sent(s *report.Sent) {
	e.buf = append(e.buf, kindSent)
	e.time(s.Time)
	var flags byte
	for _, f := range []struct {
		is  bool
		bit byte
	}{{s.Counted, flagCounted}, {s.Reply, flagReply}, {s.ToList, flagToList}} {
		if f.is {
			flags |= f.bit
		}
	}
	e.buf = append(e.buf, flags)
	e.string(s.Domain)
	e.string(s.Selector)
}

func (d *decoder) sent() *report.Sent {
	s := &report.Sent{Time: d.time()}
	flags := d.byte()
	s.Counted, s.Reply, s.ToList = flags&flagCounted != 0, flags&flagReply != 0,
		flags&flagToList != 0
	s.Domain, s.Selector = d.string(), d.string()
	return s
}

func (e *encoder) time(t time.Time) { e.buf = binary.AppendVarint(e.buf, t.Unix()-e.base) }

func (e *encoder) uint(n uint64) { e.buf = binary.AppendUvarint(e.buf, n) }

// string writes the number of a string that was written before, or 0, its length and the string.
func (e *encoder) string(s string) {
	if len(s) > maxString {
		s = s[:maxString]
	}
	if n := e.strings[s]; n > 0 {
		e.uint(n)
		return
	}
	e.uint(0)
	e.uint(uint64(len(s)))
	e.buf = append(e.buf, s...)
	if len(e.strings) < maxStrings {
		e.strings[s] = uint64(len(e.strings) + 1)
	}
}

// policy is a policy in one string, which is written once for each segment.
func (e *encoder) policy(p *report.Policy) string {
	key := policyKey{p.Domain, p.Text, p.Discovery}
	if text, ok := e.policies[key]; ok {
		return text
	}
	text, err := json.Marshal(p)
	if err == nil && len(text) > maxString { // the reader would take the segment for damaged
		short := *p
		short.Text, short.URIs, short.Notes = "", nil, nil
		text, err = json.Marshal(short)
	}
	if err != nil { // of strings and booleans alone: cannot be
		return "{}"
	}
	if len(e.policies) < maxStrings {
		e.policies[key] = string(text)
	}
	return string(text)
}

// decoder reads records of one segment.
type decoder struct {
	base     int64
	strings  []string
	policies map[string]*report.Policy
	rest     []byte
	err      error
}

// Record is one record of a segment.
type Record struct {
	Evaluation *report.Evaluation // nil: Failing, Sent or Wrote is set
	Failing    *report.Failing
	Sent       *report.Sent
	Wrote      string // a domain that one of our users wrote to
	Time       time.Time
}

func (d *decoder) record() Record {
	switch d.byte() {
	case kindEvaluation:
		e := d.evaluation()
		return Record{Evaluation: e, Time: e.Time}
	case kindWrote:
		return Record{Time: d.time(), Wrote: d.string()}
	case kindFailing:
		return d.failed()
	case kindSent:
		s := d.sent()
		return Record{Sent: s, Time: s.Time}
	}
	d.fail()
	return Record{}
}

func (d *decoder) failed() Record {
	f := &report.Failing{}
	size := d.uint()
	if size > maxString || json.Unmarshal(d.bytes(int(size)), f) != nil ||
		d.byte() != kindEvaluation {
		d.fail()
		return Record{}
	}
	f.Evaluation = *d.evaluation()
	return Record{Failing: f, Time: f.Evaluation.Time}
}

func (d *decoder) evaluation() *report.Evaluation {
	e := &report.Evaluation{Time: d.time()}
	n := int(d.byte())
	e.Client, _ = netip.AddrFromSlice(d.bytes(n))
	e.Policy = *d.policy()
	flags := d.byte()
	e.DKIM, e.SPF = flags&flagDKIM != 0, flags&flagSPF != 0
	e.Disposition, e.HeaderFrom, e.EnvelopeFrom = d.string(), d.string(), d.string()
	if flags&flagSPFAuth != 0 {
		e.SPFAuth = &report.SPFAuth{Domain: d.string(), Result: d.string()}
	}
	for range d.count() {
		e.Reasons = append(e.Reasons, report.Reason{Type: d.string(), Comment: d.string()})
	}
	for range d.count() {
		s := report.DKIMAuth{Domain: d.string(), Selector: d.string(), Result: d.string()}
		s.Aligned = d.byte() == 1
		e.Signatures = append(e.Signatures, s)
	}
	return e
}

func (d *decoder) policy() *report.Policy {
	text := d.string()
	if p := d.policies[text]; p != nil {
		return p
	}
	p := &report.Policy{}
	if json.Unmarshal([]byte(text), p) != nil {
		d.fail()
		return p
	}
	if len(d.policies) < maxStrings {
		d.policies[text] = p
	}
	return p
}

func (d *decoder) fail() {
	d.err = ErrCorrupt
	d.rest = nil
}

func (d *decoder) byte() byte {
	b := d.bytes(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.fail()
		return nil
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count is a number of things that follow, of at least three bytes each.
func (d *decoder) count() int {
	n := d.uint()
	if n > report.MaxSignatures {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) time() time.Time {
	n, size := binary.Varint(d.rest)
	if size <= 0 || n > 1<<31 || n < -1<<31 {
		d.fail()
		return time.Time{}
	}
	d.rest = d.rest[size:]
	return time.Unix(d.base+n, 0).UTC()
}

func (d *decoder) string() string {
	n := d.uint()
	if n > 0 {
		if n > uint64(len(d.strings)) {
			d.fail()
			return ""
		}
		return d.strings[n-1]
	}
	size := d.uint()
	if size > maxString {
		d.fail()
		return ""
	}
	s := string(d.bytes(int(size)))
	if len(d.strings) < maxStrings {
		d.strings = append(d.strings, s)
	}
	return s
}
