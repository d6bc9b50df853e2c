package e2e

import (
	"fmt"
	"strings"
	"testing"

	"mailseal/contrib/test/hosted"
	"mailseal/contrib/test/rig"
)

// TestDatabaseAwayAndBack stops, starts and freezes databases under a stream of messages. Each
// message is signed by its own domain's key, or deferred; none is lost, refused, or let out
// unsigned.
func TestDatabaseAwayAndBack(t *testing.T) {
	for _, tc := range []struct {
		name, driver, sql, schema string
		start                     func(testing.TB) *rig.Database
	}{
		{"PostgreSQL", "postgres", "pgx", "postgresql.sql", rig.Postgres},
		{"MariaDB", "mysql", "mysql", "mysql.sql", rig.MariaDB},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db := tc.start(t)
			hosted.Fill(t, tc.sql, db.DSN, tc.schema)
			// Nothing is remembered for long, so that nearly every message needs the database.
			h := startHosting(t, tc.driver, db.DSN,
				"ttl = \"10ms\"\nnegative_ttl = \"10ms\"\nstale = \"0s\"\ncache_size = \"1MiB\"")
			stop := h.stream(6)
			h.await("signed at first", &h.Signed, 100)
			h.tally("none")
			for range 2 {
				db.Stop()
				h.await("deferred while it is away", &h.Deferred, 20)
				h.tally("stopped")
				db.Start()
				h.await("signed when it is back", &h.Signed, 100)
				h.tally("starting")
			}
			db.Pause()
			h.await("deferred while it hangs", &h.Deferred, 6)
			h.tally("frozen")
			db.Resume()
			h.await("signed when it goes on", &h.Signed, 100)
			h.tally("thawing")
			stop()
			if n := h.Unsigned.Load(); n != 0 {
				t.Errorf("%d messages went out unsigned", n)
			}
			if text := h.log(); !strings.Contains(text, "source of keys is unavailable") ||
				!strings.Contains(text, "source of keys is available again") {
				t.Error("the log does not say that the source was away and came back")
			}
			if n := h.series("bytes"); n > 1<<20 {
				t.Errorf("answers take %v bytes, more than cache_size", n)
			}
		})
	}
}

// TestDatabaseFailover has PostgreSQL move to another host and back under a stream of messages: the
// first host stops, the second stops, the first hangs. The dsn names both.
func TestDatabaseFailover(t *testing.T) {
	first, second := rig.Postgres(t), rig.Postgres(t)
	for _, db := range []*rig.Database{first, second} {
		hosted.Fill(t, "pgx", db.DSN, "postgresql.sql")
	}
	_, port1, _ := strings.Cut(first.Address(), ":")
	_, port2, _ := strings.Cut(second.Address(), ":")
	dsn := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%s,%s user=mailseal dbname=postgres sslmode=disable",
		port1, port2)
	for _, memory := range []string{"stale = \"0s\"", "stale = \"1h\""} {
		t.Run(memory, func(t *testing.T) {
			h := startHosting(t, "postgres", dsn, "ttl = \"10ms\"\nnegative_ttl = \"10ms\"\n"+
				memory)
			for i := range hosted.Domains {
				h.Send(fmt.Sprintf("d%d.example", i))
			}
			stop := h.stream(6)
			h.await("signed at first", &h.Signed, 100)
			h.tally("none")
			first.Stop()
			h.await("signed by the second", &h.Signed, 200)
			h.tally("the first host stopped")
			first.Start()
			second.Stop()
			h.await("signed by the first again", &h.Signed, 200)
			h.tally("the second host stopped")
			second.Start()
			first.Pause()
			h.await("signed while the first hangs", &h.Signed, 100)
			h.tally("the first host frozen")
			first.Resume()
			h.await("signed in the end", &h.Signed, 100)
			stop()
			if n := h.Unsigned.Load(); n != 0 {
				t.Errorf("%d messages went out unsigned", n)
			}
			if n := h.Deferred.Load(); n > 0 && !strings.Contains(memory, "0s") {
				t.Errorf("%d messages were deferred that memory could have signed\n%s", n, h.log())
			}
		})
	}
}

// What was remembered when the database went away signs on; what was not is deferred, and so is a
// sender who had no key a while ago.
func TestDatabaseAwayStale(t *testing.T) {
	db := rig.Postgres(t)
	hosted.Fill(t, "pgx", db.DSN, "postgresql.sql")
	h := startHosting(t, "postgres", db.DSN, "ttl = \"0s\"\nnegative_ttl = \"0s\"\nstale = \"1h\"")
	for i := range hosted.Domains / 2 {
		h.Send(fmt.Sprintf("d%d.example", i))
	}
	h.Send("nobody.example")
	if h.Signed.Load() != hosted.Domains/2 || h.Unsigned.Load() != 1 {
		t.Fatalf("%d signed, %d unsigned\n%s", h.Signed.Load(), h.Unsigned.Load(), h.log())
	}
	db.Stop()
	for i := range hosted.Domains {
		h.Send(fmt.Sprintf("d%d.example", i))
	}
	h.Send("nobody.example")
	if signed, deferred := h.Signed.Load(), h.Deferred.Load(); signed != hosted.Domains ||
		deferred != hosted.Domains/2+1 || h.Unsigned.Load() != 1 {
		t.Errorf("away: %d signed, %d deferred, %d unsigned; want %d, %d, 1", signed, deferred,
			h.Unsigned.Load(), hosted.Domains, hosted.Domains/2+1)
	}
	if h.series("away") != 1 || h.series("stale_total") == 0 {
		t.Error("the metrics do not say that the source is away")
	}
	db.Start()
	h.Send("d39.example")
	if h.Signed.Load() != hosted.Domains+1 || h.series("away") != 0 {
		t.Errorf("back: %d signed, want %d\n%s", h.Signed.Load(), hosted.Domains+1, h.log())
	}
}

// A database that is away when the daemon starts does not keep the daemon from starting.
func TestDatabaseAwayAtStart(t *testing.T) {
	h := startHosting(t, "postgres", "host=127.0.0.1 port=1 user=u password=hunter2 dbname=d", "")
	h.Send("d1.example")
	if h.Deferred.Load() != 1 {
		t.Errorf("%d deferred, want 1", h.Deferred.Load())
	}
	if text := h.log(); !strings.Contains(text,
		"a source of keys cannot be used, so mail that depends on it is deferred") ||
		strings.Contains(text, "hunter2") {
		t.Errorf("the log says\n%s", text)
	}
}
