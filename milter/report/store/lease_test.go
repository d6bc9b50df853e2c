package store

import (
	"errors"
	"os"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys/database"
)

// hosts opens a store of PostgreSQL as several hosts do, and returns the server.
func hosts(t *testing.T, names ...string) (db *rig.Database, out []*Store) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real server")
	}
	db = rig.Postgres(t)
	for _, name := range names {
		out = append(out, openOut(t, Options{Driver: database.Postgres, DSN: db.DSN, Host: name}))
	}
	return db, out
}

// mustLease takes a lease, or nil where another host has it.
func mustLease(t *testing.T, s *Store, want bool) *Lease {
	t.Helper()
	l, err := s.Lease(t.Context(), LeaseSend, outNoon)
	if err != nil || (l != nil) != want {
		t.Fatalf("%s: %+v, %v; wanted a lease: %v", s.host, l, err, want)
	}
	return l
}

// note is a change of the store.
func note(t *testing.T, s *Store) error {
	t.Helper()
	return s.OutSuppress(t.Context(),
		Suppression{Address: s.host + "@example.com", Until: outNoon.AddDate(0, 0, 1)})
}

// TestLease holds that one host leads at a time, that the next one does once the first one's
// connection is gone, and that the first one's changes are refused from then on.
func TestLease(t *testing.T) {
	_, all := hosts(t, "a", "b")
	a, b := all[0], all[1]
	first := mustLease(t, a, true)
	mustLease(t, b, false)
	if err := errors.Join(first.Prove(t.Context()), note(t, a.Under(first))); err != nil {
		t.Errorf("the host that leads: %v", err)
	}
	// The connection ends, as it does with the process. The process itself has not noticed.
	var isEnded bool
	err := b.db.QueryRowContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE locktype = 'advisory' AND classid = $1`, leaseSpace).Scan(&isEnded)
	if err != nil || !isEnded {
		t.Fatal(isEnded, err)
	}
	var second *Lease
	for start := time.Now(); second == nil && time.Since(start) < patience; {
		if second, err = b.Lease(t.Context(), LeaseSend, outNoon); err != nil {
			t.Fatal(err)
		}
	}
	if second == nil || second.Number <= first.Number {
		t.Fatalf("the second lease is %+v, the first was %+v", second, first)
	}
	if err := note(t, a.Under(first)); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("a change under the first lease: %v", err)
	}
	if err := first.Prove(t.Context()); err == nil {
		t.Error("the first lease is proved")
	}
	if err := note(t, b.Under(second)); err != nil {
		t.Errorf("a change under the second lease: %v", err)
	}
	list, err := a.OutSuppressions(t.Context(), "", outNoon)
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	holders, err := a.Holders(t.Context())
	want := Holder{LeaseSend, "b", second.Number, outNoon.Truncate(time.Second), true}
	if err != nil || len(holders) != 1 || holders[0] != want {
		t.Errorf("got %+v, want %+v; %v", holders, want, err)
	}
	second.End()
	for start := time.Now(); time.Since(start) < patience && holders[0].Holds; {
		if holders, err = a.Holders(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if holders[0].Holds {
		t.Errorf("a lease that was given up: %+v", holders[0])
	}
}

// patience is how long a test waits for another process.
const patience = time.Minute

// TestLeaseOfOneHost holds that SQLite's one host has every lease.
func TestLeaseOfOneHost(t *testing.T) {
	s := openOut(t, Options{Driver: database.SQLite, DSN: t.TempDir() + "/r.db"})
	l := mustLease(t, s, true)
	if err := errors.Join(l.Prove(t.Context()), note(t, s.Under(l)), note(t, s)); err != nil {
		t.Error(err)
	}
	l.End()
}

// TestLeaseSilentLong holds that a host that is cut off or stopped loses its lease within half a
// minute, and that a transaction of it that is in progress is ended.
func TestLeaseSilentLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("waits for half a minute: set MAILSEAL_LONG=1")
	}
	_, all := hosts(t, "a", "b")
	a, b := all[0], all[1]
	first := mustLease(t, a, true)
	err := a.Under(first).Update(t.Context(), func(*Tx) error {
		start := time.Now()
		for {
			l, err := b.Lease(t.Context(), LeaseSend, outNoon)
			took := time.Since(start)
			switch {
			case l != nil:
				t.Logf("the next host leads after %s", took.Round(time.Second))
			case took < 30*time.Second:
				if err != nil {
					t.Log(err)
				}
				time.Sleep(LeaseEvery / 5)
				continue
			default:
				t.Errorf("no host leads after %s", took)
			}
			return nil
		}
	})
	if err == nil {
		t.Error("the change of the host that was silent is kept")
	}
}

// TestHosts holds that reports wait for the rows of all hosts, but not for ever, and that the hosts
// are listed with what waits and which one leads.
func TestHosts(t *testing.T) {
	_, all := hosts(t, "a", "b")
	a, b := all[0], all[1]
	midnight := DayStart(Day(outNoon) + 1)
	yesterday := Day(outNoon)
	set := func(s *Store, ready int64, seen, oldest time.Time) {
		t.Helper()
		err := s.SetHost(t.Context(), HostState{Host: s.host, Seen: seen, Ready: ready, Segments: 3,
			Bytes:  999,
			Oldest: oldest})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name  string
		ready int64 // of b
		seen  time.Duration
		now   time.Duration
		want  int64
	}{
		{"both are ready", yesterday, 10 * time.Minute, 11 * time.Minute, yesterday},
		{"one is not", yesterday - 1, 10 * time.Minute, 11 * time.Minute, yesterday - 1},
		{"one was away since the evening", yesterday - 1, -3 * time.Hour, time.Hour, yesterday - 1},
		{"it is late", yesterday - 1, 2 * time.Hour, hostLate, yesterday},
		{"one is gone", yesterday - 1, -hostGone, time.Hour, yesterday},
	} {
		set(a, yesterday, midnight.Add(tc.now), time.Time{})
		set(b, tc.ready, midnight.Add(tc.seen), outNoon)
		got, err := a.ReadyDay(t.Context(), midnight.Add(tc.now))
		if err != nil || got != tc.want {
			t.Errorf("%s: day %d, want %d; %v", tc.name, got, tc.want, err)
		}
	}
	mustLease(t, b, true)
	list, err := a.Hosts(t.Context())
	if err != nil || len(list) != 2 || list[0].Leads != nil || !list[0].Oldest.IsZero() ||
		len(list[1].Leads) != 1 || list[1].Leads[0] != LeaseSend || list[1].Segments != 3 ||
		!list[1].Oldest.Equal(outNoon.Truncate(time.Second)) {
		t.Errorf("%+v, %v", list, err)
	}
}
