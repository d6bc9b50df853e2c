package main

import (
	"os"
	"strconv"
	"testing"

	"mailseal/contrib/test/rig"
)

// TestPostgres measures the pages over PostgreSQL: with MAILSEAL_PAGES, the file that the figures
// are added to, with as many records as over SQLite, and otherwise with few, so that it is known to
// work.
func TestPostgres(t *testing.T) {
	out := os.Getenv("MAILSEAL_PAGES")
	o := options{shape: shape{records: 5_000_000, domains: 25, days: 365, receivers: 12}, out: out,
		rounds: 7}
	if out == "" {
		o.shape = shape{records: 5000, domains: 3, days: 40, receivers: 3}
		o.out, o.rounds = t.TempDir()+"/out", 1
	}
	if n, err := strconv.Atoi(os.Getenv("MAILSEAL_PAGES_RECORDS")); err == nil {
		o.records = n
	}
	o.dsn = rig.Postgres(t).DSN
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}
