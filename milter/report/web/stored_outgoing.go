package web

import (
	"context"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// Sending is the data of the page of outgoing reports that is not in the store.
type Sending struct {
	On bool // reports.send

	// Outlook returns why a domain will get no report, "" if it will, and when. It must not take
	// long: it is asked for each domain.
	Outlook func(ctx context.Context, p store.OutPending) (why string, at time.Time, err error)

	// Preview returns the reports that a domain would get. It may ask the DNS.
	Preview func(ctx context.Context, domain string) ([]Preview, error)
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
	for _, p := range list {
		why, at, err := s.Sending.Outlook(ctx, p)
		if err != nil {
			return o, err
		}
		row := OutRow{Domain: p.Domain, State: "sends", Why: "all conditions are met",
			Messages: p.Messages, At: at}
		if why != "" {
			row.State, row.Why = "does not send", why
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
	blocked, err := s.Store.OutSuppressions(ctx, "", now)
	if err != nil {
		return o, err
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
