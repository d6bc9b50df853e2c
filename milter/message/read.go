package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrHeaderTooLarge means that a header exceeds its limit.
var ErrHeaderTooLarge = errors.New("header too large")

// ReadHeader reads the fields of a message and the empty line after them, lines parted by CRLF or
// LF, and leaves r at the body. The end of the input ends the header, too. Like Postfix it skips
// "From " and ">From " lines at the very start (mbox), and ends the header before a line that is
// not a field and continues none; that line is the body's first. A header may have limit octets,
// counted as NewCollector counts them. The error wraps ErrHeaderTooLarge or is r's.
func ReadHeader(r *bufio.Reader, limit int) (Header, error) {
	hr := newHeaderReader(r, limit)
	return hr.read()
}

// headerReader reads one header.
type headerReader struct {
	r     *bufio.Reader
	limit int
	kept  *Collector
	field []byte // the field being read, as it is in the file
	seen  bool   // the first line was read
	crlf  bool   // it ended with CRLF
}

func newHeaderReader(r *bufio.Reader, limit int) *headerReader {
	return &headerReader{r: r, limit: limit, kept: NewCollector(limit)}
}

func (hr *headerReader) read() (Header, error) {
	for start := true; ; {
		name, colon, err := hr.peekName()
		switch {
		case err != nil:
			return nil, err
		case name > 0:
			start = false
			err = hr.readField(name, colon)
		case start && hr.isMbox():
			err = hr.readLine()
			hr.field = hr.field[:0]
		default:
			return hr.end()
		}
		if err != nil {
			return nil, err
		}
	}
}

// isMbox reports whether a line comes that mail stores put above a message. "From :" is a field and
// does not come here.
func (hr *headerReader) isMbox() bool {
	p, _ := hr.r.Peek(len(">From "))
	return bytes.HasPrefix(bytes.TrimPrefix(p, []byte(">")), []byte("From "))
}

// peekName reads the field name at the start of the next line. Name is 0 if there is none.
func (hr *headerReader) peekName() (name, colon int, err error) {
	for n := 1; ; n = hr.r.Buffered() + 1 {
		_, err := hr.r.Peek(n)
		p, _ := hr.r.Peek(hr.r.Buffered())
		name, colon, more := scanName(p)
		switch {
		case !more || err == io.EOF || err == bufio.ErrBufferFull:
			return name, colon, nil
		case err != nil:
			return 0, 0, err
		}
	}
}

// end skips the line that parts header and body, if that is what comes.
func (hr *headerReader) end() (Header, error) {
	p, err := hr.r.Peek(len(crlf))
	if isCRLF(p) || len(p) > 0 && p[0] == '\n' {
		err = hr.readLine()
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return hr.kept.Header(), nil
}

// readField reads a line and those that continue it.
func (hr *headerReader) readField(name, colon int) error {
	hr.field = hr.field[:0]
	for {
		if err := hr.readLine(); err != nil {
			return err
		}
		p, err := hr.r.Peek(1)
		if err != nil && err != io.EOF {
			return err
		}
		if len(p) == 0 || !isWSP(p[0]) {
			break
		}
	}
	if !hr.kept.addRaw(trimLineEnd(hr.field), name, colon) {
		return hr.tooLarge()
	}
	return nil
}

// readLine appends the next line to the field.
func (hr *headerReader) readLine() error {
	for {
		p, err := hr.r.ReadSlice('\n')
		if hr.field = append(hr.field, p...); len(hr.field) > hr.limit {
			return hr.tooLarge()
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if !hr.seen {
			hr.seen, hr.crlf = true, bytes.HasSuffix(hr.field, []byte(crlf))
		}
		if err == io.EOF {
			return nil
		}
		return err
	}
}

func (hr *headerReader) tooLarge() error {
	return fmt.Errorf("%w: more than %d octets", ErrHeaderTooLarge, hr.limit)
}

// Read reads a whole message: its header as ReadHeader does, and its body into the digests
// that wanted returns; a nil wanted requests none. If the first line ends with LF alone,
// every LF of the body is read as CRLF. If it ends with CRLF, the body is not converted,
// since a bare LF in it is an octet that was signed.
func Read(r io.Reader, limit int, wanted func(Header) []BodyHash) (*Message, error) {
	hr := newHeaderReader(bufio.NewReader(r), limit)
	h, err := hr.read()
	if err != nil {
		return nil, err
	}
	var hashes []BodyHash
	if wanted != nil {
		hashes = wanted(h)
	}
	m := &Message{Header: h, Body: NewDigests(hashes)}
	var w io.Writer = m.Body
	if !hr.crlf {
		w = &lineWriter{w: m.Body}
	}
	if _, err := hr.r.WriteTo(w); err != nil {
		return nil, err
	}
	return m, m.Body.Close()
}

var oneCR = []byte("\r")

// lineWriter writes every line end to w as CRLF.
type lineWriter struct {
	w  io.Writer
	cr bool // the last octet was a CR
}

func (l *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		isCRLF := i > 0 && p[i-1] == '\r' || i == 0 && l.cr
		if _, err := l.w.Write(p[:i]); err != nil {
			return 0, err
		}
		if !isCRLF {
			l.w.Write(oneCR)
		}
		l.w.Write(p[i : i+1])
		p, l.cr = p[i+1:], false
	}
	if len(p) > 0 {
		l.cr = p[len(p)-1] == '\r'
		if _, err := l.w.Write(p); err != nil {
			return 0, err
		}
	}
	return n, nil
}
