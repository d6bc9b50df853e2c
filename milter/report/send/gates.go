// Package send builds aggregate reports from the counted rows, and hands them to the mail server of
// this host. Gates decide whether a domain gets a report; the store has the state of each report
// and each mail.
package send

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// Rules decide which domains get reports.
type Rules struct {
	Send       bool
	ListedOnly bool                     // only Listed domains
	Listed     func(domain string) bool // they always get one
	Excluded   func(domain string) bool // they never do
	Minimum    int64                    // messages of a day
	PerHour    int                      // mails

	// Ours reports whether an address takes reports or bounces for us: a report to it would be
	// about our reports in the end. Nil: none does but the domain of the sender.
	Ours func(address string) bool
}

// PerHost is how many mails one destination gets in a minute at most.
const PerHost = 10

// destination returns the name for which the mails to an address are counted: the organizational
// domain of the mail server that takes them, since thousands of domains are at one of the large
// mailbox providers. It is the domain of the address where that has no MX record, or the DNS does
// not answer.
func (r *Reporter) destination(ctx context.Context, address string) string {
	host := address[strings.LastIndexByte(address, '@')+1:]
	answer, err := r.Authorizer.Resolver.Lookup(ctx, host, dns.MX)
	if err != nil || len(answer.Exchanges) == 0 {
		return host
	}
	first := slices.MinFunc(answer.Exchanges, func(a, b dns.Exchange) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), strings.Compare(a.Host, b.Host))
	})
	return cmp.Or(report.Organization(first.Host), host)
}

// The gate of relation.
const (
	// passing mail on so many days, the last so many days after the first
	passDays, passSpan = 3, 14
	failDays, failNets = 3, 2 // failing mail on so many days, from so many networks
)

// withheld returns why a domain gets no report of a day, "" where it does. Gates that depend on an
// address come later.
func (r *Rules) withheld(domain string, messages int64, rel store.Relation) string {
	switch {
	case r.Excluded(domain):
		return "excluded: reports.exclude_domains lists it"
	case messages < r.Minimum:
		return fmt.Sprintf("too few: %d messages, reports.minimum is %d", messages, r.Minimum)
	case r.Listed(domain):
		return ""
	case r.ListedOnly:
		return "not listed: reports.relation is \"listed\", and reports.domains does not list it"
	}
	return relation(rel)
}

// Gate is a condition that a report depends on: whether it is met, and why.
type Gate struct {
	Open bool
	Note string
}

// Outlook reports whether a domain will get a report of what is counted so far.
type Outlook struct {
	Why string    // why not, as a sentence; "" if it will get one
	At  time.Time // when

	Allowed  Gate // by reports.exclude_domains, and by reports.relation
	Enough   Gate // messages, by reports.minimum
	Relation Gate
	Address  Gate // rua has one of another host
}

// Outlook returns what a domain can expect. It asks no DNS: the sender's set-up, whether a
// destination allows reports, and suppressed addresses are looked at when the report is sent.
// reports.send is left to the caller.
func (r *Reporter) Outlook(ctx context.Context, p store.OutPending) (Outlook, error) {
	rel, err := r.Store.OutRelation(ctx, p.Domain, p.Day)
	if err != nil {
		return Outlook{}, err
	}
	o := r.Rules.gates(p.Domain, p.Messages, rel)
	o.Why = r.Rules.withheld(p.Domain, p.Messages, rel)
	o.Address = Gate{Note: "rua has no valid mail address of another host"}
	for _, to := range report.Addresses(p.Policy.URIs) {
		if !r.isOurs(to) {
			o.Address = Gate{Open: true}
			break
		}
	}
	switch {
	case o.Why != "":
	case !o.Address.Open:
		o.Why = reasonNoAddress
	default:
		o.At = store.Slot(p.Domain, p.Day)
	}
	return o, nil
}

// gates are the conditions that withheld looks at, each for itself.
func (r *Rules) gates(domain string, messages int64, rel store.Relation) Outlook {
	o := Outlook{Allowed: Gate{Open: true}, Enough: Gate{Open: messages >= r.Minimum},
		Relation: Gate{Open: relation(rel) == "", Note: relationNote(rel)}}
	switch {
	case r.Excluded(domain):
		o.Allowed = Gate{Note: "reports.exclude_domains"}
	case r.Listed(domain):
		o.Relation = Gate{Open: true, Note: "reports.domains"}
	case r.ListedOnly:
		o.Allowed = Gate{Note: "reports.relation is \"listed\""}
	}
	if !o.Enough.Open {
		o.Enough.Note = fmt.Sprintf("reports.minimum is %d", r.Minimum)
	}
	return o
}

// relationNote says what a relation rests on, or what there is of one, in few words.
func relationNote(r store.Relation) string {
	switch {
	case r.WroteTo:
		return "a user wrote to it"
	case r.PassDays > 0 && r.PassDays < passDays:
		return fmt.Sprintf("passed on %s of %d", number(r.PassDays, "day"), passDays)
	case r.PassDays > 0 && r.PassSpan < passSpan:
		return fmt.Sprintf("passed on %s, within %s of %d", number(r.PassDays, "day"),
			number(r.PassSpan, "day"), passSpan)
	case r.PassDays > 0:
		return fmt.Sprintf("passed on %s in %d", number(r.PassDays, "day"), r.PassSpan)
	case r.FailDays > 0:
		return fmt.Sprintf("failed on %s, from %s", number(r.FailDays, "day"),
			number(r.FailedNets, "network"))
	}
	return "no mail that passed"
}

// reasonNoAddress is why a domain gets no report that every gate lets pass.
const reasonNoAddress = "no address: rua has no valid mail address of another host"

// relation returns why we have none with a domain, "" where we have one. Spammers authenticate
// their mail, so that a pass is no relation: reports to their domains are what ruins a host's
// reputation. Of a domain that is forged here, and seen in no other mail, its owner is told after
// some days, for whom reports are made.
func relation(r store.Relation) string {
	switch {
	case r.WroteTo:
		return ""
	case r.PassDays >= passDays && r.PassSpan >= passSpan:
		return ""
	case r.PassDays == 0 && r.FailDays >= failDays && r.FailedNets >= failNets:
		return ""
	}
	return fmt.Sprintf("no relation: no user wrote to it in %d days; its mail passed on %s "+
		"(needed: %d, over %d days or more) and failed on %s from %s (needed, if none passed: "+
		"%d, from %d)", store.Remembered, number(r.PassDays, "day"), passDays, passSpan,
		number(r.FailDays, "day"), number(r.FailedNets, "network"), failDays, failNets)
}

// number is a number with its noun.
func number(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// isOurs reports whether an address is one of ours, which gets no reports.
func (r *Reporter) isOurs(to report.Address) bool {
	if strings.EqualFold(to.Host, r.Sender.Domain) {
		return true // our own bounces
	}
	return r.Rules.Ours != nil && r.Rules.Ours(to.String())
}

// reasonOurs is why an address of ours gets no report.
const reasonOurs = "our own address: it is listed in reports.addresses, or is at the domain of " +
	"reports.from"

// period is the first and the last second of a day.
func period(day int64) (begin, end time.Time) {
	return store.DayStart(day), store.DayStart(day + 1).Add(-time.Second)
}

// dates says in which report a policy was seen; see report.ID.
func reportID(p *report.Policy, day int64, reporter string, part int) string {
	return report.ID(store.DayStart(day), p, reporter, part)
}
