// Package allocations is the one table of how many times Mailseal's hot paths and its readers of
// hostile text may allocate. Tests of all packages hold their own paths to it with Hold, so that
// only this table changes when a release of Go allocates differently.
//
// Comparisons, such as "a long message allocates no more than a short one", need no figure and stay
// in their packages.
package allocations

import (
	"testing"

	"mailseal/contrib/test/rig"
)

// tolerance is the share by which a path may exceed its row, and above allows as many more: what a
// release of Go changes. A regression of ours mostly adds an allocation for each field, line or
// recipient. A row of zero is a promise, and is held as it is.
const (
	tolerance = 0.25
	above     = 2
)

// most has a row for each path: its package and what it does, and the allocations of one run with
// Go 1.26.
var most = map[string]float64{
	"keys/cache: Get": 0,

	"milter: a message of 20 fields, guard and library included": 67,
	"milter: signing with RSA and Ed25519":                       174,
	"milter: judging two signatures, SPF and DMARC":              439,
	"milter/authres: Claims of 1 MiB":                            336,
	"milter/authres: Parse of 1 MiB":                             16,
	"milter/dkim: hash of 2000 fields":                           5,
	"milter/dkim: Pick of 10,000 names":                          3,
	"milter/dkim/diagnose: 3000 copies of 2000 fields":           15_034,
	"milter/dns: a lookup that the cache answers":                0,
	"milter/domain: Parse":                                       0,
	"milter/filter: capture of a message for reports":            2,
	"milter/message: AppendField":                                0,
	"milter/message: collecting 2000 fields":                     22,
	"milter/message: digests of 64 KiB":                          0,
	"milter/report/spool: Record":                                0,
	"milter/spf: a hostile record":                               478,
	"milter/spf: a record of 5,000 networks":                     5023,
}

// Hold fails the test if a run of f allocates more often than the row says. The race detector has
// allocations of its own: with it, f runs once and is not counted.
func Hold(t testing.TB, row string, runs int, f func()) {
	t.Helper()
	want, isThere := most[row]
	if !isThere {
		t.Fatalf("contrib/test/allocations has no row %q", row)
	}
	if rig.Race {
		f()
		return
	}
	limit := want
	if want > 0 {
		limit = want*(1+tolerance) + above
	}
	got := testing.AllocsPerRun(runs, f)
	t.Logf("%s: %.0f allocations", row, got)
	if got > limit {
		t.Errorf("%s: %.0f allocations; at most %.0f are meant, and %.0f tolerated", row, got, want,
			limit)
	}
}
