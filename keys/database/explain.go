package database

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"

	"mailseal/keys/files"
)

// What SQLite answers to reads when the file itself is the trouble (sqlite.org/rescode.html).
const (
	ioError  = 10 // of a directory, among others
	cantOpen = 14 // SQLite itself says "out of memory"
	// the next two: a database in WAL mode, in a directory that we may not write to
	readOnlyCantInit  = 1288
	readOnlyDirectory = 1544
)

// Explain returns the error with a text that says what is wrong with the file of SQLite, or with
// the connection to a server, where the driver does not. In the latter case it wraps ErrConnect.
func Explain(d Driver, dsn string, err error) error {
	if d != SQLite {
		return explainServer(d, dsn, err)
	}
	path := sqlitePath(dsn)
	if special, ok := errors.AsType[*fs.PathError](err); ok {
		return &failure{whyNot(path, special), err}
	}
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return err
	}
	switch lite.Code() {
	case readOnlyCantInit, readOnlyDirectory:
		return &failure{path + ": a database in WAL mode needs a directory that its readers may " +
			"write to; PRAGMA journal_mode = DELETE ends that mode", err}
	case ioError, cantOpen:
		if cause := whyNot(path, nil); cause != "" {
			return &failure{cause, err}
		}
	}
	return err
}

// whyNot returns the reason why a file cannot be read: the known error, or the one that
// examining the file shows. It returns "" if the file can be read.
func whyNot(path string, known error) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("the file %s does not exist; make it with: sqlite3 %s < "+
			"/usr/share/mailseal/sql/sqlite.sql (or below /usr/local)", path, files.Quote(path))
	case err != nil:
		return err.Error()
	}
	if info.IsDir() {
		return path + " is a directory, not the file of a database"
	}
	if known != nil {
		return known.Error()
	}
	if err := unix.Access(path, unix.R_OK); err != nil {
		return (&fs.PathError{Op: "open", Path: path, Err: err}).Error()
	}
	return ""
}

// sqlitePath is the file's name in a DSN.
func sqlitePath(dsn string) string {
	rest, isURI := strings.CutPrefix(dsn, "file:")
	if !isURI {
		return dsn
	}
	rest, _, _ = strings.Cut(rest, "?")
	if path, err := url.PathUnescape(rest); err == nil {
		return path
	}
	return rest
}
