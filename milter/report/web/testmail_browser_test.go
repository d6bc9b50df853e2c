package web_test

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/milter/domain"
	"mailseal/milter/report/evidence"
	"mailseal/milter/report/testmail"
	"mailseal/milter/report/web"
	"mailseal/milter/spf"
)

// TestBrowserTestMail looks at the pages of tests by mail: of a mail that passes, of one that fails
// in every step, of one whose every field is a stranger's text, the page that offers an address,
// and the one without a mail.
func TestBrowserTestMail(t *testing.T) {
	if testing.Short() {
		t.Skip("Chromium is started: not with -short")
	}
	now := time.Date(2026, 11, 30, 8, 14, 0, 0, time.UTC)
	keep := 7 * 24 * time.Hour
	store, err := testmail.Open(t.Context(), filepath.Join(t.TempDir(), "tests.db"), keep)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s, err := testmail.New(testmail.Config{Store: store, Address: "test@example.net",
		URL:  "https://mx.example.net",
		Host: "mx.example.net", Version: "test", Keep: keep, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{"test-start": "/", "test-none": "/t/" + evidence.NewToken(),
		"test-notfound": "/nothing"}
	const hostile = "\u202e\x07<script>alert(1)</script>\u2066\"'& "
	for name, m := range map[string]evidence.Mail{
		"test-good":    passingMail(),
		"test-bad":     failingMail("shop.example", "the signature does not fit the header"),
		"test-hostile": failingMail(hostile+strings.Repeat("a", 63)+".example", hostile+strings.Repeat("long ", 80)),
	} {
		m.Token, m.Time = evidence.NewToken(), now
		if _, err := store.Put(t.Context(), name, m); err != nil {
			t.Fatal(err)
		}
		paths[name] = "/t/" + m.Token
	}
	web.LookEverywhere(t, s, paths)
}

func passingMail() evidence.Mail {
	return evidence.Mail{Host: "mx.example.net", Client: netip.MustParseAddr("192.0.2.7"),
		Helo: "mx.shop.example",
		TLS:  "TLSv1.3", Sender: "anna@shop.example", Recipient: "test+00112233445566778899aabbccddeeff@example.net",
		IPRev: &evidence.Finding{Value: "pass", Name: "mx.shop.example"},
		SPF: &spf.Result{Value: spf.Pass, Domain: "shop.example",
			Tree: &spf.Record{Domain: "shop.example", Text: "v=spf1 mx include:_spf.esp.example ~all",
				Steps: []spf.Step{{Term: "mx", Outcome: "match", Detail: "192.0.2.7 is mx.shop.example"}}}},
		Signatures: []evidence.Signature{{Value: "pass", Domain: "shop.example", Selector: "s2026a",
			Checked: true, HeaderIntact: true}},
		DMARC: evidence.DMARC{Value: "pass", Author: "shop.example",
			Record: "v=DMARC1; p=quarantine; rua=mailto:dmarc@shop.example",
			Alignments: []evidence.Alignment{{Method: "dkim", Domain: "shop.example"},
				{Method: "spf", Domain: "shop.example"}},
			Walk: []evidence.Step{{Name: "_dmarc.shop.example", Answer: "v=DMARC1; p=quarantine"}}},
		Action: "accept", Code: 250, Reply: []string{"2.0.0 spf=pass dkim=pass dmarc=pass"},
		Fields: []evidence.Field{{Name: "From", Value: " Anna <anna@shop.example>"},
			{Name: "Subject", Value: " A test"}}}
}

func failingMail(name, why string) evidence.Mail {
	return evidence.Mail{Host: "mx.example.net",
		Client: netip.MustParseAddr("2001:db8:85a3:8d3:1319:8a2e:370:7348"), Helo: name,
		Sender: "bounce@" + name, Recipient: "test+00112233445566778899aabbccddeeff@example.net",
		IPRev: &evidence.Finding{Value: "fail", Name: name, Reason: why},
		SPF: &spf.Result{Value: spf.Fail, Domain: domain.Name(name), Reason: why, Explanation: why,
			Tree: &spf.Record{Domain: name, Text: "v=spf1 include:" + name + " -all",
				Steps: []spf.Step{{Term: "include:" + name, Outcome: "no match", Detail: why,
					Nested: &spf.Record{Domain: name, Text: "v=spf1 ip4:203.0.113.0/24 -all",
						Steps: []spf.Step{{Term: "ip4:203.0.113.0/24", Outcome: "no match"}}}},
					{Term: "-all", Outcome: "match"}}}},
		Signatures: []evidence.Signature{{Value: "fail", Domain: name, Selector: name, Reason: why,
			Checked: true, HeaderIntact: true},
			{Value: "permerror", Domain: "esp.example", Selector: "e1", Reason: why, Checked: true}},
		ARC: &evidence.Finding{Value: "fail", Name: name, Reason: why},
		DMARC: evidence.DMARC{Value: "fail", Reason: why, Author: "shop.example",
			Record: "v=DMARC1; p=reject; " + name, Requested: "reject",
			Alignments: []evidence.Alignment{{Method: "spf", Domain: name, Why: why}},
			Walk:       []evidence.Step{{Name: "_dmarc." + name, Answer: why}}},
		Action: "mark", Why: why, Code: 550,
		Reply: []string{"5.7.0 spf=fail dkim=fail(body changed) dmarc=fail p=reject", why},
		Fields: []evidence.Field{{Name: "From", Value: " " + name},
			{Name: "Subject", Value: " " + why}}}
}
