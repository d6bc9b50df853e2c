// Package files reads the files that an operator names. Reading ends whatever is at a path: in the
// daemon only regular files are read, each up to a limit and within a deadline. A pipe without a
// writer, a device without an end and a network file system without a server would hold up a
// reload, or mail, for ever.
//
// It also identifies the state of a file, so that cached content, or an open file, can be compared
// with the file that is at its path now.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// What is wrong with a path, beside the errors of package os. All of them come in an *fs.PathError.
var (
	ErrSpecial = errors.New("not a regular file")
	ErrLarge   = errors.New("the file is too large")
	ErrSlow    = errors.New("the file cannot be read within 10 seconds")
)

const (
	// deadline is how long looking at a file or reading it may take. A local disk takes
	// milliseconds, even under load.
	deadline = 10 * time.Second

	// atOnce bounds the calls that are in progress. One that hangs keeps a thread of the process
	// until the kernel gives it back; when all are taken, further calls wait, and fail at their
	// deadline.
	atOnce = 64
)

// Read returns the content of a regular file of at most limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	text, _, err := ReadStamped(path, limit)
	return text, err
}

// ReadStamped is Read that returns the state of the file as well, as it was before it was read: a
// change meanwhile makes another state.
func ReadStamped(path string, limit int64) ([]byte, Stamp, error) {
	got, err := timely(standard, "read", path,
		func() (content, error) { return read(path, limit, false) })
	return got.text, got.stamp, err
}

// ReadBelow is Read for a path that others name: it is relative to dir, and neither ".." nor a
// symbolic link leads out of that.
func ReadBelow(dir, path string, limit int64) ([]byte, error) {
	whole := filepath.Join(dir, path)
	return timely(standard, "read", whole, func() ([]byte, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		info, err := root.Stat(path)
		switch {
		case err != nil:
			return nil, err
		case info.IsDir():
			return nil, &fs.PathError{Op: "read", Path: whole, Err: errDirectory}
		case !info.Mode().IsRegular():
			return nil, &fs.PathError{Op: "read", Path: whole, Err: ErrSpecial}
		}
		f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return ReadAll(f, whole, limit)
	})
}

// ReadAny is Read for commands: it reads pipes and devices as well, such as the /dev/fd/63 that a
// shell makes of <(…).
func ReadAny(path string, limit int64) ([]byte, error) {
	got, err := timely(standard, "read", path,
		func() (content, error) { return read(path, limit, true) })
	return got.text, err
}

// ReadAll reads what comes from r, at most limit bytes. It has no deadline: r may be a terminal.
// Name is for errors.
func ReadAll(r io.Reader, name string, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: tooLarge(limit)}
	}
	return text, err
}

// Do runs what may read a file by other means than this package's, within the deadline. Path is for
// errors.
func Do(path string, do func() error) error {
	_, err := timely(standard, "read", path, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// Look returns the state of the file at a path, symbolic links followed. It is an error if that is
// not a regular file.
func Look(path string) (Stamp, error) {
	return timely(standard, "stat", path, func() (Stamp, error) { return look(path) })
}

// content is what was read.
type content struct {
	text  []byte
	stamp Stamp
}

func read(path string, limit int64, isAny bool) (content, error) {
	flags := os.O_RDONLY
	if !isAny {
		// Opening some devices has effects, and opening a pipe waits for a writer. O_NONBLOCK is
		// for a pipe that takes the file's place in between.
		if _, err := look(path); err != nil {
			return content{}, err
		}
		flags |= unix.O_NONBLOCK
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return content{}, err
	}
	defer f.Close()
	out := content{}
	if !isAny {
		if out.stamp, err = stampOf(f); err != nil {
			return content{}, err
		}
	}
	if out.text, err = ReadAll(f, path, limit); err != nil {
		return content{}, err
	}
	return out, nil
}

func tooLarge(limit int64) error {
	return fmt.Errorf("%w: at most %d bytes are read", ErrLarge, limit)
}

// reader bounds the calls that are in progress.
type reader struct {
	places   chan struct{}
	deadline time.Duration
}

var standard = &reader{places: make(chan struct{}, atOnce), deadline: deadline}

// timely returns what do returns, or ErrSlow at the deadline. What do is doing then goes on until
// the kernel returns.
func timely[T any](r *reader, op, path string, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	slow := &fs.PathError{Op: op, Path: path, Err: ErrSlow}
	limit := time.NewTimer(r.deadline)
	defer limit.Stop()
	select {
	case r.places <- struct{}{}:
	case <-limit.C:
		return none, slow
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-r.places }()
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case got := <-done:
		return got.value, got.err
	case <-limit.C:
		return none, slow
	}
}
