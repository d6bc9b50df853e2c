package mta

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

// socket judges whether Postfix can connect to a unix socket of ours.
func (p *postfix) socket(w *way, f filter, l Listener, at string) {
	proc, err := p.process(w)
	if err != nil {
		p.put(w, f, say("access-unknown", p.Server, at, err))
		return
	}
	_, o := reach(p.h, proc, f.at.path)
	switch o.kind {
	case passable:
	case unseen:
		p.put(w, f, say("access-unknown", say("user", proc.name), at, o.describe(p.h, proc)))
	case missing:
		p.absent(w, f, l, o, proc)
	default:
		p.put(w, f, say("blocked", o.describe(p.h, proc), p.consequence(w, f)),
			correct(p.h, o, l, proc)...)
	}
}

// absent judges a socket that is not there now: as it will be when the daemon runs.
func (p *postfix) absent(w *way, f filter, l Listener, o obstacle, proc process) {
	if group, refuses := willRefuse(p.h, l, proc); refuses {
		mode := fmt.Sprintf("%04o", l.Mode.Perm())
		p.put(w, f, say("postfix-will-be-refused", proc.name, l.Target, mode, group,
			p.consequence(w, f)), allow(p.h, l, proc)...)
		return
	}
	p.put(w, f, say("socket-absent", l.Target, l.name(), p.consequence(w, f)), Fix{start(l)})
}

// willRefuse reports whether a socket that is not there will not let a process connect, by what its
// listener says of it, and the group that it will have. It is silent about owners that it does not
// know.
func willRefuse(h Host, l Listener, p process) (group string, refuses bool) {
	if l.Mode == 0 || p.uid == 0 || l.Mode&0o002 != 0 {
		return "", false
	}
	group = cmp.Or(l.Group, "mailseal") // the service's, where it is installed
	gid, known := groupID(h, group)
	uid, _ := userID(h, l.User)
	node := Node{Mode: l.Mode | fs.ModeSocket, UID: uid, GID: gid}
	return group, known && connects(p, l.Target, node).kind != passable
}

// options judges what a list says of us beside the address, or main.cf for all filters.
func (p *postfix) options(w *way, f filter) {
	switch p.action(w, f) {
	case "accept":
		p.option(w, f, "default_action", "tempfail", "postfix-away-accept", p.d.undone())
	case "reject":
		p.option(w, f, "default_action", "tempfail", "postfix-away-reject")
	case "quarantine":
		p.option(w, f, "default_action", "tempfail", "postfix-away-quarantine", p.d.undone())
	}
	if v := p.optionValue(w, f, "protocol"); v != "" && strings.TrimLeft(v, "2345") != v {
		p.option(w, f, "protocol", "6", "postfix-protocol-old")
	}
	if t, ok := postfixTime(p.optionValue(w, f, "content_timeout")); ok && t < patience {
		p.option(w, f, "content_timeout", "300s", "postfix-timeout-short", patience)
	}
	if f.at.network == "tcp" && isLocalhost(f.at.host) && w.chroot {
		hosts := path.Join(p.queue(), "etc/hosts")
		if _, err := p.h.Lstat(hosts); err != nil {
			p.put(w, f, say("postfix-no-hosts-file", hosts, f.at.host),
				p.readdressed(w, f, p.anyAddress(w)))
		}
	}
}

// patience is the least time that a mail server must wait for one answer: Mailseal gives a sign of
// life every four seconds.
const patience = 5 * time.Second

// optionValue is an option of the filter itself, else of Postfix.
func (p *postfix) optionValue(w *way, f filter, name string) string {
	if v, ok := f.options[name]; ok {
		return v
	}
	return w.get("milter_" + name)
}

// option adds a finding about an option, at its line. The finding names the option's value
// before more.
func (p *postfix) option(w *way, f filter, name, better string, c Code, more ...any) {
	value, own := f.options[name]
	if !own {
		global := "milter_" + name
		at := p.orMain(w.raw(global))
		what := said{c, append([]any{w.get(global)}, more...)}
		p.add(what.finding(at.file, at.line, w.setting(global),
			Fix{p.set(w.service, global, better)}))
		return
	}
	place, at := p.place(w, f.raw)
	what := said{c, append([]any{name + "=" + value}, more...)}
	fix := p.set(w.service, place, strings.Replace(at.value, f.raw, withOption(f.raw, name, better),
		1))
	p.add(what.finding(at.file, at.line, w.setting(place), Fix{fix}))
}

// withOption gives an option of a filter in braces another value.
func withOption(raw, name, value string) string {
	i := strings.Index(raw, name)
	end := i + max(0, strings.IndexAny(raw[i:], ",}"))
	old := raw[i:end]
	return raw[:i] + name + "=" + value + old[len(strings.TrimRight(old, blanks)):] + raw[end:]
}
