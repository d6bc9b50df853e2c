package mta

import (
	"path"
	"slices"
	"strings"

	"mailseal/milter/domain"
)

// list judges the filters of a way beside one another.
func (p *postfix) list(w *way) {
	first := -1
	for i, f := range w.filters {
		l, at := p.listener(w, f)
		switch {
		case l == nil:
			p.other(w, f, at, first)
		case first >= 0:
			at := w.raw(w.param)
			p.add(say("postfix-twice").finding(at.file, at.line, w.setting(w.param), p.dropped(w, f)))
		default:
			first = i
			p.rival(l, f, at)
		}
	}
}

// other judges a filter of somebody else beside us. First is where we are in the list, -1 while we have not come.
func (p *postfix) other(w *way, f filter, at string, first int) {
	c := identify(p.h, f.at, at).beside(p.d, first < 0)
	if !w.ours || c.code == "" {
		return
	}
	fix := ""
	switch c.remedy {
	case drop:
		fix = p.dropped(w, f)
	case goFirst:
		fix = p.firstIn(w)
	}
	p.put(w, f, say(c.code, say("named", f.name, c.is)), fix)
}

// rival finds another filter whose configuration has our very socket.
func (p *postfix) rival(l *Listener, f filter, at string) {
	for _, o := range others {
		if o.conf == "" {
			continue
		}
		s, ok := socketOf(p.h, o.conf)
		if ok && (s.network == "tcp" && l.takes(s) || s.network == "unix" && f.at.network == "unix" && s.path == at) {
			what := say("postfix-rival", o.name, l.name())
			p.add(what.finding(o.conf, 0, "Socket", "systemctl disable --now "+o.name))
		}
	}
}

// dropped is the setting of a list without one filter.
func (p *postfix) dropped(w *way, f filter) string {
	var kept []string
	gone := false
	for _, other := range w.filters {
		if other.raw == f.raw && !gone {
			gone = true
			continue
		}
		kept = append(kept, p.shortest(other.raw))
	}
	return w.written(w.param, strings.Join(kept, ", "))
}

// firstIn is the setting of a list with us at its head.
func (p *postfix) firstIn(w *way) string {
	var ours, rest []string
	for _, f := range w.filters {
		if l, _ := p.listener(w, f); l != nil {
			ours = append(ours, p.shortest(f.raw))
		} else {
			rest = append(rest, p.shortest(f.raw))
		}
	}
	return w.written(w.param, strings.Join(append(slices.Compact(ours), rest...), ", "))
}

// nobody says that nothing leads to us.
func (p *postfix) nobody(ways []*way) {
	const options = "receive_override_options"
	if at := p.main.raw(options); hasNoMilters(service{parameters: p.main}) {
		fix := strings.TrimSpace(options + " = " + withoutNoMilters(p.main))
		p.add(say("postfix-no-milters").finding(p.file, at.line, options, fix))
		return
	}
	at := p.main.raw("smtpd_milters")
	all := &way{service: service{chroot: slices.ContainsFunc(ways, func(w *way) bool { return w.chroot })}}
	address, more := p.anyAddress(all), ""
	if address == "" {
		address, more = p.inQueue()
	}
	fix := "smtpd_milters = { " + address + ", default_action=tempfail }\nnon_smtpd_milters = $smtpd_milters" + more
	p.add(say("not-named", p.Server).finding(p.file, at.line, "smtpd_milters", fix))
}

// without judges a way that does not lead to us, on a host where others do.
func (p *postfix) without(w *way) {
	explicit := w.off || w.own["smtpd_milters"].line > 0
	switch {
	case w.ours || w.meant || w.isLoopback() && explicit:
		return // where a content filter hands mail back, this is as it should be
	case w.param == "non_smtpd_milters":
		if p.d.Signs {
			p.lacks(w, say("local-unsigned"))
		}
	case w.isSubmission():
		if p.d.Signs {
			p.lacks(w, say("users-unsigned", w.name))
		}
	case p.d.Verifies:
		p.lacks(w, say("incoming-passes", w.name, p.d.undone()))
	}
}

// lacks puts a finding about a way that does not lead to us.
func (p *postfix) lacks(w *way, what said) {
	if w.off {
		const name = "receive_override_options"
		at := p.orMain(w.entry.raw(name))
		fix := w.entry.written(name, withoutNoMilters(w.entry.parameters))
		p.add(say("postfix-way-no-milters", what).finding(at.file, at.line, w.entry.setting(name), fix))
		return
	}
	if p.word == "" {
		return
	}
	all := []string{p.word}
	for _, other := range w.filters {
		all = append(all, p.shortest(other.raw))
	}
	at := p.orMain(w.raw(w.param))
	fix := w.written(w.param, strings.Join(all, ", "))
	p.add(say("postfix-way-without", what).finding(at.file, at.line, w.setting(w.param), fix))
}

// orMain is a setting, or main.cf for one that stands nowhere.
func (p *postfix) orMain(at parameter) parameter {
	if at.line == 0 {
		at.file = p.file
	}
	return at
}

// withoutNoMilters is the value of receive_override_options without no_milters.
func withoutNoMilters(p *parameters) string {
	var kept []string
	for _, o := range words(p.get("receive_override_options"), ", \t\r\n") {
		if o.text != "no_milters" {
			kept = append(kept, o.text)
		}
	}
	return strings.Join(kept, ",")
}

// bounces notes that what Postfix itself writes goes unsigned.
func (p *postfix) bounces(ways []*way) {
	local := slices.ContainsFunc(ways, func(w *way) bool { return w.ours && w.param == "non_smtpd_milters" })
	const name = "internal_mail_filter_classes"
	if at := p.main.raw(name); local && p.d.Signs && !strings.Contains(p.main.get(name), "bounce") {
		fix := name + " = " + strings.TrimPrefix(at.value+", bounce", ", ")
		p.add(say("postfix-bounces").finding(p.file, at.line, name, fix))
	}
	origin := p.origin()
	if author := "MAILER-DAEMON@" + origin; local && p.d.Signs && p.d.HasRule != nil && domain.IsFull(origin) && !p.d.HasRule(author) {
		at := p.main.raw("myorigin")
		p.add(say("postfix-bounces-no-rule", author).finding(p.file, at.line, "myorigin", ""))
	}
}

// origin is the domain that Postfix writes into its own messages, "" when it is not known. A value that is a file's name
// stands for its first line (postconf(5)), which Debian uses.
func (p *postfix) origin() string {
	value := p.main.get("myorigin")
	if value == "" {
		return p.Name
	}
	if !path.IsAbs(value) {
		return value
	}
	text, err := p.h.ReadFile(value)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first)
}

// handedBack finds services of a content filter by which mail passes us a second time.
func (p *postfix) handedBack(ways []*way) {
	filtered := slices.ContainsFunc(ways, func(w *way) bool { return w.ours && w.get("content_filter") != "" })
	for _, w := range ways {
		if filtered && w.ours && w.param == "smtpd_milters" && w.isLoopback() && w.get("content_filter") == "" {
			at := w.raw("receive_override_options")
			if at.line == 0 || at.file == p.file {
				at = parameter{path.Join(p.Dir, "master.cf"), w.line, p.main.get("receive_override_options")}
			}
			options := strings.TrimPrefix(strings.Join(strings.Fields(at.value), "")+",no_milters", ",")
			p.add(say("postfix-handed-back").finding(at.file, at.line, w.name, "  -o receive_override_options="+options))
		}
	}
}

// daemonNames finds names that make mail ours, and that no service has.
func (p *postfix) daemonNames(ways []*way) {
	have := []string{}
	for _, w := range ways {
		have = append(have, w.get("milter_macro_daemon_name"))
	}
	for _, name := range p.d.DaemonNames {
		if !slices.Contains(have, name) {
			const setting = "milter_macro_daemon_name"
			what := say("postfix-no-daemon-name", name)
			p.add(what.finding(path.Join(p.Dir, "master.cf"), 0, setting, "  -o "+setting+"="+name))
		}
	}
}
