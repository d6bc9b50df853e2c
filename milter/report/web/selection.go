package web

import (
	"cmp"
	"html/template"
	"slices"
	"strings"

	"mailseal/milter/report/advice"
)

// shows reports whether a domain is among those that the visitor chose: by what it publishes, and
// by its group. A group that does not exist has no domain.
func (s *Server) shows(v visit, d Domain) bool {
	return showsKind(v.q.Get("show"), d) && s.inGroup(v.q.Get("group"), d.Name)
}

func showsKind(show string, d Domain) bool {
	switch show {
	case "enforcing":
		return d.Policy.Step >= advice.Quarantine && !d.Parked
	case "monitoring":
		return d.Policy.Step < advice.Quarantine && !d.Parked
	case "parked":
		return d.Parked
	}
	return true
}

func (s *Server) inGroup(group, domain string) bool {
	if group == "" {
		return true
	}
	for _, g := range s.groups {
		if g.Name == group {
			return g.Has(domain)
		}
	}
	return false
}

// chosen describes the choice of domains, "" for all.
func (v visit) chosen() string {
	var parts []string
	if show := v.q.Get("show"); show != "" && show != "all" {
		parts = append(parts, show)
	}
	if group := v.q.Get("group"); group != "" {
		parts = append(parts, "group "+group)
	}
	return strings.Join(parts, ", ")
}

// selections are the links that limit the overview to kinds of domains and to groups. Each keeps
// the other choice.
// A group without a domain that the visitor may see is not named: its name may be a customer's.
func (s *Server) selections(v visit, domains []Domain) (kinds, groups []choice) {
	show, group := cmp.Or(v.q.Get("show"), "all"), v.q.Get("group")
	for _, kind := range append([]string{"all"}, shownWords...) {
		kinds = append(kinds, choice{kind, "/?" + v.filter.query("show", kind, "group", group),
			show == kind})
	}
	var own []Group
	for _, g := range s.groups {
		if v.all() || slices.ContainsFunc(domains, func(d Domain) bool { return g.Has(d.Name) }) {
			own = append(own, g)
		}
	}
	if len(own) == 0 {
		return kinds, nil
	}
	groups = append(groups, choice{"all groups", "/?" + v.filter.query("show", show), group == ""})
	for _, g := range own {
		groups = append(groups, choice{visible(g.Name),
			"/?" + v.filter.query("show", show, "group", g.Name), group == g.Name})
	}
	return kinds, groups
}

// fold takes the parked domains out of the rows that need no attention, unless there is only one,
// no other row is left, or the visitor asked for parked domains.
func fold(all []scored, v visit) (rows, parked []scored) {
	if show := v.q.Get("show"); show != "" && show != "all" {
		return all, nil
	}
	for _, l := range all {
		isClean := l.h.level == healthOK || l.h.level == healthQuiet
		if isClean && l.x.domain.Parked {
			parked = append(parked, l)
		} else {
			rows = append(rows, l)
		}
	}
	if len(parked) < 2 || len(rows) == 0 {
		return all, nil
	}
	return rows, parked
}

// foldedLine stands for the parked domains that have no row of their own.
func foldedLine(parked []scored, v visit) template.HTML {
	var c Counts
	for _, l := range parked {
		c.Add(l.x.total)
	}
	line := link("/?"+v.filter.query("show", "parked", "group", v.q.Get("group")),
		say("%s parked domains", len(parked))) + " need no attention: "
	if c.Messages == 0 {
		return line + "no message used their names."
	}
	return line + say("%s used their names, and receivers held or refused %s.",
		plain(advice.Plural(c.Messages, "message", "messages")), c.Held+c.Refused)
}
