package reporting

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/contrib/test/rig"
	"mailseal/keys/database"
	"mailseal/milter/report"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// load makes the mail of a day: a heavy tail of domains, and a quarter of it forged by clients from
// anywhere.
type load struct {
	r                *rand.Rand
	domains, sources *rand.Zipf
}

func newLoad(seed uint64) *load {
	r := rand.New(rand.NewPCG(seed, 2))
	return &load{r, rand.NewZipf(r, 1.15, 3, 200_000), rand.NewZipf(r, 1.3, 4, 400)}
}

func (l *load) message(at time.Time) report.Evaluation {
	d := l.domains.Uint64()
	isSpam := l.r.IntN(4) == 0
	if isSpam {
		d = 1_000_000 + uint64(l.r.IntN(30_000))
	}
	policy := fmt.Sprintf("d%d.example", d)
	from, envelope := policy, policy
	if l.r.IntN(6) == 0 {
		from = fmt.Sprintf("s%d.%s", l.r.IntN(4), policy)
	}
	client := uint32(d*7919+l.sources.Uint64()) | 0x0a000000
	if isSpam || l.r.IntN(40) == 0 { // forwarders, too, are anywhere
		client = l.r.Uint32() % 400_000
	}
	provider := fmt.Sprintf("esp%d.example", client%200)
	if l.r.IntN(3) == 0 {
		envelope = "bounce." + provider
	}
	e := report.Evaluation{
		Time: at, Client: netip.AddrFrom4([4]byte{byte(client >> 24), byte(client >> 16),
			byte(client >> 8), byte(client)}),
		Disposition: "none", HeaderFrom: from, EnvelopeFrom: envelope, DKIM: !isSpam,
		SPF:     !isSpam && envelope == policy,
		SPFAuth: &report.SPFAuth{Domain: envelope, Result: "pass"},
		Policy: report.Policy{
			Domain: policy, Text: "v=DMARC1; p=none; rua=mailto:dmarc@" + policy, P: "none", SP: "none", NP: "none",
			ADKIM: "r", ASPF: "r", Discovery: "treewalk", URIs: []string{"mailto:dmarc@" + policy},
		},
	}
	if isSpam {
		e.SPFAuth.Result = "softfail"
		return e
	}
	e.Signatures = []report.DKIMAuth{{Domain: policy, Selector: fmt.Sprintf("sel%d", d%5),
		Result: "pass", Aligned: true}}
	if l.r.IntN(3) == 0 {
		e.Signatures = append(e.Signatures, report.DKIMAuth{Domain: provider, Selector: "s1",
			Result: "pass"})
	}
	return e
}

// sharing is a host of a day that shares the store.
type sharing struct {
	*Process
	writer *spool.Writer
	load   *load
}

// atOnce is how many messages a spool takes while nothing writes them.
const atOnce = 8000

// judge writes n messages into the spool.
func (h *sharing) judge(t *testing.T, n int) {
	t.Helper()
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for n > 0 {
		for range min(n, atOnce) {
			h.writer.Record(h.load.message(h.Now()))
		}
		h.writer.Run(done)
		n -= min(n, atOnce)
	}
	if dropped := h.writer.Counts().Dropped; dropped > 0 {
		t.Fatalf("%s: %d rows are dropped", h.Host, dropped)
	}
}

// sharedDay is a day of several hosts.
type sharedDay struct {
	db    *rig.Database
	now   time.Time
	hosts []*sharing
	most  int64 // bytes in the database
}

func newSharedDay(t *testing.T, hosts int) *sharedDay {
	t.Helper()
	d := &sharedDay{db: rig.Postgres(t), now: store.DayStart(store.Day(noon))}
	for n := range hosts {
		text := fmt.Sprintf("[reports]\ncollect = true\ndirectory = %q\nstore = %q\n", t.TempDir(),
			postgresURL(d.db))
		cfg, err := config.Parse("mailseal.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(cfg.Reports.SpoolDirectory, 0o700); err != nil {
			t.Fatal(err)
		}
		clock := func() time.Time { return d.now }
		log := slog.New(slog.DiscardHandler)
		h := &sharing{
			Process: &Process{Config: cfg, Log: log, Now: clock, Host: fmt.Sprint("host", n)},
			writer:  spool.NewWriter(cfg.Reports.SpoolDirectory, 1<<40, log, clock),
			load:    newLoad(uint64(n)),
		}
		t.Cleanup(func() {
			if h.store != nil {
				h.store.Close()
			}
		})
		d.hosts = append(d.hosts, h)
	}
	return d
}

// size is how many bytes the database has.
func (d *sharedDay) size(t *testing.T) int64 {
	t.Helper()
	var n int64
	if err := d.open(t).QueryRowContext(t.Context(),
		"SELECT pg_database_size(current_database())").Scan(&n); err != nil {
		t.Fatal(err)
	}
	d.most = max(d.most, n)
	return n
}

// all has each host do something at the same time, and returns how many failed.
func (d *sharedDay) all(do func(*sharing) error) (failed int, last error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, h := range d.hosts {
		group.Go(func() {
			if err := do(h); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed, last = failed+1, err
			}
		})
	}
	group.Wait()
	return failed, last
}

// These tell a process that it is a host that is killed while it folds, and its configuration.
const (
	sharedHost   = "MAILSEAL_SHARED_HOST"
	sharedConfig = "MAILSEAL_SHARED_CONFIG"
	sharedNow    = "MAILSEAL_SHARED_NOW"
)

// TestSharedChild is the host that is killed.
func TestSharedChild(t *testing.T) {
	name := os.Getenv(sharedHost)
	if name == "" {
		t.Skip("is run by TestSharedDay")
	}
	now, err := time.Parse(time.RFC3339, os.Getenv(sharedNow))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("mailseal.toml", []byte(os.Getenv(sharedConfig)))
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Host: name,
		Now: func() time.Time { return now }}
	if err := p.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// foldKilled has another process fold the spool of a host, and kills it with SIGKILL in the middle
// of a transaction: some segments are in the store by then, and some are not.
func (d *sharedDay) foldKilled(t *testing.T, h *sharing) {
	t.Helper()
	before, err := spool.Segments(h.Config.Reports.SpoolDirectory)
	if err != nil || len(before) == 0 {
		t.Fatal(before, err)
	}
	// The process gets as far as the shard that is locked here, and waits.
	db := d.open(t)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	done, err := tx.ExecContext(t.Context(),
		"UPDATE out_shard SET changed = changed WHERE shard = $1",
		spool.PartitionOf(before[len(before)/2]))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestSharedChild$")
	cmd.Env = append(os.Environ(), sharedHost+"="+h.Host, sharedNow+"="+d.now.Format(time.RFC3339),
		sharedConfig+"="+fmt.Sprintf("[reports]\ncollect = true\ndirectory = %q\nstore = %q\n",
			h.Config.Reports.Directory, postgresURL(d.db)))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waits := 0
	if !rig.Await(func() bool {
		err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE wait_event_type = 'Lock' AND query LIKE '%out_shard%'`).Scan(&waits)
		return err != nil || waits > 0
	}) || waits == 0 {
		t.Fatal("the process does not come to the shard that is locked")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	left, err := spool.Segments(h.Config.Reports.SpoolDirectory)
	if err != nil || len(left) == 0 || len(left) == len(before) {
		t.Fatalf("%d of %d segments are left, %v", len(left), len(before), err)
	}
	t.Logf("killed with %d of %d segments in the store", len(before)-len(left), len(before))
}

// open connects to the server.
func (d *sharedDay) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := database.Open(database.Options{Driver: database.Postgres, DSN: d.db.DSN,
		Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// sharedDayOf has hosts judge the mail of a day and share a store that is away for two hours; one
// of them is killed in the middle of a batch. No row is lost, and none is counted twice.
func sharedDayOf(t *testing.T, perHost int, step time.Duration) {
	const hosts = 4
	steps := int(24 * time.Hour / step)
	killAt, awayFrom := steps/5, steps/2
	awayTo := awayFrom + int(2*time.Hour/step)
	d := newSharedDay(t, hosts)
	start := time.Now()
	var want, waiting int64
	for q := range steps {
		n := perHost*(q+1)/steps - perHost*q/steps
		for _, h := range d.hosts {
			h.judge(t, n)
			want += int64(n)
		}
		d.now = d.now.Add(step)
		switch q {
		case killAt:
			d.foldKilled(t, d.hosts[2])
		case awayFrom:
			d.db.Stop()
		case awayTo:
			d.db.Start()
		}
		isAway := q >= awayFrom && q < awayTo
		failed, err := d.all(func(h *sharing) error { return h.Fold(t.Context()) })
		if isAway && failed != hosts || !isAway && failed > 0 {
			t.Fatalf("step %d: %d hosts could not fold: %v", q, failed, err)
		}
		if q == awayTo-1 {
			s, err := spool.Look(d.hosts[0].Config.Reports.SpoolDirectory)
			if err != nil || s.Segments == 0 || d.now.Sub(s.Oldest) < 2*time.Hour {
				t.Errorf("what waits while the store is away: %+v, %v", s, err)
			}
			waiting = s.Bytes
		}
	}
	counted := time.Since(start)
	before := d.size(t)
	d.now = d.now.Add(5 * time.Minute)
	start = time.Now()
	// All tell how far they are before any of them puts rows together, as a minute has it.
	for _, do := range []func(*sharing) error{
		func(h *sharing) error { return h.storeHostState(t.Context()) },
		func(h *sharing) error { return collect(t.Context(), h.store, h.Host, d.now) },
	} {
		if failed, err := d.all(do); failed > 0 {
			t.Fatal(err)
		}
	}
	// what another one had
	if err := collect(t.Context(), d.hosts[0].store, "host0", d.now); err != nil {
		t.Fatal(err)
	}
	collected := time.Since(start)
	d.size(t)
	checkShared(t, d, want)
	start = time.Now()
	if err := d.hosts[0].store.DropDays(t.Context(), store.Day(d.now), d.now); err != nil {
		t.Fatal(err)
	}
	dropped := time.Since(start)
	t.Logf("%d messages: counted in %s, put together in %s, dropped in %s; %d MB before, %d MB at most; "+
		"%d kB waited in a spool", want, counted.Round(time.Second), collected.Round(time.Second),
		dropped.Round(time.Millisecond), before>>20, d.most>>20, waiting>>10)
	if d.most > 1<<30 {
		t.Errorf("%d MB in the database, want 1024 at most", d.most>>20)
	}
}

// checkShared holds that the sums are exact, and that nothing waits.
func checkShared(t *testing.T, d *sharedDay, want int64) {
	t.Helper()
	day := store.Day(d.now) - 1
	list, err := d.hosts[1].store.OutReady(t.Context(), day, d.now.AddDate(0, 0, 1), 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	var sum, rows, counted int64
	for i, p := range list {
		sum, rows = sum+p.Messages, rows+p.Rows
		if i%97 == 0 { // the sums of the rows, too
			of, err := d.hosts[1].store.OutRows(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			counted -= p.Messages
			for _, r := range of {
				counted += r.Count
			}
		}
	}
	t.Logf("%d domains, %d rows", len(list), rows)
	if sum != want || counted != 0 {
		t.Errorf("%d messages in the store, want %d; rows differ by %d", sum, want, counted)
	}
	for _, h := range d.hosts {
		if s, err := spool.Look(h.Config.Reports.SpoolDirectory); err != nil || s.Segments > 0 {
			t.Errorf("%s: %+v, %v", h.Host, s, err)
		}
	}
}

// TestSharedDay is a day with little mail.
func TestSharedDay(t *testing.T) { sharedDayOf(t, 1_200, 2*time.Hour) }

// TestSharedDayLong is a day of ten million messages.
func TestSharedDayLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("takes many minutes: set MAILSEAL_LONG=1")
	}
	sharedDayOf(t, 2_500_000, 15*time.Minute)
}
