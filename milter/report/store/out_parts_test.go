package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
)

// batchOf is n messages of a stranger's domain.
func batchOf(domain string, at time.Time, n int) *OutBatch {
	b := NewOutBatch()
	for i := range n {
		b.Add(outMail(domain, at, fmt.Sprintf("192.0.2.%d", i%200), i%2 == 0))
	}
	return b
}

// sumOf is how many messages are counted and not reported yet.
func sumOf(t *testing.T, s *Store) (n int64) {
	t.Helper()
	for _, p := range mustPending(t, s) {
		n += p.Messages
	}
	return n
}

// TestParts has hosts count side by side, one of them twice: what all of them counted is put
// together once, rows that come later make rows of their own, and the partition of the day goes.
func TestParts(t *testing.T) {
	_, all := hosts(t, "a", "b", "c", "d")
	r := rand.New(rand.NewPCG(4, 4))
	var want int64
	for n, s := range all {
		b := NewOutBatch()
		for range 3000 {
			b.Add(outMail(fmt.Sprintf("d%d.example", r.IntN(50)), outNoon,
				fmt.Sprintf("192.0.2.%d", r.IntN(250)),
				r.IntN(3) > 0))
			want++
		}
		for round := range 2 {
			isNew, err := s.Fold(t.Context(),
				[]string{fmt.Sprint("segment", n), fmt.Sprint("other", n)}, b, outNoon)
			if err != nil || isNew != (round == 0) {
				t.Fatal(isNew, err)
			}
		}
	}
	if got := sumOf(t, all[0]); got != want {
		t.Errorf("%d messages before they are put together, want %d", got, want)
	}
	before := rowsOf(t, all[0], "d7.example")
	if err := all[0].DropDays(t.Context(), Day(outNoon)+1, outNoon); err != nil ||
		sumOf(t, all[0]) != want {
		t.Fatalf("a day whose rows are not put together: %d messages are left of %d, %v",
			sumOf(t, all[0]), want, err)
	}
	var group []chan error
	for _, s := range all { // side by side
		done := make(chan error, 1)
		group = append(group, done)
		go func() {
			for {
				isOne, err := s.Collect(context.WithoutCancel(t.Context()), Day(outNoon), s.host,
					outNoon)
				if err != nil || !isOne {
					done <- err
					return
				}
			}
		}()
	}
	for _, done := range group {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	putTogether(t, all[0], outNoon) // what was another host's when all others were done
	list := mustPending(t, all[1])
	if len(list) != 50 || sumOf(t, all[1]) != want || list[0].ID == 0 {
		t.Errorf("%d policies with %d messages, want 50 with %d", len(list), sumOf(t, all[1]), want)
	}
	if after := rowsOf(t, all[0], "d7.example"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("rows before and after they are put together differ:\n%v\n%v", before, after)
	}
	if _, err := all[2].Fold(t.Context(), []string{"late"}, batchOf("d7.example", outNoon, 10),
		outNoon); err != nil {
		t.Fatal(err)
	}
	if got := sumOf(t, all[1]); got != want+10 {
		t.Errorf("%d messages with those that came late, want %d", got, want+10)
	}
	putTogether(t, all[3], outNoon)
	start := time.Now()
	if err := all[0].DropDays(t.Context(), Day(outNoon)+1, outNoon); err != nil {
		t.Fatal(err)
	}
	t.Logf("the partition of the day was dropped in %s", time.Since(start).Round(time.Millisecond))
	if days, err := all[0].partDays(t.Context()); err != nil || len(days) > 0 ||
		sumOf(t, all[1]) != want+10 {
		t.Errorf("partitions %v, %d messages, %v", days, sumOf(t, all[1]), err)
	}
	if _, err := all[2].Fold(t.Context(), []string{"later"}, batchOf("d7.example", outNoon, 3),
		outNoon); err != nil {
		t.Errorf("rows of a day whose partition is gone: %v", err)
	}
	if n, err := all[0].OutForget(t.Context(), "d7.example"); err != nil || n < 2 ||
		len(rowsOf(t, all[0], "d7.example")) > 0 {
		t.Errorf("%d rows of tables are forgotten, %v", n, err)
	}
}

// rowsOf are the rows of the only policy of a domain; nil where there is none.
func rowsOf(t *testing.T, s *Store, domain string) []report.Counted {
	t.Helper()
	list, err := s.OutPending(t.Context(), Day(outNoon), domain)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		return nil
	}
	rows, err := s.OutRows(t.Context(), list[0])
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestCollectDies holds that a host that dies while it puts a shard together leaves it as it was,
// and that a shard that a host has is left alone by others.
func TestCollectDies(t *testing.T) {
	_, all := hosts(t, "a", "b")
	a, b := all[0], all[1]
	if _, err := a.Fold(t.Context(), []string{"1"}, batchOf("a.example", outNoon, 100),
		outNoon); err != nil {
		t.Fatal(err)
	}
	dies := errors.New("it dies")
	err := a.Update(t.Context(), func(tx *Tx) error {
		var day int64
		var shard int
		err := tx.QueryRowContext(t.Context(), `SELECT day, shard FROM out_shard FOR UPDATE`).Scan(
			&day, &shard)
		if err != nil {
			return err
		}
		if isOne, err := b.Collect(t.Context(), Day(outNoon), "b", outNoon); err != nil || isOne {
			t.Errorf("a shard that another host has is taken: %v, %v", isOne, err)
		}
		if err := a.collect(t.Context(), tx, day, shard); err != nil {
			return err
		}
		return dies
	})
	if !errors.Is(err, dies) {
		t.Fatal(err)
	}
	if list := mustPending(t, b); len(list) != 1 || list[0].ID != 0 || list[0].Messages != 100 {
		t.Errorf("after a host that died: %+v", list)
	}
	putTogether(t, b, outNoon)
	if list := mustPending(t, b); len(list) != 1 || list[0].ID == 0 || list[0].Messages != 100 {
		t.Errorf("after another host: %+v", list)
	}
}

// TestPartsBounded holds that names that senders make up fill neither a batch nor what it is put
// together to, and that sums stay exact.
func TestPartsBounded(t *testing.T) {
	_, all := hosts(t, "a")
	s := all[0]
	total := flood(t, s, 40_000)
	before := mustPending(t, s)[0]
	putTogether(t, s, outNoon)
	p := mustPending(t, s)[0]
	if p.Messages != total || before.Messages != total || p.Rows > report.MaxRows || p.Folded == 0 {
		t.Errorf("got %+v before and %+v after, want %d messages", before, p, total)
	}
}

// TestDropDaysWaitsForNone holds that a day with rows is left alone without waiting for the hosts
// that write, and that a day which cannot be dropped keeps no other.
func TestDropDaysWaitsForNone(t *testing.T) {
	_, all := hosts(t, "a")
	s := all[0]
	for day := range 2 {
		at := outNoon.AddDate(0, 0, day)
		if _, err := s.Fold(t.Context(), []string{fmt.Sprint(day)}, batchOf("a.example", at, 1),
			at); err != nil {
			t.Fatal(err)
		}
	}
	end := outNoon.AddDate(0, 0, 2)
	writing, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer writing.Rollback()
	if _, err := writing.ExecContext(t.Context(),
		"LOCK TABLE out_part IN ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if err := s.DropDays(t.Context(), Day(end), end); err != nil {
		t.Errorf("days with rows, while a host writes: %v", err)
	}
	if err := writing.Rollback(); err != nil {
		t.Fatal(err)
	}
	putTogether(t, s, end)
	_, err = s.db.ExecContext(t.Context(), "CREATE VIEW of_operator AS SELECT * FROM "+
		dayTable(Day(outNoon)))
	if err != nil {
		t.Fatal(err)
	}
	err = s.DropDays(t.Context(), Day(end), end)
	days, err2 := s.partDays(t.Context())
	if err == nil || err2 != nil || len(days) != 1 || days[0] != Day(outNoon) {
		t.Errorf("partitions %v, %v, %v; want that of the first day, and an error", days, err, err2)
	}
}

// TestShardOf holds that the spool's partitions are the shards: a batch of one partition is of one
// shard, and waits for one alone.
func TestShardOf(t *testing.T) {
	for domain, want := range map[string]int{"example.com": 6, "EXAMPLE.com": 6} {
		if got := shardOf(domain); got != want {
			t.Errorf("%s: shard %d, want %d", domain, got, want)
		}
	}
	if got := shardTable(20787, 3); !strings.HasPrefix(got, dayTable(20787)) {
		t.Error(got)
	}
}

// TestCollectGoesOn holds that a shard that cannot be put together does not keep the others, and
// that the count of folded messages of a policy without room of its own is not lost.
func TestCollectGoesOn(t *testing.T) {
	_, all := hosts(t, "a")
	s := all[0]
	b := NewOutBatch()
	for i := range 40 {
		b.Add(outMail(fmt.Sprintf("d%d.example", i), outNoon, "192.0.2.1", true))
	}
	for n := range maxPolicies + 1 {
		e := outMail("many.example", outNoon, "192.0.2.1", false)
		e.Policy.Text = fmt.Sprint("v=DMARC1; p=none; x=", n)
		one := NewOutBatch()
		one.Add(e)
		one.policies[0].folded = 1
		if _, err := s.Fold(t.Context(), []string{fmt.Sprint(n)}, one, outNoon); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Fold(t.Context(), []string{"all"}, b, outNoon); err != nil {
		t.Fatal(err)
	}
	first := shards
	for i := range 40 {
		first = min(first, shardOf(fmt.Sprintf("d%d.example", i)))
	}
	_, err := s.db.ExecContext(t.Context(), "UPDATE out_part SET key = '\\x09' WHERE shard = $1",
		first)
	if err != nil {
		t.Fatal(err)
	}
	if isOne, err := s.Collect(t.Context(), Day(outNoon), "a", outNoon); err == nil || !isOne {
		t.Errorf("a shard that is damaged: %v, %v", isOne, err)
	}
	var folded int64
	for _, p := range mustPending(t, s) {
		if isKept := p.ID != 0; isKept == (shardOf(p.Domain) == first) {
			t.Errorf("%s of shard %d: %+v", p.Domain, shardOf(p.Domain), p)
		}
		if p.Domain == "many.example" {
			folded += p.Folded
		}
	}
	if shardOf("many.example") == first || folded != maxPolicies+1 {
		t.Errorf("shard %d; %d folded messages", shardOf("many.example"), folded)
	}
}

// TestLateTogether has two hosts come late for a shard at the same time: each waits for the other
// at most once.
func TestLateTogether(t *testing.T) {
	_, all := hosts(t, "a", "b")
	if _, err := all[0].Fold(t.Context(), []string{"1"}, batchOf("a.example", outNoon, 10),
		outNoon); err != nil {
		t.Fatal(err)
	}
	putTogether(t, all[0], outNoon)
	shard := shardOf("a.example")
	isIn := make(chan bool, 2)
	done := make(chan error, 2)
	err := all[0].Update(t.Context(), func(tx *Tx) error {
		// Both wait here, and go on at the same time.
		_, err := tx.ExecContext(t.Context(), "SELECT 1 FROM out_shard WHERE shard = $1 FOR UPDATE",
			shard)
		for _, s := range all {
			go func() {
				done <- s.Update(context.WithoutCancel(t.Context()), func(tx *Tx) error {
					isIn <- true
					return tx.openShard(t.Context(), Day(outNoon), shard)
				})
			}()
		}
		<-isIn
		<-isIn
		for waiting := 0; waiting < 2 && err == nil; {
			err = all[1].db.QueryRowContext(t.Context(),
				"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").Scan(
				&waiting)
		}
		return err
	})
	if err := errors.Join(err, <-done, <-done); err != nil {
		t.Error(err)
	}
}

// TestSilentHost holds that the server ends the transaction of a host that says nothing more, and
// that no host waits for it forever.
func TestSilentHost(t *testing.T) {
	_, all := hosts(t, "a")
	err := all[0].Update(t.Context(), func(tx *Tx) error {
		for name, want := range map[string]string{
			"idle_in_transaction_session_timeout": "1min", "lock_timeout": "1min",
		} {
			var got string
			if err := tx.QueryRowContext(t.Context(), "SELECT current_setting($1)",
				name).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q, want %q; %v", name, got, want, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
