package store

import (
	"testing"
	"time"

	"mailseal/milter/report"
)

// TestOwnMail holds what is counted of own mail: messages once, whatever the number of their
// signatures, a segment once, and keys with their first and last use; and that it ends.
func TestOwnMail(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		fold := func(segment string, now time.Time, list ...report.Sent) {
			t.Helper()
			b := NewOutBatch()
			for i := range list {
				b.Sent(&list[i])
			}
			if _, err := s.Fold(t.Context(), []string{segment}, b, now); err != nil {
				t.Fatal(err)
			}
		}
		first := []report.Sent{
			{Time: outNoon, Domain: "a.example", Selector: "s1", Counted: true, Reply: true},
			{Time: outNoon, Domain: "a.example", Selector: "ed1"},
			{Time: outNoon.Add(time.Hour), Domain: "a.example", Selector: "s1", Counted: true, ToList: true},
			{Time: outNoon.AddDate(0, 0, -2), Domain: "b.example", Selector: "s1", Counted: true},
		}
		fold("1", outNoon, first...)
		fold("1", outNoon, first...)
		fold("2", outNoon, report.Sent{Time: outNoon.Add(2 * time.Hour), Domain: "a.example",
			Selector: "s2", Counted: true})
		read := func(from int64) (mail map[string]OwnMail, keys []OwnKey) {
			t.Helper()
			err := s.View(t.Context(), func(tx *Tx) (err error) {
				if mail, err = tx.OwnMail(t.Context(), from); err == nil {
					keys, err = tx.OwnKeys(t.Context(), "")
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return mail, keys
		}
		mail, keys := read(Day(outNoon) - 1)
		if len(mail) != 1 || mail["a.example"] != (OwnMail{Messages: 3, Replies: 1, Lists: 1}) {
			t.Errorf("mail %+v", mail)
		}
		want := []OwnKey{
			{"a.example", "ed1", outNoon, outNoon}, {"a.example", "s1", outNoon, outNoon.Add(time.Hour)},
			{"a.example", "s2", outNoon.Add(2 * time.Hour), outNoon.Add(2 * time.Hour)},
			{"b.example", "s1", outNoon.AddDate(0, 0, -2), outNoon.AddDate(0, 0, -2)},
		}
		if len(keys) != len(want) {
			t.Fatalf("keys %+v", keys)
		}
		for i := range want {
			if keys[i] != want[i] {
				t.Errorf("key %+v, want %+v", keys[i], want[i])
			}
		}
		later := outNoon.AddDate(0, 0, ownFor+1)
		fold("3", later, report.Sent{Time: later, Domain: "c.example", Selector: "s1",
			Counted: true})
		if mail, keys = read(0); len(mail) != 1 || len(keys) != 1 ||
			mail["c.example"].Messages != 1 {
			t.Errorf("after %d days: %+v, %+v", ownFor, mail, keys)
		}
	})
}

// TestUse holds that the last answer counts, and that it can be taken back.
func TestUse(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		for _, word := range []string{"people", "machines", ""} {
			err := s.SetUse(t.Context(), Use{Domain: "a.example", Word: word, By: "anna",
				At: outNoon})
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]Use
			err = s.View(t.Context(), func(tx *Tx) (err error) {
				got, err = tx.Uses(t.Context())
				return err
			})
			if u := got["a.example"]; err != nil || u.Word != word || word != "" &&
				(u.By != "anna" || !u.At.Equal(outNoon)) {
				t.Errorf("%q: %+v, %v", word, got, err)
			}
		}
	})
}
