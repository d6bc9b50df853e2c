package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// outgoingOnly is a Reader that has the page of outgoing reports alone.
type outgoingOnly struct {
	*Memory
	page Outgoing
	err  error
}

func (o outgoingOnly) HasOutgoing() bool { return true }

func (o outgoingOnly) Outgoing(context.Context, time.Time) (Outgoing, error) {
	return o.page, o.err
}

// TestDatabaseAway holds that the pages say what waits in the spool, while the database is away and
// after, and which host leads.
func TestDatabaseAway(t *testing.T) {
	const waits = "48 segments wait in the spool"
	for _, tc := range []struct {
		name   string
		read   outgoingOnly
		waits  string
		status int
		shows  []string
	}{
		{
			"away", outgoingOnly{err: errors.New("connection refused")}, waits,
			http.StatusInternalServerError,
			[]string{"The database did not answer", "Mail is not affected. " + waits},
		},
		{
			"back", outgoingOnly{page: Outgoing{On: true, Hosts: []OutHost{
				{Host: "mx1", Seen: clock, Leads: []string{"send", "dns"}},
				{Host: "mx2", Seen: clock, Segments: 7, Bytes: 4096, Oldest: clock.Add(-time.Hour)},
			}}}, waits, http.StatusOK, []string{waits, "send, dns", "mx2", "4,096"},
		},
		{"nothing waits", outgoingOnly{page: Outgoing{On: true}}, "", http.StatusOK, []string{"sent tonight"}},
	} {
		tc.read.Memory = &Memory{}
		s := newServer(t, tc.read, nil)
		s.waiting = func() string { return tc.waits }
		w := get(s, "/out")
		body := w.Body.String()
		if w.Code != tc.status || tc.waits == "" && (strings.Contains(body, "spool") ||
			strings.Contains(body, "Hosts")) {
			t.Errorf("%s: status %d\n%s", tc.name, w.Code, body)
		}
		for _, text := range tc.shows {
			if !strings.Contains(body, text) {
				t.Errorf("%s: no %q on the page\n%s", tc.name, text, body)
			}
		}
	}
}

// TestBadDay holds that an address with a day that cannot be read is refused, with the parameter
// and the form of a day: the figures of the usual period would pass for those of that day.
func TestBadDay(t *testing.T) {
	s := newServer(t, &Memory{}, nil)
	for _, tc := range []struct {
		query  string
		status int
		shows  string
	}{
		{"from=tomorrow", http.StatusBadRequest, "from=tomorrow: write a day as YYYY-MM-DD"},
		{"from=2026-11-01&to=2026-13-01", http.StatusBadRequest, "to=2026-13-01: write a day"},
		{"from=2026-11-01&to=2026-11-02", http.StatusOK, ""},
		{"from=&to=", http.StatusOK, ""},
	} {
		for _, page := range []string{"/", "/messages", "/reports"} {
			w := get(s, page+"?"+tc.query)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.shows) {
				t.Errorf("%s?%s: got %d, want %d and %q\n%s", page, tc.query, w.Code, tc.status,
					tc.shows, w.Body.String())
			}
		}
	}
}
