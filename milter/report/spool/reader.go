package spool

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"mailseal/milter/report"
)

// Segments returns the names of the segments in a directory that can be read to their end, oldest
// first within each partition: those that are closed, and those whose writer is gone.
func Segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the spool of reports: %w", err)
	}
	var out []string
	for _, e := range entries {
		if !e.Type().IsRegular() || PartitionOf(e.Name()) < 0 {
			continue
		}
		switch {
		case strings.HasSuffix(e.Name(), closeExt):
			out = append(out, e.Name())
		case strings.HasSuffix(e.Name(), openExt) && isAbandoned(filepath.Join(dir, e.Name())):
			out = append(out, e.Name())
		}
	}
	slices.SortFunc(out, func(a, b string) int { // the names of a partition begin with their time
		return cmp.Or(PartitionOf(a)-PartitionOf(b), strings.Compare(a, b))
	})
	return out, nil
}

// isAbandoned reports whether an open segment has lost its writer.
func isAbandoned(path string) bool {
	f, err := open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
}

// Base is the name of a segment whether it is open or closed: what it is remembered by once it was
// taken.
func Base(file string) string {
	return strings.TrimSuffix(strings.TrimSuffix(file, closeExt), openExt)
}

// Ready returns a time on the last UTC day to which no segment of a directory can add rows.
func Ready(dir string, now time.Time) (time.Time, error) {
	last := now.AddDate(0, 0, -1)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return last, nil // nothing is collected on this host
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("the spool of reports: %w", err)
	}
	for _, e := range entries {
		start := StartOf(e.Name())
		if !start.IsZero() && PartitionOf(e.Name()) >= 0 && start.AddDate(0, 0, -1).Before(last) {
			last = start.AddDate(0, 0, -1)
		}
	}
	return last, nil
}

// StartOf is when a segment was begun by its file's name, the zero time where it is not one.
func StartOf(file string) time.Time {
	text, _, _ := strings.Cut(file, "-")
	start, err := time.Parse(startForm, text)
	if err != nil {
		return time.Time{}
	}
	return start
}

func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// Read calls each for every record of a segment. With an ErrCorrupt, the records before the
// damage have been read; an unfinished block at the end is not damage. An error of each
// ends reading, and is returned.
func Read(path string, each func(Record) error) error {
	f, err := open(path)
	if err != nil {
		return fmt.Errorf("the spool of reports: %w", err)
	}
	defer f.Close()
	return read(f, each)
}

func read(from io.Reader, each func(Record) error) error {
	r := bufio.NewReaderSize(from, 64<<10)
	head := make([]byte, len(magic)+8)
	if _, err := io.ReadFull(r, head); err != nil {
		if isCut(err) {
			return nil // its writer died as it began
		}
		return fmt.Errorf("the spool of reports: %w", err)
	}
	if string(head[:len(magic)]) != magic {
		return ErrCorrupt
	}
	base := int64(binary.BigEndian.Uint64(head[len(magic):]))
	d := &decoder{base: base, policies: map[string]*report.Policy{}}
	for {
		payload, err := block(r)
		switch {
		case isCut(err):
			return nil
		case err != nil:
			return err
		}
		d.rest = payload
		for len(d.rest) > 0 {
			rec := d.record()
			if d.err != nil {
				return d.err
			}
			if err := each(rec); err != nil {
				return err
			}
		}
	}
}

func isCut(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func block(r io.Reader) ([]byte, error) {
	var head [blockHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:4])
	if size == 0 || size > maxBlock {
		return nil, ErrCorrupt
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, err
	}
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, ErrCorrupt
	}
	return payload, nil
}
