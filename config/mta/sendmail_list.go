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
	lists := append([]cfDaemon{{line: s.cf.inputAt, filters: s.cf.input, own: true}},
		s.cf.daemons...)
	for _, d := range lists {
		if !d.own {
			continue
		}
		for _, name := range d.filters {
			if !defined(name) {
				s.add(say("sendmail-undefined", name).finding(s.cf.file, d.line, "InputMailFilters",
					s.build(s.withoutName(d, name))))
			}
		}
	}
}

// unused finds that none of our filters is in a list: MAIL_FILTER alone only defines one.
func (s *sendmail) unused() {
	if len(s.ours) == 0 || s.isListed() {
		return
	}
	f := s.cf.filters[slices.IndexFunc(s.cf.filters,
		func(f cfFilter) bool { return f.name == s.ours[0] })]
	s.put(f, say("sendmail-unlisted", s.d.undone()),
		s.listed(append([]string{f.name}, s.cf.input...)))
}

// isListed reports whether any list has a filter of ours.
func (s *sendmail) isListed() bool {
	return slices.ContainsFunc(s.cf.input, s.isOurs) ||
		slices.ContainsFunc(s.cf.daemons,
			func(d cfDaemon) bool { return slices.ContainsFunc(d.filters, s.isOurs) })
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
			continue // already reported, or a port where a content filter returns mail
		}
		d.own = true // it gets a separate list
		fix := s.build(s.portList(d, append([]string{s.ours[0]}, d.filters...)))
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
		c := s.whose(name, e).clashWith(s.d, i < first)
		var fixes []Fix
		switch c.remedy {
		case drop:
			fixes = []Fix{s.dropped(d, f)}
		case goFirst:
			fixes = []Fix{s.portList(d, moved(d.filters, first)), s.dropped(d, f)}
		}
		if c.code != "" {
			s.put(f, say(c.code, c.is), fixes...)
		}
	}
}

// dropped is the list of a port without a filter. Its definition stays: a filter that no list names
// does nothing.
func (s *sendmail) dropped(d cfDaemon, f cfFilter) Fix { return s.withoutName(d, f.name) }

func (s *sendmail) withoutName(d cfDaemon, name string) Fix {
	return s.portList(d, slices.DeleteFunc(slices.Clone(d.filters),
		func(n string) bool { return n == name }))
}

// portList gives a port another list of filters: its own, or the one of all ports that have none.
func (s *sendmail) portList(d cfDaemon, names []string) Fix {
	i := slices.IndexFunc(s.cf.daemons, func(other cfDaemon) bool { return other.line == d.line })
	if i < 0 || !d.own {
		return s.listed(names)
	}
	return Fix{s.portChange(i, "InputMailFilters", strings.Join(names, ";"))}
}

// masquerade finds that Sendmail itself changes addresses of the header after the milters: on
// delivery.
func (s *sendmail) masquerade() {
	for _, m := range s.cf.masquerades {
		if s.d.Signs && s.isListed() {
			s.add(say("sendmail-masquerade", m.value).finding(s.cf.file, m.line, m.value))
		}
	}
}

// moved is a list with one of its names at the head.
func moved(list []string, i int) []string {
	return append([]string{list[i]}, slices.Delete(slices.Clone(list), i, i+1)...)
}

// named names the first port for users that has no name; it returns nil if there is no such
// port.
func (s *sendmail) named(name string) Fix {
	for i, d := range s.cf.daemons {
		isForUsers := d.options['P'] == "587" || strings.HasPrefix(d.options['P'], "submission")
		if isForUsers && slices.ContainsFunc(d.filters, s.isOurs) &&
			!slices.Contains(s.d.DaemonNames, d.name()) {
			return Fix{s.portChange(i, "Name", name)}
		}
	}
	return nil
}

// daemonNames finds names that make mail ours, and that no port has.
func (s *sendmail) daemonNames() {
	for _, name := range s.d.DaemonNames {
		if !slices.ContainsFunc(s.cf.daemons, func(d cfDaemon) bool { return d.name() == name }) {
			what := say("sendmail-no-daemon-name", name)
			s.add(what.finding(s.cf.file, 0, "DaemonPortOptions", s.build(s.named(name)),
				s.d.unnamed(name)))
		}
	}
}
