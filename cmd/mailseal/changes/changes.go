// Package changes passes changes that an administrator makes on the pages of reports from the role
// web, which only reads the store, to the role intake, which checks and writes: verdicts on
// sources, acceptance of reporters, report files, mail that could not be read, addresses that get
// no reports, and reports that are sent again.
//
// They go over a unix socket, as HTTP: a change is a POST to a path below, with a JSON object or
// the bytes of a file. Only root and the user of the process get an answer.
package changes

import (
	"errors"
	"net/netip"
	"time"

	"mailseal/milter/report/intake"
)

// The paths of changes.
const (
	pathReady  = "/ready"
	pathJudge  = "/judge"
	pathUndo   = "/undo"
	pathUse    = "/use"
	pathAccept = "/accept"
	pathRefuse = "/refuse"
	pathProve  = "/prove"
	pathUpload = "/upload"

	pathReread  = "/reread"
	pathDiscard = "/discard"

	pathSuppress = "/suppress"
	pathRelease  = "/release"
	pathResend   = "/resend"
)

// Bounds of the socket. Clients are the pages of administrators.
const (
	maxChange  = 64 << 10 // bytes of a change other than a file
	maxUpload  = intake.MaxMessage
	maxAnswer  = 64 << 10 // bytes
	maxAtOnce  = 4        // changes that are made at once; further ones wait
	maxFiles   = 1        // files that are read at once, each of which may take 128 MiB inflated
	maxWords   = 300      // bytes of a name
	maxSources = 1_000    // addresses of a source
	patience   = 30 * time.Second
	rereadWait = 20 * time.Second // for mails that are read again; then the rest follows
	// for a file, its transfer included; below the time limit of a page
	longestUpload = 100 * time.Second
)

// change is what is asked for; which fields are set depends on the path.
type change struct {
	By        string       `json:"by"`
	Domain    string       `json:"domain,omitempty"`
	Subject   string       `json:"subject,omitempty"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Class     string       `json:"class,omitempty"`
	Rule      int64        `json:"rule,omitempty"`
	Reporter  string       `json:"reporter,omitempty"`
	Mail      int64        `json:"mail,omitempty"` // the number of what arrived
	Kind      string       `json:"kind,omitempty"` // of what arrived: all of it
	Address   string       `json:"address,omitempty"`
	Until     time.Time    `json:"until,omitzero"`
	Reason    string       `json:"reason,omitempty"`
	Report    string       `json:"report,omitempty"` // the ID of one that goes out
}

// reply is the answer, with status 200 for a change that was made.
type reply struct {
	Text  string `json:"text,omitempty"`  // a sentence for the page
	Error string `json:"error,omitempty"` // why nothing was changed
}

// errBad reports a change that was not understood.
var errBad = errors.New("the change was not understood")

// errNotNow reports a change that was understood, and cannot be made as things are.
var errNotNow = errors.New("nothing was read again")
