package mta

import (
	"slices"
	"strings"
)

// other is a mail filter that is not Mailseal.
type other struct {
	name    string
	ports   string // on which it listens by custom
	conf    string // its configuration, where a Socket setting says where it listens
	signs   bool   // it signs mail of ours
	judges  bool   // it writes Authentication-Results
	instead bool   // it does nothing that Mailseal does not do
	edits   bool   // it changes what has been signed
	guessed bool   // it was recognized by its port alone
}

// others are the filters that do the same as Mailseal, or undo it. They are recognized by a
// name in their path, by their customary port, and by the Socket of their configuration.
var others = []other{
	{name: "opendkim", ports: "8891 12301", conf: "/etc/opendkim.conf", signs: true, judges: true, instead: true},
	{name: "dkimpy", ports: "8892", conf: "/etc/dkimpy-milter/dkimpy-milter.conf", signs: true,
		judges: true, instead: true},
	{name: "opendmarc", ports: "8893 54321", conf: "/etc/opendmarc.conf", judges: true, instead: true},
	{name: "openarc", conf: "/etc/openarc.conf", judges: true, instead: true},
	{name: "rspamd", ports: "11332", judges: true},
	{name: "spf", judges: true, instead: true},
	{name: "mimedefang", edits: true},
	{name: "altermime", edits: true},
}

// clash is what another filter of a list does to us.
type clash struct {
	code   Code // "" when it does nothing
	is     said // which filter it is
	remedy remedy
}

type remedy int

const (
	leave   remedy = iota // there is no one line for it
	drop                  // the list without it
	goFirst               // the list with us at its head
)

// clashWith judges a filter that comes before us in a list, or after.
func (o other) clashWith(d Daemon, before bool) clash {
	is := say("is-other", o.name)
	if o.guessed {
		is = say("has-port-of", o.name)
	}
	switch {
	case o.signs && d.Signs:
		return clash{"signs-too", is, drop}
	case o.judges && d.Verifies && before:
		return clash{"judges-first", is, goFirst}
	case o.instead && d.Verifies:
		return clash{"judges-too", is, drop}
	case o.edits && d.Signs && !before:
		return clash{"changes-after", is, leave}
	}
	return clash{}
}

// identify tells whose socket it is that a mail server connects to. An unknown one has no name.
func identify(h Host, e endpoint, at string) other {
	for _, o := range others {
		if o.conf == "" {
			continue
		}
		if s, ok := socketOf(h, o.conf); ok && s.network == e.network &&
			(s.network == "unix" || e.isThisHost()) && (s.network == "unix" && at == s.path ||
			s.network == "tcp" && s.port == e.port) {
			return o
		}
	}
	for _, o := range others {
		if e.network == "unix" && strings.Contains(e.path, o.name) {
			return o
		}
		if e.network == "tcp" && strings.Contains(e.host, o.name) { // a container's name
			return o
		}
		if e.network == "tcp" && (e.isThisHost() || e.port != ourPort) &&
			slices.Contains(strings.Fields(o.ports), e.port) {
			o.guessed = true
			return o
		}
	}
	return other{}
}

// socketOf reads where a filter of OpenDKIM's family listens.
func socketOf(h Host, conf string) (e endpoint, ok bool) {
	text, err := h.ReadFile(conf)
	if err != nil {
		return e, false // it is not installed, or none of our business
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && strings.EqualFold(f[0], "Socket") {
			e, _, _ = parseSendmail(f[1]) // a port without a host is good there
			ok = e.network != ""
		}
	}
	return e, ok
}

// ourPort is where Mailseal listens by default, as OpenDKIM does: on another host it may be either.
const ourPort = "8891"
