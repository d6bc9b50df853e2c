package web

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// TestStoredOwnMail holds that the pages show what this host sent as a domain and as names below
// it, who writes from it, and the first use of each new key as a mark; and that the advice rests on
// it.
func TestStoredOwnMail(t *testing.T) {
	s := stored(t, smallWorld())
	s.Now = func() time.Time { return clock }
	b := store.NewOutBatch()
	send := func(back int, domain, selector string, toList bool) {
		b.Sent(&report.Sent{Time: clock.AddDate(0, 0, -back), Domain: domain, Selector: selector,
			Counted: true, Reply: true, ToList: toList})
	}
	send(20, "shop.example", "s2026a", false)
	send(20, "shop.example", "ed2026a", false)
	send(5, "shop.example", "s2026b", true)
	send(4, "news.shop.example", "n1", false)
	send(95, "shop.example", "s2025z", false)
	ctx := context.Background()
	if _, err := s.Store.Fold(ctx, []string{"1"}, b, clock); err != nil {
		t.Fatal(err)
	}
	events, err := s.Events(ctx, Filter{From: today - 30, To: today,
		Domains: []string{"shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	var marks []string
	for _, e := range events {
		if e.Kind == "key" {
			marks = append(marks, e.At.Format("2 Jan")+" "+e.Text)
		}
	}
	const says = "this host signs with a new key: "
	if got, want := strings.Join(marks, "; "), "10 Nov "+says+
		"ed2026a._domainkey.shop.example; 10 Nov "+says+
		"s2026a._domainkey.shop.example; 25 Nov "+says+
		"s2026b._domainkey.shop.example"; got != want {
		t.Errorf("marks %q, want %q", got, want)
	}
	body := get(newServer(t, s, fakeCommands{}), "/d/shop.example").Body.String()
	for _, want := range []string{"This host sent 4 messages as",
		"4 replies to other mail, and 1 message to mailing lists", "s2026b._domainkey"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if err := s.Store.SetUse(ctx, store.Use{Domain: "shop.example", Word: "machines", By: "anna",
		At: clock}); err != nil {
		t.Fatal(err)
	}
	list, err := s.Domains(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Name == "shop.example" && (d.Use != advice.UseMachines || d.UseBy != "anna" ||
			d.ToList != 1) {
			t.Errorf("%+v", d)
		}
	}
	body = get(newServer(t, s, fakeCommands{}), "/d/shop.example").Body.String()
	if !strings.Contains(body, "that only machines write from it") ||
		!strings.Contains(body, `value="machines" aria-pressed="true"`) {
		t.Error("the page does not show the answer")
	}
}

// TestStoredRecords holds that what the DNS said of a domain shows: a key that is gone, how the SPF
// record ends, and what the mail would be without a term of it; and that strangers' records do not
// act.
func TestStoredRecords(t *testing.T) {
	m := smallWorld()
	s := stored(t, m)
	s.Now = func() time.Time { return clock }
	ctx := context.Background()
	var own netip.Addr
	var sent int64
	for i := range m.RecordList {
		r := &m.RecordList[i]
		if r.Domain == "shop.example" && r.SPF == "pass" && r.DKIM == "fail" &&
			r.Envelope == r.Domain && r.Day >= today-30 && r.Day < today {
			own = r.Address
			sent += r.Count
		}
	}
	if sent == 0 {
		t.Fatal("the world has no mail that passes by SPF alone")
	}
	alone := []netip.Addr{own}
	state := &store.OwnState{SPF: "v=spf1 a:one.example -all", All: "-all",
		Terms: []store.OwnTerm{{Text: "a:one.example", Messages: 5, Alone: alone},
			{Text: hostile, Messages: 1, Alone: alone}},
		Selected: []store.OwnSelector{{Name: "s9._domainkey.shop.example", Messages: 77, Missing: true}},
		Checked:  true, Findings: []store.OwnFinding{{Code: "a", Severity: "error", N: 2},
			{Code: "b", Severity: "warning", N: 1}}}
	at := clock.AddDate(0, 0, -9)
	if err := s.Store.SetOwnState(ctx, "shop.example", state, at); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store.ClaimDomain(ctx, []string{"shop.example"}, at, at); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"v=DMARC1; p=none", "v=DMARC1; p=none; " + hostile} {
		records := []store.DNSRecord{{Name: "_dmarc.shop.example", Kind: "TXT",
			Values: []string{text, "another"}}}
		if _, err := s.Store.CompareDNS(ctx, "shop.example", records, at); err != nil {
			t.Fatal(err)
		}
	}
	server := newServer(t, s, nil)
	body := get(server, "/d/shop.example?without=a%3Aone.example&p=reject").Body.String()
	noOrders(t, "/d/shop.example", body)
	for _, want := range []string{`href="#checked">2 faults</a>`,
		"77 messages are signed with a key that is not in DNS: s9._domainkey.shop.example",
		`<option value="a:one.example" selected>`,
		"The list has the SPF terms without which some addresses would not pass",
		"_dmarc.shop.example changed to"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	lost := func(query string) (n float64) {
		var list struct{ Rows []map[string]any }
		if err := json.Unmarshal(get(server, "/d/shop.example/whatif.json?"+query).Body.Bytes(),
			&list); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Rows {
			if strings.Contains(r["what"].(string), "refused") {
				n += r["then"].(float64)
			}
		}
		return n
	}
	if a, b := lost("p=reject"), lost("p=reject&without=a%3Aone.example"); b-a != float64(sent) {
		t.Errorf("%v would be refused without the term, %v with it; %d messages pass by SPF alone",
			b, a, sent)
	}
}
