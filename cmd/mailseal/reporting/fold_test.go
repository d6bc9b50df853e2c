package reporting

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report"
	"mailseal/milter/report/spool"
	"mailseal/milter/report/store"
)

// folding is a process that folds, and the daemon that writes for it.
type folding struct {
	*host
	p *Process
	n int
}

func newFolding(t *testing.T) *folding {
	t.Helper()
	f := &folding{host: newHost(t, "127.0.0.1:9")}
	f.p = &Process{Config: f.Config, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return f.Now }}
	t.Cleanup(func() {
		if s, err := f.p.Store(context.Background()); err == nil {
			s.Close()
		}
	})
	return f
}

// write writes segments with n messages of one domain, each with a name of its own, which makes
// rows that are large.
func (f *folding) write(t *testing.T, n int) {
	t.Helper()
	w := spool.NewWriter(f.Config.Reports.SpoolDirectory, 1<<30, slog.New(slog.DiscardHandler),
		f.p.Now)
	for range n {
		f.n++
		w.Record(report.Evaluation{
			Time: f.Now, Client: netip.MustParseAddr("192.0.2.1"), SPF: true, Disposition: "none",
			HeaderFrom: fmt.Sprintf("s%0200d.example", f.n),
			Policy: report.Policy{Domain: "a.example", Text: "v=DMARC1; p=none", P: "none",
				URIs: []string{"mailto:d@a.example"}},
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.Run(ctx)
}

// fold folds, and returns how many messages are in the store and how many segments are left.
func (f *folding) fold(t *testing.T) (messages int64, left int) {
	t.Helper()
	if err := f.p.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := f.p.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.OutPending(t.Context(), store.Day(f.Now), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		messages += p.Messages
	}
	names, err := spool.Segments(f.Config.Reports.SpoolDirectory)
	if err != nil {
		t.Fatal(err)
	}
	return messages, len(names)
}

// TestFoldWaits holds that segments are taken as they come on a day with little mail, wait for more
// on a day with much, and are taken once the day is over.
func TestFoldWaits(t *testing.T) {
	f := newFolding(t)
	for i, tc := range []struct {
		write, messages, left int
		nextDay               bool
	}{
		{write: 10, messages: 10},
		{write: 6000, messages: 6010}, // more than foldSmall
		{write: 1000, messages: 6010, left: 1},
		{write: 1000, messages: 6010, left: 2},
		{write: 1100, messages: 9110}, // more than half of what was there
		{write: 10, messages: 9110, left: 1},
		{messages: 9120, nextDay: true},
	} {
		if tc.nextDay {
			f.Now = f.Now.AddDate(0, 0, 1)
		}
		if tc.write > 0 {
			f.write(t, tc.write)
		}
		if messages, left := f.fold(t); messages != int64(tc.messages) || left != tc.left {
			t.Errorf("step %d: %d messages and %d segments left, want %d and %d", i, messages, left,
				tc.messages, tc.left)
		}
	}
}

// TestForgetSpool holds that a domain does not come back from the spool after it was forgotten, nor
// from what waits there on a day with much mail.
func TestForgetSpool(t *testing.T) {
	f := newFolding(t)
	f.write(t, 3000)
	f.fold(t)
	f.write(t, 10)
	if _, left := f.fold(t); left == 0 {
		t.Fatal("nothing waits in the spool")
	}
	text := f.run(t, func(ctx context.Context) error { return f.Forget(ctx, "a.example") })
	if !strings.Contains(text, "2 entries about a.example were removed") {
		t.Errorf("got %s", text)
	}
	if messages, left := f.fold(t); messages != 0 || left != 0 {
		t.Errorf("%d messages and %d segments are left", messages, left)
	}
	s, err := f.p.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.OutRelation(t.Context(), "a.example", store.Day(f.Now))
	if err != nil || r != (store.Relation{}) {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestFoldTwice holds that segments count once when some of them are in the store already, and when
// another process takes them at the same time.
func TestFoldTwice(t *testing.T) {
	f := newFolding(t)
	dir, kept := f.Config.Reports.SpoolDirectory, t.TempDir()
	f.write(t, 10)
	names, err := spool.Segments(dir)
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := os.Link(filepath.Join(dir, names[0]), filepath.Join(kept, names[0])); err != nil {
		t.Fatal(err)
	}
	if messages, left := f.fold(t); messages != 10 || left != 0 {
		t.Fatalf("%d messages, %d segments left", messages, left)
	}
	if err := os.Rename(filepath.Join(kept, names[0]), filepath.Join(dir, names[0])); err != nil {
		t.Fatal(err)
	}
	f.write(t, 5) // a new one beside one that is in the store
	if messages, left := f.fold(t); messages != 15 || left != 0 {
		t.Errorf("%d messages, %d segments left", messages, left)
	}
	s, err := f.p.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := store.NewOutBatch()
	b.Add(&report.Evaluation{Time: noon, Client: netip.MustParseAddr("192.0.2.1"),
		Policy: report.Policy{Domain: "a.example"}})
	isNew, err := s.Fold(t.Context(), []string{"fresh", spool.Base(names[0])}, b, noon)
	if err != nil || isNew {
		t.Errorf("a batch with a segment that is in the store is new: %v, %v", isNew, err)
	}
	if messages, _ := f.fold(t); messages != 15 {
		t.Errorf("%d messages after a batch that was refused", messages)
	}
}

// TestFoldGoesOn holds that a segment that the store refuses keeps neither other partitions nor the
// other segments of its own, and is reported.
func TestFoldGoesOn(t *testing.T) {
	f := newFolding(t)
	f.fold(t) // makes the store
	dir := f.Config.Reports.SpoolDirectory
	write := func(n int) {
		w := spool.NewWriter(dir, 1<<30, slog.New(slog.DiscardHandler), f.p.Now)
		for i := range n {
			domain := fmt.Sprintf("d%d.example", i)
			w.Record(report.Evaluation{
				Time: f.Now, Client: netip.MustParseAddr("192.0.2.1"), SPF: true, Disposition: "none",
				HeaderFrom: domain, Policy: report.Policy{Domain: domain, Text: "v=DMARC1; p=none", P: "none"},
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.Run(ctx)
	}
	write(40)
	write(40)
	names, err := spool.Segments(dir)
	if err != nil || len(names) < 4 || spool.PartitionOf(names[0]) != spool.PartitionOf(names[1]) {
		t.Fatal(names, err)
	}
	path := strings.TrimPrefix(f.Config.Reports.Store, "sqlite:")
	db, err := database.Open(database.Options{Driver: database.SQLite, DSN: path,
		Access:  database.Write,
		Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(),
		"CREATE TRIGGER refuse BEFORE INSERT ON out_segment WHEN new.name = '"+
			spool.Base(names[0])+"' BEGIN SELECT RAISE(ABORT, 'refused'); END")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.p.Fold(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	left, err := spool.Segments(dir)
	if err != nil || len(left) != 1 || left[0] != names[0] {
		t.Errorf("left are %v, %v; want %s alone", left, err, names[0])
	}
}
