package web

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// ledgerRow is a record that counts, as the tables have it, read without the readers of the pages.
type ledgerRow struct {
	domain, reporter, ip, from, envelope string
	day                                  int64
	messages, outcome                    int64
	signatures                           []advice.Signature
	spfDomain, spfResult                 string
}

func (r *ledgerRow) dkim() bool { return r.outcome&1 == 1 }
func (r *ledgerRow) spf() bool  { return r.outcome&2 == 2 }

func (r *ledgerRow) became() string {
	switch {
	case r.dkim() || r.spf():
		return "pass"
	case r.outcome&12 == 4:
		return "held"
	case r.outcome&12 == 8:
		return "refused"
	}
	return "delivered"
}

// ledger reads every record of a report that counts.
func ledger(t *testing.T, s *store.Store) []ledgerRow {
	t.Helper()
	var out []ledgerRow
	err := s.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.QueryContext(t.Context(), `SELECT d.name, o.key, i.ip, f.name,
			COALESCE(e.name, ''), x.day, x.messages,
			x.outcome, COALESCE(a.results, '') FROM in_record x
			JOIN in_report p ON p.id = x.report JOIN in_reporter o ON o.id = p.reporter
			JOIN in_name d ON d.id = x.domain
			JOIN in_source i ON i.id = x.source JOIN in_name f ON f.id = x.header_from
			LEFT JOIN in_name e ON e.id = x.envelope_from LEFT JOIN in_authset a
			ON a.id = x.authset WHERE p.counted = 1`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r ledgerRow
			var results string
			if err := rows.Scan(&r.domain, &r.reporter, &r.ip, &r.from, &r.envelope, &r.day,
				&r.messages, &r.outcome, &results); err != nil {
				return err
			}
			var sets struct {
				DKIM []advice.Signature `json:"dkim"`
				SPF  []struct{ Domain, Scope, Result string }
			}
			if results != "" {
				if err := json.Unmarshal([]byte(results), &sets); err != nil {
					return err
				}
			}
			r.signatures = sets.DKIM
			for _, x := range sets.SPF {
				if x.Scope != "helo" {
					r.spfDomain, r.spfResult = x.Domain, x.Result
					break
				}
			}
			if r.envelope == "" {
				r.envelope = r.spfDomain
			}
			out = append(out, r)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// recounter adds up the ledger as the query of a link asks.
type recounter struct {
	t    *testing.T
	s    *Server
	rows []ledgerRow
}

// addresses are those of a source of a domain in the period of a query.
func (c *recounter) addresses(q url.Values) map[string]bool {
	c.t.Helper()
	r := visit{q: q, now: clock}
	f := usual(today)
	for _, end := range []struct {
		key  string
		into *advice.Day
	}{{"from", &f.From}, {"to", &f.To}} {
		if d, err := advice.ParseDay(r.q.Get(end.key)); err == nil {
			*end.into = d
		}
	}
	domains, err := c.s.read.Domains(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	out := map[string]bool{}
	for _, d := range domains {
		if d.Name != q.Get("domain") {
			continue
		}
		x, err := c.s.facts(c.t.Context(), d, f)
		if err != nil {
			c.t.Fatal(err)
		}
		src := x.find(q.Get("source"))
		if src == nil {
			continue
		}
		for _, ip := range src.Addresses {
			out[ip.String()] = true
		}
	}
	return out
}

// sum returns the messages that a query selects; ok is false for a query that it does not know.
func (c *recounter) sum(q url.Values) (total int64, ok bool) {
	c.t.Helper()
	known := strings.Fields("domain from to receiver result header_from envelope signer selector " +
		"noselector dkim spf address source show days page")
	for key := range q {
		if !slices.Contains(known, key) {
			return 0, false
		}
	}
	var source map[string]bool
	if q.Get("source") != "" {
		source = c.addresses(q)
	}
	from, to := usual(today).From, usual(today).To
	if n, err := strconv.Atoi(q.Get("days")); err == nil {
		from = today - advice.Day(n)
	}
	if d, err := advice.ParseDay(q.Get("from")); err == nil {
		from = d
	}
	if d, err := advice.ParseDay(q.Get("to")); err == nil {
		to = d
	}
	for i := range c.rows {
		r := &c.rows[i]
		is := func(key, value string) bool {
			return q.Get(key) == "" || q.Get(key) == value
		}
		word := map[bool]string{true: "pass", false: "fail"}
		signed := !q.Has("signer")
		for _, s := range r.signatures {
			signed = signed || s.Domain == q.Get("signer") && is("selector", s.Selector) &&
				(!q.Has("noselector") || s.Selector == "")
		}
		became := is("result", r.became()) || q.Get("result") == "fail" && r.became() != "pass"
		ip, at := netip.Addr{}, noAddress
		if parsed, err := netip.ParseAddr(r.ip); err == nil {
			ip, at = parsed, parsed.String()
		}
		if advice.Day(r.day) >= from && advice.Day(r.day) <= to && is("domain", r.domain) &&
			is("receiver", r.reporter) && is("header_from", r.from) && is("envelope", r.envelope) &&
			is("dkim", word[r.dkim()]) && is("spf", word[r.spf()]) && is("address", at) &&
			(source == nil || source[ip.String()]) && signed && became {
			total += r.messages
		}
	}
	return total, true
}

// list adds up the list of a link, by its JSON.
func (c *recounter) list(q url.Values) int64 {
	c.t.Helper()
	var list struct{ Rows []struct{ Count int64 } }
	w := get(c.s, "/messages/records.json?"+q.Encode())
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		c.t.Errorf("/messages?%s: status %d, %v", q.Encode(), w.Code, err)
	}
	var sum int64
	for _, r := range list.Rows {
		sum += r.Count
	}
	return sum
}

// pageOfNumbers are the pages of domains, sources and receivers, not their tables as files.
var pageOfNumbers = regexp.MustCompile(`^/(d/[^/]+(/s/[^/]+)?|s/[^/]+|receiver)$`)

// follow compares every number of pages that links to messages with a recount, and some with the
// list behind the link. It follows links to pages of domains, sources and receivers, and returns
// how many numbers it compared.
func (c *recounter) follow(start ...string) (numbers int) {
	c.t.Helper()
	queue, seen := slices.Clone(start), map[string]bool{}
	checked := map[string]string{}
	for len(queue) > 0 && len(seen) < 80 {
		path := queue[0]
		queue = queue[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		w := get(c.s, path)
		if w.Code != 200 {
			c.t.Errorf("%s: status %d", path, w.Code)
			continue
		}
		base, _ := url.Parse(path)
		links, _, _ := parse(c.t, w.Body.String())
		for _, a := range links {
			u, err := base.Parse(a.href)
			if err != nil {
				c.t.Errorf("%s: %q: %v", path, a.href, err)
				continue
			}
			u.Fragment = ""
			switch {
			case u.Path == "/messages" && plainNumber.MatchString(a.text):
				if was, has := checked[u.RawQuery]; has {
					if was != a.text {
						c.t.Errorf("%s: %s is %s here and %s elsewhere", path, u, a.text, was)
					}
					continue
				}
				checked[u.RawQuery] = a.text
				numbers++
				c.compare(path, a.text, u, numbers%3 == 0)
			case pageOfNumbers.MatchString(u.Path):
				queue = append(queue, u.String())
			}
		}
	}
	return numbers
}

// compare compares a number with a recount, and with its list if that is wanted, too.
func (c *recounter) compare(path, text string, u *url.URL, withList bool) {
	c.t.Helper()
	shown, _ := strconv.ParseInt(strings.ReplaceAll(text, ",", ""), 10, 64)
	want, known := c.sum(u.Query())
	if known && shown != want {
		c.t.Errorf("%s: %s says %d, a recount %d", path, u, shown, want)
	}
	if !withList {
		return
	}
	if list := c.list(u.Query()); list != shown {
		c.t.Errorf("%s: %s says %d, its list adds up to %d", path, u, shown, list)
	}
}

// column adds up a column of a table of a page.
func (c *recounter) column(path, table, key string) int64 {
	c.t.Helper()
	at, query, _ := strings.Cut(path, "?")
	w := get(c.s, strings.TrimSuffix(at, "/")+"/"+table+".json?"+query)
	var list struct{ Rows []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		c.t.Fatalf("%s: %s: status %d, %v", path, table, w.Code, err)
	}
	var sum int64
	for _, r := range list.Rows {
		n, _ := r[key].(float64)
		sum += int64(n)
	}
	return sum
}

// TestRecount holds, over random stores with reports of many odd forms, some twice, some that do
// not count, that every number that is a link equals a recount of the records and the sum of its
// list; and that the sums over receivers, sources and days are the total; in several periods, for
// one receiver, and after a person judged a source.
func TestRecount(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills stores by the intake")
	}
	seeds := []uint64{1}
	if os.Getenv("MAILSEAL_LONG") != "" {
		seeds = []uint64{1, 2, 3, 4, 5}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := randomStore(t, seed)
			c := &recounter{t: t, s: newServer(t, m, fakeCommands{}), rows: ledger(t, m.Store)}
			if len(c.rows) < 100 {
				t.Fatalf("only %d records count", len(c.rows))
			}
			numbers := c.follow("/", "/?days=7", "/?days=90", "/?from="+(today-20).String()+
				"&to="+(today-9).String(), "/d/shop.example?receiver=google.com")
			t.Logf("%d records, %d numbers", len(c.rows), numbers)
			if numbers < 300 {
				t.Errorf("%d numbers compared: it looks in the wrong place", numbers)
			}
			c.totals()
			err := m.Store.Judge(t.Context(), store.Verdict{Domain: "shop.example",
				Subject: "198.51.100.7", Class: "not ours", By: "admin", At: clock})
			if err != nil {
				t.Fatal(err)
			}
			c.follow("/", "/d/shop.example")
			c.totals()
			if wrong, err := m.Store.Verify(t.Context()); err != nil || len(wrong) > 0 {
				t.Errorf("verify: %v, %v", wrong, err)
			}
		})
	}
}

// totals compares the sums of the tables with the totals.
func (c *recounter) totals() {
	c.t.Helper()
	week := "from=" + (today - 30).String() + "&to=" + (today - 25).String()
	for _, filter := range []string{"", "days=7", "receiver=gmx.net", week} {
		for _, domain := range randomDomains {
			q, _ := url.ParseQuery(filter)
			q.Set("domain", domain)
			want, _ := c.sum(q)
			path := "/d/" + domain + "?" + filter
			for _, table := range []string{"sources", "receivers", "days", "names", "spf"} {
				if got := c.column(path, table, "messages"); got != want {
					c.t.Errorf("%s: the table %s adds up to %d, want %d", path, table, got, want)
				}
			}
			if then := c.column(path, "whatif", "then"); then != want {
				c.t.Errorf("%s: what-if judges %d messages, want %d", path, then, want)
			}
			if today := c.column(path, "whatif", "today"); today != want {
				c.t.Errorf("%s: today there are %d messages, want %d", path, today, want)
			}
			for _, result := range []string{"delivered", "held", "refused"} {
				q.Set("result", result)
				want, _ := c.sum(q)
				for _, table := range []string{"sources", "receivers", "days"} {
					if got := c.column(path, table, result); got != want {
						c.t.Errorf("%s: %s of %s add up to %d, want %d", path, result, table, got,
							want)
					}
				}
			}
		}
		q, _ := url.ParseQuery(filter)
		if filter == "" || strings.HasPrefix(filter, "days") {
			want, _ := c.sum(q)
			if got := c.column("/?"+filter, "domains", "messages"); got != want {
				c.t.Errorf("the overview of %q adds up to %d, want %d", filter, got, want)
			}
		}
	}
}
