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

	"golang.org/x/sys/unix"
)

// listenUnix makes the socket. It gets its owner and mode before anyone can connect: until a
// socket listens, the kernel refuses clients that try.
func (l *Listener) listenUnix(ctx context.Context, o ListenOptions) error {
	path := l.address.Target
	owner, err := lookUpOwner(o)
	if err != nil {
		return err
	}
	if l.Warnings, err = checkDirectory(filepath.Dir(path)); err != nil {
		return err
	}
	if err := clearPlace(ctx, path); err != nil {
		return err
	}
	f, err := bindUnix(path)
	if err != nil {
		return err
	}
	defer f.Close() // net.FileListener has its own
	id, err := settle(path, owner, o.Mode)
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	l.release = func() error { return removeIf(path, id) }
	if err := unix.Listen(int(f.Fd()), unix.SOMAXCONN); err != nil {
		return errors.Join(os.NewSyscallError("listen", err), l.release())
	}
	l.Listener, err = net.FileListener(f)
	return err
}

// bindUnix returns a socket at path that does not listen yet.
func bindUnix(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), path)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "bind", Path: path, Err: err}, f.Close())
	}
	return f, nil
}

// settle gives a socket its owner and mode, and returns what identifies it.
func settle(path string, owner owner, mode fs.FileMode) (fs.FileInfo, error) {
	if mode == 0 {
		mode = 0o660
	}
	if err := owner.give(path); err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode.Perm()); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

// clearPlace removes a socket from path that no process serves any more. The error tells why no
// socket can be put there: another process serves the one that is there, or it is something else.
func clearPlace(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is not a socket (%v), and is not replaced; move it away or choose "+
			"another path",
			path, info.Mode())
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	nc, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		nc.Close()
		return fmt.Errorf("%s: %w", path, ErrInUse)
	case errors.Is(err, syscall.ECONNREFUSED):
		return removeIf(path, info)
	}
	// Busy (its backlog is full), or not ours to ask: not known to be stale.
	return fmt.Errorf("%w: there is a socket at %s, and it is not known whether it is in use: %w",
		ErrInUse, path, err)
}

// removeIf removes the socket at path if it is still the one that id describes.
func removeIf(path string, id fs.FileInfo) error {
	now, err := os.Lstat(path)
	if err != nil || !os.SameFile(now, id) {
		return nil // gone, or taken over by our successor
	}
	return os.Remove(path)
}

// checkDirectory returns an error if a socket cannot be made in dir, and warnings of what an MTA
// will not like about it.
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
	return []string{fmt.Sprintf("Sendmail refuses a socket in %s, in which its group or others "+
		"may write (mode %04o, even if sticky); Postfix accepts it. To correct it: chmod go-w %s",
		dir, info.Mode().Perm(), dir)}, nil
}

// owner is the new owner of a socket; -1 keeps the present one.
type owner struct {
	uid, gid int
	names    string
}

func lookUpOwner(o ListenOptions) (w owner, err error) {
	w.names = o.User + ":" + o.Group
	if w.uid, err = lookUp(o.User, "user", userID); err != nil {
		return w, err
	}
	w.gid, err = lookUp(o.Group, "group", groupID)
	return w, err
}

// lookUp returns the number of a user or group; -1 for none, and the number itself for a number, as
// in a chroot whose users are not ours.
func lookUp(name, kind string, find func(name string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	id := name
	if _, err := strconv.ParseUint(name, 10, 31); err != nil {
		if id, err = find(name); err != nil {
			return -1, fmt.Errorf("there is no %s %q for the socket; create it (is the MTA "+
				"installed?) or remove the setting: %w", kind, name, err)
		}
	}
	return strconv.Atoi(id)
}

func userID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func groupID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

func (w owner) give(path string) error {
	if w.uid < 0 && w.gid < 0 {
		return nil
	}
	err := os.Chown(path, w.uid, w.gid)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the socket cannot be given to %s: only root can change its user, and "+
			"its group only to one of our own: %w", w.names, err)
	}
	return err
}

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
