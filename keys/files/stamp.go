package files

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Stamp identifies one state of a file. Two equal stamps belong to the same file with the
// same content: the inode's change time (ctime), unlike the modification time, cannot be
// set back as "cp -p" does with the latter.
type Stamp struct {
	ID
	Size     int64
	Modified int64 // of the content, in nanoseconds since 1970
	// of content, owner, mode or name; 0 where it is too recent to tell the next change from
	Changed int64
}

// ID identifies a file, whatever its path, as long as the file is open or has a name.
type ID struct{ Device, Inode uint64 }

// errDirectory is the most common mistake among those of ErrSpecial.
var errDirectory = fmt.Errorf("it is a directory, %w", ErrSpecial)

// settled is how old a change must be for the next one to get another time: file systems count in
// ticks of the kernel, of up to 10 ms.
const settled = 100 * time.Millisecond

func look(path string) (Stamp, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	for err == unix.EINTR {
		err = unix.Stat(path, &st)
	}
	return stamp("stat", path, &st, err)
}

func stampOf(f *os.File) (Stamp, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return stamp("stat", f.Name(), &st, err)
}

func stamp(op, path string, st *unix.Stat_t, err error) (Stamp, error) {
	switch kind := st.Mode & unix.S_IFMT; {
	case err != nil || kind == unix.S_IFREG:
	case kind == unix.S_IFDIR:
		err = errDirectory
	default:
		err = ErrSpecial
	}
	if err != nil {
		return Stamp{}, &fs.PathError{Op: op, Path: path, Err: err}
	}
	out := Stamp{
		ID:       ID{Device: uint64(st.Dev), Inode: uint64(st.Ino)},
		Size:     st.Size,
		Modified: unix.TimespecToNsec(st.Mtim),
		Changed:  unix.TimespecToNsec(st.Ctim),
	}
	if age := time.Since(time.Unix(0, out.Changed)); age >= 0 && age < settled {
		out.Changed = 0
	}
	return out, nil
}
