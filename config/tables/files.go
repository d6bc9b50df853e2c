package tables

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mailseal/keys/files"
)

// The bounds on what is read: tables of a million lines fit, a device that never ends does not.
const (
	maxFile  = 256 << 20
	maxFiles = 100
)

// Reader reads files, each bounded, below a directory.
type Reader struct {
	// put before every file name: another host's files, in a directory; "" for this host's
	Root string

	count int
}

// Read returns the text of a file. The error names the file.
func (r *Reader) Read(name string) (string, error) {
	if r.count++; r.count > maxFiles {
		return "", fmt.Errorf("more than %d files", maxFiles)
	}
	b, err := files.Read(filepath.Join(r.Root, name), maxFile)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return "", fmt.Errorf("%s: %w", name, err)
	}
	text := string(b)
	if i := strings.IndexByte(text, 0); i >= 0 {
		return "", fmt.Errorf("%s: a NUL byte: the file is not text",
			Place{name, 1 + strings.Count(text[:i], "\n")})
	}
	return text, nil
}

// Glob returns the files that a pattern of names finds, without Root.
func (r *Reader) Glob(pattern string) []string {
	found, err := filepath.Glob(filepath.Join(r.Root, pattern))
	if err != nil {
		return nil
	}
	for i, name := range found {
		if r.Root != "" {
			found[i] = strings.TrimPrefix(name, filepath.Clean(r.Root))
		}
	}
	return found
}

// Place is a line of a file.
type Place struct {
	File string
	Line int // 1-based; 0 for the file as a whole
}

// String writes "file:12".
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}
