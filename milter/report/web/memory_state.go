package web

import (
	"context"
	"time"
)

// Intake implements Reader.
func (m *Memory) Intake(context.Context, time.Time) (Intake, error) { return m.IntakeState, nil }

// Unread implements Reader.
func (m *Memory) Unread(_ context.Context, id int64) (Failure, []byte, error) {
	for _, f := range m.IntakeState.Errors {
		if f.ID == id {
			return f, m.RawMail[id], nil
		}
	}
	return Failure{}, nil, ErrNotFound
}

// Preview implements Reader.
func (m *Memory) Preview(_ context.Context, domain string) ([]Preview, error) {
	if list := m.Previews[domain]; len(list) > 0 {
		return list, nil
	}
	return nil, ErrNotFound
}

// HasOutgoing implements Reader.
func (m *Memory) HasOutgoing() bool { return m.OutgoingPage != nil }

// Outgoing implements Reader.
func (m *Memory) Outgoing(context.Context, time.Time) (Outgoing, error) {
	if m.OutgoingPage == nil {
		return Outgoing{}, ErrNotFound
	}
	return *m.OutgoingPage, nil
}

// withSource returns the reports with a record of the sources of f, nil for all.
func (m *Memory) withSource(f Filter) map[int64]bool {
	if f.Addresses == nil && f.AllBut == nil {
		return nil
	}
	out := map[int64]bool{}
	for r := range m.selected(&Filter{Domains: f.Domains, Addresses: f.Addresses,
		AllBut: f.AllBut}) {
		out[r.Report] = true
	}
	return out
}
