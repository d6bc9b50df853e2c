// Package mta reads the configuration of the mail servers of a host, Postfix and Sendmail, and
// reports why their mail does not reach Mailseal: sockets that they cannot reach, filters that let
// mail pass when they should wait, services that have no filter, and others that sign as well.
//
// It determines what the servers would do, by their own rules for reading their files; it starts
// nothing, makes no connections and does not need root. A file that it cannot read is a finding,
// too.
package mta

import (
	"cmp"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"mailseal/milter/action"
)

// Daemon is the part of Mailseal's own configuration that a mail server must agree with.
type Daemon struct {
	Listeners   []Listener
	Signs       bool           // mail of ours
	Verifies    bool           // strangers' mail
	DaemonNames []string       // values of {daemon_name} that make mail ours
	Networks    []netip.Prefix // clients whose mail is ours
	// clients whose mail is another host's on purpose: relays, and those that are let alone
	Others   []netip.Prefix
	Deadline time.Duration // how long a message may be judged

	// HasRule reports whether a rule signs mail of an author. Nil: every author's.
	HasRule func(author string) bool
}

// undone describes mail that does not pass through Mailseal.
func (d Daemon) undone() said {
	switch {
	case !d.Verifies:
		return say("unsigned")
	case !d.Signs:
		return say("unjudged")
	}
	return say("unsigned-and-unjudged")
}

// Listener is one socket of Mailseal.
type Listener struct {
	Setting string      // where it is configured: "listen[0]"
	Role    action.Role // whose mail comes in there; RoleAuto: what the client is
	// "tcp4", "tcp6", "tcp", "unix", or "fd" for a socket that systemd hands over
	Network string
	Target  string      // host:port, the socket's path, or the name in systemd
	Mode    fs.FileMode // of a unix socket
	User    string      // of a unix socket; "": the daemon's
	Group   string      // of a unix socket; "": the daemon's

	unit string // the unit of a socket that systemd makes
}

// Severity is how much a finding matters.
type Severity string

// The severities, from the worst.
const (
	Error Severity = "error" // mail does not get through Mailseal, though it should
	// some mail, or all of it at some time, goes unsigned or unjudged, or is treated twice
	Warning Severity = "warning"
	Unknown Severity = "unknown" // could not be found out
	Note    Severity = "note"    // what most would want to know
)

var severities = []Severity{Error, Warning, Unknown, Note}

// Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`    // 1-based; 0 for the file as a whole
	Setting  string   `json:"setting,omitempty"` // smtpd_milters, or a service and its setting
	Text     string   `json:"text"`              // what is wrong, and what happens to mail
	// what corrects it: applied in memory, the finding goes and no other comes
	Fix    Fix  `json:"fix,omitempty"`
	Mended bool `json:"mended,omitempty"` // the remedies of other findings correct it, too

	key   string // the code with what the text names
	fixes []Fix  // what may correct it, the best first
}

// identity is what is found, whatever the line.
func (f Finding) identity() string {
	return string(f.Code) + "|" + f.File + "|" + f.Setting + "|" + f.key
}

// is reports whether two findings are the same, whatever their lines.
func (f Finding) is(other Finding) bool { return f.identity() == other.identity() }

// String writes "file:12: setting: text".
func (f Finding) String() string {
	out := f.File
	if f.Line > 0 {
		out += ":" + strconv.Itoa(f.Line)
	}
	if f.Setting != "" {
		out += ": " + f.Setting
	}
	return out + ": " + f.Text
}

// Report holds the findings about one mail server.
type Report struct {
	Server   string    `json:"server"` // "Postfix" or "Sendmail"
	Dir      string    `json:"dir"`
	Name     string    `json:"name,omitempty"` // by which the server calls itself, {j}
	Services int       `json:"services"`       // ways by which mail comes in
	Filtered int       `json:"filtered"`       // those of them that lead through Mailseal
	Findings []Finding `json:"findings"`       // the worst first

	// Public is how many services take mail in from other hosts or from users.
	Public int `json:"-"`
	// After is what Mailseal is configured to do once all remedies are applied.
	After Daemon `json:"-"`
}

// add puts a finding down, once: services that share a setting share its faults. What corrects it
// is what corrects it for all of them.
func (r *Report) add(f Finding) {
	at := slices.IndexFunc(r.Findings, f.is)
	if at < 0 {
		r.Findings = append(r.Findings, f)
		return
	}
	have := r.Findings[at].fixes
	for i := range min(len(have), len(f.fixes)) {
		have[i] = have[i].with(f.fixes[i])
	}
}

// unread reports that a file exists but cannot be read.
func (r *Report) unread(path string, err error) {
	r.add(say("unreadable", reason(err)).finding(path, 0, ""))
}

func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(severities, a.Severity),
			slices.Index(severities, b.Severity)),
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}
