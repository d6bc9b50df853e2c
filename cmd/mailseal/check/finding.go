// Package check finds mistakes before they affect mail: in the configuration and everything that it
// names, in what the DNS shows of the keys, and in how the mail servers of the host use Mailseal.
// It starts nothing and changes nothing.
//
// The packages that know a subject (config, keyfile, keydns, mta and others) report in types of
// their own. This package alone turns them into findings: codes.go is the table of all codes,
// package remedy builds the remedies.
package check

import (
	"strconv"

	"mailseal/cmd/mailseal/remedy"
)

// Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Code     Code
	Severity Severity
	File     string // "" for what is in no file, such as a DNS record
	Line     int    // 1-based; 0 when it is not known
	Setting  string // a setting, a service with its setting, or the name of a DNS record
	Text     string // what is wrong, and what happens to mail
	Fix      remedy.Remedy
	Mended   bool // the remedies of other findings correct it, too
}

// String writes "file:12: setting: text".
func (f Finding) String() string {
	out := f.File
	if f.Line > 0 {
		out += ":" + strconv.Itoa(f.Line)
	}
	if out != "" {
		out += ": "
	}
	if f.Setting != "" {
		out += f.Setting + ": "
	}
	return out + f.Text
}

// Code names what was found. Codes are stable: their sentences may change from one version to the
// next, they do not.
type Code string

// Severity is how much a finding matters.
type Severity string

// The severities, from the worst.
const (
	// the daemon does not start, or mail is deferred, unsigned or cannot be verified
	Error Severity = "error"
	// some mail, or all of it at some time, may be treated otherwise than it should be
	Warning Severity = "warning"
	Unknown Severity = "unknown" // it could not be found out
	Note    Severity = "note"    // what most operators want to know
)

// Area is the subject of a finding. The line that sums up an area counts its findings.
type Area string

// The areas.
const (
	Local Area = "local" // the configuration, and what it names on this host
	DNS   Area = "dns"
	MTA   Area = "mta"
)
