// Pages measures how long the pages of reports take over a store of millions of records, which it
// fills itself. "make bench-pages" runs it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

func main() {
	var o options
	flag.StringVar(&o.store, "store", "",
		"the file of SQLite: filled if it is not there, and kept; empty is one that is removed")
	flag.StringVar(&o.dsn, "postgres", "",
		"the DSN of an empty database of PostgreSQL, in place of SQLite")
	flag.StringVar(&o.out, "out", "",
		"the file that the figures are added to; empty is standard output")
	flag.BoolVar(&o.fillOnly, "fill", false, "only fill the store")
	flag.IntVar(&o.records, "records", 5_000_000, "rows of reports")
	flag.IntVar(&o.domains, "domains", 25, "domains")
	flag.IntVar(&o.days, "days", 365, "days of history")
	flag.IntVar(&o.receivers, "receivers", 12, "receivers that report on each domain each day")
	flag.IntVar(&o.rounds, "rounds", 7, "how often each page is asked for; the median counts")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	shape
	store, out string
	dsn        string // of PostgreSQL
	fillOnly   bool
	rounds     int
	judged     time.Duration
	found      int // domains that were judged
}

func run(ctx context.Context, o options) error {
	path := o.store
	if path == "" && o.dsn == "" {
		dir, err := os.MkdirTemp("", "mailseal-pages-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		path = filepath.Join(dir, "reports.db")
	}
	opened := store.Options{Driver: database.SQLite, DSN: path}
	_, missing := os.Stat(path)
	if o.dsn != "" {
		opened, missing, o.postgres = store.Options{Driver: database.Postgres, DSN: o.dsn},
			os.ErrNotExist, true
	}
	st, err := store.Open(ctx, opened)
	if err != nil {
		return err
	}
	defer st.Close()
	if missing != nil {
		began := time.Now()
		if err := o.fill(ctx, st, dayOf(time.Now())); err != nil {
			return err
		}
		if o.postgres { // as the server does by itself after some minutes
			if err := analyze(ctx, st); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "pages: filled in %v\n", time.Since(began).Round(time.Second))
	}
	if o.fillOnly {
		return nil
	}
	read := &web.Stored{Store: st}
	began := time.Now()
	judge := web.Judge{Read: read, Now: time.Now}
	n, err := judge.Run(ctx)
	if err != nil {
		return err
	}
	o.judged, o.found = time.Since(began), n
	fmt.Fprintf(os.Stderr, "pages: judged %d domains in %v\n", n, o.judged.Round(time.Second))
	rows, err := measure(ctx, read, o)
	if err != nil {
		return err
	}
	return write(o, size(ctx, st, path), rows)
}

// analyze has PostgreSQL look at what the tables hold.
func analyze(ctx context.Context, st *store.Store) error {
	return st.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, "ANALYZE")
		return err
	})
}

// pages are those whose time is measured.
var pages = []struct{ name, path string }{
	{"overview, 30 days", "/"},
	{"overview, 90 days", "/?days=90"},
	{"domain", "/d/domain-01.example"},
	{"source", "/d/domain-01.example/s/domain-01.example"},
	{"receiver", "/receiver?name=google.com"},
	{"messages that were held", "/messages?result=held"},
	{"reports", "/reports"},
	{"report", "/r/100"},
	{"reports in", "/ingest"},
}

// taken is how long something took, and for how long this process had a processor meanwhile: less,
// where other programs want them, too, or a database works.
type taken struct{ wall, processor time.Duration }

func (t taken) String() string {
	return fmt.Sprintf("%d (%d)", t.wall.Milliseconds(), t.processor.Milliseconds())
}

// processor is the processor time of this process.
func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// row is what a page took.
type row struct {
	name                string
	first, again, after taken
	size                int
}

const token = "a-token-of-the-measurement"

// measure asks for each page of a server that has just started, so that nothing is remembered from
// page to page, then of one that has shown it before, and then when a report on a domain has come.
func measure(ctx context.Context, read *web.Stored, o options) ([]row, error) {
	var out []row
	for _, p := range pages {
		var first, again, after []taken
		size := 0
		for range o.rounds {
			fresh := &web.Stored{Store: read.Store} // nothing is remembered
			s, err := web.New(web.Config{Read: fresh, Access: &web.Access{Token: token},
				Host: "mx.example.com"})
			if err != nil {
				return nil, err
			}
			for _, list := range []*[]taken{&first, &again, &after} {
				if list == &after {
					if err := arrive(ctx, read.Store); err != nil {
						return nil, err
					}
				}
				took, n, err := ask(s, p.path)
				if err != nil {
					return nil, err
				}
				*list = append(*list, took)
				size = n
			}
		}
		for _, list := range [][]taken{first, again, after} {
			slices.SortFunc(list, func(a, b taken) int {
				return cmp.Compare(a.processor, b.processor)
			})
		}
		r := row{p.name, first[len(first)/2], again[len(again)/2], after[len(after)/2], size}
		fmt.Fprintf(os.Stderr, "pages: %-26s %12v %12v %12v\n", r.name, r.first, r.again, r.after)
		out = append(out, r)
	}
	return out, nil
}

// arrive stores a report without records on the first domain.
func arrive(ctx context.Context, st *store.Store) error {
	return st.Update(ctx, func(tx *store.Tx) error {
		f := &filler{ctx: ctx, tx: tx}
		f.exec(`INSERT INTO in_raw (digest, received, via, name, kind, trust, trust_domain, size)
			SELECT 'n' || MAX(id), MAX(received), 'lmtp', '', 'aggregate', 'aligned', '', 1 FROM in_raw`)
		f.exec(`INSERT INTO in_report (dedup, content, raw, reporter, report_id, domain,
			configured, begins, ends, received, trust, counted, state, version,
			namespace, generator, policy, notes, records, messages) SELECT 'n' || (SELECT MAX(id)
			FROM in_report), 'n', (SELECT MAX(id) FROM in_raw), reporter,
			'new', domain, 1, begins, ends, received, trust, 1, state, version, namespace,
			generator, policy, notes, 0, 0 FROM in_report WHERE id = 1`)
		return f.err
	})
}

// ask asks for a page and returns how long it took and how large it is.
func ask(s http.Handler, path string) (taken, int, error) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	began, used := time.Now(), processor()
	s.ServeHTTP(w, r)
	took := taken{time.Since(began), processor() - used}
	if w.Code != http.StatusOK {
		return took, 0, fmt.Errorf("%s: status %d", path, w.Code)
	}
	return took, w.Body.Len(), nil
}

// goal is what the overview may take.
const goal = 200 * time.Millisecond

// size is that of the store, in MB.
func size(ctx context.Context, st *store.Store, path string) (mb int64) {
	if info, err := os.Stat(path); err == nil {
		return info.Size() >> 20
	}
	_ = st.View(ctx, func(tx *store.Tx) error { // an unknown size is 0
		return tx.QueryRowContext(ctx, "SELECT pg_database_size(current_database()) >> 20").Scan(
			&mb)
	})
	return mb
}

func write(o options, mb int64, rows []row) error {
	var b strings.Builder
	name := "SQLite"
	if o.postgres {
		name = "PostgreSQL"
	}
	fmt.Fprintf(&b, "## %s, %d domains\n\n%s UTC\n\n", name, o.domains,
		time.Now().UTC().Format("2006-01-02 15:04"))
	fmt.Fprintf(&b, "* a store of %s with %d records of %d reports: %d domains, %d days, %d receivers; %d MB\n", name,
		o.perReport()*o.domains*o.days*o.receivers,
		o.domains*o.days*o.receivers, o.domains, o.days, o.receivers, mb)
	fmt.Fprintf(&b, "* medians of %d; \"first\" is asked of a process that has just started, "+
		"\"again\" a moment later, \"after\" when a report on a domain has come; in brackets the processor "+
		"time of the pages' process\n",
		o.rounds)
	fmt.Fprintf(&b, "* how %d domains stand was found out in %v, as role intake does when reports have come\n",
		o.found, o.judged.Round(time.Second))
	fmt.Fprintf(&b, "* the goal is %v for the overview\n\n", goal)
	b.WriteString("| page | first, ms | again, ms | after, ms | KB |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %v | %v | %v | %d |\n", r.name, r.first, r.again, r.after,
			r.size>>10)
	}
	if o.out == "" {
		fmt.Print(b.String())
		return nil
	}
	f, err := os.OpenFile(o.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + b.String())
	return errors.Join(err, f.Close())
}
