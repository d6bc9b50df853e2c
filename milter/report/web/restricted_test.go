package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// restricted signs in as one who may see example.org alone, over a world in which a report on
// example.org has a record of a domain of someone else.
func restricted(t *testing.T) (get func(path string) *httptest.ResponseRecorder, m *Memory,
	mixed int64) {
	t.Helper()
	m = world()
	i := slices.IndexFunc(m.RecordList, func(r Record) bool { return r.Domain == "example.org" })
	mixed = m.RecordList[i].Report
	other := m.RecordList[i]
	other.N, other.Domain, other.From, other.Count = 77, "shop.example", "shop.example", 4242
	m.RecordList = append(m.RecordList, other)
	m.RawXML[mixed] = []byte("<feedback>shop.example</feedback>")
	a, _, _ := accounts(t)
	s, err := New(Config{Read: m, Commands: fakeCommands{}, Checker: fakeChecker{}, Access: a,
		Now: clockNow})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, s: s, cookies: map[string]string{}}
	b.login("carla", "secret of carla")
	return b.get, m, mixed
}

var foreignNames = regexp.MustCompile(
	`(client-[0-9]+|shop|old|new|xn--bcher-kva)\.example|status\.example\.com`)

// TestRestricted plays a reader of example.org that requests other domains by every parameter of
// every page, its tables and files: no answer has a row, a number or a name of them.
func TestRestricted(t *testing.T) {
	get, m, mixed := restricted(t)
	report := func(domain string) int64 {
		i := slices.IndexFunc(m.ReportList, func(r Report) bool { return r.Domain == domain })
		return m.ReportList[i].ID
	}
	theirs, ours := report("shop.example"), report("example.org")
	// Nothing is there, whatever the form.
	for _, path := range []string{"/d/shop.example", "/d/SHOP.example",
		"/d/shop.example/sources.csv", "/d/shop.example/days.json",
		"/d/shop.example/s/esp.example", "/d/shop.example/s/esp.example/receivers.csv",
		"/s/esp.example", "/s/198.51.100.12", "/s/esp.example/domains.csv",
		"/ingest/decided.json", "/d/example.org/../shop.example",
		fmt.Sprint("/r/", theirs), fmt.Sprint("/r/", theirs, "/1"),
		fmt.Sprint("/r/", theirs, "/raw.xml"), fmt.Sprint("/r/", mixed, "/77"),
		fmt.Sprint("/r/", mixed, "/raw.xml"), "/ingest", "/ingest/errors.csv", "/out",
		"/out/sent.json", "/d/example.org/s/esp.example"} {
		if w := get(path); w.Code != http.StatusNotFound && w.Code != http.StatusMovedPermanently &&
			w.Code != http.StatusTemporaryRedirect {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	// Lists have rows of example.org alone, whatever selects them.
	for _, q := range []string{"", "domain=shop.example", "domain=", "domain=%2A",
		"domain=example.org&domain=shop.example",
		"domain=shop.example&domain=example.org", "source=esp.example",
		"domain=shop.example&source=esp.example", "address=198.51.100.12",
		"receiver=google.com", "header_from=shop.example", "envelope=bounce.esp.example",
		"signer=esp.example&selector=e1", "show=all",
		"show=parked", "result=held", "from=2020-01-01&to=2030-01-01", "days=3660", "page=2",
		"q=shop"} {
		for _, path := range []string{"/messages/records.json", "/reports/reports.json",
			"/receiver/domains.json", "/domains.json"} {
			w := get(path + "?name=google.com&" + q)
			var list struct{ Rows []map[string]any }
			if w.Code == http.StatusNotFound {
				continue
			}
			if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
				t.Errorf("%s?%s: status %d, %v", path, q, w.Code, err)
			}
			for _, row := range list.Rows {
				if d, has := row["domain"]; has && d != "example.org" {
					t.Errorf("%s?%s has a row of %v", path, q, d)
					break
				}
			}
		}
	}
	// No page names another domain that was not asked for by name.
	for _, path := range []string{"/", "/?days=365", "/?show=all", "/messages", "/reports",
		"/receiver?name=google.com", "/d/example.org",
		"/d/example.org?receiver=google.com", "/d/example.org?p=reject", fmt.Sprint("/r/", ours),
		fmt.Sprint("/r/", mixed), fmt.Sprint("/r/", mixed, "/1"),
		"/domains.csv", "/messages/records.csv", "/reports/reports.csv", "/?q=example",
		"/?q=192.0.2.10", "/s/198.51.100.80", "/s/forward.test", "/check?domain=example.org",
		"/?q=" + url.QueryEscape(fmt.Sprint(theirs)), "/nothing"} {
		body := get(path).Body.String()
		if found := foreignNames.FindString(body); found != "" {
			i := strings.Index(body, found)
			t.Errorf("%s names %q: …%s…", path, found, body[max(0, i-60):min(len(body), i+60)])
		}
		if strings.Contains(body, "4,242") {
			t.Errorf("%s has the number of another domain", path)
		}
	}
	if body := get(fmt.Sprint("/r/", mixed)).Body.String(); !strings.Contains(body,
		"1 record is not shown, of domains that you may not see") {
		t.Error("the report does not say that a record was left out")
	}
}

// TestProxyFromElsewhere holds that a header from an address that is not listed signs no one in,
// and gives none who is signed in another role.
func TestProxyFromElsewhere(t *testing.T) {
	a, _, _ := accounts(t)
	a.ProxyHeader = "X-Remote-User"
	var got []string
	s := serverWith(t, a, &got)
	b := &browser{t: t, s: s, cookies: map[string]string{}, remote: "192.0.2.9:1",
		header: http.Header{"X-Remote-User": {"anna"}}}
	if w := b.get("/"); w.Code != http.StatusSeeOther {
		t.Errorf("a header from elsewhere: status %d", w.Code)
	}
	b.login("carla", "secret of carla")
	if w := b.get("/d/shop.example"); w.Code != http.StatusNotFound {
		t.Errorf("a header from elsewhere beside a session: status %d", w.Code)
	}
	w := b.post("/d/shop.example", url.Values{"csrf": {csrfOf(t, b.get("/"))}, "use": {"machines"}})
	if w.Code == http.StatusSeeOther || len(got) > 0 {
		t.Errorf("a change: status %d, %q", w.Code, got)
	}
}
