package reporting

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/contrib/test/rig"
	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// TestOutPage shows what goes out tonight, what went out, and who gets nothing, over both
// databases.
func TestOutPage(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			dir := t.TempDir()
			cfg, err := config.Parse("mailseal.toml", nil)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Reports.Store = "sqlite:" + filepath.Join(dir, "reports.db")
			if driver == "postgres" {
				if testing.Short() {
					t.Skip("starts a real server")
				}
				cfg.Reports.Store = rig.Postgres(t).DSN
			}
			cfg.Reports.From, cfg.Reports.Send = "dmarc@reports.example.com", true
			cfg.Reports.Web.TokenFile = config.SecretFile(writeFile(t, dir, "token", pageToken))
			p := &Process{Config: cfg, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
				Now: func() time.Time { return noon }, Version: "test"}
			inStore(t, cfg, fillOut)
			_, access, err := newPageSecrets(cfg.Reports.Web)
			if err != nil {
				t.Fatal(err)
			}
			h, err := p.pages(t.Context(), access)
			if err != nil {
				t.Fatal(err)
			}
			defer p.store.Close()
			get := func(path string) string {
				r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
				r.Header.Set("Authorization", "Bearer "+pageToken)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != 200 {
					t.Errorf("%s: status %d", path, w.Code)
				}
				return w.Body.String()
			}
			page := get("/out")
			for _, want := range []string{"1 report is sent tonight.", "friend.example",
				"no relation: no user wrote to it",
				"no address: rua has no valid mail address", "bad@gone.example",
				"5.1.1 no such user", "withheld: excluded"} {
				if !strings.Contains(page, want) {
					t.Errorf("/out: without %q\n%s", want, page[strings.Index(page, "<main"):])
				}
			}
			testPreviewPage(t, get)
			var table struct{ Rows []map[string]any }
			if err := json.Unmarshal([]byte(get("/out/tonight.json")), &table); err != nil ||
				len(table.Rows) != 3 {
				t.Errorf("/out/tonight.json: %v, %v; want 3 rows", table.Rows, err)
			}
		})
	}
}

var previewLink = regexp.MustCompile(`href="(/out/d/[^"]+)/mail\.eml"`)

// testPreviewPage looks at what a domain would get, and downloads the mail and the report.
func testPreviewPage(t *testing.T, get func(string) string) {
	t.Helper()
	page := get("/out/d/friend.example")
	m := previewLink.FindStringSubmatch(page)
	for _, want := range []string{"Report Domain: friend.example", "&lt;report_metadata&gt;",
		"d@friend.example"} {
		if !strings.Contains(page, want) {
			t.Errorf("the preview has no %q\n%s", want, page)
		}
	}
	if m == nil {
		t.Fatal("the preview has no download")
	}
	if mail := get(m[1] + "/mail.eml"); !strings.Contains(mail, "\r\n\r\n") ||
		!strings.Contains(mail, "application/gzip") {
		t.Errorf("the mail: %q", mail)
	}
	if xml := get(m[1] + "/report.xml"); !strings.HasPrefix(xml, "<?xml") {
		t.Errorf("the report: %q", xml)
	}
}

// fillOut counts mail of three domains, of which our users wrote to two, and suppresses an address.
func fillOut(s *store.Store) error {
	ctx := context.Background()
	b := store.NewOutBatch()
	for domain, uri := range map[string]string{
		"friend.example":   "mailto:d@friend.example",
		"stranger.example": "mailto:d@stranger.example", "web.example": "https://web.example",
	} {
		if domain != "stranger.example" {
			b.Wrote(domain, noon)
		}
		b.Add(&report.Evaluation{Time: noon, SPF: true, Disposition: "none", HeaderFrom: domain,
			EnvelopeFrom: domain, Client: netip.MustParseAddr("192.0.2.1"),
			SPFAuth: &report.SPFAuth{Domain: domain, Result: "pass"},
			Policy: report.Policy{
				Domain: domain, Text: "v=DMARC1; p=none", P: "none", SP: "none", NP: "none",
				ADKIM: "r", ASPF: "r", Discovery: "treewalk", URIs: []string{uri}}})
	}
	if _, err := s.Fold(ctx, []string{"segment"}, b, noon); err != nil {
		return err
	}
	until := store.Suppression{Address: "bad@gone.example", Until: noon.AddDate(0, 0, 7),
		Strikes: 1, Reason: "5.1.1 no such user"}
	if err := s.OutSuppress(ctx, until); err != nil {
		return err
	}
	_, err := s.OutBuilt(ctx, store.OutPending{},
		[]store.OutReport{{ID: "x", Day: store.Day(noon) - 1, Domain: "spam.example",
			State: store.Withheld, Reason: "excluded: reports.exclude_domains lists it",
			Built: noon}})
	return err
}
