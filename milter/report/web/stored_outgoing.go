package web

import (
	"context"
	"strings"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// Sending is the data of the page of outgoing reports that is not in the store.
type Sending struct {
	On bool // reports.send

	// Outlook returns why a domain will get no report, "" if it will, when, and which conditions
	// are met. It must not take long: it is asked for each domain.
	Outlook func(ctx context.Context, p store.OutPending) (Outlook, error)

	// Preview returns the reports that a domain would get. It may ask the DNS.
	Preview func(ctx context.Context, domain string) ([]Preview, error)
}

// Outlook is what a domain can expect. Of the gates, Permission and Free are left to the caller.
type Outlook struct {
	Why   string
	At    time.Time
	Gates OutGates
}

// maxPending is how many domains that ask for reports the page judges, those with the most
// messages.
const maxPending = 2_000

// HasOutgoing implements Reader.
func (s *Stored) HasOutgoing() bool { return s.Sending != nil }

// Outgoing implements Reader.
func (s *Stored) Outgoing(ctx context.Context, now time.Time) (Outgoing, error) {
	if s.Sending == nil {
		return Outgoing{}, ErrNotFound
	}
	o := Outgoing{On: s.Sending.On}
	list, all, err := s.Store.OutLargest(ctx, store.Day(now), maxPending)
	if err != nil {
		return o, err
	}
	o.More = all - len(list)
	blocked, err := s.Store.OutSuppressions(ctx, "", now)
	if err != nil {
		return o, err
	}
	until := map[string]time.Time{}
	for _, b := range blocked {
		until[b.Address] = b.Until
	}
	for _, p := range list {
		look, err := s.Sending.Outlook(ctx, p)
		if err != nil {
			return o, err
		}
		look.destinations(p, until)
		row := OutRow{Domain: p.Domain, State: "sends", Why: "all conditions are met",
			Messages: p.Messages, Rows: p.Rows, At: look.At, Gates: look.Gates}
		if look.Why != "" {
			row.State, row.Why, row.At = "does not send", look.Why, time.Time{}
		}
		o.Rows = append(o.Rows, row)
	}
	mails, err := s.Store.OutLatest(ctx, listedRows)
	if err != nil {
		return o, err
	}
	for _, m := range mails {
		state := m.State
		if m.Reason != "" {
			state += ": " + m.Reason
		}
		o.Sent = append(o.Sent, SentReport{Domain: m.Domain, To: m.Address, State: state,
			Day: advice.Day(m.Day), At: m.Changed, ID: m.Report, Failed: isFailed(m)})
	}
	for _, b := range blocked[:min(len(blocked), listedRows)] {
		o.Blocked = append(o.Blocked, Suppression{Address: b.Address, Why: b.Reason,
			Until: b.Until})
	}
	hosts, err := s.Store.Hosts(ctx)
	for _, h := range hosts {
		o.Hosts = append(o.Hosts, OutHost{Host: h.Host, Leads: h.Leads, Seen: h.Seen,
			Segments: h.Segments,
			Bytes:    h.Bytes, Oldest: h.Oldest})
	}
	return o, err
}

// destinations fills in the gates of the addresses in rua. An address at another domain must have
// agreed, which the DNS is asked for when the report is sent.
func (o *Outlook) destinations(p store.OutPending, suppressed map[string]time.Time) {
	o.Gates.Permission = Gate{Open: true, Known: true, Note: "not needed"}
	var last time.Time
	free, known := false, false
	for _, to := range report.Addresses(p.Policy.URIs) {
		known = true
		if !within(strings.ToLower(to.Host), p.Domain) {
			o.Gates.Permission = Gate{Note: "asked when sent"}
		}
		until, is := suppressed[strings.ToLower(to.String())]
		if !is {
			free = true
		} else if last.IsZero() || until.Before(last) {
			last = until
		}
	}
	o.Gates.Free = Gate{Open: free || !known, Known: true}
	if known && !free {
		o.Gates.Free.Note = "until " + last.Format("2 Jan 2006")
		if o.Why == "" {
			o.Why = "suppressed: no address in rua gets reports " + o.Gates.Free.Note +
				", see below"
		}
	}
}

// isFailed reports whether a mail was not handed over, and will not be: one that is put off is
// tried again by itself.
func isFailed(m store.OutMail) bool {
	switch m.State {
	case store.Failed, store.Suppressed, store.InDoubt:
		return m.Address != ""
	}
	return false
}

// Preview implements Reader.
func (s *Stored) Preview(ctx context.Context, domain string) ([]Preview, error) {
	if s.Sending == nil || s.Sending.Preview == nil {
		return nil, ErrNotFound
	}
	list, err := s.Sending.Preview(ctx, domain)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	return list, err
}
