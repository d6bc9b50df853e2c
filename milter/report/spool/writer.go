package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mailseal/milter/report"
)

// maxWaiting is how many records may wait until the next write, which comes every WriteEvery. Mail
// of strangers fills it; when it is full, a row is dropped and counted, and the message goes on.
const maxWaiting = 8192

// Writer keeps evaluations in segments below a directory. Its Record and Wrote never wait.
type Writer struct {
	dir  string
	most int64 // bytes that the directory may hold
	log  *slog.Logger
	now  func() time.Time

	mu      sync.Mutex
	waiting records // for the next write: to wake a goroutine for each would cost more than it does
	taken   records // of the last one, empty: memory for the next

	recorded, dropped, written atomic.Int64

	// Of the goroutine of Run alone:
	parts  [Partitions]*segment
	start  time.Time // of the interval of parts
	full   bool      // the directory holds too much
	failed bool      // the last write failed, and that is logged

	syncs     chan failures // those that could not be written to the disk
	isSyncing bool          // syncs will have an answer
	closing   []*segment    // complete, and not on the disk yet
}

// maxClosing is how many segments may wait for the disk to be closed: two intervals of a disk that
// does not answer. Beyond, they are closed as they are.
const maxClosing = 2 * Partitions

// records are some that wait. Evaluations are values, since there is one for each message.
type records struct {
	evaluations []report.Evaluation
	others      []Record
}

func (r *records) isFull() bool { return len(r.evaluations)+len(r.others) >= maxWaiting }

// segment is a file that is being written.
type segment struct {
	file  *os.File
	enc   *encoder
	dirty bool  // not on the disk yet
	err   error // of writing it there
}

// NewWriter returns a writer for a directory, which need not be there yet, and that may hold so
// many bytes.
func NewWriter(dir string, most int64, log *slog.Logger, now func() time.Time) *Writer {
	return &Writer{dir: dir, most: most, log: log, now: now, syncs: make(chan failures, 1)}
}

// Record takes an evaluation. Where the disk does not keep up, it drops and counts it.
func (w *Writer) Record(e report.Evaluation) {
	w.mu.Lock()
	isFull := w.waiting.isFull()
	if !isFull {
		w.waiting.evaluations = append(w.waiting.evaluations, e)
	}
	w.mu.Unlock()
	w.count(isFull)
}

// Wrote takes a domain that one of our users wrote to.
func (w *Writer) Wrote(domain string) { w.put(Record{Wrote: domain, Time: w.now()}) }

// Sent takes a message of ours.
func (w *Writer) Sent(s report.Sent) { w.put(Record{Sent: &s, Time: s.Time}) }

// Failed takes a message that failed, for a failure report.
func (w *Writer) Failed(f report.Failing) { w.put(Record{Failing: &f, Time: f.Evaluation.Time}) }

func (w *Writer) put(r Record) {
	w.mu.Lock()
	isFull := w.waiting.isFull()
	if !isFull {
		w.waiting.others = append(w.waiting.others, r)
	}
	w.mu.Unlock()
	w.count(isFull)
}

func (w *Writer) count(isDropped bool) {
	if isDropped {
		w.dropped.Add(1)
		return
	}
	w.recorded.Add(1)
}

// Waiting is how many records wait for the next write.
func (w *Writer) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting.evaluations) + len(w.waiting.others)
}

// Counts are those of a Writer since its start.
type Counts struct {
	Recorded int64 // records that were taken
	Dropped  int64 // records that were not, or could not be written
	Bytes    int64 // that were written
}

// Counts returns how much was kept.
func (w *Writer) Counts() Counts {
	return Counts{Recorded: w.recorded.Load(), Dropped: w.dropped.Load(), Bytes: w.written.Load()}
}

// Run writes until ctx ends, and then closes the segments.
func (w *Writer) Run(ctx context.Context) {
	tick := time.NewTicker(WriteEvery)
	defer tick.Stop()
	synced := time.Now()
	defer w.end()
	for {
		select {
		case at := <-tick.C:
			w.takeAll()
			w.flushAll()
			if !w.isSyncing && at.Sub(synced) > SyncEvery-WriteEvery/2 {
				w.startSync()
				synced = at
			}
			if !w.start.IsZero() && w.isOver() {
				w.close()
			}
		case failed := <-w.syncs:
			w.endSync(failed)
		case <-ctx.Done():
			w.takeAll()
			return
		}
	}
}

// takeAll encodes the records that wait.
func (w *Writer) takeAll() {
	w.mu.Lock()
	list := w.waiting
	w.waiting = w.taken
	w.mu.Unlock()
	for i := range list.evaluations {
		w.take(Record{Evaluation: &list.evaluations[i]})
	}
	for _, r := range list.others {
		w.take(r)
	}
	clear(list.evaluations) // they are written: let go of what they point to
	clear(list.others)
	w.taken = records{list.evaluations[:0], list.others[:0]}
}

func (w *Writer) isOver() bool {
	age := w.now().Sub(w.start)
	return age >= Interval || age < 0
}

// take encodes a record into the segment of its partition.
func (w *Writer) take(r Record) {
	if w.start.IsZero() || w.isOver() {
		w.close()
		w.start = w.now().Truncate(Interval)
		w.full = w.isFull()
	}
	domain := r.domain()
	s := w.segment(Partition(domain))
	if s == nil {
		w.dropped.Add(1)
		return
	}
	switch {
	case r.Evaluation != nil:
		s.enc.evaluation(r.Evaluation)
	case r.Failing != nil:
		s.enc.failed(*r.Failing)
	case r.Sent != nil:
		s.enc.sent(r.Sent)
	default:
		s.enc.wrote(r.Wrote, r.Time)
	}
	if len(s.enc.buf) >= flushAt {
		w.flush(Partition(domain))
	}
}

// domain is whose partition a record belongs to.
func (r Record) domain() string {
	switch {
	case r.Evaluation != nil:
		return r.Evaluation.Policy.Domain
	case r.Failing != nil:
		return r.Failing.Evaluation.Policy.Domain
	case r.Sent != nil:
		return r.Sent.Domain
	}
	return r.Wrote
}

// segment returns the one of a partition, nil where none can be written.
func (w *Writer) segment(partition int) *segment {
	if s := w.parts[partition]; s != nil {
		return s
	}
	if w.full {
		return nil
	}
	path := filepath.Join(w.dir, name(w.start, partition, rand.Uint64())+openExt)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND|syscall.O_NOFOLLOW,
		0o640)
	if err != nil {
		w.complain(err)
		return nil
	}
	// Whatever the umask, the reader's group reads it.
	if err := f.Chmod(0o640); err != nil {
		w.complain(err)
	}
	// The reader takes a segment for abandoned when this lock is free.
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	head := binary.BigEndian.AppendUint64([]byte(magic), uint64(w.start.Unix()))
	if _, err := f.Write(head); err != nil {
		w.complain(err)
		_ = f.Close() // the error of writing counts
		return nil
	}
	w.written.Add(int64(len(head)))
	w.parts[partition] = &segment{file: f, enc: newEncoder(w.start)}
	return w.parts[partition]
}

// flush writes the block of a partition. After an error the segment is given up: what follows a
// torn block cannot be read.
func (w *Writer) flush(partition int) {
	s := w.parts[partition]
	if s == nil || len(s.enc.buf) == 0 {
		return
	}
	block := appendBlock(nil, s.enc.buf)
	s.enc.buf = s.enc.buf[:0]
	if _, err := s.file.Write(block); err != nil {
		w.complain(err)
		w.closeOne(partition)
		return
	}
	w.written.Add(int64(len(block)))
	s.dirty, w.failed = true, false
}

// flushAll writes the blocks of all partitions.
func (w *Writer) flushAll() {
	for i := range w.parts {
		w.flush(i)
	}
}

// isFull reports whether the directory holds as much as it may. The process that makes reports
// empties it; if it is not running, the rest of the disk is needed for mail.
func (w *Writer) isFull() bool {
	size, err := Size(w.dir)
	if err != nil {
		w.complain(err)
		return false
	}
	if size < w.most {
		return false
	}
	w.log.Error("rows of DMARC reports are dropped: the spool is full; start "+
		"mailseal-reports.service, which empties it",
		"directory", w.dir, "bytes", size, "most", w.most)
	return true
}

// complain logs the first of several errors in a row.
func (w *Writer) complain(err error) {
	if w.failed {
		return
	}
	w.failed = true
	hint := ""
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		hint = fmt.Sprintf("; create it with: install -d -o mailseal-reports -g mailseal-reports "+
			"-m 2770 %s", w.dir)
	}
	w.log.Error("rows of DMARC reports are dropped: the spool cannot be written"+hint, "error", err)
}

// Size is how many bytes the segments in a directory have.
func Size(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // it may be gone by now
			sum += info.Size()
		}
	}
	return sum, nil
}
