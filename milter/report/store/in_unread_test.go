package store

import (
	"errors"
	"maps"
	"testing"
	"time"
)

// TestUnread keeps two mails that could not be read: the store lists them by kind, returns one as
// it came, and forgets one that is deleted, so that the same mail is taken again.
func TestUnread(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s, ctx := open(t, o), t.Context()
		at := time.Unix(1_700_000_000, 0).UTC()
		bring := func(text, problem string) bool {
			t.Helper()
			isNew, err := s.Ingest(ctx, &Arrival{Received: at, Via: "lmtp", Name: "<1@x>",
				Trust: Unaligned, TrustDomain: "x.test", Data: []byte(text)},
				func(in *Ingest) error { return in.Finish("aggregate", problem) })
			if err != nil {
				t.Fatal(err)
			}
			return isNew
		}
		bring("one", "cut short")
		bring("two", "cut short")
		bring("fine", "")
		ids, err := s.UnreadOf(ctx, "aggregate")
		if err != nil || len(ids) != 2 {
			t.Fatalf("%v, %v; want two", ids, err)
		}
		if other, err := s.UnreadOf(ctx, "tls"); err != nil || len(other) != 0 {
			t.Errorf("of another kind: %v, %v", other, err)
		}
		u, err := s.Unread(ctx, ids[0])
		if err != nil || string(u.Data) != "one" || u.Error != "cut short" || u.Via != "lmtp" ||
			u.TrustDomain != "x.test" || !u.Received.Equal(at) || u.Size != 3 {
			t.Errorf("%+v, %v", u, err)
		}
		if stay, err := s.Discard(ctx, ids[0]); err != nil || stay != 0 {
			t.Errorf("%d, %v", stay, err)
		}
		for name, err := range map[string]error{
			"looked at":    second(s.Unread(ctx, ids[0])),
			"deleted":      second(s.Discard(ctx, ids[0])),
			"read again":   s.Again(ctx, ids[0], nil),
			"one was read": second(s.Discard(ctx, ids[1]+1)),
		} {
			if !errors.Is(err, ErrNoUnread) {
				t.Errorf("%s after it was deleted: %v", name, err)
			}
		}
		if !bring("one", "cut short") || bring("two", "cut short") {
			t.Error("a mail that was deleted is known, or one that was not is new")
		}
		if err := s.Purge(ctx, at.Add(time.Hour), Retention{Records: time.Hour}); err != nil {
			t.Fatal(err)
		}
		counts, err := s.Counts(ctx, at)
		if err != nil {
			t.Fatal(err)
		}
		got := counts[at.Unix()/86400]
		all, err := s.Totals(ctx)
		if err != nil || !maps.Equal(all, got) {
			t.Errorf("in all %v, %v; want those of the only day, %v", all, err, got)
		}
		for what, want := range map[string]int64{CountMails: 5, CountBytes: 3 + 3 + 4 + 3 + 3,
			CountKnown: 1, CountUnread: 3, CountReports: 0} {
			if got[what] != want {
				t.Errorf("%s: %d, want %d", what, got[what], want)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
