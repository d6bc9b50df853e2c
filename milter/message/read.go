package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrHeaderTooLarge says that a header is larger than its limit.
var ErrHeaderTooLarge = errors.New("message: header too large")

// ReadHeader reads the fields of a message and the empty line after them, with CRLF or LF as line ends, and leaves r
// at the body. The end of the input ends the header, too. A first line "From " (mbox) is skipped. Like Postfix it ends
// the header at a line that is no field and continues none, and leaves that line to the body. Limit counts as
// NewCollector's does; the error wraps ErrHeaderTooLarge or is r's.
func ReadHeader(r *bufio.Reader, limit int) (Header, error) {
	h, _, err := readHeader(r, limit)
	return h, err
}

func readHeader(r *bufio.Reader, limit int) (Header, bool, error) {
	hr := headerReader{r: r, limit: limit}
	h, err := hr.read()
	return h, hr.crlf, err
}

type headerReader struct {
	r     *bufio.Reader
	limit int
	crlf  bool // a line ended in CRLF
}

func (hr *headerReader) read() (Header, error) {
	if p, _ := hr.r.Peek(5); string(p) == "From " {
		if err := hr.line(nil); err != nil {
			return nil, err
		}
	}
	var h Header
	for {
		name, colon, err := hr.peekName()
		if err != nil || name < 0 {
			return h, err
		}
		if name == 0 {
			return h, hr.line(nil)
		}
		var raw []byte
		for more := true; more; more = hr.continues() {
			if err := hr.line(&raw); err != nil {
				return nil, err
			}
		}
		raw = bytes.TrimSuffix(raw, []byte(crlf))
		hr.limit -= fieldCost
		h = append(h, Field{raw: raw, name: int32(name), colon: int32(colon)})
	}
}

func (hr *headerReader) continues() bool {
	p, _ := hr.r.Peek(1)
	return len(p) == 1 && isWSP(p[0])
}

// peekName: 0 for the empty line, -1 for no field or the end.
func (hr *headerReader) peekName() (name, colon int, err error) {
	for n := 128; ; n *= 2 {
		p, err := hr.r.Peek(n)
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return 0, 0, err
		}
		if len(p) > 0 && p[0] == '\n' || isCRLF(p) {
			return 0, 0, nil
		}
		if l := nameLen(p); l > 0 {
			return l, bytes.IndexByte(p, ':'), nil
		}
		if err != nil || bytes.IndexByte(p, '\n') >= 0 {
			return -1, 0, nil
		}
	}
}

// line appends the next line to dst with CRLF as its end, or skips it when dst is nil.
func (hr *headerReader) line(dst *[]byte) error {
	for {
		p, err := hr.r.ReadSlice('\n')
		if hr.limit -= len(p); hr.limit < 0 {
			return fmt.Errorf("%w", ErrHeaderTooLarge)
		}
		if bytes.HasSuffix(p, []byte(crlf)) {
			hr.crlf = true
		}
		if dst != nil {
			*dst = appendLines(*dst, p)
		}
		if err == nil || err == io.EOF {
			return nil
		}
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

// Read reads a whole message: its header as ReadHeader does, its body into the digests that wanted names for the
// header.
func Read(r io.Reader, limit int, wanted func(Header) []BodyHash) (*Message, error) {
	br := bufio.NewReader(r)
	h, isCRLF, err := readHeader(br, limit)
	if err != nil {
		return nil, err
	}
	m := &Message{Header: h, Body: NewDigests(wanted(h))}
	if isCRLF {
		_, err = io.Copy(m.Body, br)
	} else {
		err = copyLines(m.Body, br)
	}
	if err != nil {
		return nil, err
	}
	return m, m.Body.Close()
}

func copyLines(w io.Writer, r *bufio.Reader) error {
	var buf []byte
	for {
		p, err := r.ReadSlice('\n')
		buf = appendLines(buf[:0], p)
		w.Write(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
}
