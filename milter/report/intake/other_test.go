package intake

import (
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/store"
)

const tlsReport = `{"organization-name":"Big","date-range":{"start-datetime":"2024-01-08T00:00:00Z",
"end-datetime":"2024-01-08T23:59:59Z"},"report-id":"r1","policies":[{"policy":{"policy-type":"sts",
"policy-domain":"example.com"},"summary":{"total-successful-session-count":7,"total-failure-session-count":2},
"failure-details":[{"result-type":"certificate-expired","receiving-mx-hostname":"mx.example.com",
"failed-session-count":2}]}]}`

const failureReport = "From: a@big.example\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n" +
	"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nUser-Agent: big/1\r\n" +
	"Reported-Domain: example.com\r\nSource-IP: 192.0.2.1\r\nAuth-Failure: dmarc\r\n" +
	"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: x@example.com\r\nSubject: s\r\n\r\n--b--\r\n"

// TLS and failure reports are stored once, whatever brings them, read again without doubling, and
// removed with the records.
func TestOthers(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		count := func(kind string, want int) []store.Other {
			t.Helper()
			list, err := s.Others(t.Context(), kind, store.Filter{Domain: "example.com"})
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != want {
				t.Fatalf("%s: got %d reports, want %d", kind, len(list), want)
			}
			return list
		}
		if got := take(t, i, store.Unaligned, "big.example", []byte(tlsReport)); got.TLS != 1 {
			t.Errorf("got %+v, want a TLS report", got)
		}
		if got := take(t, i, store.Unaligned, "big.example",
			[]byte(failureReport)); got.Failures != 1 {
			t.Errorf("got %+v, want a failure report", got)
		}
		again := take(t, i, store.Unaligned, "big.example", []byte(tlsReport+"\n"))
		if again.TLS != 0 || again.Duplicates != 1 {
			t.Errorf("the same report in other bytes: got %+v", again)
		}
		forged := strings.Replace(tlsReport, `-count":7`, `-count":900`, 1)
		if got := take(t, i, store.Unaligned, "", []byte(forged)); got.TLS != 1 {
			t.Errorf("an unproven report under the same id: got %+v", got)
		}
		tls := count("tls", 2)
		if tls[1].Good != 7 || tls[1].Bad != 2 || tls[1].TrustDomain != "big.example" ||
			tls[0].TrustDomain != "" {
			t.Errorf("got %+v", tls)
		}
		if f := count("failure", 1); !strings.Contains(string(f[0].Content), "192.0.2.1") ||
			f[0].Reporter != "big/1" {
			t.Errorf("got %+v", f)
		}
		if err := i.Again(t.Context(), func(*Taken) {}); err != nil {
			t.Fatal(err)
		}
		count("tls", 2)
		count("failure", 1)
		keep := store.Retention{Raw: time.Hour, Records: 24 * time.Hour, Rollups: time.Hour,
			Foreign: time.Hour}
		if err := s.Purge(t.Context(), now.AddDate(0, 0, 3), keep); err != nil {
			t.Fatal(err)
		}
		count("tls", 0)
		count("failure", 0)
	})
}

// Reports on domains that are not ours have a bound of their own, in number and in rows; those on
// ours are taken all the same.
func TestBin(t *testing.T) {
	stores(t, testBin)
}

func testBin(t *testing.T, s *store.Store) {
	i := &Intake{Store: s, Domains: []string{"example.com"}}
	other := func(id, domain string, rows int) []byte {
		return []byte(strings.ReplaceAll(string(large(id, rows)), "example.com", domain))
	}
	if got := take(t, i, store.ByHand, "",
		other("long", "long.example", 1200)); got.NotCounted != 1 {
		t.Fatalf("got %+v, want a report that does not count", got)
	}
	_, rows, err := s.Report(t.Context(), 1)
	if err != nil || len(rows) != 1000 {
		t.Errorf("%d rows of another domain are kept: %v; want 1000", len(rows), err)
	}
	fill(t, s, 9_999)
	full := take(t, i, store.ByHand, "", other("one more", "new.example", 1))
	if full.Dropped != 1 || full.Reports != 0 || len(full.Problems) != 1 ||
		!strings.Contains(full.Problems[0], "new.example was not stored") {
		t.Errorf("into the full bin: got %+v", full)
	}
	if raws, err := s.Raws(t.Context()); err != nil || len(raws) != 1 {
		t.Errorf("%d mails are kept: %v; want the first alone", len(raws), err)
	}
	if got := take(t, i, store.ByHand, "", xml("ours")); got.Reports != 1 || got.NotCounted != 0 {
		t.Errorf("a report on our domain: got %+v", got)
	}
}

// fill puts n reports on other domains into the store.
func fill(t *testing.T, s *store.Store, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL
			SELECT n + 1 FROM c WHERE n < $1)
			INSERT INTO in_report (dedup, content, raw, reporter, report_id, domain, configured,
			begins, ends, received, trust,
			counted, state, version, namespace, generator, policy, notes, records, messages)
			SELECT 'x' || n, 'x' || n, raw, reporter, report_id, domain, configured, begins,
			ends, received, trust, counted, state,
			version, namespace, generator, policy, notes, records, messages FROM in_report, c`, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
