// Package intake finds DMARC, TLS and failure reports in what people and reporters send: mail,
// archives, mailboxes, files.
//
// Everything is recognized by its first bytes, since names and types are wrong too often. All
// layers of one message share one budget, so that a bomb costs no more than a large report. Nothing
// is kept in memory inflated: a report is read as it is unpacked.
package intake

import (
	"bytes"
	"errors"
	"html"
	"io"
	"slices"
	"strings"
	"time"

	"mailseal/milter/report"
)

// Kind is the kind of a part of a message.
type Kind string

// The kinds.
const (
	Aggregate Kind = "aggregate" // RFC 9990
	TLS       Kind = "tls"       // RFC 8460
	Failure   Kind = "failure"   // RFC 9991, RFC 5965
	Null      Kind = "null"      // nothing on purpose: the reporter is alive
	Bounce    Kind = "bounce"
	Other     Kind = "other" // people, automatic answers, and other mail without a report
	Hostile   Kind = "hostile"
)

// Part is a report, or another part of a mail. Open may be called several times.
type Part struct {
	Kind     Kind
	Path     []string // of names, from the outermost
	Subject  string   // of the mail that it is in, as it was written
	Open     func() (io.Reader, error)
	Failure  *report.Failure
	Warnings []string // of the containers; more may come while it is read
	Err      error    // why it cannot be read; nil for a report

	line   int  // of the file, at which the part begins, from 1
	isCopy bool // for people, of a report that may be there in another part, too
	next   func() *Part

	untimed func(func() error) error // calls what does not count as reading
}

// Name returns the path of the part as one text.
func (p *Part) Name() string { return strings.Join(p.Path, " > ") }

// walker looks into one message or file.
type walker struct {
	budget  *budget
	found   []*Part
	subject string // of the mail that is looked at
}

// Look finds the reports in data: a report, an archive, or a mail. name is shown to people. There
// is at least one part.
func Look(name string, data []byte) []*Part { return lookByClock(name, data, time.Now) }

// lookByClock is Look with a clock.
func lookByClock(name string, data []byte, clock func() time.Time) []*Part {
	w := &walker{budget: newBudget(clock)}
	err := survive(func() error { return w.look([]string{name}, data, 0, 0, true) })
	if err != nil {
		w.fail([]string{name}, err)
	}
	w.settle(name)
	return w.found
}

// settle makes sure that something was found, and keeps what is of no interest out where reports
// were found: texts for people, and what programs add to archives and mail.
func (w *walker) settle(name string) {
	isReport := func(p *Part) bool { return p.Kind == Aggregate && !p.isCopy }
	if slices.ContainsFunc(w.found, isReport) {
		w.found = slices.DeleteFunc(w.found, func(p *Part) bool { return p.isCopy })
	}
	if slices.ContainsFunc(w.found, func(p *Part) bool { return p.Kind != Other }) {
		w.found = slices.DeleteFunc(w.found, isIdle)
		return
	}
	if len(w.found) == 0 {
		w.found = []*Part{{Kind: Other, Path: []string{name}}}
	}
}

// isIdle reports whether a part is of no interest beside a report.
func isIdle(p *Part) bool {
	return p.Kind == Other && (p.Err == nil || errors.Is(p.Err, errWrapped) ||
		len(p.Path) > 1 && errors.Is(p.Err, errNoReport))
}

func (w *walker) fail(at []string, err error) {
	p := &Part{Kind: Other, Path: at, Err: err}
	if errors.Is(err, report.ErrHostile) {
		p.Kind = Hostile
	}
	w.found = append(w.found, p)
}

// look sorts data by its first bytes. isTop is false for a part of a mail: text there is for
// people.
func (w *walker) look(at []string, data []byte, layers, nesting int, isTop bool) error {
	if layers > maxLayers {
		return hostile("more than %d nested archives", maxLayers)
	}
	start := beginning(data)
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return w.gzip(at, data, layers, nesting)
	case isZip(data, start):
		return w.archive(at, data, layers, nesting)
	case isTar(data):
		return w.tar(at, data, layers, nesting)
	case bytes.HasPrefix(data, []byte("BZh")), isZlib(data):
		return w.compressed(at, data, layers, nesting)
	case isXML(start, isTop):
		return w.documents(at, data, layers, nesting)
	case isJSON(start, isTop):
		w.add(TLS, at, data)
	case isUnused(start):
		w.add(Null, at, data)
	case isBase64(start):
		return w.plain(at, data, layers, nesting, isTop)
	case len(start) == 0 && isTop:
		return errors.New("the file is empty: there is no report in it")
	case unreadable(data) != nil:
		return unreadable(data)
	case isFeedback(start):
		return w.feedback(at, data)
	case isTop && isOldText(data):
		return w.look(at, plainText(data), layers+1, nesting, true)
	case isTop && isMailbox(start):
		return w.mailbox(at, data, layers, nesting)
	case isTop && looksLikeMail(start), !isTop && isAttachedMail(start):
		return w.mail(at, data, layers, nesting)
	default:
		return w.text(at, data, layers, nesting, isTop)
	}
	return nil
}

// text looks for a report in text that is for people.
func (w *walker) text(at []string, data []byte, layers, nesting int, isTop bool) error {
	name, encoded := uuencoded(data)
	switch {
	case encoded != nil:
		if err := w.budget.charge(len(encoded)); err != nil {
			return err
		}
		return w.look(append(slices.Clone(at), shown(name)), encoded, layers+1, nesting, true)
	case holdsXML(data):
		w.add(Aggregate, at, data)
	case holdsEscapedXML(data):
		w.add(Aggregate, at, []byte(html.UnescapeString(string(data)))).isCopy = true
	case isTop && isHTML(beginning(data)):
		return errHTML
	case isTop:
		return errNoReport
	}
	return nil
}

// plain looks into base64 that no field announces.
func (w *walker) plain(at []string, data []byte, layers, nesting int, isTop bool) error {
	return w.look(at, fromBase64(data, w.budget), layers+1, nesting, isTop)
}

// documents looks at XML in memory. An archive may be joined to it.
func (w *walker) documents(at []string, data []byte, layers, nesting int) error {
	end := archiveBehind(data)
	w.add(Aggregate, at, data[:end])
	if end == len(data) {
		return nil
	}
	if err := w.budget.part(); err != nil {
		return err
	}
	return w.look(at, bytes.TrimLeft(data[end:], between), layers, nesting, true)
}

// archiveBehind returns the offset of an archive that follows a report, or the length of
// data.
func archiveBehind(data []byte) int {
	for at := 0; ; {
		end := rootEnd.FindIndex(data[at:])
		if end == nil {
			return len(data)
		}
		at += end[1]
		if isArchive(beginning(data[at:])) {
			return at
		}
	}
}

// isArchive reports whether a report can be in what begins so, compressed.
func isArchive(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\x1f\x8b\x08")) ||
		bytes.HasPrefix(data, []byte("PK\x03\x04")) ||
		bytes.HasPrefix(data, []byte("BZh")) || isTar(data)
}

func (w *walker) add(k Kind, at []string, data []byte) *Part {
	return w.stream(k, at, func() (io.Reader, error) { return bytes.NewReader(data), nil })
}

// stream adds a report that is read from open, and may be followed by others.
func (w *walker) stream(k Kind, at []string, open func() (io.Reader, error)) *Part {
	s := &stream{budget: w.budget, open: open, path: at}
	p := s.part(mark{line: 1, n: 1, kind: k}, w.subject)
	w.found = append(w.found, p)
	return p
}

// gzip looks into a gzip file. What is in it is sorted by its first bytes again.
func (w *walker) gzip(at []string, data []byte, layers, nesting int) error {
	open := func(note func(string)) (io.Reader, error) { return newInflater(data, note) }
	inner, err := w.packed(at, open)
	if err == nil && inner != nil && len(inner) == 0 {
		w.add(Null, at, nil)
		return nil
	}
	if err != nil || inner == nil {
		return err
	}
	return w.look(at, inner, layers+1, nesting, true)
}

// packed looks at the beginning of what a program has compressed. A report is added, to be unpacked
// when it is read, and inner is nil then. All else is unpacked and returned: an archive in an
// archive is small, or not a report.
func (w *walker) packed(at []string, open func(note func(string)) (io.Reader, error)) (inner []byte,
	err error) {
	damage := ""
	in, err := open(func(text string) { damage = text })
	if err != nil {
		return nil, err
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	start := beginning(head[:n])
	switch isTLS := isJSON(start, true); {
	case isXML(start, true) || isTLS:
		kind := Aggregate
		if isTLS {
			kind = TLS
		}
		var p *Part
		p = w.stream(kind, at, func() (io.Reader, error) { return open(p.warn) })
		return nil, nil
	case n == 0 && damage != "":
		return nil, errors.New(damage + ": nothing of it can be read; ask the sender for it again")
	case n < len(head):
		return head[:n], nil
	}
	all := io.MultiReader(bytes.NewReader(head), in)
	inner, err = io.ReadAll(io.LimitReader(&limited{in: all, budget: w.budget, left: maxReport},
		MaxMessage+1))
	if err == nil && len(inner) > MaxMessage {
		err = hostile("unpacked, an archive in an archive is larger than %d MiB", MaxMessage>>20)
	}
	return inner, err
}

func (p *Part) warn(text string) {
	if !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}

// shown makes a name from an archive or a mail fit to be shown.
func shown(name string) string {
	out := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 ||
			r == 0xfffd {
			return '?'
		}
		return r
	}, name)
	return out[:min(len(out), 200)]
}
