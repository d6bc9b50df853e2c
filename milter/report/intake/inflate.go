package intake

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// inflater reads gzip as reporters send it: several members, junk or zeros behind the last one, a
// checksum that is wrong or cut off. Whether the report is complete is seen in the report.
type inflater struct {
	data []byte
	in   *bytes.Reader
	from int // where in data the member begins
	zip  *gzip.Reader
	note func(string)
	done bool
	tail bool // what is left is a report that is not compressed
	left int  // places at which another member is looked for behind damage
}

// maxResumes bounds the places at which a member is looked for behind one that is damaged.
const maxResumes = 100

func newInflater(data []byte, note func(string)) (*inflater, error) {
	in := bytes.NewReader(data)
	zip, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("not readable as gzip: %w", err)
	}
	zip.Multistream(false)
	return &inflater{data: data, in: in, zip: zip, note: note, left: maxResumes}, nil
}

func (z *inflater) Read(p []byte) (int, error) {
	if z.done {
		return 0, io.EOF
	}
	if z.tail {
		return z.in.Read(p)
	}
	n, err := z.zip.Read(p)
	var corrupt flate.CorruptInputError
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		return n, z.member()
	case errors.Is(err, gzip.ErrChecksum):
		z.note("the checksum of the gzip file is wrong")
		return n, z.member()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &corrupt):
		z.note("the gzip file is damaged or truncated")
		return n, z.resume()
	}
	return n, err
}

// member begins the next member, if there is one.
func (z *inflater) member() error {
	rest := z.in.Len()
	if rest == 0 {
		z.done = true
		return io.EOF
	}
	z.from = len(z.data) - rest
	if err := z.zip.Reset(z.in); err != nil {
		if kindOf(z.data[z.from:]) != "" {
			_, err := z.in.Seek(int64(z.from), io.SeekStart)
			z.tail = true
			return err
		}
		z.note(fmt.Sprintf("%d bytes after the gzip data were ignored", rest))
		return z.resume()
	}
	z.zip.Multistream(false)
	return nil
}

// resume begins the member behind what is damaged, if one follows that begins a report.
func (z *inflater) resume() error {
	for at := z.from + 1; ; at++ {
		k := bytes.Index(z.data[at:], []byte("\x1f\x8b\x08"))
		if z.left--; k < 0 || z.left < 0 {
			z.done = true
			return io.EOF
		}
		at += k
		if !beginsReport(z.data[at:]) {
			continue
		}
		z.in.Seek(int64(at), io.SeekStart)
		z.from = at
		if err := z.zip.Reset(z.in); err != nil {
			return err
		}
		z.zip.Multistream(false)
		return nil
	}
}

// beginsReport reports whether a member holds the beginning of a report.
func beginsReport(data []byte) bool {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return false
	}
	head := make([]byte, sniffed)
	n, _ := io.ReadFull(zip, head)
	return kindOf(head[:n]) != ""
}
