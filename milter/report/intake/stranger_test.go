package intake

import (
	"fmt"
	"strings"
	"testing"

	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

// one returns the only number that a query finds.
func one(t *testing.T, s *store.Store, query string) (n int) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRowContext(t.Context(), query).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// RI-7: what a stranger sends under the id of a true report does not displace it, in whatever order
// they come, and is not added to it when the reporter is accepted.
func TestStrangerAndReporter(t *testing.T) {
	truth := string(xml("1"))
	other := strings.Replace(truth, "<count>7<", "<count>900<", 1)
	third := strings.Replace(truth, "<count>7<", "<count>800<", 1)
	type mail struct{ domain, text string }
	for _, tc := range []struct {
		name  string
		mails []mail
	}{
		{"a copy first", []mail{{"", truth}, {"org.example", truth}}},
		{"a copy afterwards", []mail{{"org.example", truth}, {"", truth}}},
		{"a variant first", []mail{{"", other}, {"org.example", truth}}},
		{"a variant afterwards", []mail{{"org.example", truth}, {"", other}}},
		{"a variant and a copy first", []mail{{"", other}, {"", truth}, {"org.example", truth}}},
		{"a copy and a variant first", []mail{{"evil.example", truth}, {"evil.example", other},
			{"org.example", truth}}},
		{"around it", []mail{{"", other}, {"org.example", truth}, {"", third}, {"", truth}, {"org.example", truth}}},
	} {
		stores(t, func(t *testing.T, s *store.Store) {
			i := &Intake{Store: s}
			for n, m := range tc.mails { // each in bytes of its own, as no two mails are equal
				take(t, i, "", m.domain, []byte(top+fmt.Sprintf("X-N: %d\r\n\r\n", n)+m.text))
			}
			if got := total(t, s); got != 7 {
				t.Errorf("%s: %d messages, want 7", tc.name, got)
			}
			if err := i.Again(t.Context(), func(*Taken) {}); err != nil || total(t, s) != 7 {
				t.Errorf("%s: read again: %v, %d messages", tc.name, err, total(t, s))
			}
			if n, err := s.Accept(t.Context(), "org.example", true); err != nil || n != 0 ||
				total(t, s) != 7 {
				t.Errorf("%s: accepted: %d reports, %v, %d messages", tc.name, n, err, total(t, s))
			}
		})
	}
}

// A report with proof that does not count is there once all the same.
func TestProvenNotCounted(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s, Domains: []string{"example.net"}}
		for n := range 3 {
			got := take(t, i, "", "org.example",
				[]byte(top+fmt.Sprintf("X-N: %d\r\n\r\n", n)+string(xml("1"))))
			if isAgain := got.Duplicates == 1; isAgain != (n > 0) {
				t.Errorf("mail %d: %+v", n, got)
			}
		}
		if got := one(t, s, "SELECT COUNT(*) FROM in_report"); got != 1 {
			t.Errorf("%d reports of the same content on a foreign domain, want 1", got)
		}
	})
}

// What a reporter is called is not for strangers to say.
func TestNameOfReporter(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		called := func(id, name string) []byte {
			return []byte(strings.Replace(string(xml(id)), "<org_name>Org<", "<org_name>"+name+"<",
				1))
		}
		for n, tc := range []struct{ domain, name, want string }{
			{"", "Evil", "org.example"},
			{"org.example", "Org", "Org"},
			{"evil.example", "Evil", "Org"},
			{"org.example", "Organization", "Organization"},
		} {
			take(t, i, "", tc.domain, called(fmt.Sprint(n), tc.name))
			lines, err := s.Reports(t.Context(), store.Filter{})
			if err != nil || lines[0].Org != tc.want {
				t.Errorf("%d: %q, %v, want %q", n, lines[0].Org, err, tc.want)
			}
			if got := one(t, s, "SELECT COUNT(*) FROM in_reporter WHERE email <> ''"); n == 0 &&
				got != 0 {
				t.Error("a stranger set the address of a reporter")
			}
		}
	})
}

// rows returns a report with many rows on many days.
func rows(rows, days int) []byte {
	text := string(xml("1"))
	row := text[strings.Index(text, "<record>"):strings.Index(text, "</feedback>")]
	row = strings.Replace(row, "<count>7", "<count>700", 1)
	text = strings.Replace(text, "<end>1700092799", fmt.Sprintf("<end>%d", 1700006400+days*86400-1),
		1)
	before, _, _ := strings.Cut(text, "<record>")
	var b strings.Builder
	b.WriteString(before)
	for i := range rows {
		b.WriteString(strings.Replace(row, "192.0.2.1", fmt.Sprintf("10.0.%d.%d", i>>8, i&255), 1))
	}
	return []byte(b.String() + "</feedback>")
}

// RI-7: how many rows in the store a small file makes is bounded, and every message is counted.
func TestRowsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("is run with the end-to-end tests: a minute with the race detector, in one goroutine")
	}
	for _, tc := range []struct {
		name               string
		domain             string
		rows, days, stored int
	}{
		{"a stranger's, over 98 days", "", 5000, 98, 5000},
		{"a stranger's, over 45 days", "", 5000, 45, 5000},
		{"a reporter's, over 98 days", "org.example", 5000, 98, 5000},
		{"a reporter's, over 45 days", "org.example", 20, 45, 900},
		{"a reporter's, over 45 days, of many rows", "org.example", 2300, 45, 100_035 + 77},
	} {
		s, err := store.Open(t.Context(), store.Options{Driver: "sqlite", DSN: storetest.SQLite(t)})
		if err != nil {
			t.Fatal(err)
		}
		got := take(t, &Intake{Store: s}, "", tc.domain, gz(rows(tc.rows, tc.days)))
		if n := one(t, s, "SELECT COUNT(*) FROM in_record"); n != tc.stored || got.Rows != tc.rows {
			t.Errorf("%s: %d rows of %d in the store, want %d", tc.name, n, got.Rows, tc.stored)
		}
		if n := one(t, s, "SELECT SUM(messages) FROM in_record"); n != 700*tc.rows {
			t.Errorf("%s: %d messages, want %d", tc.name, n, 700*tc.rows)
		}
		s.Close()
	}
}
