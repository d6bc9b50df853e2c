package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

// filler writes a Memory into the tables, as the intake does.
type filler struct {
	t   *testing.T
	tx  *store.Tx
	ids map[string]int64
}

func (f *filler) exec(query string, values ...any) {
	f.t.Helper()
	if _, err := f.tx.ExecContext(context.Background(), query, values...); err != nil {
		f.t.Fatal(err)
	}
}

// id gives out the id of a word in a table.
func (f *filler) id(table, word, insert string, more ...any) int64 {
	key := table + " " + word
	if id, ok := f.ids[key]; ok {
		return id
	}
	id := int64(len(f.ids) + 1)
	f.ids[key] = id
	f.exec(insert, append([]any{id, word}, more...)...)
	return id
}

func (f *filler) name(word string) int64 {
	return f.id("name", word, "INSERT INTO in_name (id, name) VALUES ($1, $2)")
}

func (f *filler) fill(m *Memory) {
	head := map[int64]*Report{}
	for i := range m.ReportList {
		r := &m.ReportList[i]
		head[r.ID] = r
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(m.RawXML[r.ID])
		_ = z.Close()
		f.exec("INSERT INTO in_raw (id, digest, received, via, name, kind, trust, trust_domain, "+
			"size, data) VALUES ($1, $2, $3, 'lmtp', '', 'aggregate', 'aligned', '', 1, $4)",
			r.ID, fmt.Sprint(r.ID), r.Received.Unix(), packed.Bytes())
		i := slices.IndexFunc(m.DomainList, func(d Domain) bool { return d.Name == r.Domain })
		p, testing := map[advice.Step]string{0: "none", 1: "quarantine", 2: "quarantine",
			3: "reject", 4: "reject"}[m.DomainList[i].Policy.Step], "n"
		if s := m.DomainList[i].Policy.Step; s == advice.QuarantineTest || s == advice.RejectTest {
			testing = "y"
		}
		policy, _ := json.Marshal(map[string]string{"domain": r.Domain, "p": p, "testing": testing})
		f.exec(`INSERT INTO in_report (id, dedup, content, raw, reporter, report_id, domain,
			configured, begins, ends, received, trust, counted, state, version,
			namespace, generator, policy, notes, records, messages)
			VALUES ($1, $2, $2, $1, $3, $4, $5, 1, $6, $7, $8, $9, 1, 'whole', $10, '', '', $11, '', $12, $13)`,
			r.ID, fmt.Sprint(r.ID), f.id("reporter", r.Receiver,
				"INSERT INTO in_reporter (id, key, org, email, first_seen, last_seen) VALUES ($1, $2, $2, $3, 0, 0)",
				r.Email),
			r.ReportID, f.name(r.Domain), r.Begin.Unix(), r.End.Unix(), r.Received.Unix(), r.Trust,
			r.Format, string(policy), r.Records, r.Messages)
	}
	for i := range m.RecordList {
		f.record(m, &m.RecordList[i])
	}
}

func (f *filler) record(m *Memory, r *Record) {
	set, _ := json.Marshal(map[string]any{"dkim": r.Signatures,
		"spf": []map[string]string{{"domain": r.SPFDomain, "scope": "mfrom",
			"result": r.SPFResult}}})
	o := int64(slices.Index(actions[:], r.Disposition)) << 2
	if r.DKIM == "pass" {
		o |= 1
	}
	if r.SPF == "pass" {
		o |= 2
	}
	facts := ""
	if len(r.Reasons) > 0 {
		o |= int64(slices.Index(reasons[:], r.Reasons[0].Type)) << 4
		raw, _ := json.Marshal(map[string]any{"reasons": r.Reasons})
		facts = string(raw)
	}
	at := m.Places[r.Address]
	source := f.id("source", r.Address.String(), "INSERT INTO in_source (id, ip, ptr, asn, "+
		"asn_name, country) VALUES ($1, $2, $3, $4, $5, $6)", m.Reverse[r.Address], at.ASN,
		at.Operator, at.Country)
	reporter, domain := f.ids["reporter "+r.Receiver], f.name(r.Domain)
	f.exec(`INSERT INTO in_record (report, n, day, domain, source, messages, outcome,
		header_from, envelope_from, authset, facts)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		r.Report, r.N, int64(r.Day), domain, source, r.Count, o, f.name(r.From), f.name(r.Envelope),
		f.id("authset", string(set), "INSERT INTO in_authset (id, hash, results) VALUES ($1, $2, $2)"), facts)
	for table, key := range map[string]int64{"reporter": reporter, "source": source} {
		f.exec("INSERT INTO in_day_"+table+" (domain, day, "+table+
			", outcome, messages) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (domain, day, "+table+
			", outcome) DO UPDATE SET messages = in_day_"+table+".messages + excluded.messages",
			domain, int64(r.Day), key, o, r.Count)
	}
}

// smallWorld is a part of the world that fills a database in a second.
func smallWorld() *Memory {
	m := world()
	keep := []string{"shop.example", "example.net", "example.org", "old.example", "new.example"}
	m.DomainList = slices.DeleteFunc(m.DomainList,
		func(d Domain) bool { return !slices.Contains(keep, d.Name) })
	m.ReportList = slices.DeleteFunc(m.ReportList,
		func(r Report) bool { return !slices.Contains(keep, r.Domain) })
	m.RecordList = slices.DeleteFunc(m.RecordList,
		func(r Record) bool { return !slices.Contains(keep, r.Domain) })
	m.RuleList = nil
	return m
}

func stored(t *testing.T, m *Memory) *Stored {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{Driver: database.SQLite,
		DSN: storetest.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	err = s.Update(context.Background(), func(tx *store.Tx) error {
		(&filler{t: t, tx: tx, ids: map[string]int64{}}).fill(m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Stored{Store: s, Names: []string{"new.example"}, Networks: m.Networks,
		Now: func() time.Time { return clock }}
}

// TestStoredEqualsMemory holds that the reader over the store answers as the one that adds up
// records one by one, for every kind of filter and dimension: what a page shows is a recount.
func TestStoredEqualsMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database with 90 days of reports")
	}
	m := smallWorld()
	s := stored(t, m)
	ctx := context.Background()
	filters := map[string]Filter{
		"all":       {},
		"period":    {From: today - 30, To: today - 1},
		"domain":    {From: today - 30, To: today - 1, Domains: []string{"shop.example"}},
		"nothing":   {Domains: []string{}},
		"receiver":  {Receiver: "google.com", Domains: []string{"shop.example", "example.org"}},
		"addresses": {Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.12"), netip.MustParseAddr("192.0.2.44")}},
		"all but":   {AllBut: []netip.Addr{netip.MustParseAddr("198.51.100.12")}, Domains: []string{"shop.example"}},
		"both":      {Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.12")}, Receiver: "yahoo.com"},
		"held":      {Result: "held"}, "refused": {Result: "refused"}, "fail": {Result: "fail"},
		"delivered": {Result: "delivered"}, "pass": {Result: "pass"},
		"dkim": {DKIM: "fail", Result: "pass"}, "spf": {SPF: "pass"},
		"from":      {HeaderOf: "shop.example"},
		"envelope":  {Envelope: "bounce.esp.example"},
		"reason":    {Reason: "mailing_list"},
		"no reason": {Reason: "mailing%"},
		"signer":    {Signer: "esp.example", Selector: "e1"},
		"no such":   {Signer: "esp%"},
	}
	dims := [][]Dim{nil, {ByDomain}, {ByDay}, {ByReceiver}, {ByAddress}, {ByFrom},
		{ByDomain, ByReceiver}, {ByDomain, ByAddress}, {ByReceiver, ByAddress}}
	for name, f := range filters {
		t.Run(name, func(t *testing.T) {
			for _, by := range dims {
				want, _ := m.Sums(ctx, f, by...)
				got, err := s.Sums(ctx, f, by...)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(bySum(got), bySum(want)) {
					t.Errorf("sums by %v: %d groups, want %d", by, len(got), len(want))
				}
			}
			same(t, "reasons", m.Reasons, s.Reasons, f, func(x Sum) Sum { return x })
			same(t, "identities", m.Identities, s.Identities, f,
				func(id Identity) Identity { return id })
			if f.Receiver == "" && f.Result == "" && f.Envelope == "" && f.Signer == "" &&
				f.HeaderOf == "" && f.Reason == "" && f.DKIM == "" && f.SPF == "" {
				same(t, "sources", m.Sources, s.Sources, f, func(a Address) Address { return a })
			}
			same(t, "records", func(ctx context.Context, f Filter) ([]Record,
				error) {
				return m.Records(ctx, f, Window{})
			},
				func(ctx context.Context, f Filter) ([]Record, error) {
					return s.Records(ctx, f, Window{})
				}, f, func(r Record) Record {
					r.SPFDomain, r.Envelope = "", ""
					return r
				})
			page, err := s.Records(ctx, f, Window{Offset: 3, Rows: 5})
			want, _ := m.Records(ctx, f, Window{Offset: 3, Rows: 5})
			if err != nil || len(page) != len(want) {
				t.Errorf("a page of records: %d, want %d: %v", len(page), len(want), err)
			}
			all, err := s.Records(ctx, f, Window{})
			if part := all[min(3, len(all)):min(8, len(all))]; err != nil || len(part) > 0 &&
				!reflect.DeepEqual(page, part) {
				t.Errorf("a page of records is not that part of all: %v", err)
			}
		})
	}
}

// bySum sorts sums into a map, without the reason, which the store does not have as a dimension.
func bySum(sums []Sum) map[Sum]Counts {
	out := map[Sum]Counts{}
	for _, s := range sums {
		c := s.Counts
		s.Counts = Counts{}
		old := out[s]
		old.Add(c)
		out[s] = old
	}
	return out
}

func same[T any](t *testing.T, what string, want, got func(context.Context, Filter) ([]T, error),
	f Filter, clean func(T) T) {
	t.Helper()
	count := func(list []T) map[string]int {
		out := map[string]int{}
		for _, x := range list {
			out[fmt.Sprintf("%v", clean(x))]++
		}
		return out
	}
	a, err := got(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := want(context.Background(), f)
	if x, y := count(a), count(b); !maps.Equal(x, y) {
		for k := range x {
			if x[k] != y[k] {
				t.Errorf("%s: %d rows, want %d; too much: %s", what, len(a), len(b), k)
				break
			}
		}
		for k := range y {
			if x[k] != y[k] {
				t.Errorf("%s: missing: %s", what, k)
				break
			}
		}
	}
}

// TestStoredPages asks every kind of page over the store.
func TestStoredPages(t *testing.T) {
	s := newServer(t, stored(t, smallWorld()), nil)
	for path, want := range map[string]string{"/": "shop.example", "/d/shop.example": "esp.example",
		"/d/shop.example/s/esp.example": "would <b>not",
		"/d/new.example":                "NO DATA", "/ingest": "reports were stored", "/reports": "google.com",
		"/messages?result=held":     "quarantine",
		"/receiver?name=google.com": "shop.example", "/r/1": "As received", "/r/1/1": "In words",
		"/?q=shop": "shop.example"} {
		w := get(s, path)
		if path == "/d/shop.example/s/esp.example" {
			want = "would not help"
		}
		if w.Code != 200 || !bytes.Contains(w.Body.Bytes(), []byte(want)) {
			t.Errorf("%s: status %d, without %q", path, w.Code, want)
		}
	}
	if w := get(s, "/r/1/raw.xml"); w.Code != 200 ||
		!bytes.Contains(w.Body.Bytes(), []byte("<feedback>")) {
		t.Errorf("raw: status %d", w.Code)
	}
	for _, path := range []string{"/r/999999", "/d/other.example", "/out"} {
		if w := get(s, path); w.Code != 404 {
			t.Errorf("%s: status %d, want 404", path, w.Code)
		}
	}
}
