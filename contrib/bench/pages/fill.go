package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"mailseal/milter/report/store"
)

// shape is what a filled store holds.
type shape struct {
	records   int // rows of reports, about
	domains   int
	days      int // of history, up to yesterday
	receivers int // each reports on each domain, each day
	postgres  bool
}

// perReport is how many rows a report has.
func (s shape) perReport() int { return max(s.records/(s.domains*s.days*s.receivers), 1) }

// What mail comes from. A report has rows of the domain's own hosts and services first, then of
// forwarders, then of strangers.
const (
	ownHosts   = 6      // of each domain; the first is most of its mail
	forwarders = 400    // of all domains
	strangers  = 20_000 // addresses that forge
)

// fill makes reports in the database itself, since a row that comes by a parser takes fifty times
// as long. All of it follows from the numbers of domains, days and receivers, so that two stores of
// a shape are the same.
func (s shape) fill(ctx context.Context, st *store.Store, today int64) error {
	return st.Update(ctx, func(tx *store.Tx) error {
		f := &filler{ctx: ctx, tx: tx}
		if s.postgres {
			f.exec("SET LOCAL work_mem = '400MB'")
		} else {
			f.exec("PRAGMA cache_size = -400000") // for sorting
		}
		f.words(s)
		f.reports(s, today)
		f.records(s)
		f.sums()
		if s.postgres {
			for _, table := range []string{"in_name", "in_source", "in_reporter", "in_authset",
				"in_raw", "in_report"} {
				f.exec("SELECT setval(pg_get_serial_sequence('" + table + "', 'id'), " +
					"(SELECT MAX(id) FROM " + table + "))")
			}
		} else {
			f.exec("PRAGMA cache_size = -2000") // SQLite's own
		}
		return f.err
	})
}

// filler keeps the first error.
type filler struct {
	ctx context.Context
	tx  *store.Tx
	err error
}

func (f *filler) exec(query string, values ...any) {
	if f.err != nil {
		return
	}
	began := time.Now()
	query, values = inline(query, values)
	if _, err := f.tx.ExecContext(f.ctx, query, values...); err != nil {
		f.err = fmt.Errorf("%w in %.60s", err, query)
	}
	if took := time.Since(began); took > time.Second {
		what, _, _ := strings.Cut(strings.TrimSpace(query[max(strings.Index(query, "INSERT"), 0):]),
			"(")
		fmt.Fprintf(os.Stderr, "pages: %v: %.50s\n", took.Round(time.Second), what)
	}
}

var parameter = regexp.MustCompile(`\$[0-9]+`)

// inline writes numbers into a query: PostgreSQL does not guess the types of parameters in sums.
func inline(query string, values []any) (text string, rest []any) {
	place := map[string]string{}
	for i, v := range values {
		name := fmt.Sprint("$", i+1)
		switch v.(type) {
		case int, int64:
			place[name] = fmt.Sprint(v)
		default:
			rest = append(rest, v)
			place[name] = fmt.Sprint("$", len(rest))
		}
	}
	return parameter.ReplaceAllStringFunc(query, func(name string) string { return place[name] }),
		rest
}

// Numbers of words. Domains are 1 to domains.
const (
	firstForwarderName = 100_001
	firstSource        = 1 // own hosts of domain d begin at (d-1)*ownHosts+1
	firstForwarder     = 1_000_001
	firstStranger      = 2_000_001
)

// big are receivers by the names that advice asks for; others are made up.
var big = []string{"google.com", "outlook.com", "yahoo.com", "gmx.net", "web.de", "comcast.net"}

func (f *filler) words(s shape) {
	for d := 1; d <= s.domains; d++ {
		f.exec("INSERT INTO in_name (id, name) VALUES ($1, $2)", d, domainName(d))
		for h := range ownHosts {
			id := (d-1)*ownHosts + h + firstSource
			f.exec("INSERT INTO in_source (id, ip, ptr) VALUES ($1, $2, $3)", id,
				fmt.Sprintf("10.%d.%d.%d", id>>16, id>>8&255, id&255),
				fmt.Sprintf("mx%d.%s", h, domainName(d)))
		}
	}
	f.exec(`WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < $1 - 1)
		INSERT INTO in_name (id, name) SELECT $2 + i, 'forward' || i || '.test' FROM k`, forwarders, firstForwarderName)
	f.exec(`WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < $1 - 1)
		INSERT INTO in_source (id, ip, ptr)
		SELECT $2 + i, '198.51.' || (i / 250) || '.' || (i % 250), 'out.forward' || i || '.test' FROM k`,
		forwarders, firstForwarder)
	f.exec(`WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < $1 - 1)
		INSERT INTO in_source (id, ip, ptr)
		SELECT $2 + i, '203.' || (i / 62500) || '.' || (i / 250 % 250) || '.' || (i % 250), '' FROM k`,
		strangers, firstStranger)
	for r := range s.receivers {
		name := fmt.Sprintf("receiver-%02d.test", r)
		if r < len(big) {
			name = big[r]
		}
		f.exec("INSERT INTO in_reporter (id, key, org, email, first_seen, last_seen) VALUES ($1, $2, $2, $3, 0, 0)",
			r+1, name, "noreply@"+name)
	}
	for d := 1; d <= s.domains; d++ {
		for i, result := range []string{"pass", "fail"} {
			text, err := json.Marshal(map[string]any{
				"dkim": []map[string]string{{"domain": domainName(d), "selector": "s2026a", "result": result}},
				"spf": []map[string]string{{"domain": domainName(d), "scope": "mfrom",
					"result": result}}})
			if err != nil {
				f.err = err
			}
			f.exec("INSERT INTO in_authset (id, hash, results) VALUES ($1, $2, $3)", 2*d+i,
				fmt.Sprint(d, i), string(text))
		}
	}
	f.exec(`INSERT INTO in_authset (id, hash, results)
		VALUES (1, 'none', '{"spf":[{"domain":"","scope":"mfrom","result":"softfail"}]}')`)
}

func domainName(d int) string { return fmt.Sprintf("domain-%02d.example", d) }

// reports makes a report of each receiver on each domain and day.
func (f *filler) reports(s shape, today int64) {
	n := s.domains * s.days * s.receivers
	f.exec(`WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < $1)
		INSERT INTO in_raw (id, digest, received, via, name, kind, trust, trust_domain, size, data)
		SELECT i, 'd' || i, ($2 + (i - 1) / $3) * 86400 + 108000 + i % 7200, 'lmtp', '',
		'aggregate', 'aligned', '', 20000, $4 FROM k`,
		n, today-int64(s.days), s.domains*s.receivers, packed())
	f.exec(`WITH RECURSIVE k(i, day, domain, reporter) AS (SELECT 1, CAST($2 AS BIGINT), 1, 1
		UNION ALL SELECT i + 1, CAST($2 AS BIGINT) + i / ($3 * $4), i / $4 % $3 + 1, i % $4 + 1
		FROM k WHERE i < $1)
		INSERT INTO in_report (id, dedup, content, raw, reporter, report_id, domain, configured,
		begins, ends, received, trust, counted, state,
			version, namespace, generator, policy, notes, records, messages)
		SELECT i, 'd' || i, 'd' || i, i, reporter, 'report-' || i, domain, 1, day * 86400,
		day * 86400 + 86399, day * 86400 + 108000 + i % 7200, 'aligned', 1,
			'whole', '1.0', '', '', '{"domain":"","p":"' || (CASE domain % 3 WHEN 0 THEN 'none'
			WHEN 1 THEN 'quarantine' ELSE 'reject' END) || '"}', '',
			$5, 0 FROM k`, n, today-int64(s.days), s.domains, s.receivers, s.perReport())
}

// packed is a report as received.
func packed() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write([]byte("<feedback></feedback>")) // to memory
	_ = z.Close()
	return out.Bytes()
}

// records makes the rows. m spreads numbers that follow each other. The index is made when all rows
// are there, which is faster and ends the same.
func (f *filler) records(s shape) {
	f.exec("DROP INDEX in_record_source")
	f.exec("DROP INDEX in_record_day")
	f.exec(`CREATE TEMP TABLE k AS WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k
		WHERE n < $1) SELECT n FROM k`, s.perReport())
	f.exec(`INSERT INTO in_record (report, n, day, domain, source, messages, outcome,
		header_from, envelope_from, authset, facts)
		SELECT id, n, begins / 86400, domain,
			CASE WHEN n <= $1 THEN (domain - 1) * $1 + n WHEN m % 100 < 90 THEN $2 + m / 100 % $3
			ELSE $4 + m / 100 % $5 END,
			CASE WHEN n = 1 THEN 200 + m % 300 WHEN n <= $1 THEN 10 + m % 40 ELSE 1 + m % 3 END,
			CASE WHEN n <= $1 - 1 THEN 3 WHEN n = $1 THEN 2 WHEN m % 100 < 80 THEN 1
			WHEN m % 100 < 90 THEN 16 ELSE 4 * (domain % 3) END,
			domain, CASE WHEN n <= $1 OR m % 100 >= 90 THEN domain ELSE $6 + m / 100 % $3 END,
			CASE WHEN n <= $1 OR m % 100 < 80 THEN 2 * domain WHEN m % 100 < 90 THEN 2 * domain + 1 ELSE 1 END, ''
		FROM (SELECT r.id, r.begins, r.domain, k.n,
		(r.id * 7919 + k.n * 104729 + r.id / 7 * k.n) % 1000003 AS m FROM in_report r CROSS JOIN k) s`,
		ownHosts, firstForwarder, forwarders, firstStranger, strangers, firstForwarderName)
	f.exec("DROP TABLE k")
	f.exec("CREATE INDEX in_record_source ON in_record (domain, source, day)")
	f.exec("CREATE INDEX in_record_day ON in_record (domain, day, outcome)")
}

// sums makes the rollups as the intake does, and the sums of reports.
func (f *filler) sums() {
	f.exec(`INSERT INTO in_day_reporter (domain, day, reporter, outcome, messages)
		SELECT x.domain, x.day, p.reporter, x.outcome, SUM(x.messages) FROM in_record x
		JOIN in_report p ON p.id = x.report
		GROUP BY x.domain, x.day, p.reporter, x.outcome`)
	f.exec(`INSERT INTO in_day_source (domain, day, source, outcome, messages)
		SELECT domain, day, source, outcome, SUM(messages) FROM in_record GROUP BY domain, day, source, outcome`)
	f.exec(`UPDATE in_report SET messages = (SELECT SUM(messages) FROM in_record x WHERE x.report = in_report.id)`)
}

// dayOf returns the UTC day of a time.
func dayOf(t time.Time) int64 { return t.Unix() / 86400 }
