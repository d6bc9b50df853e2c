package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"mailseal/keys/database"
)

// A lease is held by one of several hosts at a time. On PostgreSQL it is an advisory lock
// of a connection, so that it ends with the process that holds it, whatever the cause. A
// process that is stopped, or a host that is cut off, cannot end its connection: the server
// ends it after a time without queries. Such a process may continue later and believe that
// it still holds the lease: therefore each lease has a number, and the store refuses every
// change under a lease once a later one was given.
//
// SQLite has one host, which holds every lease.

// The leases.
const (
	LeaseSend = "send" // hands reports to its mail server, and removes what is too old
	// looks after the reports that come in: alerts, records, names, retention
	LeaseIntake = "intake"
	LeaseDNS    = "dns" // checks the DNS records of our domains
)

// The times of leases. Another host has a lease within half a minute.
const (
	// LeaseEvery is how often a lease is asked for, and proved.
	LeaseEvery = 5 * time.Second

	// after which the server ends the connection of a silent process
	leaseIdle    = 15 * time.Second
	leaseTimeout = 5 * time.Second // of one question
)

// ErrLeaseLost reports that another process has the lease now: nothing was changed.
var ErrLeaseLost = errors.New("another host leads now")

// Lease is one that this process has, or had.
type Lease struct {
	Name   string
	Number int64 // each lease of a name has a greater one than those before

	store *Store
	conn  *sql.Conn
}

// Holder is who has a lease.
type Holder struct {
	Lease  string    `json:"lease"`
	Host   string    `json:"host"`
	Number int64     `json:"number"`
	Since  time.Time `json:"since"`
	Holds  bool      `json:"holds"` // false: it had the lease last, and no host has it now
}

// Lease takes a lease for this host. It returns nil where another process has it.
func (s *Store) Lease(ctx context.Context, name string, now time.Time) (*Lease, error) {
	l := &Lease{Name: name, store: s}
	if s.driver != database.Postgres {
		return l, nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	conn, err := s.leases.Conn(ctx)
	if err != nil {
		return nil, s.wrap("lease "+name, err)
	}
	l.conn = conn
	got, err := l.take(ctx, s.host, now)
	if err != nil {
		err = s.wrap("lease "+name, err)
	}
	if err != nil || !got {
		l.End()
		return nil, err
	}
	return l, nil
}

// leaseSettings have the server end a connection whose process is silent. Servers before PostgreSQL
// 14 do not know it, and find a host that is cut off by the settings of all connections.
var leaseSettings = map[string]string{
	"idle_session_timeout": fmt.Sprint(leaseIdle.Milliseconds()),
}

func (l *Lease) take(ctx context.Context, host string, now time.Time) (got bool, err error) {
	for name, value := range leaseSettings {
		_, err := l.conn.ExecContext(ctx,
			`SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1`,
			name, value)
		if err != nil {
			return false, err
		}
	}
	space, key := leaseKey(l.Name)
	err = l.conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1, $2)", space, key).Scan(&got)
	if err != nil || !got {
		return false, err
	}
	err = l.conn.QueryRowContext(ctx, `INSERT INTO out_lease (name, number, host, since) VALUES ($1, 1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET number = out_lease.number + 1, host = excluded.host, since = excluded.since
		RETURNING number`, l.Name, host, now.Unix()).Scan(&l.Number)
	return err == nil, err
}

// leaseSpace is the first half of the keys of our advisory locks, "mlsl".
const leaseSpace = 0x6d6c736c

// leaseKey is the key of the advisory lock of a lease, in two halves.
func leaseKey(name string) (space, key int32) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return leaseSpace, int32(h.Sum32()) //nolint:gosec // all bits count, whatever the sign
}

// Prove asks the server whether this process still has the lease, which also keeps it.
func (l *Lease) Prove(ctx context.Context) error {
	if l.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	space, key := leaseKey(l.Name)
	var n int
	// A pooler that gives each statement another connection has no lock here.
	err := l.conn.QueryRowContext(ctx, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND pid = pg_backend_pid() AND classid = $1::bigint::oid AND objid = ($2::bigint & 4294967295)::oid`,
		int64(space), int64(key)).Scan(&n)
	switch {
	case err != nil:
		return l.store.wrap("lease "+l.Name, err)
	case n == 0:
		return fmt.Errorf("%w: the lock is gone; reports.store must name the server itself, or a "+
			"pooler that keeps sessions (pool_mode = session)", ErrLeaseLost)
	}
	return nil
}

// End gives the lease up.
func (l *Lease) End() {
	if l.conn != nil {
		_ = l.conn.Close() // the pool keeps no connection: with it the lock ends
	}
}

// Under returns the store whose changes are made under a lease: once another process has it, Update
// changes nothing and returns ErrLeaseLost.
func (s *Store) Under(l *Lease) *Store {
	return s.UnderHeld(func() *Lease { return l })
}

// UnderHeld is Under for the lease that held returns at the time of each change; where it returns
// nil, Update changes nothing and returns ErrLeaseLost.
func (s *Store) UnderHeld(held func() *Lease) *Store {
	under := *s
	under.held = held
	return &under
}

// fence ends a transaction whose lease another process has. The row stays locked until the end of
// the transaction, so that the next lease is given after it.
func (tx *Tx) fence(ctx context.Context, l *Lease) error {
	if l == nil || l.conn == nil {
		return nil
	}
	var number int64
	var set string
	// Where this process is stopped now, the server ends the transaction, and the next lease is
	// given.
	err := tx.QueryRowContext(ctx, `SELECT number, set_config('idle_in_transaction_session_timeout', $2, true)
		FROM out_lease WHERE name = $1 FOR SHARE`, l.Name, fmt.Sprint(leaseIdle.Milliseconds())).Scan(&number, &set)
	if err == nil && number != l.Number {
		err = ErrLeaseLost
	}
	return err
}

// Holders lists who has which lease, by name; none with SQLite.
func (s *Store) Holders(ctx context.Context) (out []Holder, err error) {
	if s.driver != database.Postgres {
		return nil, nil
	}
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.QueryContext(ctx,
			`SELECT name, number, host, since FROM out_lease ORDER BY name`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h Holder
			var since int64
			if err := rows.Scan(&h.Lease, &h.Number, &h.Host, &since); err != nil {
				return err
			}
			h.Since = time.Unix(since, 0).UTC()
			out = append(out, h)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range out {
			space, key := leaseKey(out[i].Lease)
			err := tx.QueryRowContext(ctx, `SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory'
				AND granted AND classid = $1::bigint::oid AND objid = ($2::bigint & 4294967295)::oid
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
				int64(space), int64(key)).Scan(&out[i].Holds)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}
