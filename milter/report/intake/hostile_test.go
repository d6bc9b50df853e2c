package intake

import (
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/store"
)

// What a reporter can do whose mail is authenticated, and what a stranger can do.

// A reporter that the operator refuses does not count, whatever proves it, until that is taken
// back.
func TestRefused(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s, Domains: []string{"example.com"}}
		take(t, i, "", "org.example", xml("1"))
		take(t, i, "", "", xml("2"))
		other := strings.ReplaceAll(string(xml("3")), "org.example", "other.example")
		take(t, i, "", "other.example", []byte(other))
		step := func(what string, change func() (int, error), changed int, sum int64) {
			t.Helper()
			if n, err := change(); err != nil || n != changed || total(t, s) != sum {
				t.Errorf("%s: %d reports changed, %v, %d messages; want %d and %d", what, n, err,
					total(t, s), changed, sum)
			}
		}
		accept := func(yes bool) func() (int, error) {
			return func() (int, error) { return s.Accept(t.Context(), "org.example", yes) }
		}
		refuse := func() (int, error) { return s.Refuse(t.Context(), "org.example") }
		step("refused", refuse, 1, 7)
		take(t, i, "", "org.example", xml("4"))
		step("refused again", refuse, 0, 7)
		if err := i.Again(t.Context(), func(*Taken) {}); err != nil || total(t, s) != 7 {
			t.Errorf("read again: %v, %d messages", err, total(t, s))
		}
		step("taken back", accept(false), 2, 21)
		step("accepted", accept(true), 1, 28)
		step("refused after that", refuse, 3, 7)
		step("accepted after that", accept(true), 3, 28)
		step("back to proof", accept(false), 1, 21)
	})
}

// Of variants one counts, whatever the operator says of the reporter.
func TestRefusedVariants(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		take(t, i, "", "org.example", xml("1"))
		take(t, i, "", "org.example", []byte(strings.Replace(string(xml("1")), "<count>7<",
			"<count>8<", 1)))
		for _, change := range []func() (int, error){
			func() (int, error) { return s.Refuse(t.Context(), "org.example") },
			func() (int, error) { return s.Accept(t.Context(), "org.example", false) },
		} {
			if _, err := change(); err != nil {
				t.Fatal(err)
			}
		}
		if got := total(t, s); got != 7 {
			t.Errorf("%d messages, want those of the first one", got)
		}
	})
}

// A report on more messages than there can be is kept, and does not count.
func TestImplausible(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		text := string(xml("1"))
		row := text[strings.Index(text, "<record>"):strings.Index(text, "</feedback>")]
		big := strings.Replace(row, "<count>7<", "<count>1000000000<", 1)
		i := &Intake{Store: s}
		got := take(t, i, "", "org.example",
			[]byte(strings.Replace(text, row, strings.Repeat(big, 11), 1)))
		if got.NotCounted != 1 || total(t, s) != 0 {
			t.Errorf("%+v, %d messages count", got, total(t, s))
		}
		if n, err := s.Accept(t.Context(), "org.example", true); err != nil || n != 0 ||
			total(t, s) != 0 {
			t.Errorf("accepted: %d reports, %v, %d messages", n, err, total(t, s))
		}
	})
}

// What strangers send fills no more of the store than a bound, and does not keep the reporters'
// out.
func TestUnprovenAreBounded(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		take(t, i, "", "", xml("first"))
		copies(t, s, 9_999)
		got := take(t, i, "", "", []byte(strings.ReplaceAll(string(xml("second")), "org.example",
			"new.example")))
		if got.Dropped != 1 || len(got.Problems) != 1 || !strings.Contains(got.Problems[0],
			"not authenticated for new.example") {
			t.Errorf("one more: %+v", got)
		}
		if n := one(t, s, "SELECT COUNT(*) FROM in_reporter WHERE key = 'new.example'"); n != 0 {
			t.Error("a reporter is kept of which no report is")
		}
		if got := take(t, i, "", "org.example", xml("third")); got.Reports != 1 ||
			total(t, s) != 7 {
			t.Errorf("a report with proof: %+v, %d messages", got, total(t, s))
		}
	})
}

// copies puts n copies of the first report into the store.
func copies(t *testing.T, s *store.Store, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL
			SELECT n + 1 FROM c WHERE n < $1)
			INSERT INTO in_report (dedup, content, raw, reporter, report_id, domain, configured,
			begins, ends, received, trust,
			counted, state, version, namespace, generator, policy, notes, records, messages)
			SELECT 'y' || n, 'y' || n, raw, reporter, report_id, domain, configured, begins,
			ends, received, trust, counted, state,
			version, namespace, generator, policy, notes, records, messages FROM in_report, c
			WHERE in_report.id = 1`, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Mails without a report are kept as they came up to a bound, and are noted beyond it.
func TestIdleMailsAreBounded(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		take(t, i, "", "", []byte(top+"\r\nHello\r\n"))
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), "UPDATE in_raw SET size = $1", 1<<30)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		take(t, i, "", "", []byte(top+"\r\nHello again\r\n"))
		take(t, i, "", "", []byte("7z\xbc\xaf\x27\x1c123"))
		take(t, i, "", "org.example", xml("1"))
		raws, err := s.Raws(t.Context())
		if err != nil || len(raws) != 2 {
			t.Errorf("%d mails are kept, %v; want the first, and the one with a report", len(raws),
				err)
		}
		troubles, err := s.Troubles(t.Context(), 10)
		if err != nil || len(troubles) != 1 ||
			!strings.Contains(troubles[0].Error, "the mail itself is not kept") {
			t.Errorf("troubles: %+v, %v", troubles, err)
		}
	})
}

// A reporter cannot take the name of a large one, nor one report move the sums of domains that it
// is not about.
func TestHostileReporter(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s, Domains: []string{"example.com", "example.net"}}
		text := strings.NewReplacer("a@org.example", "a@evil.example", "<org_name>Org<",
			"<org_name>google.com<").Replace(string(xml("1")))
		take(t, i, "", "evil.example", []byte(text))
		lines, err := s.Reports(t.Context(), store.Filter{})
		if err != nil || lines[0].Org != "evil.example" || lines[0].Reporter != "evil.example" {
			t.Errorf("got %+v, %v; want the name that its mail proves", lines[0], err)
		}
		// The same report under the id of a reporter is another report.
		take(t, i, "", "org.example", xml("1"))
		if got := total(t, s); got != 14 {
			t.Errorf("%d messages, want 14", got)
		}
		if n, err := s.Refuse(t.Context(), "evil.example"); err != nil || n != 1 ||
			total(t, s) != 7 {
			t.Errorf("refused: %d, %v, %d messages", n, err, total(t, s))
		}
		old := &store.Arrival{Received: now.Add(time.Hour),
			Data: []byte(strings.Replace(text, ">1<", ">2<", 1)), TrustDomain: "evil.example"}
		if got, err := i.Take(t.Context(), old); err != nil || got.NotCounted != 1 ||
			total(t, s) != 7 {
			t.Errorf("after that: %+v, %v, %d messages", got, err, total(t, s))
		}
	})
}
