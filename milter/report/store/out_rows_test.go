package store

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/report"
)

// counter keeps the rows of one policy as the store does.
type counter struct {
	stored []byte
	sum    int64
	folded int64
}

func (c *counter) add(b *OutBatch) {
	_ = b.each(func(p *outPolicy, rows []report.KeyCount) error {
		var w report.RowWriter
		c.folded += merge(&w, c.stored, rows, &p.policy)
		c.stored = w.Bytes
		for _, r := range rows {
			c.sum += r.N
		}
		return nil
	})
}

// rows are those that are kept; the sum of their messages must be exact and their keys in order.
func (c *counter) rows(t *testing.T) (out []report.Counted) {
	t.Helper()
	var sum int64
	last := ""
	for r := range report.ReadRows(c.stored) {
		row, err := report.ParseKey(r.Key, r.N)
		if err != nil || string(r.Key) <= last {
			t.Fatalf("%q after %q: %v", r.Key, last, err)
		}
		last = string(r.Key)
		sum += r.N
		out = append(out, row)
	}
	if sum != c.sum {
		t.Fatalf("%d messages, want %d", sum, c.sum)
	}
	return out
}

// TestMerge holds against a map that rows are the same in whatever batches they come.
func TestMerge(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	var c counter
	want := map[string]int64{}
	for range 40 {
		b := NewOutBatch()
		for range r.IntN(60) {
			e := outMail("a.example", outNoon, fmt.Sprintf("192.0.2.%d", r.IntN(60)),
				r.IntN(2) == 0)
			e.HeaderFrom = fmt.Sprintf("s%d.a.example", r.IntN(3))
			want[string(e.AppendKey(nil))]++
			b.Add(e)
		}
		c.add(b)
	}
	rows := c.rows(t)
	for _, row := range rows {
		if n := want[string(row.AppendKey(nil))]; n != row.Count {
			t.Errorf("%+v: want %d", row, n)
		}
	}
	if len(rows) != len(want) || c.folded != 0 {
		t.Errorf("%d rows, want %d; %d folded", len(rows), len(want), c.folded)
	}
}

// TestForgedRowsLeaveRoom holds that a flood of forged mail takes nothing of the rows of mail that
// passes, and that what is repeated keeps its details before what comes once.
func TestForgedRowsLeaveRoom(t *testing.T) {
	var c counter
	for n := range 3 {
		b := NewOutBatch()
		for i := range 20_000 {
			e := outMail("a.example", outNoon, fmt.Sprintf("198.51.%d.%d", i%4, i%250), false)
			e.HeaderFrom = fmt.Sprintf("h%d-%d.a.example", n, i)
			b.Add(e)
		}
		for i := range 300 {
			e := outMail("a.example", outNoon, "192.0.2.1", true)
			e.Signatures = []report.DKIMAuth{{Domain: "a.example", Selector: fmt.Sprintf("s%d", i),
				Result: "pass"}}
			b.Add(e)
		}
		if n == 0 {
			e := outMail("a.example", outNoon, "203.0.113.9", false)
			e.HeaderFrom = "real.a.example"
			b.Add(e)
			b.Add(e)
		}
		c.add(b)
	}
	passing, real := 0, false
	for _, row := range c.rows(t) {
		if row.Passes() && len(row.Signatures) == 1 {
			passing++
		}
		real = real || row.HeaderFrom == "real.a.example" && row.Count == 2
	}
	if passing != 300 || !real || c.folded != 60_000-int64(maxFailing.detailed-1) {
		t.Errorf("%d passing rows with a signature, want 300; a repeated one is kept: %v; %d folded",
			passing, real, c.folded)
	}
}

// TestRowsOfManyClients holds that there is an end to rows, however many clients a flood has, of
// both kinds of addresses, and that a row of many clients says so.
func TestRowsOfManyClients(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var c counter
	for range 12 {
		b := NewOutBatch()
		for range 10_000 {
			e := outMail("a.example", outNoon, "192.0.2.1", false)
			e.EnvelopeFrom = fmt.Sprintf("m%d.example", r.Uint64())
			var ip [16]byte
			for i := range ip {
				ip[i] = byte(r.Uint32())
			}
			e.Client = netip.AddrFrom16(ip)
			if r.IntN(2) == 0 {
				e.Client = netip.AddrFrom4([4]byte(ip[:4]))
			}
			b.Add(e)
		}
		c.add(b)
	}
	rows := c.rows(t)
	if len(rows) > report.MaxRows {
		t.Errorf("%d rows", len(rows))
	}
	said := 0
	for _, row := range rows {
		i := slices.IndexFunc(row.Reasons,
			func(r report.Reason) bool {
				return strings.HasPrefix(r.Comment, "sum of all clients in ")
			})
		if i < 0 {
			continue
		}
		said++
		net, err := netip.ParsePrefix(strings.Fields(row.Reasons[i].Comment)[5][:len(
			strings.Fields(row.Reasons[i].Comment)[5])-1])
		if err != nil || net.Addr() != row.Client || row.Reasons[i].Type != "other" {
			t.Errorf("%+v, %v", row, err)
		}
	}
	if said == 0 {
		t.Error("no row says that it is of a network")
	}
}

// TestMigratedRelations holds that what was known of domains stays when a store of an earlier form
// is opened.
func TestMigratedRelations(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		day := Day(outNoon)
		for _, q := range []string{
			"DROP TABLE out_relation", "DROP INDEX out_policy_slot",
			"ALTER TABLE out_policy DROP COLUMN slot",
			"ALTER TABLE out_policy DROP COLUMN messages",
			"ALTER TABLE out_policy DROP COLUMN passed", "ALTER TABLE out_policy DROP COLUMN nets",
			"ALTER TABLE out_policy DROP COLUMN row_data", "CREATE TABLE out_row (policy BIGINT)",
			"CREATE TABLE out_seen (domain TEXT, day BIGINT, net TEXT)",
			fmt.Sprintf("INSERT INTO out_seen VALUES ('a.example', %d, ''), ('a.example', %d, "+
				"''), ('b.example', %d, '192.0.2.0/24'), ('b.example', %d, '192.9.3.0/24')",
				day-20, day-3, day-2, day-1),
			"DELETE FROM mailseal_schema WHERE version_id = 204",
		} {
			if _, err := s.db.ExecContext(t.Context(), q); err != nil {
				t.Fatal(q, err)
			}
		}
		s.Close()
		s = openOut(t, o)
		for domain, want := range map[string]Relation{
			"a.example": {PassDays: 2, PassSpan: 17}, "b.example": {FailDays: 2, FailedNets: 2},
		} {
			if got, err := s.OutRelation(t.Context(), domain, day); err != nil || got != want {
				t.Errorf("%s: got %+v, %v; want %+v", domain, got, err, want)
			}
		}
	})
}

// TestLongRows holds that rows with many long names come to a bounded size, passing ones as well,
// and lose no message.
func TestLongRows(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	long := func() string {
		return fmt.Sprintf("%016x.%s.example", r.Uint64(), strings.Repeat("x23456789.", 20))
	}
	var c counter
	for range 6 {
		b := NewOutBatch()
		for range 600 {
			e := outMail("a.example", outNoon, fmt.Sprintf("198.51.100.%d", r.IntN(250)), true)
			for range 10 {
				e.Signatures = append(e.Signatures,
					report.DKIMAuth{Domain: long(), Selector: long(), Result: "pass"})
			}
			b.Add(e)
		}
		c.add(b)
	}
	c.rows(t)
	if len(c.stored) > maxRowBytes+100_000 || c.folded == 0 {
		t.Errorf("%d bytes are stored, %d messages folded", len(c.stored), c.folded)
	}
}

// TestPoliciesOfADay holds that a domain that changes its record again and again gets a bounded
// number of reports for a day, with all messages in them.
func TestPoliciesOfADay(t *testing.T) {
	s := openOut(t, Options{Driver: "sqlite", DSN: t.TempDir() + "/out.db"})
	for n := range 4 {
		b := NewOutBatch()
		for i := range 50 {
			e := outMail("a.example", outNoon, "192.0.2.1", true)
			e.Policy.Text = fmt.Sprintf("v=DMARC1; p=none; x=%d.%d", n, i)
			b.Add(e)
		}
		b.Add(outMail("b.example", outNoon, "192.0.2.1", true))
		b.Add(outMail("a.example", outNoon.AddDate(0, 0, 1), "192.0.2.1", true))
		if _, err := s.Fold(t.Context(), []string{fmt.Sprint(n)}, b, outNoon); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.OutPending(t.Context(), Day(outNoon)+1, "")
	if err != nil {
		t.Fatal(err)
	}
	policies, messages := map[string]int{}, map[string]int64{}
	for _, p := range list {
		key := fmt.Sprint(p.Domain, " ", p.Day-Day(outNoon))
		policies[key]++
		messages[key] += p.Messages
	}
	if policies["a.example 0"] != maxPolicies || messages["a.example 0"] != 200 ||
		messages["b.example 0"] != 4 || messages["a.example 1"] != 4 {
		t.Errorf("policies %v, messages %v", policies, messages)
	}
}

// TestBatchBounded holds that a batch of mail with many signatures, which packs well, stays bounded
// in memory as well, in a batch and as it is put together, and loses no message.
func TestBatchBounded(t *testing.T) {
	for messages, isFolded := range map[int]bool{56_000: true, 15_000: false} {
		testBatchBounded(t, messages, isFolded)
	}
}

func testBatchBounded(t *testing.T, messages int, isFolded bool) {
	b := NewOutBatch()
	e := outMail("a.example", outNoon, "2001:db8::", true)
	for i := range 20 {
		e.Signatures = append(e.Signatures, report.DKIMAuth{
			Domain: strings.Repeat("x", 60) + fmt.Sprintf("%d.a.example", i), Selector: "s1", Result: "pass",
		})
	}
	ip := e.Client.As16()
	for i := range messages {
		ip[14], ip[15] = byte(i>>8), byte(i)
		e.Client = netip.AddrFrom16(ip)
		b.Add(e)
	}
	keys := 0
	for key := range b.rows {
		keys += len(key)
	}
	if keys > 3*maxBatchKeys/2 || b.policies[0].folded > 0 != isFolded {
		t.Errorf("the keys of a batch have %d bytes, %d messages are folded", keys,
			b.policies[0].folded)
	}
	var c counter
	c.add(b)
	keys = 0
	for _, row := range c.rows(t) {
		keys += len(row.AppendKey(nil))
	}
	if c.sum != int64(messages) || keys > 3*maxKeyBytes/2 {
		t.Errorf("%d messages, the keys of their rows have %d bytes", c.sum, keys)
	}
}

// TestOtherPolicies has each message of a domain come under a record of its own: a batch has a few
// policies alone, and a row under another one than it was judged by gives the reason where it was
// treated otherwise.
func TestOtherPolicies(t *testing.T) {
	stores(t, func(t *testing.T, o Options) {
		s := openOut(t, o)
		for n := range 3 {
			b := NewOutBatch()
			for i := range 40 {
				e := outMail("a.example", outNoon, "192.0.2.1", i%2 == 0)
				e.Policy.Text = fmt.Sprintf("v=DMARC1; p=reject; x=%d.%d", n, i)
				e.Policy.P, e.Disposition = "reject", "reject"
				if n > 0 || i >= maxPolicies {
					e.Policy.P, e.Disposition = "none", "none"
				}
				b.Add(e)
			}
			if len(b.policies) != maxPolicies || len(b.index) != maxPolicies {
				t.Errorf("a batch has %d policies", len(b.policies))
			}
			if _, err := s.Fold(t.Context(), []string{fmt.Sprint(n)}, b, outNoon); err != nil {
				t.Fatal(err)
			}
		}
		putTogether(t, s, outNoon)
		var messages, reasons, failed int64
		list := mustPending(t, s)
		for _, p := range list {
			rows, err := s.OutRows(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				messages += r.Count
				if r.Passes() {
					if len(r.Reasons) > 0 {
						t.Errorf("mail that passes has a reason: %+v", r)
					}
					continue
				}
				if r.Disposition != p.Policy.P {
					failed += r.Count
					if len(r.Reasons) == 1 && r.Reasons[0].Type == "local_policy" {
						reasons += r.Count
					}
				}
			}
		}
		if len(list) != maxPolicies || messages != 120 || failed == 0 || reasons != failed {
			t.Errorf("%d policies, %d messages, %d of %d with a reason", len(list), messages,
				reasons, failed)
		}
	})
}
