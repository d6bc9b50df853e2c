package web

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/store"
)

// plainReader hides that a reader keeps how domains stand.
type plainReader struct{ Reader }

// judge judges as role intake does.
func judge(t *testing.T, read *Stored, now func() time.Time) int {
	t.Helper()
	n, err := (&Judge{Read: read, Now: now}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func clockNow() time.Time { return clock }

// arrive stores a report with one record: n messages from an address that pass.
func arrive(t *testing.T, read *Stored, domain string, n int64) {
	t.Helper()
	err := read.Store.Update(t.Context(), func(tx *store.Tx) error {
		exec := func(query string, values ...any) {
			if _, err := tx.ExecContext(t.Context(), query, values...); err != nil {
				t.Fatal(err)
			}
		}
		exec(`INSERT INTO in_report (dedup, content, raw, reporter, report_id, domain,
			configured, begins, ends, received, trust, counted, state, version,
			namespace, generator, policy, notes, records, messages)
			SELECT $2 || id, 'new', raw, reporter, 'new', domain, 1, begins, ends, received, trust, 1,
			state, version, namespace, generator, policy, notes, 1, $3 FROM in_report
			WHERE domain = (SELECT id FROM in_name WHERE name = $1) ORDER BY id DESC LIMIT 1`,
			domain, domain, n)
		exec(`INSERT INTO in_record (report, n, day, domain, source, messages, outcome,
			header_from, envelope_from, authset, facts)
			SELECT (SELECT MAX(id) FROM in_report), 1, day, domain, source, $2, outcome,
			header_from, envelope_from, authset, ''
			FROM in_record WHERE domain = (SELECT id FROM in_name WHERE name = $1)
			ORDER BY report DESC LIMIT 1`, domain, n)
		for table, key := range map[string]string{"source": "x.source", "reporter": "p.reporter"} {
			exec(`INSERT INTO in_day_` + table + ` (domain, day, ` + table + `, outcome, messages)
				SELECT x.domain,
				x.day, ` + key + `, x.outcome, x.messages FROM in_record x JOIN in_report p ON p.id = x.report
				WHERE x.report = (SELECT MAX(id) FROM in_report)
				ON CONFLICT (domain,
				day, ` + table + `, outcome) DO UPDATE SET messages =
					in_day_` + table + `.messages + excluded.messages`)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// spark is the drawing of a line; that of a year has fewer bars where it was kept.
var spark = regexp.MustCompile(`<svg class="spark".*?</svg>`)

// TestBoard holds that the overview from what role intake keeps is the overview from all records:
// at once, when reports have come, and when the sums of the rest are not added up.
func TestBoard(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	read := stored(t, smallWorld())
	if n := judge(t, read, clockNow); n != 5 {
		t.Fatalf("%d domains were judged, want 5", n)
	}
	body := func(r Reader, path string, patience time.Duration, summed int) string {
		s := newServer(t, r, nil)
		s.patience, s.summed = patience, summed
		w := get(s, path)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: status %d", path, w.Code)
		}
		return w.Body.String()
	}
	compare := func(when, path string, patience time.Duration) {
		t.Helper()
		want, got := body(plainReader{read}, path, time.Minute, 60), body(read, path, patience, 60)
		if strings.Contains(path, "365") {
			want, got = spark.ReplaceAllString(want, ""), spark.ReplaceAllString(got, "")
		}
		if want != got {
			t.Errorf("%s, %s: the overview differs:\n%s", when, path, firstDifference(want, got))
		}
	}
	for _, path := range []string{"/", "/?days=7", "/?days=90", "/?days=365", "/?show=parked",
		"/domains.csv",
		"/domains.json?days=90", "/?from=2026-11-03&to=2026-11-09"} {
		compare("judged", path, time.Nanosecond)
	}
	arrive(t, read, "shop.example", 1_000_003)
	compare("a report has come", "/", time.Minute)
	if got := body(read, "/", time.Nanosecond, 60); !strings.Contains(got, "1,0") ||
		sums(got) != sums(body(plainReader{read}, "/", time.Minute, 60)) {
		t.Error("without patience, the sums are not of now")
	}
	far := body(read, "/", time.Nanosecond, 0)
	if !strings.Contains(far, "The sums over all domains were computed at") {
		t.Error("sums of an earlier time without saying so")
	}
	if !strings.Contains(body(read, "/?from=2026-11-03&to=2026-11-09", time.Nanosecond, 0),
		"available only for 7, 30, 90 and 365 days") {
		t.Error("no word on the sums of all domains, which are not known")
	}
	later := func() time.Time { return clock.Add(time.Hour) }
	if n := judge(t, read, later); n < 1 || n > 2 {
		t.Errorf("%d domains were judged after one report", n)
	}
	if n := judge(t, read, later); n != 0 {
		t.Errorf("%d domains were judged although nothing has changed", n)
	}
}

// facts of the overview with its rows' numbers of messages.
var sumsOf_ = regexp.MustCompile(`(?s)<dl class="facts">.*?</dl>|<td class="r[^"]*">.*?</td>`)

func sums(body string) string { return strings.Join(sumsOf_.FindAllString(body, 8), "\n") }

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] + "\n" + y[i]
		}
	}
	return "one is longer"
}

// TestNewDomains holds that the overview answers before anything was judged, and says so.
func TestNewDomains(t *testing.T) {
	read := stored(t, &Memory{})
	read.Names = []string{"a.example", "b.example"}
	s := newServer(t, read, nil)
	s.patience = time.Nanosecond
	body := get(s, "/").Body.String()
	for _, want := range []string{"2 domains are not judged yet", "not judged yet</span>",
		"a.example"} {
		if !strings.Contains(body, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	if n := judge(t, read, clockNow); n != 2 {
		t.Errorf("%d domains were judged, want 2", n)
	}
	read.Names = read.Names[:1]
	judge(t, read, clockNow)
	kept, err := read.DomainStates(context.Background(), 0)
	if err != nil || len(kept.Domains) != 1 {
		t.Errorf("%d domains are kept, want 1: %v", len(kept.Domains), err)
	}
}
