package check

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/config"
	"mailseal/milter"
)

// sockets looks for what the sockets need, up to what only a start can find out: whether another
// process has them.
func (c *checker) sockets(ctx context.Context) {
	for _, l := range c.cfg.Listen {
		switch l.Network {
		case "unix":
			c.socketDirectory(l)
			if info, err := os.Lstat(l.Target); err == nil && info.Mode().Type() != fs.ModeSocket {
				c.report(finding(SocketOccupied, at(l.Problem("address", "")), l.Target))
			}
			c.socketOwner(l)
		case "tcp4", "tcp6":
			if err := milter.CheckHost(ctx, l.Network, l.Target); err != nil {
				c.report(finding(SocketAddress, at(l.Problem("address", "")), l.Address, err))
			}
		}
	}
	if a := c.cfg.Metrics.Address; a != "" {
		if err := milter.CheckHost(ctx, "tcp", a); err != nil {
			c.report(finding(MetricsAddress, at(c.cfg.Problem("metrics.address", "")), a, err))
		}
	}
}

func (c *checker) socketDirectory(l config.Listener) {
	dir, setting := filepath.Dir(l.Target), at(l.Problem("address", ""))
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(l.Target, "/run/"):
		c.report(finding(SocketDirectoryYet, setting, dir))
	case errors.Is(err, fs.ErrNotExist):
		f := finding(SocketNoDirectory, setting, dir)
		f.Fix = remedy.Directory(dir)
		if c.service != nil {
			f.Fix = remedy.DirectoryFor(c.reader(), dir)
		}
		c.report(f)
	case c.denied(setting, dir, err):
	case err != nil:
		c.report(finding(SocketDirectoryBad, setting, err.Error()))
	case !info.IsDir():
		c.report(finding(SocketDirectoryBad, setting, dir+" is not a directory"))
	case c.isGuest:
		c.guestDirectory(dir, setting)
	case c.service == nil && unix.Access(dir, unix.W_OK|unix.X_OK) != nil:
		f := finding(SocketDirectoryClosed, setting, dir, "user "+
			remedy.Self().User+" may not make files there")
		f.Fix = c.otherSocket(setting)
		c.report(f)
	}
}

// guestDirectory judges the directory of a socket for the daemon's user, of whom only the modes of
// the directory tell. Where that user is not known, nothing is.
func (c *checker) guestDirectory(dir string, setting place) {
	switch {
	case c.daemon != nil && (!c.daemon.May(dir, 0o2) || !c.daemon.May(dir, 0o1)):
		f := finding(SocketDirectoryClosed, setting, dir, "user "+c.daemon.Name+
			" may not make files there")
		f.Fix = c.otherSocket(setting)
		c.report(f)
	case c.daemon == nil && unix.Access(dir, unix.W_OK|unix.X_OK) != nil:
		c.denied(setting, dir, fs.ErrPermission)
	}
}

func (c *checker) socketOwner(l config.Listener) {
	if err := milter.CheckOwner(l.User, ""); err != nil {
		c.report(finding(SocketNoUser, at(l.Problem("user", "")), l.User))
	}
	if err := milter.CheckOwner("", l.Group); err != nil {
		c.report(finding(SocketNoGroup, at(l.Problem("group", "")), l.Group))
	}
}
