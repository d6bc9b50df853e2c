package intake

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"mailseal/milter/report"
)

// Files that were joined hold several reports, one behind the other: XML behind XML, the members of
// a gzip file, lines of JSON. Each is a Part: the first one is found by Look, the others by Next
// while the one before is read.

// mark is where a report begins in what it was joined to.
type mark struct {
	offset int64 // in bytes, inflated
	line   int   // from 1
	n      int   // place among the reports, from 1
	kind   Kind
}

// stream is what a part is read from: one report, or several that were joined.
type stream struct {
	budget *budget
	open   func() (io.Reader, error) // from the beginning
	path   []string
}

// reading opens the report at m. next is given the place of the one behind it, when all of it was
// read.
func (s *stream) reading(m mark, isFirst bool, next func(mark)) (io.Reader, error) {
	in, err := s.open()
	if err != nil {
		return nil, err
	}
	if err := s.skip(in, m.offset); err != nil {
		return nil, err
	}
	if isFirst {
		return &limited{in: newSplitter(in, m, next, s.budget.isLate), budget: s.budget,
			left: maxReport}, nil
	}
	// Rows of it are stored already: this reading is not stopped, and takes no longer than the
	// first.
	inTime := func() bool { return false }
	return &limited{in: newSplitter(in, m, next, inTime), left: maxReport}, nil
}

// skip leaves out the reports before one.
func (s *stream) skip(in io.Reader, n int64) error {
	if at, ok := in.(io.Seeker); ok {
		_, err := at.Seek(n, io.SeekStart)
		return err
	}
	if s.budget.skipped -= n; s.budget.skipped < 0 {
		return hostile("too many large reports are joined in one file")
	}
	_, err := io.CopyN(io.Discard, in, n)
	return err
}

// part returns the report at m.
func (s *stream) part(m mark, subject string) *Part {
	p := &Part{Kind: m.kind, Path: s.path, Subject: subject, line: m.line,
		untimed: s.budget.untimed}
	if m.n > 1 {
		p.Path = append(slices.Clone(s.path), fmt.Sprintf("report %d", m.n))
	}
	isFirst := true
	p.Open = func() (io.Reader, error) {
		in, err := s.reading(m, isFirst, func(next mark) {
			p.next = func() *Part { return s.following(next, p) }
		})
		isFirst = false
		return in, err
	}
	return p
}

// following returns the report behind another one.
func (s *stream) following(m mark, before *Part) *Part {
	p := s.part(m, before.Subject)
	p.isCopy = before.isCopy
	p.Err = s.budget.part()
	if p.Err != nil {
		p.Kind = Hostile
	}
	return p
}

// Next returns the report that was appended to this one, or nil. It is known only after the
// part was read to its end.
func (p *Part) Next() *Part {
	if p.next == nil || p.Err != nil {
		return nil
	}
	return p.next()
}

// ReadTLS reads a TLS report, to its end.
func (p *Part) ReadTLS() (out *report.TLSReport, err error) {
	err = survive(func() (err error) {
		out, err = p.readTLS()
		return err
	})
	return out, err
}

func (p *Part) readTLS() (*report.TLSReport, error) {
	in, err := p.Open()
	if err != nil {
		return nil, err
	}
	r, err := report.ReadTLSFrom(in, p.line)
	if err != nil && errors.Is(err, report.ErrHostile) {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	r.Supplement(report.ReadHints(p.Path[len(p.Path)-1], p.Subject))
	return r, nil
}
