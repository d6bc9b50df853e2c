// Package intake finds DMARC, TLS and failure reports in what people and reporters send: mail,
// archives, mailboxes, files.
//
// Everything is known by its first bytes; names and types are wrong too often. All layers of one
// message share one budget, so that a bomb costs no more than a large report. Nothing is kept in
// memory inflated: a report is read as it is unpacked.
package intake

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"mailseal/milter/report"
)

// Kind is what a part of a message is.
type Kind string

// The kinds.
const (
	Aggregate Kind = "aggregate" // RFC 9990
	TLS       Kind = "tls"       // RFC 8460
	Failure   Kind = "failure"   // RFC 9991, RFC 5965
	Null      Kind = "null"      // nothing on purpose: the reporter is alive
	Bounce    Kind = "bounce"
	Other     Kind = "other" // people, automatic answers, and what is no report
	Hostile   Kind = "hostile"
)

// Part is a report, or what was found instead. Open may be called several times.
type Part struct {
	Kind     Kind
	Path     []string // of names, from the outermost
	Open     func() (io.Reader, error)
	Failure  *report.Failure
	Warnings []string // of the containers; more may come while it is read
	Err      error    // why it cannot be read; nil for a report
}

// Name returns the path of the part as one text.
func (p *Part) Name() string { return strings.Join(p.Path, " > ") }

// walker looks into one message or file.
type walker struct {
	budget *budget
	found  []*Part
}

// Look finds the reports in data: a report, an archive, or a mail. name is shown to people. There
// is at least one part.
func Look(name string, data []byte) []*Part {
	w := &walker{budget: newBudget()}
	if err := w.look([]string{name}, data, 0, 0, true); err != nil {
		w.fail([]string{name}, err)
	}
	w.settle(name)
	return w.found
}

// settle makes sure that something was found, and keeps what is of no interest out where reports
// were found.
func (w *walker) settle(name string) {
	isReport := func(p *Part) bool { return p.Kind != Other }
	if slices.ContainsFunc(w.found, isReport) {
		w.found = slices.DeleteFunc(w.found, func(p *Part) bool { return p.Kind == Other && p.Err == nil })
		return
	}
	if len(w.found) == 0 {
		w.found = []*Part{{Kind: Other, Path: []string{name}}}
	}
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
		return hostile("more than %d archives within each other", maxLayers)
	}
	start := bytes.TrimLeft(data[:min(len(data), 4096)], " \t\r\n\x00")
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return w.gzip(at, data, layers, nesting)
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("PK\x05\x06")), bytes.Contains(data[:min(len(data), 4096)], []byte("PK\x03\x04")):
		return w.archive(at, data, layers, nesting)
	case isXML(start):
		w.aggregate(at, data)
	case bytes.HasPrefix(start, []byte("{")):
		w.add(TLS, at, data)
	case isUnused(start):
		w.add(Null, at, data)
	case len(start) == 0 && isTop:
		return errors.New("it is empty: there is no report in it")
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")):
		return errors.New("this is a message saved by Outlook (.msg): save it as .eml, or forward it as an attachment")
	case isOtherArchive(data):
		return errors.New("this archive is neither gzip nor zip: unpack it first")
	case isTop && looksLikeMail(start):
		return w.mail(at, data, layers, nesting)
	case isTop:
		return errors.New("this is not a report: neither XML, JSON, gzip, zip nor a mail")
	}
	return nil
}

func isXML(start []byte) bool {
	for _, mark := range []string{"\xff\xfe<", "\xfe\xff\x00<", "\xef\xbb\xbf", "<"} {
		if rest, ok := bytes.CutPrefix(start, []byte(mark)); ok {
			lower := bytes.ToLower(rest[:min(len(rest), 200)])
			return !bytes.HasPrefix(lower, []byte("html")) && !bytes.HasPrefix(lower, []byte("!doctype html"))
		}
	}
	return false
}

// isUnused recognizes what Yahoo sent for days without mail.
func isUnused(start []byte) bool { return bytes.EqualFold(bytes.TrimSpace(start), []byte("unused")) }

func isOtherArchive(data []byte) bool {
	for _, magic := range []string{"BZh", "\xfd7zXZ\x00", "7z\xbc\xaf\x27\x1c", "Rar!", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(data, []byte(magic)) {
			return true
		}
	}
	return false
}

func (w *walker) add(k Kind, at []string, data []byte) *Part {
	p := &Part{Kind: k, Path: at, Open: w.opener(func() (io.Reader, error) { return bytes.NewReader(data), nil })}
	w.found = append(w.found, p)
	return p
}

func (w *walker) aggregate(at []string, data []byte) { w.add(Aggregate, at, data) }

// opener bounds a report. The first reading is charged to the budget of the message.
func (w *walker) opener(open func() (io.Reader, error)) func() (io.Reader, error) {
	b := w.budget
	return func() (io.Reader, error) {
		in, err := open()
		if err != nil {
			return nil, err
		}
		out := &limited{in: in, budget: b, left: maxReport}
		b = nil
		return out, nil
	}
}

// gzip looks into a gzip file. What is in it is sorted by its first bytes again.
func (w *walker) gzip(at []string, data []byte, layers, nesting int) error {
	head, err := peek(data)
	if err != nil {
		return err
	}
	start := bytes.TrimLeft(head, " \t\r\n\x00")
	if isXML(start) || bytes.HasPrefix(start, []byte("{")) {
		p := &Part{Kind: Aggregate, Path: at}
		if start[0] == '{' {
			p.Kind = TLS
		}
		p.Open = w.opener(func() (io.Reader, error) { return newInflater(data, p.warn) })
		w.found = append(w.found, p)
		return nil
	}
	// An archive in an archive, or nothing that we know: it is small, or not a report.
	z, err := newInflater(data, func(string) {})
	if err != nil {
		return err
	}
	inner, err := io.ReadAll(io.LimitReader(&limited{in: z, budget: w.budget, left: maxReport}, MaxMessage+1))
	if err != nil {
		return err
	}
	if len(inner) > MaxMessage {
		return hostile("an archive in an archive inflates to more than %d MiB", MaxMessage>>20)
	}
	if len(inner) == 0 {
		w.add(Null, at, nil)
		return nil
	}
	return w.look(at, inner, layers+1, nesting, true)
}

func (p *Part) warn(text string) {
	if !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}

// peek returns the first bytes of what a gzip file holds.
func peek(data []byte) ([]byte, error) {
	z, err := newInflater(data, func(string) {})
	if err != nil {
		return nil, err
	}
	head := make([]byte, 4096)
	n, err := io.ReadFull(z, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("not readable as gzip: %w", err)
	}
	return head[:n], nil
}

// archive looks at each entry of a zip file. What stands before the first entry does not matter.
func (w *walker) archive(at []string, data []byte, layers, nesting int) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("not readable as zip: %w", err)
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() || strings.Contains(f.Name, "__MACOSX/") || strings.HasPrefix(path.Base(f.Name), "._") {
			continue
		}
		if err := w.budget.part(); err != nil {
			return err
		}
		inside := append(slices.Clone(at), shown(f.Name))
		if err := w.entry(inside, f, layers, nesting); err != nil {
			w.fail(inside, err)
			if errors.Is(err, report.ErrHostile) {
				return nil
			}
		}
	}
	return nil
}

// entry looks at one entry. One with a report in it is unpacked when it is read.
func (w *walker) entry(at []string, f *zip.File, layers, nesting int) error {
	if f.Flags&1 != 0 {
		return errors.New("the zip file is encrypted: reports are not")
	}
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("not readable as zip: %w", err)
	}
	defer in.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("not readable as zip: %w", err)
	}
	start := bytes.TrimLeft(head[:n], " \t\r\n\x00")
	if isXML(start) || bytes.HasPrefix(start, []byte("{")) {
		p := &Part{Kind: Aggregate, Path: at}
		if start[0] == '{' {
			p.Kind = TLS
		}
		p.Open = w.opener(func() (io.Reader, error) {
			in, err := f.Open()
			return checksum{in, p.warn}, err
		})
		w.found = append(w.found, p)
		return nil
	}
	if n < len(head) {
		return w.look(at, head[:n], layers+1, nesting, true)
	}
	rest, err := io.ReadAll(io.LimitReader(&limited{in: in, budget: w.budget, left: maxReport}, MaxMessage+1))
	if err != nil {
		return err
	}
	if len(rest) > MaxMessage {
		return hostile("an archive in an archive inflates to more than %d MiB", MaxMessage>>20)
	}
	return w.look(at, append(head, rest...), layers+1, nesting, true)
}

// checksum lets a report be read whose checksum in the zip file is wrong.
type checksum struct {
	in   io.Reader
	note func(string)
}

func (c checksum) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if errors.Is(err, zip.ErrChecksum) {
		c.note("the checksum in the zip file is wrong")
		return n, io.EOF
	}
	return n, err
}

// shown makes a name from an archive or a mail fit to be shown.
func shown(name string) string {
	out := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfffd {
			return '?'
		}
		return r
	}, name)
	return out[:min(len(out), 200)]
}
