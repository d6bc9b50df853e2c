package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
)

// TestOthers holds that the page of a domain leads to its TLS reports and failure reports, and that
// a domain without any says why there are none.
func TestOthers(t *testing.T) {
	s := newServer(t, world(), nil)
	for path, wants := range map[string][]string{
		"/d/shop.example": {"3 of 123 sessions failed, by <a href=\"/tls?domain=shop.example",
			"certificate-expired at mx.shop.example (3)",
			"<a href=\"/failures?domain=shop.example", "203.0.113.9"},
		"/d/example.org":        {"TXT record at _smtp._tls", "only if the DMARC record has ruf"},
		"/tls":                  {"1 report on TLS", "google.com"},
		"/failures":             {"1 report of single messages", "a@shop.example", "x@junk.test"},
		"/failures?domain=none": {"0 reports of single"},
		"/tls/tls.csv":          {"2026-11-28,shop.example,google.com,sts,120,3,"},
	} {
		w := get(s, path)
		for _, want := range wants {
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: status %d, no %q", path, w.Code, want)
			}
		}
	}
}

// TestStoredOthers holds that both kinds come out of the store as they are there, by domain and
// period: names below a domain are of the nearest one, a TLS report counts once whatever policies
// it has, and reports that any sender can have written are not in the sums of the others.
func TestStoredOthers(t *testing.T) {
	s := stored(t, &Memory{})
	s.Names = []string{"shop.example", "eu.shop.example", "example.org"}
	err := s.Store.Update(t.Context(), func(tx *store.Tx) error {
		for i, trust := range []string{"", "", "file", "", "", ""} {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO in_raw (id, digest, received, via, name,
			kind, trust, trust_domain, size) VALUES ($1, $2, 0, '', '', 'tls', $3, '', 1)`, i+1,
				fmt.Sprint(i), trust); err != nil {
				return err
			}
		}
		for i, o := range []struct {
			raw                           int
			kind, domain, proven, content string
			back, good, bad               int64
		}{
			{1, "tls", "shop.example", "p",
				`{"type":"sts","failures":[{"result":"starttls-not-supported",` +
					`"receiving-mx-hostname":"mx.test","sessions":4}]}`, 2, 10, 4},
			{1, "tls", "Mail.shop.example.", "p", "not JSON", 2, 1, 0},
			{1, "tls", "shop.example", "p", "{}", 40, 1, 0},
			{2, "tls", "example.org", "p", "{}", 2, 1, 0},
			{2, "tls", "x.eu.shop.example", "p", "{}", 2, 1, 0},
			{3, "tls", "shop.example", "", "{}", 3, 2, 0},
			{4, "tls", "shop.example", "", "{}", 4, 0, 1_000_000_000},
			{4, "tls", "notshop.example", "", "{}", 4, 0, 1},
			{5, "failure", "a.b.shop.example", "p", `{"source":"192.0.2.1","auth-failure":"dkim",` +
				`"delivery-result":"spam","from":"a@b","original-mail-from":"c@d"}`, 2, 0, 7},
			{6, "failure", "shop.example", "", `{}`, 4, 0, 9},
		} {
			begins := clock.AddDate(0, 0, -int(o.back)).Unix()
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO in_other (dedup, raw, kind, domain,
				reporter, begins, ends, received, trust_domain, good, bad, content)
				VALUES ($1, $2, $3, $4, 'r', $5, $5, $5, $6, $7, $8, $9)`, fmt.Sprint(i), o.raw, o.kind,
				o.domain, begins, o.proven, o.good, o.bad, o.content); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f := Filter{From: today - 30, To: today - 1}
	for _, tt := range []struct {
		kind    OtherKind
		domains []string
		want    OtherSums
	}{
		{TLSReports, []string{"shop.example"},
			OtherSums{4, OtherSum{2, 13, 4}, OtherSum{1, 0, 1_000_000_000}}},
		{TLSReports, []string{"eu.shop.example"}, OtherSums{1, OtherSum{1, 1, 0}, OtherSum{}}},
		{TLSReports, []string{"eu.shop.example", "example.org"},
			OtherSums{2, OtherSum{1, 2, 0}, OtherSum{}}},
		{TLSReports, []string{}, OtherSums{}},
		{TLSReports, nil, OtherSums{7, OtherSum{3, 15, 4}, OtherSum{1, 0, 1_000_000_001}}},
		{FailureReports, []string{"shop.example"},
			OtherSums{2, OtherSum{1, 0, 7}, OtherSum{1, 0, 9}}},
		{FailureReports, []string{"example.org"}, OtherSums{}},
	} {
		f.Domains = tt.domains
		list, sums, err := s.Others(t.Context(), tt.kind, f, Window{})
		if err != nil || sums != tt.want || int64(len(list)) != tt.want.Rows {
			t.Errorf("%s of %q: %d rows, %+v, %v; want %+v", tt.kind, tt.domains, len(list), sums,
				err, tt.want)
		}
	}
	f.Domains = []string{"shop.example"}
	list, _, err := s.Others(t.Context(), TLSReports, f, Window{Rows: 3})
	if err != nil || len(list) != 3 || list[1].Policy != "sts" || list[1].File || !list[2].File ||
		list[1].why() != "starttls-not-supported at mx.test (4)" || list[1].Proven != "p" ||
		list[0].Domain != "Mail.shop.example." || list[2].proof() != "a file" {
		t.Errorf("%+v, %v", list, err)
	}
	list, _, err = s.Others(t.Context(), FailureReports, f, Window{Rows: 1})
	if err != nil || len(list) != 1 || list[0].Source+list[0].Failed+list[0].Result+list[0].From+
		list[0].MailFrom != "192.0.2.1dkimspama@bc@d" {
		t.Errorf("%+v, %v", list, err)
	}
	for path, want := range map[string]string{
		"/tls": "4 of 19 sessions failed, by 3 reports. Not counted: 1 report without " +
			"authentication, which any sender can have written.",
		"/tls?domain=example.org": "0 of 1 sessions failed, by 1 report.",
		"/failures": "2 reports of single messages that failed (1 of them without " +
			"authentication: any sender can have written those)",
		"/failures?domain=shop.example": "a.b.shop.example",
	} {
		body := get(newServer(t, s, nil), path).Body.String()
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %q", path, want)
		}
		if strings.Contains(body, "notshop.example") != (path == "/tls") {
			t.Errorf("%s: a name that is no domain of ours is on the page of all alone", path)
		}
	}
}

// TestNewSource holds which sources a time line marks as new.
func TestNewSource(t *testing.T) {
	tests := []struct {
		name  string
		first advice.Day // of reports on the domain
		rec   Record
		since advice.Day // from which the source sends, twice a day
		early bool       // it sent once, 60 days before
		want  bool
	}{
		{"a new host", today - 80, Record{DKIM: "fail", SPF: "pass"}, today - 9, false, true},
		{"one that was there before", today - 80, Record{DKIM: "fail", SPF: "pass"}, today - 9, true,
			false},
		{"a domain that is new itself", today - 11, Record{DKIM: "fail", SPF: "pass"}, today - 9,
			false, false},
		{"from before the period on", today - 80, Record{DKIM: "fail", SPF: "pass"}, today - 40,
			false, false},
		{"a forwarder", today - 80, Record{DKIM: "fail", SPF: "fail",
			Reasons: []Reason{{"mailing_list", ""}}}, today - 9, false, false},
	}
	for _, tt := range tests {
		m := &Memory{DomainList: []Domain{{Name: "shop.example", First: tt.first, Known: true}}}
		add := func(ip string, day advice.Day, r Record) {
			r.Domain, r.From, r.Receiver, r.Count, r.Day = "shop.example", "shop.example", "r.test",
				5, day
			r.Address = netip.MustParseAddr(ip)
			m.RecordList = append(m.RecordList, r)
		}
		for day := tt.first; day < today; day++ {
			add("192.0.2.1", day, Record{DKIM: "pass", SPF: "pass"})
			if day >= tt.since {
				add("192.0.2.44", day, tt.rec)
			}
		}
		if tt.early {
			add("192.0.2.44", today-69, tt.rec)
		}
		body := get(newServer(t, m, nil), "/d/shop.example").Body.String()
		if got := strings.Contains(body, "new source 192.0.2.44: "); got != tt.want {
			t.Errorf("%s: marked %v, want %v", tt.name, got, tt.want)
		}
	}
}
