package spool

import (
	"errors"
	"os"
	"slices"
	"time"
)

// startSync has the kernel write to the disk what it was given, and does not wait for it: on a busy
// disk that takes longer than a daemon that dies may lose.
func (w *Writer) startSync() {
	var list []*segment
	for _, s := range w.parts {
		if s != nil && s.dirty {
			s.dirty = false
			list = append(list, s)
		}
	}
	complete := w.closing
	w.closing = nil
	list = append(list, complete...)
	if len(list) == 0 {
		return
	}
	w.isSyncing = true
	go func() {
		var failed failures
		for _, s := range list {
			err := s.file.Sync()
			if err != nil && !errors.Is(err, os.ErrClosed) { // close has written it itself
				s.err = err
				failed = append(failed, s)
			}
		}
		for _, s := range complete {
			_ = s.file.Close() // the error of writing it to the disk counts
		}
		w.syncs <- failed
	}()
}

// failures are segments that could not be written to the disk.
type failures []*segment

// endSync gives up the segments that could not be written to the disk.
func (w *Writer) endSync(failed failures) {
	w.isSyncing = false
	for _, s := range failed {
		w.complain(s.err)
		if i := slices.Index(w.parts[:], s); i >= 0 {
			w.closeOne(i)
		}
	}
}

// end closes all segments, and waits until they are on the disk.
func (w *Writer) end() {
	w.close()
	for w.isSyncing || len(w.closing) > 0 {
		if w.isSyncing {
			w.endSync(<-w.syncs)
		}
		w.startSync()
	}
}

// close closes all segments, so that the reader takes them. It does not wait for the disk: what is
// judged meanwhile would be lost if the daemon died.
func (w *Writer) close() {
	w.flushAll()
	for i := range w.parts {
		w.closeOne(i)
	}
	w.start = time.Time{}
}

func (w *Writer) closeOne(partition int) {
	s := w.parts[partition]
	if s == nil {
		return
	}
	w.parts[partition] = nil
	path := s.file.Name()
	final := path[:len(path)-len(openExt)] + closeExt
	if err := os.Rename(path, final); err != nil {
		w.complain(err)
	}
	if len(w.closing) >= maxClosing {
		_ = s.file.Close() // the kernel writes it to the disk when it can
		return
	}
	w.closing = append(w.closing, s)
}
