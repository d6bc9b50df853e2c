package web

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"mailseal/milter/report/advice"
)

// ErrNotFound means that a reader has nothing under the name or number asked for.
var ErrNotFound = errors.New("web: not found")

// Reader provides the data of the pages. All counts are messages. Every method answers for the
// filter's domains alone.
type Reader interface {
	// Changed reports what has changed since a mark; the zero mark is before everything.
	Changed(ctx context.Context, since Mark) (Change, error)
	// Domains returns the configured domains with their policies, sorted by name.
	Domains(ctx context.Context) ([]Domain, error)
	// Sums adds up messages for each combination of the dimensions.
	Sums(ctx context.Context, f Filter, by ...Dim) ([]Sum, error)
	// Reasons adds up messages by receiver and the reason that it gave for not doing as the policy
	// asks. Messages of a record with several reasons count for each.
	Reasons(ctx context.Context, f Filter) ([]Sum, error)
	// Identities adds up messages for each combination of identifiers and results.
	Identities(ctx context.Context, f Filter) ([]Identity, error)
	// Sources returns what is known about the addresses that f selects.
	Sources(ctx context.Context, f Filter) ([]Address, error)
	// Records returns records, newest first.
	Records(ctx context.Context, f Filter, p Window) ([]Record, error)
	// Reports returns reports, newest first, and how many there are.
	Reports(ctx context.Context, f Filter, p Window) ([]Report, int64, error)
	// Report returns one report with its records; ErrNotFound.
	Report(ctx context.Context, id int64) (Report, []Record, error)
	// Raw returns the XML as it was received; ErrNotFound.
	Raw(ctx context.Context, id int64) ([]byte, error)
	// Receivers returns when each receiver last reported on each domain.
	Receivers(ctx context.Context, f Filter) ([]Reporter, error)
	// Rules returns the verdicts of persons, newest first, those that were undone included.
	Rules(ctx context.Context) ([]Rule, error)
	// Detail returns what the DNS said of the addresses, keys and names of a domain when it was
	// asked last; the zero value before that.
	Detail(ctx context.Context, domain string) (Detail, error)
	// Others returns TLS reports or failure reports, the newest first, and sums of all. Of f the
	// period and the domains count.
	Others(ctx context.Context, kind OtherKind, f Filter, w Window) ([]Other, OtherSums, error)
	// Events returns changes of policies, DNS and keys in the period of f.
	Events(ctx context.Context, f Filter) ([]Event, error)
	// Intake returns how reports arrive.
	Intake(ctx context.Context, now time.Time) (Intake, error)
	// Outgoing returns what is sent to others; ErrNotFound if nothing is.
	Outgoing(ctx context.Context, now time.Time) (Outgoing, error)
	// Unread returns a mail in which something could not be read, and its bytes, nil if they are
	// not kept any more; ErrNotFound.
	Unread(ctx context.Context, id int64) (Failure, []byte, error)
	// Preview returns the reports that a domain would get, the newest day first; ErrNotFound if
	// nothing of it was counted. It may ask the DNS.
	Preview(ctx context.Context, domain string) ([]Preview, error)
	// HasOutgoing reports whether there is such a page, at no cost.
	HasOutgoing() bool
}

// Dim is a dimension that messages are added up by.
type Dim int

// Dimensions.
const (
	ByDomain Dim = iota
	ByReceiver
	ByDay
	ByAddress
	ByFrom
	ByReason
)

// Filter selects records. The zero value of a field selects all.
type Filter struct {
	From, To advice.Day
	Domains  []string // configured domains
	Receiver string
	// Addresses selects records of these sources; AllBut of all others. At most one of them is set.
	// The invalid address is that of all sources of which reports do not give one.
	Addresses []netip.Addr
	AllBut    []netip.Addr
	HeaderOf  string // the From domain
	// "pass", "fail", "delivered", "held", "refused"; the last three are kinds of fail
	Result   string
	DKIM     string // aligned result: "pass", "fail"
	SPF      string
	Signer   string // d= of some signature, with Selector, or with none if NoSelector is set
	Selector string
	// NoSelector selects signatures of Signer of which the report names no selector.
	NoSelector bool
	Envelope   string // as the report has it, or else the domain of which SPF was checked
	Reason     string // that the receiver gave
	Report     int64
}

// Window is a part of a list.
type Window struct{ Offset, Rows int }

// Counts are sums of messages. Fail is Messages - Pass = Delivered + Held + Refused.
type Counts struct {
	Messages, Pass           int64
	DKIM, SPF                int64 // aligned passes
	Delivered, Held, Refused int64 // of those that failed
	Forwarded, Listed        int64 // failed, and the receiver gave that reason
}

// Fail returns the messages that failed DMARC.
func (c Counts) Fail() int64 { return c.Messages - c.Pass }

// Add adds d to c.
func (c *Counts) Add(d Counts) {
	c.Messages += d.Messages
	c.Pass += d.Pass
	c.DKIM += d.DKIM
	c.SPF += d.SPF
	c.Delivered += d.Delivered
	c.Held += d.Held
	c.Refused += d.Refused
	c.Forwarded += d.Forwarded
	c.Listed += d.Listed
}

// Sum is a group of messages. Fields of dimensions that were not asked for are zero.
type Sum struct {
	Domain, Receiver, From, Reason string
	Day                            advice.Day
	Address                        netip.Addr
	Counts
}

// Domain is a configured domain.
type Domain struct {
	Name   string
	Parked bool
	Policy advice.Policy // as reports last saw it, or as DNS has it
	Known  bool          // some policy was seen
	First  advice.Day    // of the first report; 0 if there was none
	Use    advice.Use
	UseBy  string
	UseAt  advice.Day
	ToList int64 // messages of 90 days that this host sent to mailing lists
	Reply  int64 // and that answered other mail
	Sent   int64 // and all
	SPFAll string
	NoSPF  bool // the DNS has no SPF record
	Terms  []advice.Term
	// Selectors are the keys that signed lately, as the DNS shows them.
	Selectors []advice.Selector
	// DNS counts what the last check of the records found; nil before the first.
	DNS *Checks
	// Published is the policy that the DNS had then; nil if it is not known.
	Published *Published
	// Was is the policy that reports named before Policy; nil if they named no other.
	Was  *advice.Step
	Last advice.Day // of which a report named Policy
	// NoReports is why no report comes, as a sentence; "" if it is not known.
	NoReports string
}

// Checks counts findings of a check of the DNS.
type Checks struct {
	Faults, Warnings int
	At               time.Time
	Worst            string // the worst of them, as a sentence
}

// Published is the DMARC policy that the DNS shows for a domain.
type Published struct {
	Step advice.Step
	Gone bool   // no record applies, and Step means nothing
	At   string // the domain whose record it is: the domain itself or the one above it
	// Invalid reports whether Gone means that there is a record, which receivers ignore.
	Invalid bool
}

// Identity is a combination of identifiers and results of one source.
type Identity struct {
	Address     netip.Addr
	From        string
	Envelope    string
	SPF         string // the SPF result as reported
	DKIM        []advice.Signature
	AlignedDKIM bool // as the receiver judged
	AlignedSPF  bool
	Disposition string
	Reason      string
	Last        advice.Day
	Messages    int64
	Receivers   []string // that reported it, sorted
}

// Pass reports whether DMARC passed.
func (i *Identity) Pass() bool { return i.AlignedDKIM || i.AlignedSPF }

// Address is what is known about an address that sent mail as a domain.
type Address struct {
	Domain      string
	IP          netip.Addr
	Reverse     string // its reverse name, confirmed by a forward lookup; "" if there is none
	First, Last advice.Day
	Days        []DaySum // of all receivers, the first day first
	Network     bool     // in the networks of this host
	// Of the databases in reports.intake.address_databases: the number of the network's operator,
	// its name, and the country in two letters; zero if they are not known.
	ASN      int64
	Operator string
	Country  string
}

// DaySum is a number of messages on a day.
type DaySum struct {
	Day      advice.Day
	Messages int64
}

// place is the operator of the network and the country as text: "AS64500 ESP-EXAMPLE, NL".
func (a *Address) place() string {
	var parts []string
	if a.ASN != 0 {
		parts = append(parts, strings.TrimSpace("AS"+itoa(a.ASN)+" "+a.Operator))
	}
	if a.Country != "" {
		parts = append(parts, a.Country)
	}
	return strings.Join(parts, ", ")
}

// Report is an aggregate report.
type Report struct {
	ID         int64
	Receiver   string // organization after aliases
	Org        string // as the report says
	Email      string
	ReportID   string
	Domain     string
	Begin, End time.Time
	Received   time.Time
	Trusted    bool
	Trust      string // why, or why not
	Format     string
	Policy     string // as published, says the report
	Generator  string
	Notes      []Note
	Duplicates int
	Messages   int64
	Pass       int64
	Records    int
}

// Note is something that the reader of a report noticed.
type Note struct{ Code, Title, Text string }

// Record is a row of a report.
type Record struct {
	Report      int64
	N           int // from 1
	Day         advice.Day
	Domain      string
	Receiver    string
	Address     netip.Addr
	Count       int64
	Disposition string
	DKIM, SPF   string // as evaluated: aligned results
	From        string
	To          string
	Envelope    string
	SPFDomain   string
	SPFResult   string
	Signatures  []advice.Signature
	Reasons     []Reason
}

// Pass reports whether DMARC passed.
func (r *Record) Pass() bool { return r.DKIM == "pass" || r.SPF == "pass" }

// Reason is why a receiver did not do as the policy asked.
type Reason struct{ Type, Comment string }

// Reporter is a receiver that reports on a domain.
type Reporter struct {
	Domain, Receiver string
	Messages         int64
	Days             int // on which it reported in the period
	First, Last      advice.Day
	LastReceived     time.Time
	// between the end of the period and the arrival, of the last report
	Delay   time.Duration
	Format  string
	Trusted bool
}

// Rule is a verdict of a person on a source.
type Rule struct {
	ID     int64
	Domain string // "" is all domains
	Source string // a name or address as pages show it; "" if Net is set
	Net    netip.Prefix
	// Addresses are those that a named source had when it was judged.
	Addresses []netip.Addr
	Class     advice.Class
	By        string
	At        time.Time
	Was       advice.Class
	Undone    bool
}

// Event is a change that a time line marks.
type Event struct {
	Domain string
	At     time.Time
	Kind   string // "policy", "dns", "key", "source"
	Text   string
}
