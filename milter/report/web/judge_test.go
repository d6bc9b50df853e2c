package web

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// TestJudgeIsFair holds that a domain that cannot be judged, or that must wait since it is slow,
// leaves the others as they are: they are judged, kept, and not taken for old.
func TestJudgeIsFair(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	read := stored(t, smallWorld())
	judge(t, read, clockNow)
	exec := func(query string, values ...any) {
		t.Helper()
		err := read.Store.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), query, values...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ofShop := `id NOT IN (SELECT authset FROM in_record WHERE domain <> (SELECT id FROM in_name
		WHERE name = 'shop.example'))`
	exec(`CREATE TABLE kept AS SELECT id, results FROM in_authset WHERE ` + ofShop)
	exec(`UPDATE in_authset SET results = '{' || results WHERE ` + ofShop)
	arrive(t, read, "example.net", 700_001)
	arrive(t, read, "shop.example", 3)

	hours := 1
	now := func() time.Time { return clock.Add(time.Duration(hours) * time.Hour) }
	n, err := (&Judge{Read: read, Now: now}).Run(t.Context())
	if n < 1 || n > 2 || err == nil || !strings.HasPrefix(err.Error(), "shop.example: ") {
		t.Fatalf("%d domains were judged, %v; want 1 or 2 (the last report is looked at again) "+
			"and an error about shop.example", n, err)
	}
	owed := func() []string {
		t.Helper()
		kept, err := read.DomainStates(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := read.Changed(t.Context(), kept.Mark); err != nil || c.All ||
			len(c.Domains) > 0 {
			t.Fatalf("what is kept is behind: %+v, %v", c, err)
		}
		var out []string
		for n := range kept.unjudged() {
			out = append(out, n)
		}
		slices.Sort(out)
		return out
	}
	if got := owed(); !slices.Equal(got, []string{"shop.example"}) {
		t.Errorf("owed: %v, want shop.example alone", got)
	}
	fresh := &Stored{Store: read.Store, Names: read.Names, Parked: read.Parked}
	s := newServer(t, fresh, nil)
	s.patience = time.Nanosecond
	if got := s.line(Domain{Name: "example.net"}, keptOf(t, fresh, "example.net"),
		usual(today)).stored.Grounds.Messages; got < 700_001 {
		t.Errorf("example.net has %d messages: its report is not in what is kept", got)
	}

	exec(`UPDATE in_authset SET results = (SELECT k.results FROM kept k WHERE k.id = in_authset.id) WHERE ` + ofShop)
	hours = 2
	if n, err := (&Judge{Read: read, Now: now}).Run(t.Context()); n != 1 || err != nil {
		t.Errorf("once shop.example can be judged: %d domains, %v; want 1", n, err)
	}
	if got := owed(); len(got) > 0 {
		t.Errorf("owed at the end: %v", got)
	}

	slow := keptOf(t, read, "shop.example")
	slow.Took = time.Hour
	if err := read.keep(t.Context(), "shop.example", slow); err != nil {
		t.Fatal(err)
	}
	arrive(t, read, "example.net", 5)
	arrive(t, read, "shop.example", 5)
	hours = 3
	if n, err := (&Judge{Read: read, Now: now}).Run(t.Context()); n != 1 || err != nil {
		t.Errorf("beside a slow domain: %d domains were judged, %v; want 1", n, err)
	}
	if got := owed(); !slices.Equal(got, []string{"shop.example"}) {
		t.Errorf("owed beside a slow domain: %v", got)
	}
	hours = 23
	if n, err := (&Judge{Read: read, Now: now}).Run(t.Context()); n != 5 || err != nil {
		t.Errorf("the next day: %d domains were judged, %v; want all 5", n, err)
	}
}

// TestJudgeFailuresWait holds that a domain that cannot be judged comes after the others from its
// first failure on, whether it has reports or only another day has come.
func TestJudgeFailuresWait(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	read := stored(t, smallWorld())
	judge(t, read, clockNow)
	err := read.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE in_authset SET results = '{' || results WHERE
			id IN (SELECT authset FROM in_record WHERE domain =
			(SELECT id FROM in_name WHERE name = 'shop.example')) AND id NOT IN (SELECT authset
			FROM in_record WHERE domain <> (SELECT id FROM in_name WHERE name = 'shop.example'))`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	oldest := keptOf(t, read, "shop.example")
	oldest.At = oldest.At.Add(-time.Hour)
	if err := read.keep(t.Context(), "shop.example", oldest); err != nil {
		t.Fatal(err)
	}
	j := &Judge{Read: read, Now: func() time.Time { return clock.AddDate(0, 0, 1) }, aged: 1}
	for i, want := range []struct {
		judged  int
		failure bool
	}{{1, true}, {1, false}, {1, false}, {1, false}, {0, true}, {0, true}} {
		n, err := j.Run(t.Context())
		if n != want.judged || err != nil != want.failure {
			t.Errorf("run %d: %d domains, %v; want %+v", i+1, n, err, want)
		}
	}
}

func keptOf(t *testing.T, read *Stored, domain string) *domainState {
	t.Helper()
	kept, err := read.DomainStates(t.Context(), 0)
	if err != nil || kept.Domains[domain] == nil {
		t.Fatalf("%s is not kept: %v", domain, err)
	}
	return kept.Domains[domain]
}

// gathers is a store that counts the periods that identities are asked for.
type gathers struct {
	*Stored
	days map[advice.Day]int
}

func (g gathers) Identities(ctx context.Context, f Filter) ([]Identity, error) {
	g.days[f.To-f.From+1]++
	return g.Stored.Identities(ctx, f)
}

// TestAdviceIsKept holds that the page of a domain shows the advice that role intake kept without
// reading the reports of 90 days, as long as nothing has changed, and is the page that it would be
// otherwise.
func TestAdviceIsKept(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	read := stored(t, smallWorld())
	judge(t, read, clockNow)
	for _, step := range []struct {
		name string
		do   func()
		long int // how often 90 days are read
	}{
		{"judged", func() {}, 0},
		{"a report has come", func() { arrive(t, read, "shop.example", 4) }, 1},
		{"judged again", func() { judge(t, read, func() time.Time { return clock.Add(time.Hour) }) }, 0},
		{"the source has a name", func() {
			err := read.Store.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.ExecContext(t.Context(),
					"UPDATE in_source SET ptr = 'mta.mcsv.net' WHERE ip = '198.51.100.201'")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}, 1},
	} {
		step.do()
		for _, path := range []string{"/d/shop.example", "/d/shop.example?receiver=google.com",
			"/d/shop.example/s/esp.example"} {
			g := gathers{read, map[advice.Day]int{}}
			want, got := get(newServer(t, plainReader{read}, nil), path).Body.String(),
				get(newServer(t, g, nil), path).Body.String()
			if want != got {
				t.Errorf("%s: %s differs:\n%s", step.name, path, firstDifference(want, got))
			}
			if g.days[adviceDays] != step.long {
				t.Errorf("%s: %s read 90 days %d times, want %d", step.name, path,
					g.days[adviceDays], step.long)
			}
		}
	}
}
