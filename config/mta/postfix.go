package mta

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"mailseal/milter/action"
)

// Postfix looks at the Postfix whose main.cf and master.cf are in dir. It is false when there is
// none.
func Postfix(h Host, dir string, d Daemon) (Report, bool) {
	examine := func(h Host, d Daemon) (Report, bool) { return examinePostfix(h, dir, d) }
	return remedied(examine, h, d)
}

func examinePostfix(h Host, dir string, d Daemon) (Report, bool) {
	p := &postfix{Report: &Report{Server: "Postfix", Dir: dir, Findings: []Finding{}}, h: h, d: d,
		file: path.Join(dir, "main.cf")}
	text, err := h.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, false
	}
	p.d.Listeners = resolve(h, d.Listeners)
	if err != nil {
		p.unread(p.file, err)
		return *p.Report, true
	}
	p.main = readMain(p.file, text)
	p.Name = postfixName(h, p.main)
	masterFile := path.Join(dir, "master.cf")
	if text, err = h.ReadFile(masterFile); err != nil {
		p.unread(masterFile, err)
	}
	p.services = readMaster(masterFile, text, p.main)
	p.judge()
	p.sort()
	return *p.Report, true
}

// postfix is a Postfix that is judged.
type postfix struct {
	*Report
	h        Host
	d        Daemon
	file     string // main.cf
	main     *parameters
	services []service
	word     string // how a list names us; "" when none does
}

// way is one by which mail comes in, with the filters that it passes.
type way struct {
	service
	param   string // smtpd_milters or non_smtpd_milters
	filters []filter
	off     bool    // receive_override_options contains no_milters
	entry   service // where mail comes in by this way: it has receive_override_options
	ours    bool    // we are among the filters
	meant   bool    // we should be, and cannot be reached

	role      action.Role // of our listener
	detour    *detour     // the filter that its mail passes through, or nil
	laundered bool        // strangers' mail comes back by it, and is taken for ours
}

// ways are all smtpd services, and mail that does not come by SMTP.
func (p *postfix) ways() []*way {
	var out []*way
	local := service{name: "cleanup", parameters: &parameters{up: p.main},
		chroot: levelBelow(p.main, 1)}
	pickup := local
	for _, s := range p.services {
		switch s.command {
		case "smtpd":
			out = append(out, &way{service: s, param: "smtpd_milters", entry: s})
		case "cleanup":
			if s.name == "cleanup" {
				local = s
			}
		case "pickup":
			pickup = s
		}
	}
	out = append(out, &way{service: local, param: "non_smtpd_milters", entry: pickup})
	for _, w := range out {
		if w.off = hasNoMilters(w.entry); !w.off {
			w.filters = postfixFilters(w.get(w.param))
		}
	}
	return out
}

func hasNoMilters(s service) bool {
	return slices.ContainsFunc(words(s.get("receive_override_options"), ", \t\r\n"),
		func(w word) bool { return w.text == "no_milters" })
}

func (p *postfix) judge() {
	ways := p.ways()
	for _, w := range ways {
		for _, f := range w.filters {
			p.filter(w, f)
		}
		p.neighbours(w)
	}
	p.Services = len(ways)
	p.detours(ways)
	for _, w := range ways {
		if w.passes() {
			p.Filtered++
		}
		if w.receivesMail() {
			p.Public++
		}
	}
	if !slices.ContainsFunc(ways, func(w *way) bool { return w.ours || w.meant }) {
		p.unreached(ways)
		return
	}
	for _, w := range ways {
		p.without(w, ways)
	}
	p.laundered(ways)
	p.unseen(ways)
	p.bounces(ways)
	p.handedBack(ways)
	p.daemonNames(ways)
	p.networks()
	p.milterMaps(ways)
	p.afterwards()
}

// filter judges one filter of one way: whether it is us, and whether it is reached.
func (p *postfix) filter(w *way, f filter) {
	l, at := p.listener(w, f)
	meant := l != nil || p.meant(f, at)
	if !f.wrong.zero() {
		w.meant = w.meant || meant
		p.put(w, f, say("postfix-address-bad", f.name, f.wrong, p.consequence(w, f)),
			p.readdressed(w, f, f.right))
		return
	}
	if l == nil {
		if meant {
			w.meant = true
			p.elsewhere(w, f, at)
		}
		return
	}
	w.ours = true
	if p.word == "" {
		p.word = p.shortest(f.raw)
	}
	if l.Network == "unix" {
		p.socket(w, f, *l, at)
	}
	w.role = l.Role
	p.options(w, f)
	p.role(w, f, *l)
}

// process is what connects for a way. Where it goes is right even when who it is cannot be found
// out.
func (p *postfix) process(w *way) (process, error) {
	queue := p.queue()
	out := process{identity: root, dir: queue, server: "postfix"}
	if w.chroot {
		out.chroot = queue
	}
	if w.asRoot {
		return out, nil
	}
	var err error
	out.identity, err = identityOf(p.h, p.main.get("mail_owner"))
	return out, err
}

// listener returns our socket that a filter leads to, or nil, and the address that it leads
// to.
func (p *postfix) listener(w *way, f filter) (*Listener, string) {
	at := f.at.path
	if f.at.network == "unix" {
		proc, _ := p.process(w)
		proc.identity = root // who it is does not matter
		at, _ = reach(p.h, proc, f.at.path)
	}
	e := f.at
	e.v4, e.v6 = p.families()
	for i, l := range p.d.Listeners {
		if l.takes(e) || l.Network == "unix" && e.network == "unix" && at == follow(p.h, l.Target) {
			return &p.d.Listeners[i], at
		}
	}
	return nil, at
}

// families are the address families that Postfix uses.
func (p *postfix) families() (v4, v6 bool) {
	protocols := p.main.get("inet_protocols")
	all := strings.Contains(protocols, "all")
	return all || strings.Contains(protocols, "ipv4"), all || strings.Contains(protocols, "ipv6")
}

// consequence describes the effect on mail while a filter cannot be reached.
func (p *postfix) consequence(w *way, f filter) said {
	if f.fatal && w.param == "smtpd_milters" {
		return say("smtpd-ends")
	}
	if f.fatal {
		return say("cleanup-ends")
	}
	switch p.action(w, f) {
	case "accept":
		return say("mail-passes", p.d.undone())
	case "reject":
		return say("postfix-550")
	case "quarantine":
		return say("postfix-hold")
	case "shutdown":
		return say("postfix-421")
	}
	return say("postfix-451")
}

// action is what Postfix does without a filter.
func (p *postfix) action(w *way, f filter) string {
	if a := f.options["default_action"]; a != "" {
		return a
	}
	return w.get("milter_default_action")
}

// queue is the queue directory, which is the root directory of chrooted services.
func (p *postfix) queue() string { return path.Clean(p.main.get("queue_directory")) }

// put adds a finding about a filter in a list, at the filter's line.
func (p *postfix) put(w *way, f filter, what said, fixes ...Fix) {
	name, at := p.place(w, f.raw)
	p.add(what.finding(at.file, at.line, w.setting(name), fixes...))
}

// readdressed returns the change that replaces the address of a filter in its setting, or
// nil.
func (p *postfix) readdressed(w *way, f filter, address string) Fix {
	if address == "" {
		return nil
	}
	name, at := p.place(w, f.raw)
	value := strings.Replace(at.value, f.raw, strings.Replace(f.raw, f.name, address, 1), 1)
	return Fix{p.set(w.service, name, value)}
}

// place finds the setting that contains a text of a list: the list itself, or a parameter
// that it refers to.
func (p *postfix) place(w *way, raw string) (string, parameter) {
	param, list := p.list(w)
	if strings.Contains(list.value, raw) {
		return param, list
	}
	name, found := "", parameter{}
	for n, v := range p.main.own {
		if strings.Contains(v.value, raw) && (name == "" || v.line < found.line) {
			name, found = n, v
		}
	}
	if name != "" {
		return name, found
	}
	list.value = w.get(w.param)
	return param, list
}

// list is the setting that has the filters of a way: where one list is only another, the
// other.
func (p *postfix) list(w *way) (string, parameter) {
	name, at := w.param, w.raw(w.param)
	for range maxDepth {
		other, ok := reference(at.value)
		if next := w.raw(other); ok && next.line > 0 && len(words(w.get(other), ", \t\r\n")) != 1 {
			name, at = other, next
			continue
		}
		break
	}
	return name, at
}

// reference returns the name of the parameter that a value is only a reference to.
func reference(value string) (name string, ok bool) {
	name, ok = strings.CutPrefix(strings.TrimSpace(value), "$")
	if name = strings.Trim(name, "{}()"); !ok || name == "" || nameLength(name) != len(name) {
		return "", false
	}
	return name, true
}

// set gives a setting another value, in the file that has it.
func (p *postfix) set(s service, name, value string) Change {
	if _, own := s.own[name]; own && s.line > 0 {
		return p.setOption(s, name, value)
	}
	value = strings.Join(strings.Fields(value), " ")
	return Change{Kind: MainCF, File: p.file, Name: name, Value: value}
}

// setOption gives a service of master.cf an option.
func (p *postfix) setOption(s service, name, value string) Change {
	value = strings.Join(strings.Fields(value), " ")
	return Change{
		Kind: MasterCF, File: path.Join(p.Dir, "master.cf"), Service: s.name + " " + s.kind, Name: name, Value: value,
	}
}

// shortest is how a list can name a filter: by the parameter that is nothing else, if there is one.
func (p *postfix) shortest(raw string) string {
	best := raw
	for name, v := range p.main.own {
		if v.value == raw && name != "smtpd_milters" && name != "non_smtpd_milters" &&
			(best == raw || name < best) {
			best = "$" + name
		}
	}
	return best
}
