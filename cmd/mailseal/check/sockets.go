package check

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/config"
)

// sockets looks for what the unix sockets need.
func (c *checker) sockets() {
	for _, l := range c.cfg.Listen {
		if l.Network != "unix" {
			continue
		}
		c.socketDirectory(l)
		if info, err := os.Lstat(l.Target); err == nil && info.Mode().Type() != fs.ModeSocket {
			c.report(finding(SocketOccupied, at(l.Problem("address", "")), l.Target))
		}
		c.socketOwner(l)
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
	case err != nil:
		c.report(finding(SocketDirectoryBad, setting, err.Error()))
	case !info.IsDir():
		c.report(finding(SocketDirectoryBad, setting, dir+" is no directory"))
	case c.service == nil && unix.Access(dir, unix.W_OK|unix.X_OK) != nil:
		f := finding(SocketDirectoryClosed, setting, dir, "this user may not make files there")
		f.Fix = c.otherSocket(setting)
		c.report(f)
	}
}

func (c *checker) socketOwner(l config.Listener) {
	if l.User != "" {
		if _, err := user.Lookup(l.User); err != nil {
			c.report(finding(SocketNoUser, at(l.Problem("user", "")), l.User))
		}
	}
	if l.Group != "" {
		if _, err := user.LookupGroup(l.Group); err != nil {
			c.report(finding(SocketNoGroup, at(l.Problem("group", "")), l.Group))
		}
	}
}
