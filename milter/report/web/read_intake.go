package web

import (
	"time"

	"mailseal/milter/report/advice"
)

// Intake is how reports arrive.
type Intake struct {
	Today, Usual, Duplicates int64 // reports; duplicates of today
	Mails, Bytes             int64 // that arrived today
	UnreadToday              int64 // of these mails
	Last                     time.Time
	Unread                   []UnreadKind // all of which Errors are the latest
	Days                     []DayCount
	Errors                   []Failure
	Unverified               []Stranger
	Others                   []Stranger
	Decided                  []Decided
	Failures                 int64 // failure reports stored
	TLS                      int64 // TLS reports stored
}

// DayCount is a count of a day.
type DayCount struct {
	Day advice.Day
	N   int64
}

// Failure is a mail that could not be read.
type Failure struct {
	ID            int64
	At            time.Time
	Code, Why     string
	From, Subject string
	Length        int64
	Via           string // "lmtp", "pipe", "import", "upload"
	Reports       int64  // that were read from it nevertheless; Unread alone returns them
	Held          bool   // it is kept as it came
}

// UnreadKind counts mails of a kind in which something could not be read.
type UnreadKind struct {
	Kind    string
	N, Held int64 // all, and those that are kept as they came
}

// Stranger is a reporter that is not verified, or one that reports on a domain that is not
// configured.
type Stranger struct {
	Org, From, Domain string
	Reports           int64
	Since             time.Time
}

// Decided is a reporter whose reports a person has count without proof, or refused.
type Decided struct {
	Org     string
	Refused bool
	Reports int64
}

// Outgoing is what this host reports to others.
type Outgoing struct {
	On      bool
	Counted advice.Day
	Next    time.Time
	Rows    []OutRow
	More    int // domains that ask for reports, too, and are not in Rows
	Sent    []SentReport
	Blocked []Suppression
	Hosts   []OutHost // that share the database; none where one host has it
}

// OutHost is one of the hosts that share the database of reports.
type OutHost struct {
	Host            string
	Leads           []string // what it does for all of them
	Seen            time.Time
	Segments, Bytes int64     // that wait in its spool
	Oldest          time.Time // of them; zero: none waits
}

// OutRow is a domain that asks for reports.
type OutRow struct {
	Domain, State, Why string
	Messages           int64
	At                 time.Time

	Rows  int64
	Gates OutGates
}

// OutGates are the conditions that a report depends on.
type OutGates struct {
	Allowed    Gate // by the configuration
	Enough     Gate // messages
	Relation   Gate
	Address    Gate // rua has one that a report can be sent to
	Permission Gate // of an address at another domain
	Free       Gate // an address is not suppressed
}

// Gate is a condition: whether it is met, and a note on why, in few words. One that is not Known is
// looked at when the report is sent.
type Gate struct {
	Open, Known bool
	Note        string
}

// word is the gate in a word.
func (g Gate) word() string {
	switch {
	case !g.Known:
		return "later"
	case g.Open:
		return "yes"
	}
	return "no"
}

// SentReport is a report that was handed over.
type SentReport struct {
	Domain, To, State string
	Day               advice.Day
	At                time.Time
	ID                string // of the report
	Failed            bool   // it was not handed over, and can be sent again
}

// Preview is a report as it would be sent now.
type Preview struct {
	Domain                 string
	Day                    advice.Day
	ID                     string
	Messages, Rows, Folded int64
	Sends                  bool
	Reason                 string // why not
	To                     []string
	Mail, XML              []byte
}

// Suppression is an address that gets nothing until a day.
type Suppression struct {
	ID           int64
	Address, Why string
	Until        time.Time
}
