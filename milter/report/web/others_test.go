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
// period.
func TestStoredOthers(t *testing.T) {
	s := stored(t, &Memory{})
	err := s.Store.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO in_raw (id, digest, received, via, name,
			kind, trust, trust_domain, size) VALUES (1, 'd', 0, '', '', 'tls', '', '', 1)`); err != nil {
			return err
		}
		for i, o := range []struct {
			kind, domain, content string
			back, good, bad       int64
		}{
			{"tls", "shop.example", `{"type":"sts","failures":[{"result":"starttls-not-supported",` +
				`"receiving-mx-hostname":"mx.test","sessions":4}]}`, 2, 10, 4},
			{"tls", "shop.example", "not JSON", 3, 1, 0},
			{"tls", "shop.example", "{}", 40, 1, 0},
			{"tls", "example.org", "{}", 2, 1, 0},
			{"failure", "shop.example", `{"source":"192.0.2.1","auth-failure":"dkim",` +
				`"delivery-result":"spam","from":"a@b","original-mail-from":"c@d"}`, 2, 0, 7},
		} {
			begins := clock.AddDate(0, 0, -int(o.back)).Unix()
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO in_other (dedup, raw, kind, domain,
				reporter, begins, ends, received, trust_domain, good, bad, content)
				VALUES ($1, 1, $2, $3, 'r', $4, $4, $4, 'p', $5, $6, $7)`, fmt.Sprint(i), o.kind,
				o.domain, begins, o.good, o.bad, o.content); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f := Filter{From: today - 30, To: today - 1, Domains: []string{"shop.example"}}
	list, sums, err := s.Others(t.Context(), TLSReports, f, Window{Rows: 1})
	if err != nil || sums != (OtherSums{2, 11, 4}) || len(list) != 1 || list[0].Policy != "sts" ||
		list[0].why() != "starttls-not-supported at mx.test (4)" || list[0].Proven != "p" {
		t.Errorf("%+v, %+v, %v", list, sums, err)
	}
	list, sums, err = s.Others(t.Context(), FailureReports, f, Window{})
	if err != nil || sums != (OtherSums{1, 0, 7}) || len(list) != 1 ||
		list[0].Source+list[0].Failed+list[0].Result+list[0].From+list[0].MailFrom !=
			"192.0.2.1dkimspama@bc@d" {
		t.Errorf("%+v, %+v, %v", list, sums, err)
	}
	f.Domains = []string{}
	if list, sums, err = s.Others(t.Context(), TLSReports, f, Window{}); err != nil ||
		len(list) != 0 || sums.Reports != 0 {
		t.Errorf("of no domain: %+v, %+v, %v", list, sums, err)
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
		if got := strings.Contains(body, "new source 192.0.2.44: 45 messages"); got != tt.want {
			t.Errorf("%s: marked %v, want %v", tt.name, got, tt.want)
		}
	}
}
