package mta

import (
	"path"
	"slices"
	"strings"
)

// meant reports whether a filter that is not one of our sockets should be one: its name is ours, or
// it is one of ours but for the root directory, or the host. Unknown ones may be, where we do not
// know all of ours.
func (p *postfix) meant(f filter, at string) bool {
	if p.handedOver() != nil && identify(p.h, f.at, at).name == "" {
		return true
	}
	if f.at.network == "unix" {
		return strings.Contains(f.at.path, "mailseal") || slices.ContainsFunc(p.d.Listeners,
			func(l Listener) bool { return p.isAlmost(l, f) })
	}
	return f.at.isThisHost() && p.onPort(f.at.port) != nil
}

// handedOver returns a systemd socket without a known unit, or nil.
func (p *postfix) handedOver() *Listener {
	return p.find(func(l Listener) bool { return l.Network == "fd" })
}

// isAlmost reports whether a filter is a listener but for the root directory.
func (p *postfix) isAlmost(l Listener, f filter) bool {
	clean := path.Clean("/" + f.at.path)
	return l.Network == "unix" && (l.Target == clean || l.Target == path.Join(p.queue(), clean))
}

func (p *postfix) onPort(port string) *Listener {
	return p.find(func(l Listener) bool { return strings.HasSuffix(l.Target, ":"+port) })
}

func (p *postfix) find(is func(Listener) bool) *Listener {
	if i := slices.IndexFunc(p.d.Listeners, is); i >= 0 {
		return &p.d.Listeners[i]
	}
	return nil
}

// elsewhere reports that Postfix connects to an address where Mailseal does not listen.
func (p *postfix) elsewhere(w *way, f filter, at string) {
	switch l := p.handedOver(); {
	case l != nil:
		p.put(w, f, say("socket-unit-absent", f.name, l.Target, l.Setting))
	case f.at.network == "tcp":
		p.otherHost(w, f, *p.onPort(f.at.port))
	default:
		p.otherPath(w, f, at)
	}
}

// otherHost reports that our port is not open on the host that Postfix connects to.
func (p *postfix) otherHost(w *way, f filter, l Listener) {
	v4, v6 := p.families()
	if l.Network == "tcp6" && !v6 || l.Network == "tcp4" && !v4 {
		address := either(v4, "inet:"+f.at.port+"@127.0.0.1", "inet6:"+f.at.port+"@::1")
		what := say("postfix-family-off", l.name(), l.Target, p.main.get("inet_protocols"),
			p.consequence(w, f))
		right := "inet:" + either(v4, "127.0.0.1", "[::1]") + ":" + f.at.port
		p.put(w, f, what, append(Fix{setting(l.Setting, "address", address)},
			p.readdressed(w, f, right)...))
		return
	}
	what := say("postfix-no-listener", f.at, l.name(), l.Target, p.consequence(w, f))
	p.put(w, f, what, p.readdressed(w, f, postfixAddress(l, "", false)))
}

// otherPath reports that our socket is not at the path that Postfix connects to.
func (p *postfix) otherPath(w *way, f filter, at string) {
	who := say("not-chrooted")
	if w.chroot {
		who = say("chrooted")
	}
	l := p.find(func(l Listener) bool { return p.isAlmost(l, f) })
	if l == nil {
		l = p.find(func(l Listener) bool { return l.Network == "unix" })
	}
	if l == nil {
		p.put(w, f, say("postfix-path-unknown", who, at, p.consequence(w, f)),
			p.readdressed(w, f, p.anyAddress(w)))
		return
	}
	if right := postfixAddress(*l, p.queue(), w.chroot); right != "" {
		p.put(w, f, say("postfix-path-differs", who, at, l.name(), l.Target, p.consequence(w, f)),
			p.readdressed(w, f, right))
		return
	}
	outside := say("postfix-path-outside", who, at, l.name(), l.Target, p.consequence(w, f),
		p.queue())
	if right := p.anyAddress(w); right != "" {
		p.put(w, f, outside, p.readdressed(w, f, right))
		return
	}
	right, more := p.forAll()
	p.put(w, f, outside, append(p.readdressed(w, f, right), more...))
}

// forAll is an address that all services reach, and what makes Mailseal listen there: the socket
// unit in the queue directory where it is installed, else TCP. Mailseal itself may not write below
// the queue directory.
func (p *postfix) forAll() (address string, ours Fix) {
	const section = "another [[listen]]" // others may use those that there are
	for _, l := range fromUnits(p.h, Listener{Network: "fd", Target: queueUnit}) {
		if address := postfixAddress(l, p.queue(), true); address != "" {
			return address, Fix{setting(section, "address", "fd:"+queueUnit)}
		}
	}
	return "inet:127.0.0.1:8891", Fix{setting(section, "address", "inet:8891@127.0.0.1")}
}

// queueUnit is the name of the socket that Mailseal's unit makes in the queue directory.
const queueUnit = "mailseal-postfix"

// anyAddress is how a way can reach us; "" when it cannot.
func (p *postfix) anyAddress(w *way) string {
	for _, l := range p.d.Listeners {
		if right := postfixAddress(l, p.queue(), w.chroot); right != "" {
			return right
		}
	}
	return ""
}

// postfixAddress writes a listener as Postfix wants it, "" where it cannot be reached from the root
// directory.
func postfixAddress(l Listener, queue string, chroot bool) string {
	switch l.Network {
	case "unix":
		if inside, ok := strings.CutPrefix(l.Target, queue+"/"); ok {
			return "unix:" + inside // right with and without chroot
		}
		if chroot {
			return ""
		}
		return "unix:" + l.Target
	case "fd":
		return ""
	}
	target := l.Target
	if strings.HasPrefix(target, ":") {
		target = either(l.Network == "tcp6", "[::1]", "127.0.0.1") + target
	}
	return "inet:" + target
}

func either(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}
