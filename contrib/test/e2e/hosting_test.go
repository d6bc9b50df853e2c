package e2e

import (
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"mailseal/contrib/test/hosted"
	"mailseal/contrib/test/rig"
	_ "mailseal/keys/keysql" // the drivers
	"mailseal/milter/miltertest"
)

// A host whose keys are in a database.

// hosting is a daemon whose keys are in a database.
type hosting struct {
	t *testing.T
	hosted.Traffic
	daemon *rig.Daemon
	config string
	told   [3]int64 // how many were signed, deferred and unsigned as of the last tally
}

// newHosting is a hosting whose daemon, which is not started yet, has its socket in a directory.
func newHosting(t *testing.T, dir, config string) *hosting {
	t.Helper()
	return &hosting{
		t:       t,
		config:  config,
		Traffic: hosted.Traffic{T: t, Address: "unix:" + dir + "/s", Zone: hosted.Zone(t)},
	}
}

func startHosting(t *testing.T, driver, dsn, settings string) *hosting {
	t.Helper()
	dir := rig.Dir(t)
	h := newHosting(t, dir, "")
	h.config = hosted.Config(dir, driver, dsn, settings)
	h.daemon = rig.MailsealIn(t, dir, h.config, rig.DaemonOptions{})
	return h
}

// series is what /metrics shows of the source.
func (h *hosting) series(name string) float64 {
	h.t.Helper()
	value, known := h.daemon.Metrics(h.t)["mailseal_source_"+name+`{source="hosting"}`]
	if !known {
		h.t.Errorf("no metric of the source called %s", name)
	}
	return value
}

// log is what the daemon has logged so far.
func (h *hosting) log() string { return h.daemon.Output() }

// stream sends messages of all domains without a pause until stop is called.
func (h *hosting) stream(workers int) (stop func()) {
	var wg sync.WaitGroup
	var done atomic.Bool
	for w := range workers {
		wg.Go(func() {
			c, err := miltertest.Dial(h.t.Context(), h.Address, hosted.Options)
			if err != nil {
				h.t.Error(err)
				return
			}
			defer c.Close()
			for i := w; !done.Load(); i++ {
				h.SendOn(c, fmt.Sprintf("d%d.example", i*7%hosted.Domains))
			}
		})
	}
	return func() { done.Store(true); wg.Wait() }
}

// tally logs what became of the messages since the last time, for one fault of the source. A
// message that is signed wrongly has failed the test.
func (h *hosting) tally(fault string) {
	h.t.Helper()
	signed, deferred, unsigned := h.Signed.Load(), h.Deferred.Load(), h.Unsigned.Load()
	h.t.Logf("%s: %d signed, %d deferred, %d unsigned, 0 wrong", fault, signed-h.told[0],
		deferred-h.told[1], unsigned-h.told[2])
	h.told = [3]int64{signed, deferred, unsigned}
}

// await waits until a counter has grown by n.
func (h *hosting) await(what string, counter *atomic.Int64, n int64) {
	h.t.Helper()
	from := counter.Load()
	if !rig.Await(func() bool { return counter.Load() >= from+n }) {
		h.t.Fatalf("%s: %d, want %d\n%s", what, counter.Load()-from, n, h.log())
	}
}

// execSQLite changes a database that a daemon may be reading.
func execSQLite(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}
