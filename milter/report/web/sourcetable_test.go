package web

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/report/advice"
)

// TestSourceTable compares receivers, addresses and trend of each source with its records.
func TestSourceTable(t *testing.T) {
	m := smallWorld()
	for name, read := range map[string]Reader{"memory": m, "stored": stored(t, m)} {
		for _, query := range []string{"", "&receiver=google.com"} {
			s := newServer(t, read, nil)
			at := "/d/shop.example/sources.json?from=2026-10-31&to=2026-11-29" + query
			var table struct{ Rows []map[string]any }
			if err := json.Unmarshal(get(s, at).Body.Bytes(), &table); err != nil {
				t.Fatal(name, at, err)
			}
			from := advice.DayOf(clock) - 30
			for _, row := range table.Rows {
				source := row["source"].(string)
				if source == forgeries {
					continue
				}
				f := Filter{From: from, To: from + 29, Domains: []string{"shop.example"}}
				if query != "" {
					f.Receiver = "google.com"
				}
				x, err := s.facts(t.Context(), m.DomainList[0], f)
				if err != nil {
					t.Fatal(err)
				}
				f.Addresses = x.find(source).Addresses
				want, receivers := make([]int64, 30), map[string]bool{}
				for r := range m.selected(&f) {
					want[r.Day-from] += r.Count
					receivers[r.Receiver] = true
				}
				var days []string
				for _, n := range want {
					days = append(days, itoa(n))
				}
				if got := row["trend"]; got != strings.Join(days, " ") {
					t.Errorf("%s%s: trend of %s: %v, want %v", name, query, source, got, days)
				}
				if got := row["receivers"].(float64); int(got) != len(receivers) {
					t.Errorf("%s%s: receivers of %s: %v, want %v", name, query, source, got, receivers)
				}
			}
			if len(table.Rows) < 3 {
				t.Errorf("%s: %d sources, want some", name, len(table.Rows))
			}
		}
	}
}

// TestSourceHosts holds that the addresses of a source open without JavaScript, the busiest first.
func TestSourceHosts(t *testing.T) {
	x := &facts{domain: Domain{Name: "shop.example"}, filter: Filter{From: 1, To: 2}}
	s := source{Source: advice.Source{Name: "esp.example"}}
	for i := range 30 {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		s.Addresses = append(s.Addresses, ip)
		s.known = append(s.known, Address{IP: ip, Reverse: "out.esp.example", ASN: 64500})
		s.ids = append(s.ids, Identity{Address: ip, Messages: int64(i)})
	}
	got := string(x.hostsCell(&s).HTML)
	if !strings.HasPrefix(got, "<details><summary>30<") ||
		strings.Index(got, "192.0.2.29") > strings.Index(got, "192.0.2.28") ||
		strings.Contains(got, "192.0.2.9<") || !strings.Contains(got, ">10 more</a>") ||
		!strings.Contains(got, "29 messages") || !strings.Contains(got, "AS64500") {
		t.Error(got)
	}
	s.Name, s.Addresses = "192.0.2.0", s.Addresses[:1]
	if got := string(x.hostsCell(&s).HTML); got != "1" {
		t.Errorf("a source that is its only address: %s", got)
	}
}

// TestReportsBySource holds that /reports lists those with mail from an address alone.
func TestReportsBySource(t *testing.T) {
	m := smallWorld()
	ip := netip.MustParseAddr("198.51.100.12")
	with := map[int64]bool{}
	for r := range m.selected(&Filter{From: today - 30, To: today - 1, Addresses: []netip.Addr{ip},
		Domains: []string{"shop.example"}}) {
		with[r.Report] = true
	}
	if len(with) == 0 {
		t.Fatal("no report has the address")
	}
	const at = "/reports?domain=shop.example&from=2026-10-31&to=2026-11-29&address="
	for name, read := range map[string]Reader{"memory": m, "stored": stored(t, m)} {
		s := newServer(t, read, nil)
		body := get(s, at+ip.String()).Body.String()
		if want := "<h1>" + advice.Plural(int64(len(with)), "report", "reports"); !strings.Contains(
			body, want) || !strings.Contains(body, `name="domain" value="shop.example"`) {
			t.Errorf("%s: without %q, or the form forgets the domain", name, want)
		}
		if w := get(s, at+"192.0.2.300"); w.Code != http.StatusOK ||
			!strings.Contains(w.Body.String(), "192.0.2.300</span> is not an IP address") {
			t.Errorf("%s: a wrong address: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestFormatOf names formats as people know them.
func TestFormatOf(t *testing.T) {
	for want, in := range map[string][2]string{
		"RFC 9990":   {"1.0", "urn:ietf:params:xml:ns:dmarc-2.0"},
		"1.0":        {"1.0", ""},
		"none given": {"", ""},
		"2 urn:x":    {"2", "urn:x"},
	} {
		if got := formatOf(in[0], in[1]); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestInvalidRecord holds that programs can tell a record that receivers ignore from none.
func TestInvalidRecord(t *testing.T) {
	for want, p := range map[string]Published{"invalid": {Gone: true, Invalid: true},
		"no record": {Gone: true}, "none": {Step: advice.None}} {
		if got := (Domain{Published: &p}).dnsValues()[0].Value; got != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

// TestTrendUndrawn holds that a source far down has its numbers, but no chart.
func TestTrendUndrawn(t *testing.T) {
	x := &facts{filter: Filter{From: 1, To: 3}}
	s := &source{trend: map[advice.Day]int64{2: 7}}
	drawn, undrawn := x.trendCell(s, true), x.trendCell(s, false)
	if undrawn.Value != "0 7 0" || drawn.Value != undrawn.Value {
		t.Errorf("got %q and %q", drawn.Value, undrawn.Value)
	}
	if undrawn.HTML != "" || !strings.Contains(string(drawn.HTML), "<path") {
		t.Errorf("got %q and %q", drawn.HTML, undrawn.HTML)
	}
}
