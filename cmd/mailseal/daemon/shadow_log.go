package daemon

import (
	"io"
	"os"
	"sync"
)

// logFile is where lines go: a file that can be opened again, or standard output. Lines and tables
// come from two goroutines.
type logFile struct {
	path string // "" for standard output

	mu    sync.Mutex
	w     io.Writer
	file  *os.File // w, if it is a file
	isCut bool     // the last line was not written to its end
}

// reopen opens the file that has the name now, as after a rotation. With an error the old one
// stays.
func (l *logFile) reopen() error {
	if l.path == "" {
		return nil
	}
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close() // every line has been written; nil the first time
	l.w, l.file = file, file
	return nil
}

// Write writes a line. After one that was cut off, as by a full disk, it begins a new one.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		if _, err := l.w.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
	}
	n, err := l.w.Write(p)
	l.isCut = 0 < n && n < len(p)
	return n, err
}

// Close implements io.Closer.
func (l *logFile) Close() error { return l.file.Close() }
