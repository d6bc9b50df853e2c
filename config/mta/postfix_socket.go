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
		p.put(w, f, Unknown, fmt.Sprintf("whether Postfix may connect to %s: %v", at, err), "")
		return
	}
	_, o := reach(p.h, proc, f.at.path)
	switch o.kind {
	case passable:
	case unseen:
		p.put(w, f, Unknown, fmt.Sprintf("whether user %s may connect to %s: %s", proc.name, at, o.describe(p.h, proc)), "")
	case missing:
		p.absent(w, f, l, o, proc)
	default:
		p.put(w, f, Error, fmt.Sprintf("%s: %s", o.describe(p.h, proc), p.consequence(w, f)), mend(p.h, o, l, proc))
	}
}

// absent judges a socket that is not there now: as it will be when the daemon runs.
func (p *postfix) absent(w *way, f filter, l Listener, o obstacle, proc process) {
	if why, fix := willRefuse(p.h, l, proc); why != "" {
		p.put(w, f, Error, why+": "+p.consequence(w, f), fix)
		return
	}
	start := "systemctl start mailseal"
	if l.unit != "" {
		start = "systemctl enable --now " + path.Base(l.unit)
	}
	p.put(w, f, Warning, fmt.Sprintf("there is no %s, which %s makes: while Mailseal is not running, %s", l.Target, l.name(), p.consequence(w, f)), start)
}

// willRefuse says why a socket that is not there will not let a process connect, by what its listener says of it. It is
// silent about owners that it does not know.
func willRefuse(h Host, l Listener, p process) (why, fix string) {
	if l.Mode == 0 || p.uid == 0 || l.Mode&0o002 != 0 {
		return "", ""
	}
	group := cmp.Or(l.Group, "mailseal") // the service's, where it is installed
	gid, known := groupID(h, group)
	uid, _ := userID(h, l.User)
	node := Node{Mode: l.Mode | fs.ModeSocket, UID: uid, GID: gid}
	if !known || connects(p, l.Target, node).kind == passable {
		return "", ""
	}
	return fmt.Sprintf("user %s will not be allowed to connect to %s (mode %04o, group %s)", p.name, l.Target, l.Mode.Perm(), group), allow(h, l, p)
}

// allow is the setting that lets a process connect.
func allow(h Host, l Listener, p process) string {
	group := p.name
	if _, ok := groupID(h, group); !ok {
		return fmt.Sprintf("usermod -aG %s %s, and restart Postfix", cmp.Or(l.Group, "mailseal"), p.name)
	}
	if l.unit != "" {
		return fmt.Sprintf("systemctl edit %s\n[Socket]\nSocketGroup=%s\nSocketMode=0660", path.Base(l.unit), group)
	}
	return fmt.Sprintf("group = %q (mailseal.toml, %s)\nmode = \"0660\"", group, l.Setting)
}

// mend is the command or setting that takes an obstacle away.
func mend(h Host, o obstacle, l Listener, p process) string {
	switch o.kind {
	case noSearch:
		return "chmod a+x " + o.path
	case noWrite:
		return allow(h, l, p)
	case noSocket:
		return fmt.Sprintf("rm %s, and restart Mailseal", o.path)
	case noDir:
		return fmt.Sprintf("rm %s; mkdir -m 0755 %[1]s", o.path)
	}
	return ""
}

// options judges what a list says of us beside the address, or main.cf for all filters.
func (p *postfix) options(w *way, f filter) {
	switch p.action(w, f) {
	case "accept":
		p.option(w, f, "default_action", "tempfail", Warning, "while Mailseal is away, or has been restarted during a session, mail passes "+p.d.undone()+"; tempfail makes it wait")
	case "reject":
		p.option(w, f, "default_action", "tempfail", Warning, "while Mailseal is away, mail is refused for good; tempfail makes it wait")
	case "quarantine":
		p.option(w, f, "default_action", "tempfail", Warning, "while Mailseal is away, mail stays in the hold queue until somebody releases it, "+p.d.undone()+"; tempfail makes it wait")
	}
	if v := p.optionValue(w, f, "protocol"); v != "" && strings.TrimLeft(v, "2345") != v {
		p.option(w, f, "protocol", "6", Warning, "before protocol 6 Postfix does not show the blanks that header fields begin with: signatures with a simple header fail, ours and those that are judged")
	}
	if t, ok := postfixTime(p.optionValue(w, f, "content_timeout")); ok && t < patience {
		p.option(w, f, "content_timeout", "300s", Warning, fmt.Sprintf("Mailseal says every 4 s that it is still at work, so with less than %s mail is given up that waits for the DNS", patience))
	}
	if f.at.network == "tcp" && isLocalhost(f.at.host) && w.chroot {
		hosts := path.Join(p.queue(), "etc/hosts")
		if _, err := p.h.Lstat(hosts); err != nil {
			p.put(w, f, Warning, fmt.Sprintf("chrooted services find no %s, which says what %s is", hosts, f.at.host), p.readdressed(w, f, p.anyAddress(w)))
		}
	}
}

// patience is the least time that a mail server must wait for one answer: Mailseal gives a sign of life every four
// seconds.
const patience = 5 * time.Second

// optionValue is an option of the filter itself, else of Postfix.
func (p *postfix) optionValue(w *way, f filter, name string) string {
	if v, ok := f.options[name]; ok {
		return v
	}
	return w.get("milter_" + name)
}

// option writes a finding about an option, where it stands.
func (p *postfix) option(w *way, f filter, name, better string, s Severity, text string) {
	value, own := f.options[name]
	if !own {
		global := "milter_" + name
		at := p.orMain(w.raw(global))
		p.add(Finding{Severity: s, File: at.file, Line: at.line, Setting: w.setting(global), Text: w.get(global) + ": " + text, Fix: w.written(global, better)})
		return
	}
	place, at := p.place(w, f.raw)
	p.add(Finding{
		Severity: s, File: at.file, Line: at.line, Setting: w.setting(place), Text: name + "=" + value + ": " + text,
		Fix: w.written(place, strings.Replace(at.value, f.raw, withOption(f.raw, name, better), 1)),
	})
}

// withOption gives an option of a filter in braces another value.
func withOption(raw, name, value string) string {
	i := strings.Index(raw, name)
	end := i + max(0, strings.IndexAny(raw[i:], ",}"))
	old := raw[i:end]
	return raw[:i] + name + "=" + value + old[len(strings.TrimRight(old, blanks)):] + raw[end:]
}
