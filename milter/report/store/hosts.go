package store

import (
	"context"
	"time"
)

// HostState is how far a host is with the rows that it takes from its spool.
type HostState struct {
	Host     string    `json:"host"`
	Seen     time.Time `json:"seen"`            // when it last looked at its spool
	Ready    int64     `json:"-"`               // the last day of which its spool has nothing more
	Segments int64     `json:"segments"`        // that wait in its spool
	Bytes    int64     `json:"bytes"`           // of them
	Oldest   time.Time `json:"oldest,omitzero"` // when the oldest was begun; zero: none waits
	Leads    []string  `json:"leads,omitempty"` // the leases that it has
}

// SetHost keeps how far a host is.
func (s *Store) SetHost(ctx context.Context, h HostState) error {
	if !s.IsShared() {
		return nil
	}
	var oldest int64
	if !h.Oldest.IsZero() {
		oldest = h.Oldest.Unix()
	}
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO out_host (host, seen, ready, segments, bytes, oldest)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host) DO UPDATE SET seen = excluded.seen,
			ready = excluded.ready, segments = excluded.segments, bytes = excluded.bytes, oldest = excluded.oldest`,
			h.Host, h.Seen.Unix(), h.Ready, h.Segments, h.Bytes, oldest)
		return err
	})
}

// Hosts lists the hosts that share the store, by name; none with SQLite.
func (s *Store) Hosts(ctx context.Context) (out []HostState, err error) {
	if !s.IsShared() {
		return nil, nil
	}
	holders, err := s.Holders(ctx)
	if err != nil {
		return nil, err
	}
	err = s.View(ctx, func(tx *Tx) error {
		out = nil
		rows, err := tx.QueryContext(ctx,
			`SELECT host, seen, ready, segments, bytes, oldest FROM out_host ORDER BY host`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h HostState
			var seen, oldest int64
			if err := rows.Scan(&h.Host, &seen, &h.Ready, &h.Segments, &h.Bytes,
				&oldest); err != nil {
				return err
			}
			h.Seen = time.Unix(seen, 0).UTC()
			if oldest > 0 {
				h.Oldest = time.Unix(oldest, 0).UTC()
			}
			for _, l := range holders {
				if l.Holds && l.Host == h.Host {
					h.Leads = append(h.Leads, l.Lease)
				}
			}
			out = append(out, h)
		}
		return rows.Err()
	})
	return out, err
}

// The times of waiting for hosts.
const (
	// hostGone is the time after which reports no longer wait for a host.
	hostGone = 24 * time.Hour

	// hostLate is how long after midnight reports are made without the rows of a host that is
	// not ready. Rows that arrive later make a separate report.
	hostLate = 3 * time.Hour
)

// ReadyDay returns the last day whose rows can be collected now: the last one that all
// hosts have finished, or that ended so long ago that the store no longer waits for the
// other hosts.
func (s *Store) ReadyDay(ctx context.Context, now time.Time) (int64, error) {
	ready := Day(now) - 1
	latest := Day(now.Add(-hostLate)) - 1 // whatever a host says
	err := s.View(ctx, func(tx *Tx) error {
		var least int64
		err := tx.QueryRowContext(ctx, "SELECT coalesce(min(ready), $2) FROM out_host WHERE seen "+
			"> $1",
			now.Add(-hostGone).Unix(), ready).Scan(&least)
		ready = min(ready, least)
		return err
	})
	return max(ready, latest), err
}
