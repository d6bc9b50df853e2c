package testmail

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys/database"
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

// TestSharedWithoutCreate holds that a user who may make no schemas opens the store in one that is
// there.
func TestSharedWithoutCreate(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real server")
	}
	server := rig.Postgres(t)
	db, err := database.Open(database.Options{Driver: database.Postgres, DSN: server.DSN,
		Timeout: timeout,
		Access:  database.Write, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	run := func(db *sql.DB, statements ...string) {
		for _, q := range statements {
			if _, err := db.ExecContext(t.Context(), q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
	}
	run(db, "CREATE ROLE limited LOGIN")
	dsn := strings.Replace(server.DSN, "user=mailseal", "user=limited", 1)
	if s, err := OpenShared(t.Context(), dsn, time.Hour); err == nil {
		s.Close()
		t.Fatal("a schema was made without the right to")
	}
	run(db, "CREATE SCHEMA "+sharedSchema+" AUTHORIZATION limited")
	s, err := OpenShared(t.Context(), dsn, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
