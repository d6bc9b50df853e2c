package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys/database"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

var now = time.Date(2024, 1, 10, 12, 0, 0, 0, time.UTC)

// stores runs a test with each driver; PostgreSQL is left out under -short.
func stores(t *testing.T, test func(*testing.T, *store.Store)) {
	open := func(t *testing.T, o store.Options) *store.Store {
		s, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	t.Run("sqlite", func(t *testing.T) {
		test(t, open(t, store.Options{Driver: database.SQLite, DSN: storetest.SQLite(t)}))
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts a real server")
		}
		test(t, open(t, store.Options{Driver: database.Postgres, DSN: rig.Postgres(t).DSN}))
	})
}

func take(t *testing.T, i *Intake, trust, domain string, data []byte) *Taken {
	t.Helper()
	out, err := i.Take(t.Context(), &store.Arrival{Received: now, Via: "import", Name: "x",
		Trust: trust, TrustDomain: domain, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// total is the sum of all rollups, after a recount.
func total(t *testing.T, s *store.Store) (n int64) {
	t.Helper()
	wrong, err := s.Verify(t.Context())
	if err != nil || len(wrong) > 0 {
		t.Fatalf("verify: %v, %v", wrong, err)
	}
	domains, err := s.Domains(t.Context(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	sources, err := s.Sources(t.Context(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range domains {
		n += d.Messages
	}
	for _, src := range sources {
		n -= src.Messages
	}
	if n != 0 {
		t.Fatalf("the sums of domains and of sources differ by %d", n)
	}
	for _, d := range domains {
		n += d.Messages
	}
	return n
}

// The same report counts once, however it comes; the same id on another day, for another domain or
// by another reporter is another report; other content under the same key is kept and not summed.
func TestDeduplication(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		x := xml("1")
		change := func(old, new string) []byte {
			return []byte(strings.Replace(string(x), old, new, 1))
		}
		for _, tc := range []struct {
			name string
			data []byte
			want string
			sum  int64
		}{
			{"the first", x, "new 1", 7},
			{"the same bytes", x, "known", 7},
			{"packed", gz(x), "new 0 duplicates 1", 7},
			{"packed otherwise, twice in a mail",
				[]byte(top + multi("mixed", attached("a/b", gz(x)),
					attached("a/b", zipped("r.xml", string(x))))), "new 0 duplicates 2", 7},
			{"other content", change("<count>7<", "<count>8<"), "new 1 variants 1", 7},
			{"another day", change("1700006400</begin><end>1700092799",
				"1700092800</begin><end>1700179199"), "new 1", 14},
			{"another domain", change("<domain>example.com", "<domain>example.net"), "new 1", 21},
			{"another reporter", change("a@org.example", "a@other.example"), "new 1", 28},
			{"brackets around the id", change("<report_id>1<", "<report_id>&lt;1&gt;<"), "new 1 variants 1", 28},
		} {
			got := take(t, i, store.ByHand, "", tc.data)
			text := fmt.Sprint("new ", got.Reports)
			if got.Known {
				text = "known"
			}
			if got.Duplicates > 0 {
				text += fmt.Sprint(" duplicates ", got.Duplicates)
			}
			if got.Variants > 0 {
				text += fmt.Sprint(" variants ", got.Variants)
			}
			if sum := total(t, s); text != tc.want || sum != tc.sum {
				t.Errorf("%s: got %q and %d messages, want %q and %d", tc.name, text, sum, tc.want,
					tc.sum)
			}
		}
	})
}

// An unauthenticated report is kept and shown, and does not change a sum until its reporter is
// accepted.
func TestTrust(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s, Domains: []string{"example.com"}}
		for n, tc := range []struct {
			domain string
			sum    int64
		}{{"", 0}, {"evil.example", 0}, {"example", 0}, {"org.example", 7},
			{"mail.org.example", 14}, {"example.com", 14}} {
			got := take(t, i, "", tc.domain, xml(fmt.Sprint(n)))
			if sum := total(t, s); sum != tc.sum || got.Reports != 1 {
				t.Errorf("authenticated for %q: %d messages, want %d", tc.domain, sum, tc.sum)
			}
		}
		before := total(t, s)
		n, err := s.Accept(t.Context(), "org.example", true)
		if err != nil || n != 4 || total(t, s) != before+28 {
			t.Errorf("accepted: %d reports, %v, %d messages", n, err, total(t, s))
		}
		take(t, i, "", "", xml("after"))
		if got := total(t, s); got != before+35 {
			t.Errorf("after that: %d messages", got)
		}
		if n, err := s.Accept(t.Context(), "org.example", false); err != nil || n != 5 ||
			total(t, s) != before {
			t.Errorf("taken back: %d reports, %v, %d messages", n, err, total(t, s))
		}
		if _, err := s.Accept(t.Context(), "none.example", true); !errors.Is(err,
			store.ErrNoReporter) {
			t.Errorf("an unknown reporter: %v", err)
		}
	})
}

// IN-3: a row belongs to the nearest configured domain of its From, and a report on other domains
// is not counted.
func TestOwnership(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s, Domains: []string{"example.com", "shop.example.com"}}
		for n, from := range []string{"example.com", "shop.example.com", "a.shop.example.com",
			"b.example.com", "elsewhere.example"} {
			take(t, i, store.ByHand, "", []byte(strings.Replace(string(xml(fmt.Sprint(n))),
				"<header_from>example.com", "<header_from>"+from, 1)))
		}
		take(t, i, store.ByHand, "", []byte(strings.ReplaceAll(string(xml("x")), "example.com",
			"foreign.example")))
		lines, err := s.Domains(t.Context(), store.Filter{})
		if err != nil || len(lines) != 2 || lines[0].Name != "example.com" ||
			lines[0].Messages != 21 || lines[1].Messages != 14 {
			t.Errorf("got %+v, %v", lines, err)
		}
		total(t, s)
		err = s.Purge(t.Context(), now.AddDate(0, 2, 0), store.Retention{Raw: 90 * 24 * time.Hour,
			Records: 400 * 24 * time.Hour, Rollups: 800 * 24 * time.Hour,
			Foreign: 30 * 24 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := s.Reports(t.Context(),
			store.Filter{Domain: "foreign.example"}); err != nil || len(list) != 0 {
			t.Errorf("reports on other domains are kept for 30 days: %v, %v", list, err)
		}
	})
}

// RI-8: what a period of several days reports is spread over them, and the sum stays.
func TestSpread(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		for n, period := range [][2]int64{{1700006400, 1700010000}, {1700006400, 1700092799},
			{1700006400, 1700265599}, {1700010000, 1703648001}, {1700006400, 1700006400}} {
			data := strings.NewReplacer("1700006400", fmt.Sprint(period[0]), "1700092799",
				fmt.Sprint(period[1])).Replace(string(xml(fmt.Sprint(n))))
			take(t, i, store.ByHand, "", []byte(strings.Replace(data, "<count>7<", "<count>1000<",
				1)))
			if got := total(t, s); got != int64(n+1)*1000 {
				t.Errorf("period %v: %d messages in all", period, got)
			}
		}
		lines, err := s.Domains(t.Context(), store.Filter{Since: time.Unix(1700092800, 0),
			Until: time.Unix(1700179200, 0)})
		if err != nil || len(lines) != 1 || lines[0].Messages != 333+24 {
			t.Errorf("16 Nov 2023: %+v, %v", lines, err)
		}
		first := store.Filter{Since: time.Unix(1700006400, 0), Until: time.Unix(1700092800, 0)}
		before, err := s.Domains(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		const days = 46 // one more than a report is spread over
		long := strings.NewReplacer("1700092799", fmt.Sprint(1700006400+days*86400-1)).Replace(
			string(xml("long")))
		i.Take(t.Context(), &store.Arrival{Received: time.Unix(1800000000, 0), Trust: store.ByHand,
			Data: []byte(long)})
		after, err := s.Domains(t.Context(), first)
		if err != nil || after[0].Messages-before[0].Messages != 7 {
			t.Errorf("of a report on %d days %d messages are on the first, want all 7", days,
				after[0].Messages-before[0].Messages)
		}
		future := strings.NewReplacer("1700006400", "1800006400", "1700092799",
			"1800092799").Replace(string(xml("f")))
		if got := take(t, i, store.ByHand, "", []byte(future)); got.NotCounted != 1 {
			t.Errorf("a report from the future counts: %+v", got)
		}
	})
}

// RI-6, RI-9: half a report, a bad row and a report of nothing; all are kept.
func TestHalves(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		row := string(xml("1"))
		row = row[strings.Index(row, "<record>"):strings.Index(row, "</feedback>")]
		many := strings.Replace(string(xml("1")), row, strings.Repeat(row, 1142)+
			strings.Replace(row, "<count>7", "<count>-7", 1)+"\n"+strings.Repeat(row, 1143), 1)
		if got := take(t, i, store.ByHand, "", []byte(many)); got.Rows != 2285 ||
			len(got.Problems) != 1 || !strings.Contains(got.Problems[0], "row 1143 in line 1") {
			t.Errorf("a bad row among 2,286: %d rows, %v", got.Rows, got.Problems)
		}
		if got := total(t, s); got != 2285*7 {
			t.Errorf("%d messages", got)
		}
		half := strings.Replace(string(xml("2")), row, row+row[:100], 1)
		if got := take(t, i, store.ByHand, "",
			[]byte(half[:strings.LastIndex(half, "<record>")+100])); got.Rows != 1 ||
			len(got.Problems) != 1 {
			t.Errorf("half a report: %+v", got)
		}
		for n, data := range []string{"unused", strings.Replace(string(xml("3")), "<count>7",
			"<count>0", 1), strings.Replace(string(xml("4")), row, "", 1)} {
			before := total(t, s)
			if got := take(t, i, store.ByHand, "", []byte(data)); total(t, s) != before ||
				len(got.Problems) != 0 {
				t.Errorf("%d: a report of nothing: %+v", n, got)
			}
		}
		if got := take(t, i, store.ByHand, "", []byte("hello")); got.Kind != Other ||
			len(got.Problems) != 1 {
			t.Errorf("no report: %+v", got)
		}
		if got := take(t, i, store.ByHand, "",
			[]byte("<!DOCTYPE x><feedback>")); got.Kind != Hostile {
			t.Errorf("hostile: %+v", got)
		}
		troubles, err := s.Troubles(t.Context(), 10)
		if err != nil || len(troubles) != 4 {
			t.Errorf("troubles: %+v, %v", troubles, err)
		}
	})
}

// F21: a reporter that writes a row for each message fills no more of the store than one that
// counts.
func TestOneRecordForEachMessage(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		row := string(xml("1"))
		row = row[strings.Index(row, "<record>"):strings.Index(row, "</feedback>")]
		ones := strings.Replace(row, "<count>7<", "<count>1<", 1)
		other := strings.Replace(ones, "192.0.2.1", "192.0.2.2", 1)
		arc := strings.Replace(ones, "</policy_evaluated>",
			"<reason><type>local_policy</type><comment>arc=fail</comment></reason></policy_evaluated>", 1)
		data := strings.Replace(string(xml("1")), row, ones+other+ones+ones+arc+arc+other, 1)
		got := take(t, &Intake{Store: s}, store.ByHand, "", []byte(data))
		if got.Rows != 7 || got.Messages != 7 || total(t, s) != 7 {
			t.Errorf("%+v, %d messages; want 7 rows and 7 messages", got, total(t, s))
		}
		line, rows, err := s.Report(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var kept []string
		for _, r := range rows {
			kept = append(kept, fmt.Sprint(r.Source, " ", r.Messages))
		}
		slices.Sort(kept)
		want := "192.0.2.1 2, 192.0.2.1 3, 192.0.2.2 2"
		if strings.Join(kept, ", ") != want || !slices.Contains(line.Notes,
			"4 rows were added to others that differ only in their count") {
			t.Errorf("got %q, notes %v; want %q, and a note on 4 rows", kept, line.Notes, want)
		}
	})
}

// A record with several <row> elements is stored as so many rows.
func TestRowsOfOneRecord(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		text := string(xml("1"))
		row := text[strings.Index(text, "<row>"):strings.Index(text, "<identifiers>")]
		other := strings.Replace(row, "192.0.2.1", "192.0.2.2", 1)
		got := take(t, &Intake{Store: s}, store.ByHand, "",
			[]byte(strings.Replace(text, row, row+other+row, 1)))
		if got.Rows != 3 || total(t, s) != 21 {
			t.Errorf("%+v, %d messages in the store; want 3 rows and 21 messages", got, total(t, s))
		}
	})
}

// RI-15: a long report is read twice and stored once; reading everything again gives equal sums;
// purging keeps the sums.
func TestKeeping(t *testing.T) {
	if testing.Short() {
		t.Skip("is run with the end-to-end tests: a minute with the race detector, in one goroutine")
	}
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		row := string(xml("1"))
		row = row[strings.Index(row, "<record>"):strings.Index(row, "</feedback>")]
		long := strings.Replace(string(xml("1")), row, strings.Repeat(row, keptRows+10), 1)
		take(t, i, store.ByHand, "", gz([]byte(long)))
		take(t, i, store.ByHand, "", xml("2"))
		want := int64(keptRows+11) * 7
		if got := total(t, s); got != want {
			t.Fatalf("%d messages, want %d", got, want)
		}
		n := 0
		if err := i.Again(t.Context(), func(*Taken) { n++ }); err != nil || n != 2 ||
			total(t, s) != want {
			t.Errorf("read again: %d files, %v, %d messages", n, err, total(t, s))
		}
		day := 24 * time.Hour
		if err := s.Purge(t.Context(), now.AddDate(2, 0, 0), store.Retention{Raw: 90 * day,
			Records: 400 * day, Rollups: 1000 * day, Foreign: day}); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Reports(t.Context(), store.Filter{}); err != nil || len(list) != 0 ||
			total(t, s) != want {
			t.Errorf("after two years: %d reports, %v, %d messages", len(list), err, total(t, s))
		}
	})
}

// Mails in one transaction give what they give one by one, and nothing is left of a transaction
// that fails.
func TestTakeAll(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		arrive := func(data []byte) *store.Arrival {
			return &store.Arrival{Received: now, Via: "import", Trust: store.ByHand, Data: data}
		}
		got, err := i.TakeAll(t.Context(), []*store.Arrival{
			arrive(xml("1")), arrive(xml("2")), arrive(xml("1")), arrive(gz(xml("2"))),
			arrive([]byte("hello")), arrive(gz(rows(300, 2))),
		})
		if err != nil || len(got) != 6 || total(t, s) != 14+300*700 {
			t.Fatalf("%d answers, %v, %d messages", len(got), err, total(t, s))
		}
		if got[0].Reports != 1 || !got[2].Known || got[3].Duplicates != 1 ||
			len(got[4].Problems) != 1 || got[5].Variants+got[5].Reports == 0 {
			t.Errorf("got %+v %+v %+v %+v %+v", *got[0], *got[2], *got[3], *got[4], *got[5])
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if got, err := i.TakeAll(ctx, []*store.Arrival{arrive(xml("3")),
			arrive(xml("4"))}); err == nil || len(got) != 0 {
			t.Errorf("after the end: %d answers, %v", len(got), err)
		}
		if again := take(t, i, store.ByHand, "", xml("3")); again.Known {
			t.Error("something of a transaction that failed was left")
		}
	})
}

// Whatever fails, nothing of a mail is stored.
func TestAllOrNothing(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx, stop := context.WithCancel(t.Context())
		_, err := s.Ingest(ctx, &store.Arrival{Received: now, Data: []byte("x")},
			func(*store.Ingest) error {
				stop()
				return nil
			})
		if err == nil {
			t.Fatal("committed although the context had ended")
		}
		if got := take(t, &Intake{Store: s}, store.ByHand, "", []byte("x")); got.Known {
			t.Error("something of the mail was left")
		}
	})
}
