package mta

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// process is what connects to a socket.
type process struct {
	identity
	chroot string // its root directory; "" for the host's
	dir    string // its working directory, as the host sees it
	server string // its unit
}

// at returns a path of the process as the host sees it, without following links.
func (p process) at(name string) string {
	if !path.IsAbs(name) {
		return path.Join(p.dir, name)
	}
	return path.Join("/", p.chroot, name)
}

// obstacle is what keeps a process from a socket.
type obstacle struct {
	path string // where, as the host sees it
	node Node
	kind obstacleKind
	err  error // for unseen
}

type obstacleKind int

const (
	passable obstacleKind = iota
	missing               // nothing is there
	noDir                 // the path is not a directory
	noSearch              // a directory that the process may not pass
	noSocket              // the path is not a socket
	noWrite               // a socket that the process may not connect to
	unseen                // we may not look ourselves, or owners are hidden from us
)

// maxLinks is the kernel's own limit on the links of one path.
const maxLinks = 40

// reach walks to a socket as a process would, with its root directory, and returns where the path
// leads to, as the host sees it, and the first obstacle.
func reach(h Host, p process, name string) (string, obstacle) {
	top := path.Join("/", p.chroot)
	at, rest := top, labels(strings.TrimPrefix(p.at(name), top))
	for links := 0; len(rest) > 0; {
		part := rest[0]
		whole := path.Join(append([]string{at}, rest...)...)
		if rest = rest[1:]; part == ".." {
			if at != top {
				at = path.Dir(at)
			}
			continue
		}
		if o := passes(h, p, at); o.kind != passable {
			return whole, o
		}
		next := path.Join(at, part)
		node, err := h.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return whole, obstacle{path: next, kind: missing}
		case err != nil:
			return whole, obstacle{path: next, kind: unseen, err: err}
		case node.Mode.Type() == fs.ModeSymlink:
			if links++; links > maxLinks {
				return whole, obstacle{path: next, kind: missing}
			}
			rest = append(labels(node.Target), rest...)
			if path.IsAbs(node.Target) {
				at = top
			}
			continue
		}
		if at = next; len(rest) == 0 {
			return at, connects(p, at, node)
		}
	}
	return at, obstacle{path: at, kind: noSocket}
}

// follow returns where a path of the host leads to once all links are followed.
func follow(h Host, name string) string {
	at, _ := reach(h, process{identity: root, dir: "/"}, name)
	return at
}

// labels are the names that a path is made of.
func labels(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
}

// passes judges a directory on the way.
func passes(h Host, p process, dir string) obstacle {
	node, err := h.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return obstacle{path: dir, kind: missing}
	case err != nil:
		return obstacle{path: dir, kind: unseen, err: err}
	case !node.Mode.IsDir():
		return obstacle{path: dir, node: node, kind: noDir}
	}
	return may(p, dir, node, 1, noSearch)
}

// connects judges the socket itself: connect(2) needs write permission (unix(7)).
func connects(p process, at string, node Node) obstacle {
	if node.Mode.Type() != fs.ModeSocket {
		return obstacle{path: at, node: node, kind: noSocket}
	}
	return may(p, at, node, 2, noWrite)
}

// may applies the permission bits as the kernel does: the first class that fits decides, and root
// may all.
func may(p process, at string, node Node, bit fs.FileMode, otherwise obstacleKind) obstacle {
	shift := 0
	switch {
	case p.uid == 0:
		return obstacle{}
	case node.UID == p.uid:
		shift = 6
	case p.gids[node.GID]:
		shift = 3
	}
	switch {
	case node.Mode.Perm()>>shift&bit != 0:
		return obstacle{}
	case shift == 0 && (node.UID == hidden || node.GID == hidden):
		return obstacle{path: at, node: node, kind: unseen,
			err: errors.New("its owner is hidden from this process")}
	}
	return obstacle{path: at, node: node, kind: otherwise}
}

// describe describes an obstacle for a process.
func (o obstacle) describe(h Host, p process) said {
	mode, group := fmt.Sprintf("%04o", o.node.Mode.Perm()), groupName(h, o.node.GID)
	switch o.kind {
	case noDir:
		return say("no-directory", o.path)
	case noSocket:
		return say("no-socket", o.path)
	case noSearch:
		return say("no-search", p.name, o.path, mode, group)
	case noWrite:
		return say("no-write", p.name, o.path, mode, group)
	case unseen:
		return say("unseen", o.path, reason(o.err))
	}
	return said{}
}
