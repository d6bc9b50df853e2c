package testmail

import (
	"errors"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/milter/report/evidence"
)

// TestShared holds that hosts that share a PostgreSQL show each other's mails, keep each once, and
// answer within common bounds.
func TestShared(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real server")
	}
	db := rig.Postgres(t)
	const keep = 7 * 24 * time.Hour
	type opened struct {
		*Store
		err error
	}
	both := make(chan opened, 2)
	for range 2 { // at the same time
		go func() {
			s, err := OpenShared(t.Context(), db.DSN, keep)
			both <- opened{s, err}
		}()
	}
	var hosts []*Store
	for range 2 {
		o := <-both
		if o.err != nil {
			t.Fatal(o.err)
		}
		t.Cleanup(func() { o.Close() })
		hosts = append(hosts, o.Store)
	}
	a, b := hosts[0], hosts[1]
	token := evidence.NewToken()
	for i, want := range []bool{true, false} {
		isNew, err := hosts[i].Put(t.Context(), "file", hostile(token))
		if err != nil || isNew != want {
			t.Errorf("host %d: new %v, %v", i, isNew, err)
		}
	}
	for i := range maxPerToken {
		if _, err := a.Put(t.Context(), string(rune('a'+i)), hostile(token)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.Mails(t.Context(), token, now)
	if err != nil || len(list) != maxPerToken || list[0].Token != token {
		t.Errorf("%d mails, %v", len(list), err)
	}
	for i, want := range []bool{true, false} {
		may, err := hosts[i].reserve(t.Context(), "x@a.example", now)
		if err != nil || may != want {
			t.Errorf("host %d may answer: %v, %v", i, may, err)
		}
	}
	if err := b.Expire(t.Context(), now.Add(keep+time.Hour)); err != nil {
		t.Error(err)
	}
	if _, err := a.Mails(t.Context(), token, now); !errors.Is(err, ErrNone) {
		t.Errorf("after they expired: %v", err)
	}
}
