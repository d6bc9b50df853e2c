package web

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

const tokenOfTests = "a-token-of-more-than-20-characters"

func newServer(t *testing.T, m Reader, commands Commands) *Server {
	t.Helper()
	s, err := New(Config{Read: m, Commands: commands, Checker: fakeChecker{},
		Access: &Access{Token: tokenOfTests, Now: func() time.Time { return clock }},
		Host:   "mx.example.com", Version: "test", Now: func() time.Time { return clock },
		Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks as an administrator.
func get(s http.Handler, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+tokenOfTests)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// anchor is a link of a page.
type anchor struct{ href, text string }

// parse returns the links, the ids and everything else of a page that names an address.
func parse(t *testing.T, body string) (links []anchor, ids map[string]bool, sources []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	ids = map[string]bool{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" || n.Data == "iframe" || n.Data == "style" {
			t.Errorf("the page has an element %s", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id":
				if ids[a.Val] {
					t.Errorf("id %q stands twice", a.Val)
				}
				ids[a.Val] = true
			case a.Key == "href" && n.Data == "a":
				links = append(links, anchor{a.Val, textOf(n)})
			case a.Key == "href" || a.Key == "src" || a.Key == "action":
				sources = append(sources, a.Val)
			case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				t.Errorf("element %s has an attribute %s", n.Data, a.Key)
			}
		}
	}
	return links, ids, sources
}

func textOf(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(out.String())
}

var plainNumber = regexp.MustCompile(`^[0-9][0-9,]*$`)

// kindOf is a page's address without what differs between pages of a kind.
func kindOf(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	parts := strings.Split(u.Path, "/")
	for i := 1; i < len(parts); i++ {
		if i >= 2 && !strings.Contains(parts[i], ".csv") && !strings.Contains(parts[i], ".json") &&
			parts[i] != "s" {
			parts[i] = "x"
		}
	}
	keys := []string{}
	for k := range u.Query() {
		keys = append(keys, k)
	}
	return strings.Join(parts, "/") + "?" + strconv.Itoa(len(keys)) + u.Query().Get("result")
}

// TestCrawl follows every link from the overview: each answers 200, leads to a place that exists on
// its page, and a link that is a number leads to a list that adds up to it. Of pages that differ in
// a name alone it takes perKind.
func TestCrawl(t *testing.T) {
	if testing.Short() {
		t.Skip("it asks for some hundred pages over 90 days of 25 domains")
	}
	const perKind = 3
	s := newServer(t, world(), fakeCommands{})
	pages, checked := 0, 0
	kinds := map[string]int{}
	seen := map[string]bool{"/": true}
	queue := []string{"/", "/?show=parked", "/?days=90", "/?q=shop", "/?q=192.0.2.10", "/out",
		"/ingest"}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		w := get(s, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
			continue
		}
		pages++
		if got := w.Header().Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: policy %q", path, got)
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			checkExport(t, path, w)
			continue
		}
		links, ids, sources := parse(t, w.Body.String())
		for _, src := range sources {
			if !strings.HasPrefix(src, "/") || strings.HasPrefix(src, "//") {
				t.Errorf("%s: refers to %q, which is not ours", path, src)
			}
		}
		base, _ := url.Parse(path)
		for _, a := range links {
			u, err := base.Parse(a.href)
			if err != nil || u.Host != "" {
				t.Errorf("%s: link %q leads elsewhere", path, a.href)
				continue
			}
			if strings.HasPrefix(a.href, "#") && !ids[u.Fragment] {
				t.Errorf("%s: link %q leads to nothing", path, a.href)
			}
			u.Fragment = ""
			kind := kindOf(u.String())
			if seen[u.String()] && !plainNumber.MatchString(a.text) {
				continue
			}
			if kinds[kind] >= perKind {
				continue
			}
			kinds[kind]++
			if u.Path == "/messages" && plainNumber.MatchString(a.text) {
				checkSum(t, s, path, a.text, u)
				checked++
			}
			if !seen[u.String()] {
				seen[u.String()] = true
				queue = append(queue, u.String())
			}
		}
	}
	t.Logf("%d pages of %d kinds, %d numbers compared with their lists", pages, len(kinds), checked)
	if pages < 60 || checked < 40 {
		t.Errorf("%d pages and %d numbers: the crawl looks in the wrong place", pages, checked)
	}
}

// checkSum holds that the list behind a number adds up to it, by the records of its JSON.
func checkSum(t *testing.T, s http.Handler, page, text string, u *url.URL) {
	t.Helper()
	want, _ := strconv.ParseInt(strings.ReplaceAll(text, ",", ""), 10, 64)
	w := get(s, "/messages/records.json?"+u.RawQuery)
	var list struct {
		Rows []struct {
			Count int64 `json:"count"`
		} `json:"rows"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		t.Errorf("%s: %s: %v", page, u, err)
		return
	}
	var sum int64
	for _, r := range list.Rows {
		sum += r.Count
	}
	if sum != want {
		t.Errorf("%s: the link %s says %d, its list adds up to %d", page, u, want, sum)
	}
}

func checkExport(t *testing.T, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	switch {
	case strings.Contains(path, ".json"):
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: not JSON", path)
		}
	case strings.Contains(path, ".csv"):
		if rows, err := csv.NewReader(w.Body).ReadAll(); err != nil || len(rows) < 1 {
			t.Errorf("%s: %d rows, %v", path, len(rows), err)
		}
	}
}

// TestTablesEqual holds that HTML, CSV and JSON of each table of the pages have the same rows.
func TestTablesEqual(t *testing.T) {
	s := newServer(t, world(), nil)
	tables := 0
	for _, path := range []string{"/", "/d/shop.example", "/d/shop.example/s/esp.example",
		"/ingest", "/out", "/reports",
		"/receiver?name=google.com", "/messages?result=held", "/r/1", "/tls",
		"/failures", "/s/forward.test"} {
		links, _, _ := parse(t, get(s, path).Body.String())
		for _, a := range links {
			if a.text != "CSV" {
				continue
			}
			tables++
			rows, err := csv.NewReader(get(s, a.href).Body).ReadAll()
			if err != nil {
				t.Errorf("%s: %v", a.href, err)
				continue
			}
			var list struct{ Rows []map[string]any }
			other := get(s, strings.Replace(a.href, ".csv", ".json", 1))
			if err := json.Unmarshal(other.Body.Bytes(), &list); err != nil ||
				len(list.Rows) != len(rows)-1 || len(rows) < 2 {
				t.Errorf("%s: CSV has %d rows, JSON %d: %v", a.href, len(rows)-1, len(list.Rows),
					err)
			}
		}
	}
	if tables < 20 {
		t.Errorf("%d tables found", tables)
	}
}

// TestHostileText holds that a stranger's text never acts: no element, no direction mark, no
// control character, no formula, on no page and in no export.
func TestHostileText(t *testing.T) {
	for _, text := range []string{hostile, formula} {
		hostileText(t, text)
	}
	for _, f := range []string{"=1", "+1", "-1", "@x", "\t=1", " =1", "＝1"} {
		if got := guard(f); strings.ContainsAny(got[:1], "=+-@\t ") {
			t.Errorf("guard(%q) = %q", f, got)
		}
	}
}

func hostileText(t *testing.T, hostile string) {
	s := newServer(t, hostileWorld(hostile), fakeCommands{})
	escaped := 0
	paths := []string{"/", "/tls", "/failures",
		"/s/" + url.PathEscape(hostile), "/s/203.0.113.5", "/d/shop.example",
		"/ingest", "/out", "/reports", "/messages", "/r/1",
		"/r/1/1", "/d/shop.example/s/203.0.113.5",
		"/receiver?name=" + url.QueryEscape(hostile), "/?q=" + url.QueryEscape(hostile),
		"/" + url.PathEscape(hostile), "/messages?receiver=" + url.QueryEscape(hostile)}
	for _, path := range paths {
		w := get(s, path)
		body := w.Body.String()
		noOrders(t, path, body)
		escaped += strings.Count(body, `<span class="esc">U+202E</span>`)
		if w.Code == http.StatusNotFound {
			continue
		}
		links, _, _ := parse(t, body)
		for _, a := range links {
			if a.text != "CSV" && a.text != "JSON" {
				continue
			}
			out := get(s, a.href).Body.String()
			noOrders(t, a.href, out)
			if a.text == "CSV" {
				noFormulas(t, a.href, out)
			}
		}
	}
	if strings.HasPrefix(hostile, "\u202e") && escaped < 60 {
		t.Errorf("%d marks were shown: the fields do not reach the pages", escaped)
	}
}

func noOrders(t *testing.T, path, body string) {
	t.Helper()
	for _, r := range body {
		if r != '\n' && r != '\r' && r != '\t' && isOrder(r) {
			t.Errorf("%s: U+%04X goes out as it is", path, r)
			return
		}
	}
	if !strings.Contains(path, ".csv") && strings.Contains(body, "<script") {
		t.Errorf("%s: an element of a stranger", path)
	}
}

func noFormulas(t *testing.T, path, body string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil && err != io.EOF {
		t.Errorf("%s: %v", path, err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+@\t\r") {
				t.Errorf("%s: cell %q is a formula", path, cell)
			}
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct{ in, want string }{
		{"shop.example", `<span class="name">shop.example</span>`},
		{"xn--bcher-kva.example", `<span class="name">xn--bcher-kva.example</span> <span class="s ` +
			`name">bücher.example</span>`},
		{"xn--80ak6aa92e.com", `<span class="name">xn--80ak6aa92e.com</span> <span class="s name">аррӏе.com</span>`},
		{strings.Repeat("a", 63) + ".shop.example", `<span class="name">aaaaaaaaaaaa…(63).shop.example</span>`},
		{"a\u202eb", `<span class="name">a<span class="esc">U+202E</span>b</span>`},
	}
	for _, c := range tests {
		if got := string(name(c.in)); got != c.want {
			t.Errorf("name(%q) = %s, want %s", c.in, got, c.want)
		}
	}
	if oneScript("pаypal") {
		t.Error("Latin with a Cyrillic letter passes as one script")
	}
}
