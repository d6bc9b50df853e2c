package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"

	"mailseal/milter/report/store"
)

// counted is a Reader that counts how often domains are gathered.
type counted struct {
	Reader
	gathered map[string]int
}

func (c counted) Identities(ctx context.Context, f Filter) ([]Identity, error) {
	c.gathered[f.Domains[0]]++
	return c.Reader.Identities(ctx, f)
}

// TestRecall holds that pages use what was gathered, and gather again what a change concerns: a
// report, a verdict, a reporter that is accepted, a report that is read again, and the next day.
func TestRecall(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	read := stored(t, smallWorld())
	c := counted{read, map[string]int{}}
	now := clock
	s, err := New(Config{Read: c, Access: &Access{Token: tokenOfTests,
		Now: func() time.Time { return now }}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	change := func(query string, values ...any) func() {
		return func() {
			err := read.Store.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.ExecContext(t.Context(), query, values...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	both := func(one, other string) func() {
		return func() {
			change(one)()
			change(other)()
		}
	}
	const verdict = `INSERT INTO in_verdict (domain, subject, addresses, class, was, made,
		made_by) VALUES ($1, '192.0.2.44', '', 'ours', '', 1, '')`
	const all = "example.net example.org new.example old.example shop.example"
	for _, step := range []struct {
		name string
		do   func()
		want string // the domains that are gathered
	}{
		{"first", func() {}, all},
		{"again", func() {}, ""},
		{"a report", func() {
			change(`INSERT INTO in_raw (digest, received, via, name, kind, trust, trust_domain,
				size) VALUES ('new', 1, '', '', 'aggregate', '', '', 1)`)()
			change(`INSERT INTO in_report (dedup, content, raw, reporter, report_id, domain,
				configured, begins, ends, received, trust, counted, state, version,
				namespace, generator, policy, notes, records, messages)
				SELECT 'new', 'new', 1, reporter, 'new', domain, 1, begins, ends, received, trust, 1,
				state, version, namespace, generator, policy, notes, 0, 0 FROM in_report
				WHERE domain = (SELECT id FROM in_name WHERE name = 'example.org') LIMIT 1`)()
			// the report that was the last before is on the latter, and looked at again
		}, "example.org old.example"},
		{"again", func() {}, ""},
		{"a verdict on all domains", change(verdict, ""), all},
		{"a verdict", change(verdict, "example.net"), "example.net"},
		{"that is undone", change(`UPDATE in_verdict SET undone = 5 WHERE domain = 'example.net'`), "example.net"},
		{"another in the same second", change(`UPDATE in_verdict SET undone = 5 WHERE domain = ''`), all},
		{"who writes", change(`INSERT INTO own_use (domain, use_word, made, made_by)
			VALUES ('example.net', 'people', 7, '')`), "example.net"},
		{"who writes, in the same second",
			change(`INSERT INTO own_use (domain, use_word, made, made_by) VALUES ('old.example', 'people', 7, '')`),
			"example.net old.example"},
		{"taken back", change(`DELETE FROM own_use`), all},
		{"a new key", change(`INSERT INTO own_selector (domain, selector, first_at, last_at)
			VALUES ('shop.example', 's1', 9, 9)`), "shop.example"},
		{"own mail", change(`INSERT INTO own_day (domain, day, messages, replies, lists)
			VALUES ('news.shop.example', 20500, 1, 0, 0)`), "shop.example"},
		{"an accepted reporter", both(
			`UPDATE in_reporter SET accepted = 1 WHERE id = (SELECT MIN(id) FROM in_reporter)`,
			`INSERT INTO in_touched (domain) SELECT id FROM in_name WHERE name = 'example.net'`),
			"example.net"},
		{"one without reports", change(
			`UPDATE in_reporter SET accepted = 2 WHERE id = (SELECT MIN(id) FROM in_reporter)`),
			""},
		{"read again", both(`INSERT INTO in_told (what, at) VALUES ('read_again', 1)`,
			`INSERT INTO in_touched (domain) SELECT id FROM in_name WHERE name = 'old.example'`),
			"old.example"},
		{"read again in vain", change(`UPDATE in_told SET at = 2 WHERE what = 'read_again'`), ""},
		{"more than is kept", both(
			`INSERT INTO in_touched (id, domain) SELECT 90, id FROM in_name WHERE name = 'old.example'`,
			`DELETE FROM in_touched WHERE id < 90`), all},
		{"removed by age", change(`INSERT INTO in_told (what, at) VALUES ('records_since', 20000)`), ""},
		{"again", func() {}, ""},
		{"the next day", func() { now = now.Add(24 * time.Hour) }, all},
		{"an hour later", func() { now = now.Add(time.Hour) }, all},
		{"again", func() {}, ""},
	} {
		step.do()
		clear(c.gathered)
		if w := get(s, "/"); w.Code != 200 {
			t.Fatalf("%s: status %d", step.name, w.Code)
		}
		var got []string
		for _, d := range strings.Fields(all) {
			if c.gathered[d] > 0 {
				got = append(got, d)
			}
		}
		if strings.Join(got, " ") != step.want {
			t.Errorf("%s: gathered %q, want %q", step.name, strings.Join(got, " "), step.want)
		}
	}
}

// TestRecallBound holds that what is remembered has an end.
func TestRecallBound(t *testing.T) {
	r := factsCache{facts: map[string]cachedFacts{}}
	for i := range 10 {
		x := &facts{ids: make([]Identity, maxFacts/4), now: today}
		r.keep(itoa(int64(i)), x, clock, 0)
		if r.weight > maxFacts {
			t.Fatalf("weight %d after %d", r.weight, i+1)
		}
	}
	if x, _ := r.get("9", clock, factsFor); x == nil {
		t.Error("the last is not remembered")
	}
	r.keep("late", &facts{now: today}, clock, r.changes-1)
	if x, _ := r.get("late", clock, factsFor); x != nil {
		t.Error("what was gathered across a change is remembered")
	}
}

// TestRecallReceivers holds that names of receivers in requests do not fill the memory: what a name
// that no receiver has gathers is not kept, and no filter holds on to the request that it came
// with.
func TestRecallReceivers(t *testing.T) {
	s := newServer(t, world(), nil)
	get(s, "/d/shop.example?receiver=google.com")
	kept := len(s.cache.facts)
	for i := range 20 {
		if w := get(s, "/d/shop.example?receiver=r"+itoa(int64(i))+
			".test"); w.Code != http.StatusOK {
			t.Fatalf("status %d", w.Code)
		}
	}
	if n := len(s.cache.facts); n != kept {
		t.Errorf("%d entries are remembered after 20 receivers that there are not, %d before", n,
			kept)
	}
	r := httptest.NewRequest(http.MethodGet, "/?receiver=google.com&pad="+strings.Repeat("x", 1000),
		nil)
	v := s.visitOf(r, session{})
	if got := v.filter.Receiver; got != "google.com" ||
		unsafe.StringData(got) == unsafe.StringData(v.q.Get("receiver")) {
		t.Errorf("the filter's %q holds on to the request", got)
	}
}
