package mta

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// ChangeKind is the kind of a change: a parameter, a file or a command, for example.
type ChangeKind string

// The kinds of changes.
const (
	MainCF        ChangeKind = "main.cf"
	MasterCF      ChangeKind = "master.cf"       // an option of a service
	SendmailMC    ChangeKind = "sendmail.mc"     // a filter's line, or the list of filters
	SendmailCF    ChangeKind = "sendmail.cf"     // the same, where there is no sendmail.mc
	SendmailPort  ChangeKind = "DAEMON_OPTIONS"  // an option of a port
	SendmailBuild ChangeKind = "sendmail.cf new" // sendmail.cf is made from sendmail.mc
	Setting       ChangeKind = "mailseal.toml"
	EditUnit      ChangeKind = "unit"    // settings of a unit of systemd
	System        ChangeKind = "command" // a command about users, files and units of the host
)

// Change is one thing to do: a line to put into a file, or a command to run. Which of the fields
// count depends on the kind.
type Change struct {
	Kind    ChangeKind
	File    string // the file of a mail server, or the unit
	Service string // of master.cf: "submission inet"
	Section string // of mailseal.toml: "listen[0]", "ours", or "[[listen]]" for another one
	Name    string // the parameter, filter, port, key or verb
	Value   string
	Values  []string // of a list in mailseal.toml, else nil

	// whole: the change is one half of another, without which it would do harm, though no finding
	// shows that: it is never left out
	whole bool
	line  string // as it is put, or run
	head  string // where it belongs, in a comment above it; "" where its finding says so
	order int    // of a port among those of sendmail.cf
	make  []Listener
}

// key identifies the target of a change: of two changes with the same key only the later
// one counts.
func (c Change) key() string {
	if c.Kind == System {
		return string(c.Kind) + "|" + c.line
	}
	if c.Kind == SendmailPort {
		return strings.Join([]string{string(c.Kind), c.File, string(rune('0' + c.order))}, "|")
	}
	return strings.Join([]string{string(c.Kind), c.File, c.Service, c.Section, c.Name}, "|")
}

// String is the line, or the command.
func (c Change) String() string {
	switch c.Kind {
	case MainCF:
		return strings.TrimSpace(c.Name + " = " + c.Value)
	case MasterCF:
		return c.head + option(c.Name, c.Value)
	case Setting:
		return c.setting()
	}
	return c.line
}

// option writes an option of master.cf: with braces where a value has white space.
func option(name, value string) string {
	if strings.ContainsAny(value, blanks) {
		return "  -o { " + name + " = " + value + " }"
	}
	return "  -o " + name + "=" + value
}

// setting writes a line of mailseal.toml and says where it belongs.
func (c Change) setting() string {
	value := `"` + c.Value + `"`
	if c.Values != nil {
		value = "[]"
		if len(c.Values) > 0 {
			value = `["` + strings.Join(c.Values, `", "`) + `"]`
		}
	}
	section := c.Section
	if section == "ours" {
		section = "[ours]"
	}
	if strings.HasPrefix(section, "another ") {
		section = "another [[listen]]"
	}
	return c.Name + " = " + value + "  # mailseal.toml, " + section
}

// Fix are the changes that correct a finding together.
type Fix []Change

// String returns the changes, each on one or more separate lines.
func (f Fix) String() string {
	var lines []string
	for i, c := range f {
		if i > 0 && c.head == f[i-1].head {
			c.head = "" // it is below the one before
		}
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

// with appends changes of settings that are not changed yet.
func (f Fix) with(more Fix) Fix {
	for _, c := range more {
		if !slices.ContainsFunc(f, func(have Change) bool { return have.key() == c.key() }) {
			f = append(slices.Clip(f), c)
		}
	}
	return f
}

func setting(section, name, value string) Change {
	return Change{Kind: Setting, Section: section, Name: name, Value: value}
}

// Networks is the change of ours.networks to those given.
func Networks(all []netip.Prefix) Fix { return Fix{networksSetting(all)} }

// networksSetting is ours.networks, each network once and none that another one holds.
func networksSetting(all []netip.Prefix) Change {
	c := Change{Kind: Setting, Section: "ours", Name: "networks", Values: []string{}}
	for i, n := range all {
		within := func(j int, o netip.Prefix) bool {
			return o.Contains(n.Addr()) && (o.Bits() < n.Bits() || o.Bits() == n.Bits() && j < i)
		}
		covered := false
		for j, o := range all {
			covered = covered || within(j, o)
		}
		if !covered {
			c.Values = append(c.Values, networkName(n.Masked()))
		}
	}
	return c
}

// networkName writes a network of one address without its length.
func networkName(n netip.Prefix) string {
	if n.IsSingleIP() {
		return n.Addr().String()
	}
	return n.String()
}

func command(verb, file, line string) Change {
	return Change{Kind: System, Name: verb, File: file, line: line}
}

// start makes the sockets that systemd or the daemon itself would make.
func start(l Listener) Change {
	line := "systemctl start mailseal"
	if l.unit != "" {
		line = "systemctl enable --now " + path.Base(l.unit)
	}
	return Change{Kind: System, Name: "start", line: line, make: []Listener{l}}
}
