package mta

import (
	"slices"
	"strings"
)

// undefined finds lists that name a filter which is not there: Sendmail does not start then.
func (s *sendmail) undefined() {
	defined := func(name string) bool {
		return slices.ContainsFunc(s.cf.filters, func(f cfFilter) bool { return f.name == name })
	}
	lists := append([]cfDaemon{{line: s.cf.inputAt, filters: s.cf.input, own: true}}, s.cf.daemons...)
	for _, d := range lists {
		if !d.own {
			continue
		}
		for _, name := range d.filters {
			if !defined(name) {
				s.add(say("sendmail-undefined", name).finding(s.cf.file, d.line, "InputMailFilters", ""))
			}
		}
	}
}

// unused finds that none of our filters is in a list: MAIL_FILTER alone only defines one.
func (s *sendmail) unused() {
	if len(s.ours) == 0 || s.isListed() {
		return
	}
	f := s.cf.filters[slices.IndexFunc(s.cf.filters, func(f cfFilter) bool { return f.name == s.ours[0] })]
	fix := "O InputMailFilters=" + strings.Join(append([]string{f.name}, s.cf.input...), ", ")
	if s.hasMC {
		fix = "INPUT_MAIL_FILTER(`" + f.name + "', `" + f.equates + "')dnl"
	}
	s.put(f, say("sendmail-unlisted", s.d.undone()), fix)
}

// isListed tells whether any list has a filter of ours.
func (s *sendmail) isListed() bool {
	return slices.ContainsFunc(s.cf.input, s.isOurs) ||
		slices.ContainsFunc(s.cf.daemons, func(d cfDaemon) bool { return slices.ContainsFunc(d.filters, s.isOurs) })
}

func (s *sendmail) isOurs(name string) bool { return slices.Contains(s.ours, name) }

// daemons judges the filters of each port.
func (s *sendmail) daemons() {
	ports := s.cf.daemons
	if len(ports) == 0 {
		ports = []cfDaemon{{line: s.cf.inputAt, filters: s.cf.input}}
	}
	s.Services = len(ports)
	for _, d := range ports {
		first := slices.IndexFunc(d.filters, s.isOurs)
		if first >= 0 {
			s.Filtered++
			s.neighbours(d, first)
			continue
		}
		if s.meant || d.own && d.isLoopback() || !s.isListed() {
			continue // said already, or a port where a content filter hands mail back
		}
		list := strings.Join(append([]string{s.ours[0]}, d.filters...), ";")
		fix := "InputMailFilters=" + list + " in DAEMON_OPTIONS of " + d.name()
		s.add(say("sendmail-port-without", s.d.undone()).finding(s.cf.file, d.line, d.name(), fix))
	}
	s.daemonNames()
}

// neighbours judges the other filters of a port.
func (s *sendmail) neighbours(d cfDaemon, first int) {
	for i, name := range d.filters {
		j := slices.IndexFunc(s.cf.filters, func(f cfFilter) bool { return f.name == name })
		if j < 0 || i == first {
			continue
		}
		f := s.cf.filters[j]
		if s.isOurs(name) {
			s.put(f, say("sendmail-twice"), s.dropped(d, f))
			continue
		}
		e, _, _ := parseSendmail(f.socket)
		c, fix := s.whose(name, e).beside(s.d, i < first), ""
		switch c.remedy {
		case drop:
			fix = s.dropped(d, f)
		case goFirst:
			fix = "define(`confINPUT_MAIL_FILTERS', `" + strings.Join(moved(d.filters, first), ", ") + "')dnl"
		}
		if c.code != "" {
			s.put(f, say(c.code, c.is), fix)
		}
	}
}

// dropped is what takes a filter out of its list: a comment in sendmail.mc, which makes the list, or the list without it.
func (s *sendmail) dropped(d cfDaemon, f cfFilter) string {
	if s.hasMC && !d.own {
		return "dnl " + s.written(f, f.equates)
	}
	kept := slices.DeleteFunc(slices.Clone(d.filters), func(name string) bool { return name == f.name })
	if d.own {
		return "InputMailFilters=" + strings.Join(kept, ";") + " in DAEMON_OPTIONS of " + d.name()
	}
	return "O InputMailFilters=" + strings.Join(kept, ", ")
}

// moved is a list with one of its names at the head.
func moved(list []string, i int) []string {
	return append([]string{list[i]}, slices.Delete(slices.Clone(list), i, i+1)...)
}

// daemonNames finds names that make mail ours, and that no port has.
func (s *sendmail) daemonNames() {
	for _, name := range s.d.DaemonNames {
		if !slices.ContainsFunc(s.cf.daemons, func(d cfDaemon) bool { return d.name() == name }) {
			fix := "Name=" + name + " in DAEMON_OPTIONS"
			s.add(say("sendmail-no-daemon-name", name).finding(s.cf.file, 0, "DaemonPortOptions", fix))
		}
	}
}
