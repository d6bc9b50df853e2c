package intake

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/store"
)

// A line of uuencode that promises more than it holds makes no more of it, and what it makes
// counts.
func TestUuencodeIsBounded(t *testing.T) {
	text := "begin 644 r.xml\n" + strings.Repeat("_\n", 1000)
	if _, data := uuencoded([]byte(text)); len(data) > 2*len(text) {
		t.Errorf("%d bytes become %d", len(text), len(data))
	}
	w := &walker{budget: newBudget(time.Now)}
	if err := w.look([]string{"x"}, []byte(uu(xml("1"))), 0, 0, true); err != nil ||
		len(w.found) != 1 {
		t.Fatalf("%v, %d parts", err, len(w.found))
	}
	if used := maxInflated - w.budget.inflated; used < int64(len(xml("1"))) {
		t.Errorf("%d bytes are charged of %d", used, len(xml("1")))
	}
}

// What is inflated to see how damaged base64 is meant counts for the mail.
func TestReadingsAreCharged(t *testing.T) {
	const size = 8 << 20
	text := append([]byte("*\n"), b64(gz(make([]byte, size)))...)
	b := newBudget(time.Now)
	fromBase64(text, b)
	if used := maxInflated - b.inflated; used < size {
		t.Errorf("%d bytes are charged, want %d at least", used, size)
	}
	b.inflated = size / 8
	fromBase64(text, b)
	if b.inflated >= 0 || b.inflated < -size/8 {
		t.Errorf("%d bytes are left after a reading beyond the budget", b.inflated)
	}
}

// Of two reports with one key the first one counts, however often they are read again.
func TestVariantReadAgain(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		first := strings.Replace(string(xml("1")), "<count>7<", "<count>10<", 1)
		take(t, i, store.ByHand, "", []byte(first))
		take(t, i, store.ByHand, "", xml("1"))
		for n := range 3 {
			if got := total(t, s); got != 10 {
				t.Errorf("read again %d times: %d messages, want 10", n, got)
			}
			if got := one(t, s, "SELECT COUNT(*) FROM in_report WHERE variant_of IS NOT NULL AND "+
				"counted = 0"); got != 1 {
				t.Errorf("read again %d times: %d variants, want 1", n, got)
			}
			if err := i.Again(t.Context(), func(*Taken) {}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A long report without proof fills only a part of the bin; it counts when its reporter is accepted
// and it was read again. It goes with the mail that it came in.
func TestUnprovenRowsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("is run with the end-to-end tests: a minute with the race detector, in one goroutine")
	}
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		got := take(t, i, "", "", gz(rows(store.MaxUnprovenRows+5, 1)))
		if n := one(t, s, "SELECT COUNT(*) FROM in_record"); n != store.MaxUnprovenRows {
			t.Errorf("%d rows are kept", n)
		}
		if len(got.Problems) != 1 || !strings.Contains(got.Problems[0], "accept org.example") {
			t.Errorf("problems: %q", got.Problems)
		}
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), "UPDATE in_report SET records = 999999")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := take(t, i, "", "", xml("2")); got.Dropped != 0 || got.Reports != 1 {
			t.Errorf("a second report: %+v", got)
		}
		if n, err := s.Accept(t.Context(), "org.example", true); err != nil || n != 1 ||
			total(t, s) != 7 {
			t.Errorf("accepted: %d, %v, %d messages; want the short one", n, err, total(t, s))
		}
		want := int64(700*(store.MaxUnprovenRows+5) + 7)
		if err := i.Again(t.Context(), func(*Taken) {}); err != nil || total(t, s) != want {
			t.Errorf("read again: %v, %d messages, want %d", err, total(t, s), want)
		}
		take(t, i, "", "", []byte(strings.ReplaceAll(string(xml("3")), "org.example",
			"new.example")))
		day := 24 * time.Hour
		keep := store.Retention{Raw: 90 * day, Records: 4000 * day, Rollups: 4000 * day,
			Foreign: 30 * day}
		if err := s.Purge(t.Context(), now.AddDate(0, 0, 91), keep); err != nil {
			t.Fatal(err)
		}
		if n := one(t, s, "SELECT COUNT(*) FROM in_report"); n != 2 || total(t, s) != want {
			t.Errorf("after 91 days: %d reports, %d messages; want those that count", n,
				total(t, s))
		}
	})
}

// Reports of a reporter that the operator refuses fill no more than a bound. They count when that
// is taken back and they were read again; those whose rows were all there, at once.
func TestRefusedAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("is run with the end-to-end tests: a minute with the race detector, in one goroutine")
	}
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s, Domains: []string{"example.com"}}
		whole := int64(700 * (store.MaxUnprovenRows + 3))
		take(t, i, "", "org.example", gz(rows(store.MaxUnprovenRows+3, 1)))
		if _, err := s.Refuse(t.Context(), "org.example"); err != nil {
			t.Fatal(err)
		}
		part := strings.Replace(string(rows(store.MaxUnprovenRows+5, 1)), "<report_id>",
			"<report_id>part", 1)
		got := take(t, i, "", "org.example", gz([]byte(part)))
		if n := one(t, s, "SELECT COUNT(*) FROM in_record"); n != 2*store.MaxUnprovenRows+3 {
			t.Errorf("%d rows are kept", n)
		}
		if len(got.Problems) != 1 || !strings.Contains(got.Problems[0],
			"has 10005 rows, of which 10000 are kept: you "+
				"refused reports of org.example; to count it run \"mailseal reports accept --not org.example\"") {
			t.Errorf("problems: %q", got.Problems)
		}
		copies(t, s, 9_998)
		got = take(t, i, "", "org.example", xml("last"))
		if got.Dropped != 1 || len(got.Problems) != 1 || !strings.Contains(got.Problems[0],
			"you refused reports of org.example") {
			t.Errorf("above the bound: %+v", got)
		}
		if got := take(t, i, "", "other.example", []byte(strings.ReplaceAll(string(xml("2")),
			"org.example", "other.example"))); got.Reports != 1 || got.Dropped != 0 {
			t.Errorf("another reporter: %+v", got)
		}
		alter(t, s, "DELETE FROM in_report WHERE dedup LIKE 'y%'")
		if n, err := s.Accept(t.Context(), "org.example", false); err != nil || n != 1 ||
			total(t, s) != whole+7 {
			t.Errorf("taken back: %d, %v, %d messages; want the whole one", n, err, total(t, s))
		}
		if n, err := s.Waiting(t.Context(), "org.example"); n != 1 || err != nil {
			t.Errorf("%d wait to be read again, %v", n, err)
		}
		want := whole + 7 + 7 + 700*(store.MaxUnprovenRows+5)
		if err := i.Again(t.Context(), func(*Taken) {}); err != nil || total(t, s) != want {
			t.Errorf("read again: %v, %d messages, want %d", err, total(t, s), want)
		}
		if n, err := s.Waiting(t.Context(), "org.example"); n != 0 || err != nil {
			t.Errorf("%d wait still, %v", n, err)
		}
		if _, err := s.Refuse(t.Context(), "org.example"); err != nil {
			t.Fatal(err)
		}
		alter(t, s, "DELETE FROM in_record") // as retention does, which removes the mails before
		for _, want := range []int{2, 0} {
			if _, err := s.Accept(t.Context(), "org.example", false); err != nil {
				t.Fatal(err)
			}
			if n, err := s.Waiting(t.Context(), "org.example"); n != want || err != nil {
				t.Errorf("%d wait to be read again, %v; want %d", n, err, want)
			}
			alter(t, s, "UPDATE in_raw SET data = NULL")
		}
	})
}

// alter changes the store as no program does.
func alter(t *testing.T, s *store.Store, query string) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), query)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever stands in mail that brings nothing proven, its bytes are bounded; so are TLS reports
// without proof.
func TestAllIdleMailIsBounded(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		take(t, i, "", "org.example", xml("1"))
		take(t, i, "", "", []byte("unused"))
		set := func(query string) {
			t.Helper()
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.ExecContext(t.Context(), query)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		set(fmt.Sprint("UPDATE in_raw SET size = ", 1<<30))
		junk := bytes.Repeat([]byte("junk\r\n"), 100)
		take(t, i, "", "", []byte("unused "))
		take(t, i, "", "org.example", []byte(top+multi("mixed", attached("a/b", gz(xml("1"))),
			attached("a/b", junk))))
		take(t, i, "", "", append([]byte(tlsReport), junk...))
		raws, err := s.Raws(t.Context())
		if err != nil || len(raws) != 2 {
			t.Errorf("%d mails are kept as they came, %v; want the first two", len(raws), err)
		}
		others := func() int { return one(t, s, "SELECT COUNT(*) FROM in_other") }
		before := others()
		set(`WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000)
			INSERT INTO in_other (dedup, raw, kind, domain, reporter, begins, ends, received,
			trust_domain, good, bad, content)
			SELECT 'x' || n, (SELECT MAX(id) FROM in_raw), 'tls', 'x', 'x', 0, 9999999999, 0, '', 0, 0, '{}' FROM c`)
		got := take(t, i, "", "", []byte(strings.Replace(tlsReport, "r1", "r2", 1)))
		if got.Dropped != 1 || got.TLS != 0 || len(got.Problems) != 1 || others() != before+10_000 {
			t.Errorf("one more TLS report: %+v", got)
		}
		if got := take(t, i, "", "org.example",
			[]byte(strings.Replace(tlsReport, "r1", "r3", 1))); got.TLS != 1 {
			t.Errorf("one that is authenticated: %+v", got)
		}
		keep := store.Retention{Raw: time.Hour, Records: time.Hour, Rollups: time.Hour,
			Foreign: time.Hour}
		if err := s.Purge(t.Context(), now, keep); err != nil {
			t.Fatal(err)
		}
		if n := one(t, s, "SELECT COUNT(*) FROM in_other WHERE dedup LIKE 'x%'"); n != 0 {
			t.Errorf("%d TLS reports of strangers are left", n)
		}
	})
}
