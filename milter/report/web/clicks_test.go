package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// click follows the first link of a page that fits, and returns where it leads.
func click(t *testing.T, s http.Handler, path string, fits func(*url.URL) bool) string {
	t.Helper()
	w := get(s, path)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d", path, w.Code)
	}
	base, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	links, _, _ := parse(t, w.Body.String())
	for _, a := range links {
		u, err := base.Parse(a.href)
		if err == nil && fits(u) {
			u.Fragment = ""
			return u.String()
		}
	}
	t.Fatalf("%s: no such link", path)
	return ""
}

// TestSixClicks goes from the overview down to the XML of a report in six clicks. The period that
// was chosen first stays in the address of each page that has one, and a page that is asked for
// again is the same.
func TestSixClicks(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes the pages of 25 domains")
	}
	s := newServer(t, world(), nil)
	from, to := (today - 60).String(), (today - 5).String()
	period := func(u *url.URL) bool {
		return u.Query().Get("from") == from && u.Query().Get("to") == to
	}
	steps := []struct {
		name string
		fits func(*url.URL) bool
	}{
		{"domain", func(u *url.URL) bool { return u.Path == "/d/shop.example" && period(u) }},
		{"source", func(u *url.URL) bool {
			return u.Path == "/d/shop.example/s/esp.example" && period(u)
		}},
		{"address", func(u *url.URL) bool {
			return u.Path == "/messages" && u.Query().Get("address") == "198.51.100.12" && period(u)
		}},
		{"record", func(u *url.URL) bool {
			return strings.Count(u.Path, "/") == 3 &&
				strings.HasPrefix(u.Path, "/r/") && !strings.Contains(u.Path, "raw")
		}},
		{"report", func(u *url.URL) bool {
			return strings.HasPrefix(u.Path, "/r/") && strings.Count(u.Path, "/") == 2
		}},
		{"raw XML", func(u *url.URL) bool { return strings.HasSuffix(u.Path, "/raw.xml") }},
	}
	path := "/?from=" + from + "&to=" + to
	for _, step := range steps {
		before := get(s, path).Body.String()
		next := click(t, s, path, step.fits)
		if again := get(s, path).Body.String(); again != before {
			t.Errorf("%s: another page after going back", path)
		}
		path = next
	}
	w := get(s, path)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<feedback>") {
		t.Errorf("%s: status %d, %.100q", path, w.Code, w.Body)
	}
}
