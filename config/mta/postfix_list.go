package mta

import (
	"path"
	"slices"
	"strings"

	"mailseal/milter/domain"
)

// neighbours judges the filters of a way beside one another.
func (p *postfix) neighbours(w *way) {
	first := -1
	for i, f := range w.filters {
		l, at := p.listener(w, f)
		switch {
		case l == nil:
			p.other(w, f, at, first)
		case first >= 0:
			name, at := p.list(w)
			p.add(say("postfix-twice").finding(at.file, at.line, w.setting(name), p.dropped(w, f)))
		default:
			first = i
			p.rival(l, f, at)
		}
	}
}

// other judges another filter beside us. First is where we are in the list, -1 while we
// have not come.
func (p *postfix) other(w *way, f filter, at string, first int) {
	c := identify(p.h, f.at, at).clashWith(p.d, first < 0)
	if !w.ours || c.code == "" {
		return
	}
	var fixes []Fix
	switch c.remedy {
	case drop:
		fixes = []Fix{p.dropped(w, f)}
	case goFirst:
		fixes = []Fix{p.firstIn(w), p.dropped(w, f)}
	}
	p.put(w, f, say(c.code, say("named", f.name, c.is)), fixes...)
}

// rival finds another filter whose configuration has our very socket.
func (p *postfix) rival(l *Listener, f filter, at string) {
	for _, o := range others {
		if o.conf == "" {
			continue
		}
		s, ok := socketOf(p.h, o.conf)
		if ok && (s.network == "tcp" && l.takes(s) ||
			s.network == "unix" && f.at.network == "unix" && s.path == at) {
			what := say("postfix-rival", o.name, l.name())
			if off, isOn := disable(p.h, o); isOn {
				p.add(what.finding(o.conf, 0, "Socket", Fix{off}))
			}
		}
	}
}

// dropped is the setting of a list without one filter.
func (p *postfix) dropped(w *way, f filter) Fix {
	var kept []string
	gone := false
	for _, other := range w.filters {
		if other.raw == f.raw && !gone {
			gone = true
			continue
		}
		kept = append(kept, p.shortest(other.raw))
	}
	name, _ := p.list(w)
	return Fix{p.set(w.service, name, strings.Join(kept, ", "))}
}

// firstIn is the setting of a list with us at its head.
func (p *postfix) firstIn(w *way) Fix {
	var ours, rest []string
	for _, f := range w.filters {
		if l, _ := p.listener(w, f); l != nil {
			ours = append(ours, p.shortest(f.raw))
		} else {
			rest = append(rest, p.shortest(f.raw))
		}
	}
	name, _ := p.list(w)
	return Fix{p.set(w.service, name, strings.Join(append(slices.Compact(ours), rest...), ", "))}
}

// unreached reports that no service connects to Mailseal.
func (p *postfix) unreached(ways []*way) {
	const options = "receive_override_options"
	if at := p.main.raw(options); hasNoMilters(service{parameters: p.main}) {
		fix := Change{Kind: MainCF, File: p.file, Name: options, Value: withoutNoMilters(p.main)}
		p.add(say("postfix-no-milters").finding(p.file, at.line, options, Fix{fix}))
		return
	}
	at := p.main.raw("smtpd_milters")
	all := &way{service: service{chroot: slices.ContainsFunc(ways,
		func(w *way) bool { return w.chroot })}}
	var fix Fix
	address := p.anyAddress(all)
	if address == "" {
		address, fix = p.forAll()
	}
	us := "{ " + address + ", default_action=tempfail }"
	smtpd := append([]string{us}, raws(p.main.get("smtpd_milters"))...)
	fix = append(Fix{
		{Kind: MainCF, File: p.file, Name: "smtpd_milters", Value: strings.Join(smtpd, ", ")},
		{Kind: MainCF, File: p.file, Name: "non_smtpd_milters", Value: p.nonSMTPD(us)},
	}, fix...)
	p.add(say("not-named", p.Server).finding(p.file, at.line, "smtpd_milters", fix))
}

// nonSMTPD is the list for mail of local programs, with us at its head.
func (p *postfix) nonSMTPD(us string) string {
	have := p.main.raw("non_smtpd_milters").value
	if other, ok := reference(have); have == "" || ok && other == "smtpd_milters" {
		return "$smtpd_milters"
	}
	return strings.Join(append([]string{us}, raws(p.main.get("non_smtpd_milters"))...), ", ")
}

// raws are the filters of a list as they are written.
func raws(value string) []string {
	var out []string
	for _, w := range words(value, ", \t\r\n") {
		out = append(out, w.text)
	}
	return out
}

// without judges a way that does not lead to us, on a host where others do.
func (p *postfix) without(w *way, ways []*way) {
	own, explicit := w.own["smtpd_milters"]
	switch {
	case w.ours || w.meant || w.passes() || w.isLoopback() && !w.isSubmission() &&
		(w.off || explicit):
		return // where a content filter hands mail back, this is right
	case w.param == "non_smtpd_milters":
		if p.d.Signs && !isReturnOfStrangers(w, ways) {
			p.lacks(w, say("local-unsigned"))
		}
	case explicit && own.value == "" && !w.off:
		p.emptied(w)
	case w.isSubmission():
		if p.d.Signs {
			p.lacks(w, say("users-unsigned", w.name))
		}
	case p.d.Verifies:
		p.lacks(w, say("incoming-passes", w.name, p.d.undone()))
	}
}

// emptied notes a service whose list is empty by its own setting: that is meant, but not for the
// service to which users submit, while nothing behind it signs.
func (p *postfix) emptied(w *way) {
	at := w.raw("smtpd_milters")
	if w.isSubmission() && p.d.Signs {
		p.submissionEmptied(w, at)
		return
	}
	what := say("incoming-passes", w.name, p.d.undone())
	p.add(say("postfix-way-emptied", what).finding(at.file, at.line, w.setting("smtpd_milters")))
}

func (p *postfix) submissionEmptied(w *way, at parameter) {
	f := say("postfix-submission-emptied", say("users-unsigned", w.name))
	if p.word == "" {
		p.add(f.finding(at.file, at.line, w.setting("smtpd_milters")))
		return
	}
	fix := p.set(w.service, "smtpd_milters", p.word)
	p.add(f.finding(at.file, at.line, w.setting("smtpd_milters"), Fix{fix}))
}

// lacks puts a finding about a way that does not lead to us.
func (p *postfix) lacks(w *way, what said) {
	if w.off {
		const name = "receive_override_options"
		at := p.orMain(w.entry.raw(name))
		fix := p.set(w.entry, name, withoutNoMilters(w.entry.parameters))
		p.add(say("postfix-way-no-milters", what).finding(at.file, at.line, w.entry.setting(name),
			Fix{fix}))
		return
	}
	if p.word == "" {
		return
	}
	all := []string{p.word}
	for _, other := range w.filters {
		all = append(all, p.shortest(other.raw))
	}
	name, at := p.list(w)
	at = p.orMain(at)
	fix := p.set(w.service, name, strings.Join(all, ", "))
	p.add(say("postfix-way-without", what).finding(at.file, at.line, w.setting(name), Fix{fix}))
}

// orMain returns the place of a setting, or main.cf for a setting that is not set anywhere.
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
	local := slices.ContainsFunc(ways,
		func(w *way) bool { return w.ours && w.param == "non_smtpd_milters" })
	const name = "internal_mail_filter_classes"
	if at := p.main.raw(name); local && p.d.Signs && !strings.Contains(p.main.get(name), "bounce") {
		fix := Change{Kind: MainCF, File: p.file, Name: name,
			Value: strings.TrimPrefix(at.value+", bounce", ", ")}
		p.add(say("postfix-bounces").finding(p.file, at.line, name, Fix{fix}))
	}
	origin := p.origin()
	if author := "MAILER-DAEMON@" + origin; local && p.d.Signs && p.d.HasRule != nil &&
		domain.IsFull(origin) && !p.d.HasRule(author) {
		at := p.main.raw("myorigin")
		p.add(say("postfix-bounces-no-rule", author).finding(p.file, at.line, "myorigin", nil))
	}
}

// origin returns the domain that Postfix writes into its own messages, or "" if it is not
// known. A value that is a file name means the file's first line (postconf(5)), which
// Debian uses.
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
	for _, w := range ways {
		again := func(other *way) bool { return other.seesMessages() && w.isReturnOf(other) }
		if w.ours && w.param == "smtpd_milters" && !w.laundered &&
			slices.ContainsFunc(ways, again) {
			fix := p.noMilters(w)
			at := w.raw("receive_override_options")
			if at.line == 0 || at.file == p.file {
				at = parameter{path.Join(p.Dir, "master.cf"), w.line, ""}
			}
			p.add(say("postfix-handed-back").finding(at.file, at.line, w.name, Fix{fix}))
		}
	}
}

// noMilters keeps milters out of a service.
func (p *postfix) noMilters(w *way) Change {
	have := strings.Join(strings.Fields(w.get("receive_override_options")), "")
	return p.setOption(w.service, "receive_override_options",
		strings.TrimPrefix(have+",no_milters", ","))
}

const daemonName = "milter_macro_daemon_name"

// named gives a daemon name to the first service for users that has none; nil where there is no
// such service.
func (p *postfix) named(ways []*way, name string) Fix {
	for _, w := range ways {
		if _, own := w.own[daemonName]; w.isSubmission() && w.ours && !own {
			return Fix{p.setOption(w.service, daemonName, name)}
		}
	}
	return nil
}

// unnamed takes a name out of ours.daemon_names.
func (d Daemon) unnamed(name string) Fix {
	c := Change{Kind: Setting, Section: "ours", Name: "daemon_names", Values: []string{}}
	for _, n := range d.DaemonNames {
		if n != name {
			c.Values = append(c.Values, n)
		}
	}
	return Fix{c}
}

// daemonNames finds names that make mail ours, and that no service has.
func (p *postfix) daemonNames(ways []*way) {
	have := []string{}
	for _, w := range ways {
		have = append(have, w.get("milter_macro_daemon_name"))
	}
	for _, name := range p.d.DaemonNames {
		if !slices.Contains(have, name) {
			what := say("postfix-no-daemon-name", name)
			p.add(what.finding(path.Join(p.Dir, "master.cf"), 0, daemonName, p.named(ways, name),
				p.d.unnamed(name)))
		}
	}
}
