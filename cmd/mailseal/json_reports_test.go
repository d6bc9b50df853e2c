package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// reported writes out.toml and out.zone, the configuration and the zone of a host that has a report
// that could not be handed over, and mail that is not reported yet. It returns the report's ID.
func reported(t *testing.T, s site) string {
	t.Helper()
	text := strings.ReplaceAll(goodConfig, "inet:8891@127.0.0.1", "unix:"+s.dir+"/s") +
		"\n[dns]\nservers = [\"127.0.0.1:9\"]\ntimeout = \"100ms\"\ntries = 1\n" +
		"[reports]\ncollect = true\nsend = true\nfrom = \"dmarc@reports.example.com\"\ndirectory = \"" + s.dir + "\"\n"
	zone := "$ORIGIN .\nreports.example.com. 60 IN MX 10 mx.example.com.\n"
	for name, text := range map[string]string{"out.toml": text, "out.zone": zone} {
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := store.Open(t.Context(),
		store.Options{Driver: database.SQLite, DSN: s.path("reports.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	b := store.NewOutBatch()
	b.Wrote("friend.example", at)
	for _, day := range []int{0, 1} {
		b.Add(&report.Evaluation{
			Time: at.AddDate(0, 0, day), Client: netip.MustParseAddr("192.0.2.1"), SPF: true, Disposition: "none",
			HeaderFrom: "friend.example",
			Policy: report.Policy{
				Domain: "friend.example", Text: "v=DMARC1; p=none", P: "none", Discovery: "treewalk",
				URIs: []string{"mailto:d@friend.example"},
			},
		})
	}
	if _, err := out.Fold(t.Context(), []string{"segment"}, b, at); err != nil {
		t.Fatal(err)
	}
	told := store.Alert{Code: "new-source", Domain: "friend.example", Subject: "192.0.2.1",
		Text: "new"}
	if _, err := out.Raise(t.Context(), at, time.Hour, told); err != nil {
		t.Fatal(err)
	}
	if err := out.AlertsSent(t.Context(), 1, at); err != nil {
		t.Fatal(err)
	}
	// The DNS does not answer, so that the report is built, and waits.
	sent, errs, _ := mailseal(t, "",
		s.words("reports send --config @out.toml --json --now 2026-05-05T12:00:00Z")...)
	var list struct{ Reports []struct{ ID string } }
	if err := json.Unmarshal([]byte(sent), &list); err != nil || len(list.Reports) != 1 {
		t.Fatalf("%v: %s%s", err, sent, errs)
	}
	return list.Reports[0].ID
}
