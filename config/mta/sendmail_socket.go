package mta

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// socket judges whether Sendmail can connect to a unix socket of ours, and will.
func (s *sendmail) socket(f cfFilter, e endpoint, l Listener) {
	p := process{identity: root, dir: "/", server: "sendmail"}
	if user, _, _ := strings.Cut(s.cf.options["runasuser"], ":"); user != "" && user != "root" {
		var err error
		if p.identity, err = identityOf(s.h, user); err != nil {
			s.put(f, say("access-unknown", say("user", user), e, err))
			return
		}
	}
	at, o := reach(s.h, p, e.path)
	switch o.kind {
	case passable:
	case unseen:
		s.put(f, say("access-unknown", s.Server, at, o.describe(s.h, p)))
	case missing:
		s.put(f, say("socket-absent", at, l.name(), s.consequence(f)), Fix{start(l)})
	default:
		s.put(f, say("blocked", o.describe(s.h, p), s.consequence(f)), correct(s.h, o, l, p)...)
	}
	s.safe(f, at, l)
}

// safe finds a directory on the way that its group or others may write to: Sendmail then takes the
// socket for unsafe and does not use it, even where the directory is sticky.
func (s *sendmail) safe(f cfFilter, at string, l Listener) {
	may := fs.FileMode(0o022)
	blame := strings.ToLower(s.cf.options["dontblamesendmail"])
	if strings.Contains(blame, "groupwritabledirpathsafe") {
		may = 0o002
	}
	for dir := path.Dir(at); ; dir = path.Dir(dir) {
		node, err := s.h.Lstat(dir)
		sticky := err == nil && node.Mode&fs.ModeSticky != 0 &&
			strings.Contains(blame, "truststickybit")
		if err == nil && node.Mode.Perm()&may != 0 && !sticky {
			fix := Fix{closeToOthers(s.h, dir, node)}
			if node.Mode&fs.ModeSticky != 0 { // as /tmp has to be
				const safe = "unix:/run/mailseal/mailseal.sock"
				fix = append(s.readdressed(f, safe), setting(l.Setting, "address", safe))
			}
			mode := fmt.Sprintf("%04o", node.Mode.Perm())
			s.put(f, say("sendmail-socket-unsafe", dir, mode, s.consequence(f)), fix)
			return
		}
		if dir == "/" {
			return
		}
	}
}
