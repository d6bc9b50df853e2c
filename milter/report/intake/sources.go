package intake

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// File is a mail or a file with reports.
type File struct {
	Name string // of the file; for a mailbox, with the number of the mail
	Data []byte
	Err  error // why it cannot be read; Data is nil then
}

// ErrTooLarge reports a mail or file above MaxMessage.
var ErrTooLarge = fmt.Errorf("the file is larger than %d MiB, the limit for reports",
	MaxMessage>>20)

// Each reads what the arguments of a command name: files, directories and all below them, Maildirs,
// mailboxes in one file (mbox), and "-" for standard input. It calls visit for each mail and each
// file, one at a time, until visit returns an error, which is returned.
func Each(names []string, stdin io.Reader, visit func(File) error) error {
	for _, name := range names {
		var err error
		if name == "-" {
			err = eachIn("standard input", stdin, visit)
		} else {
			err = eachBelow(name, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Split calls visit for a file that is in memory already, or for each mail of a mailbox.
func Split(name string, data []byte, visit func(File) error) error {
	return eachIn(name, bytes.NewReader(data), visit)
}

// eachBelow walks a directory. In a Maildir only cur and new hold mail that was delivered whole.
func eachBelow(name string, visit func(File) error) error {
	info, err := os.Stat(name)
	if err != nil {
		return visit(File{Name: name, Err: err})
	}
	if !info.IsDir() {
		return eachInFile(name, visit)
	}
	return filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return visit(File{Name: path, Err: err})
		case d.IsDir() && d.Name() == "tmp" && isMaildir(filepath.Dir(path)):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		return eachInFile(path, visit)
	})
}

func isMaildir(dir string) bool {
	for _, sub := range []string{"cur", "new", "tmp"} {
		if info, err := os.Stat(filepath.Join(dir, sub)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

func eachInFile(name string, visit func(File) error) error {
	f, err := os.Open(name)
	if err != nil {
		return visit(File{Name: name, Err: err})
	}
	defer f.Close()
	return eachIn(name, f, visit)
}

// eachIn reads one file, or the mails of one mbox.
func eachIn(name string, in io.Reader, visit func(File) error) error {
	r := bufio.NewReaderSize(in, 64<<10)
	if head, _ := r.Peek(5); bytes.Equal(head, []byte("From ")) {
		return eachMail(name, r, visit)
	}
	if box := packedMailbox(r); box != nil {
		return eachMail(name, bufio.NewReaderSize(box, 64<<10), visit)
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	if err == nil && len(data) > MaxMessage {
		data, err = nil, ErrTooLarge
	}
	return visit(File{Name: name, Data: data, Err: err})
}

// packedMailbox returns an mbox that was compressed with gzip, nil for all others. It can have more
// mails than a mail can hold.
func packedMailbox(r *bufio.Reader) io.Reader {
	head, _ := r.Peek(64 << 10)
	z, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return nil
	}
	start := make([]byte, sniffed)
	n, _ := io.ReadFull(z, start)
	if !isMailbox(start[:n]) {
		return nil
	}
	packed := &counted{in: r}
	if z, err = gzip.NewReader(packed); err != nil {
		return nil
	}
	return &plausible{in: z, packed: packed}
}

// counted counts the bytes that are read.
type counted struct {
	in *bufio.Reader
	n  int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// maxRatio is how much larger an mbox can be than what it was compressed to. What is in it is
// compressed already, most of it.
const maxRatio = 100

// plausible reads an mbox until it grows too much.
type plausible struct {
	in     io.Reader
	packed *counted
	n      int64
}

// Read implements io.Reader.
func (l *plausible) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	if l.n += int64(n); l.n > 8<<20 && l.n > maxRatio*l.packed.n {
		return 0, hostile("the mailbox inflates to more than %d times its size", maxRatio)
	}
	return n, err
}

// startsMail reports whether a line begins a mail of an mbox: it begins with "From ", and a header
// field or an empty line follows. Some programs leave such lines in the text of a mail as they are.
func startsMail(line []byte, r *bufio.Reader) bool {
	if !bytes.HasPrefix(line, []byte("From ")) || line[len(line)-1] != '\n' {
		return false
	}
	next, _ := r.Peek(200)
	return fieldLine.Match(next)
}

// eachMail splits an mbox at the lines that begin a mail and follow an empty line.
func eachMail(name string, r *bufio.Reader, visit func(File) error) error {
	var mail []byte
	n, size, wasEmpty := 0, 0, true
	flush := func() error {
		if size == 0 {
			return nil
		}
		n++
		f := File{Name: fmt.Sprintf("%s, mail %d", name, n), Data: slices.Clone(mail)}
		if size > MaxMessage {
			f.Data, f.Err = nil, ErrTooLarge
		}
		mail, size = mail[:0], 0
		return visit(f)
	}
	isStart := true // of a line
	for {
		part, err := r.ReadSlice('\n') // valid until the next use of r
		if isStart && wasEmpty && bytes.HasPrefix(part, []byte("From ")) {
			part = slices.Clone(part)
		}
		if isStart && wasEmpty && startsMail(part, r) {
			if err := flush(); err != nil {
				return err
			}
		}
		if size += len(part); size <= MaxMessage {
			mail = append(mail, part...)
		}
		switch {
		case err == nil:
			wasEmpty = isStart && len(bytes.TrimRight(part, "\r\n")) == 0
			isStart = true
		case errors.Is(err, bufio.ErrBufferFull):
			isStart, wasEmpty = false, false
		case errors.Is(err, io.EOF):
			return flush()
		default: // what was read of the last mail may hold a report
			if err := flush(); err != nil {
				return err
			}
			return visit(File{Name: name, Err: err})
		}
	}
}
