package milter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// listenUnix makes the socket under another name in the same directory, gives it its owner and mode, and then its name:
// no MTA ever sees one that it may not use, or that others may.
func (l *Listener) listenUnix(ctx context.Context, o ListenOptions) error {
	path := l.address.Target
	owner, err := lookUpOwner(o)
	if err != nil {
		return err
	}
	if l.Warnings, err = checkDirectory(filepath.Dir(path)); err != nil {
		return err
	}
	if err := checkPlace(ctx, path); err != nil {
		return err
	}
	made := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%x", os.Getpid()))
	_ = os.Remove(made) // of a process that had our number and died here
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", made)
	if err != nil {
		return err
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	id, err := placeSocket(made, path, owner, o.Mode)
	if err != nil {
		return errors.Join(err, os.Remove(made), ln.Close())
	}
	l.Listener = ln
	l.release = func() error { return removeIf(path, id) }
	return nil
}

// placeSocket moves a socket to its path and returns what identifies it.
func placeSocket(made, path string, owner owner, mode fs.FileMode) (fs.FileInfo, error) {
	if mode == 0 {
		mode = 0o660
	}
	if err := owner.give(made); err != nil {
		return nil, err
	}
	if err := os.Chmod(made, mode.Perm()); err != nil {
		return nil, err
	}
	id, err := os.Lstat(made)
	if err != nil {
		return nil, err
	}
	return id, os.Rename(made, path)
}

// checkPlace tells why a socket cannot be put at path: somebody serves the one that is there, or it is something else.
func checkPlace(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is not a socket (%v) and is left alone; move it away or choose another path", path, info.Mode())
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	nc, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		nc.Close()
		return fmt.Errorf("%w: another process serves %s", ErrInUse, path)
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist):
		return nil
	}
	// Busy (its backlog is full), or not ours to ask: not known to be stale.
	return fmt.Errorf("%w: a socket is at %s, and whether it is served cannot be told: %w", ErrInUse, path, err)
}

// removeIf removes the socket at path if it is still the one that id describes.
func removeIf(path string, id fs.FileInfo) error {
	now, err := os.Lstat(path)
	if err != nil || !os.SameFile(now, id) {
		return nil // gone, or taken over by our successor
	}
	return os.Remove(path)
}

// checkDirectory returns an error if a socket cannot be made in dir, and warnings of what an MTA will not like about it.
func checkDirectory(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the directory %s does not exist; make it with: install -d -m 0755 %s", dir, dir)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	if info.Mode().Perm()&0o022 == 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("Sendmail refuses a socket in %s, where its group or others may write (mode %04o, sticky or not); Postfix takes it. To mend it: chmod go-w %s",
		dir, info.Mode().Perm(), dir)}, nil
}

// owner is whom a socket is given to; -1 leaves it as it is.
type owner struct {
	uid, gid int
	names    string
}

func lookUpOwner(o ListenOptions) (owner, error) {
	w := owner{uid: -1, gid: -1, names: o.User + ":" + o.Group}
	if o.User != "" {
		u, err := user.Lookup(o.User)
		if err != nil {
			return w, fmt.Errorf("there is no user %q for the socket; create it or leave the setting out: %w", o.User, err)
		}
		if w.uid, err = strconv.Atoi(u.Uid); err != nil {
			return w, err
		}
	}
	if o.Group != "" {
		g, err := user.LookupGroup(o.Group)
		if err != nil {
			return w, fmt.Errorf("there is no group %q for the socket; create it (is the MTA installed?) or leave the setting out: %w", o.Group, err)
		}
		if w.gid, err = strconv.Atoi(g.Gid); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w owner) give(path string) error {
	if w.uid < 0 && w.gid < 0 {
		return nil
	}
	err := os.Chown(path, w.uid, w.gid)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the socket cannot be given to %s: only root can change its user, and its group only to one of our own: %w", w.names, err)
	}
	return err
}

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
