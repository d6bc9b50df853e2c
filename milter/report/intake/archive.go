package intake

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"mailseal/milter/report"
)

// archive looks at each entry of a zip file. What is before the first entry does not matter.
func (w *walker) archive(at []string, data []byte, layers, nesting int) error {
	if end := endOfZip(data); end < len(data) { // zip files that were joined
		if err := w.budget.part(); err != nil {
			return err
		}
		if err := w.archive(at, data[:end], layers, nesting); err != nil {
			return err
		}
		return w.look(at, data[end:], layers, nesting, true)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return w.salvage(at, data, layers, nesting)
	}
	z.RegisterDecompressor(methodBzip2, func(in io.Reader) io.ReadCloser {
		return io.NopCloser(bzip2.NewReader(in))
	})
	for _, f := range z.File {
		inside := append(slices.Clone(at), shown(f.Name))
		if isAdded(f.Name, f.FileInfo().IsDir()) {
			continue
		}
		if err := w.budget.part(); err != nil {
			return err
		}
		if err := w.entry(inside, f, layers, nesting); err != nil {
			w.fail(inside, err)
			if errors.Is(err, report.ErrHostile) {
				return nil
			}
		}
	}
	return nil
}

// endOfZip returns where the first zip file in data ends, if another one follows; else the length
// of data.
func endOfZip(data []byte) int {
	const trailer = 22 // bytes of the end of a zip file, without its comment
	for from, tries := 0, 0; tries < maxParts; {
		i := bytes.Index(data[from:], []byte("PK\x05\x06"))
		if i < 0 || len(data)-from-i < trailer {
			return len(data)
		}
		i += from
		h := data[i:]
		// A zip file that is stored within another one has its directory elsewhere.
		isOuter := uint64(binary.LittleEndian.Uint32(h[12:]))+
			uint64(binary.LittleEndian.Uint32(h[16:])) == uint64(i)
		end := i + trailer + int(binary.LittleEndian.Uint16(h[20:]))
		if isOuter && end < len(data) {
			if tries++; beginsFile(data[end:]) {
				return end
			}
		}
		from = i + 1
	}
	return len(data)
}

// beginsFile reports whether an archive or a report begins here that was joined to an archive.
func beginsFile(data []byte) bool {
	return isArchive(beginning(data)) || kindOf(data) != ""
}

// isAdded reports whether an entry of an archive is one that file managers add.
func isAdded(name string, isDir bool) bool {
	return isDir || strings.Contains(name, "__MACOSX/") || strings.HasPrefix(path.Base(name), ".")
}

// Methods of compression of zip files beside the one that all programs know.
const methodBzip2 = 12

// methods are those that are not read.
var methods = map[uint16]string{
	6: "implode", 9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd", 99: "AES",
}

var errEncrypted = errors.New("the zip file is encrypted, which reports should not be: unpack it " +
	"and import the report in it, or ask the sender for one without a password")

// canRead returns why an entry of a zip file cannot be unpacked.
func canRead(flags, method uint16) error {
	if flags&1 != 0 {
		return errEncrypted
	}
	switch method {
	case zip.Store, zip.Deflate, methodBzip2:
		return nil
	}
	name := methods[method]
	if name == "" {
		name = fmt.Sprint("method ", method)
	}
	return fmt.Errorf("the zip file is compressed with %s, which is not supported: unpack it "+
		"with 7z x, and import the files in it", name)
}

// entry looks at one entry. One with a report in it is unpacked when it is read.
func (w *walker) entry(at []string, f *zip.File, layers, nesting int) error {
	if err := canRead(f.Flags, f.Method); err != nil {
		return err
	}
	inner, err := w.packed(at, func(note func(string)) (io.Reader, error) {
		in, err := f.Open()
		return forgiving{in, "zip", note}, err
	})
	if err != nil || inner == nil {
		return err
	}
	return w.look(at, inner, layers+1, nesting, true)
}

// forgiving ends damaged data instead of returning an error. How much is there shows in the
// report.
type forgiving struct {
	in   io.Reader
	kind string
	note func(string)
}

func (f forgiving) Read(p []byte) (int, error) {
	n, err := f.in.Read(p)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case errors.Is(err, zip.ErrChecksum), errors.Is(err, zlib.ErrChecksum):
		f.note("the checksum in the " + f.kind + " file is wrong")
	default:
		f.note("the " + f.kind + " file is damaged or truncated")
	}
	return n, io.EOF
}

// salvage looks at the entries of a zip file without the directory at its end: it was cut off.
func (w *walker) salvage(at []string, data []byte, layers, nesting int) error {
	const header = 30 // bytes of what is before an entry, without name and extra field
	isFirst := true
	for {
		i := bytes.Index(data, []byte("PK\x03\x04"))
		if i < 0 || len(data)-i < header {
			if isFirst {
				return errors.New("the zip file is damaged or truncated: nothing of it can be " +
					"read; ask the sender for it again")
			}
			return nil
		}
		h := data[i : i+header]
		name, extra := int(binary.LittleEndian.Uint16(h[26:])),
			int(binary.LittleEndian.Uint16(h[28:]))
		begin := min(i+header+name+extra, len(data))
		title := string(data[i+header : min(i+header+name, len(data))])
		isFirst = false
		if !isAdded(title, strings.HasSuffix(title, "/")) {
			if err := w.budget.part(); err != nil {
				return err
			}
			flags, method := binary.LittleEndian.Uint16(h[6:]), binary.LittleEndian.Uint16(h[8:])
			inside := append(slices.Clone(at), shown(title))
			if err := w.remains(inside, flags, method, data[begin:], layers, nesting); err != nil {
				w.fail(inside, err)
				if errors.Is(err, report.ErrHostile) {
					return nil
				}
			}
		}
		data = data[min(begin+int(binary.LittleEndian.Uint32(h[18:])), len(data)):]
	}
}

// remains looks at an entry of a zip file that was cut off.
func (w *walker) remains(at []string, flags, method uint16, data []byte, layers,
	nesting int) error {
	if err := canRead(flags, method); err != nil {
		return err
	}
	inner, err := w.packed(at, func(note func(string)) (io.Reader, error) {
		var in io.Reader = bytes.NewReader(data)
		switch method {
		case zip.Deflate:
			in = flate.NewReader(in)
		case methodBzip2:
			in = bzip2.NewReader(in)
		}
		note("the zip file is damaged or truncated")
		return forgiving{in, "zip", note}, nil
	})
	if err != nil || inner == nil {
		return err
	}
	return w.look(at, inner, layers+1, nesting, true)
}

func isTar(data []byte) bool { return len(data) > 262 && string(data[257:262]) == "ustar" }

// tar looks at each file of a tar file.
func (w *walker) tar(at []string, data []byte, layers, nesting int) error {
	all := bytes.NewReader(data)
	in := tar.NewReader(all)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			rest := bytes.TrimLeft(data[len(data)-all.Len():], "\x00")
			if !beginsFile(rest) {
				return nil
			}
			if err := w.budget.part(); err != nil {
				return err
			}
			return w.look(at, rest, layers, nesting, true)
		}
		if err != nil {
			return fmt.Errorf("the tar file is damaged or truncated: %w", err)
		}
		if h.Typeflag != tar.TypeReg || isAdded(h.Name, false) {
			continue
		}
		if err := w.budget.part(); err != nil {
			return err
		}
		if h.Size > int64(len(data)) {
			return hostile("a file in the tar file claims to be larger than the tar file")
		}
		inside := append(slices.Clone(at), shown(h.Name))
		inner, err := io.ReadAll(&limited{in: in, budget: w.budget, left: maxReport})
		if err == nil || len(inner) > 0 { // a file that is cut off is read as far as it goes
			err = w.look(inside, inner, layers+1, nesting, true)
		}
		if errors.Is(err, report.ErrHostile) {
			return err
		}
		if err != nil {
			w.fail(inside, err)
		}
	}
}

// isZlib reports whether data are compressed as the inside of gzip is, with a header of two bytes.
func isZlib(data []byte) bool {
	if len(data) < 8 || data[0] != 0x78 {
		return false
	}
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return false
	}
	n, _ := z.Read(make([]byte, 16))
	return n > 0
}

// compressed looks into a file that was compressed with bzip2 or zlib.
func (w *walker) compressed(at []string, data []byte, layers, nesting int) error {
	inner, err := w.packed(at, func(note func(string)) (io.Reader, error) {
		if data[0] == 'B' {
			return forgiving{bzip2.NewReader(bytes.NewReader(data)), "bzip2", note}, nil
		}
		z, err := zlib.NewReader(bytes.NewReader(data))
		return forgiving{z, "zlib", note}, err
	})
	if err != nil || inner == nil {
		return err
	}
	return w.look(at, inner, layers+1, nesting, true)
}
