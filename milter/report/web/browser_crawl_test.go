package web

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestBrowserCrawl follows the links in Chromium itself, one of each kind: each page answers 200, a
// number leads to a list that adds up to it, nothing is asked for elsewhere, and the browser never
// finds the policy of content violated.
func TestBrowserCrawl(t *testing.T) { crawl(t, 1, 40) }

// TestLongBrowserCrawl does so with more of each kind.
func TestLongBrowserCrawl(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("it takes minutes; MAILSEAL_LONG=1 runs it")
	}
	crawl(t, 4, 80)
}

func crawl(t *testing.T, perKind, least int) {
	s := newServer(t, world(), fakeCommands{})
	b := newWindow(t, s)
	b.set(t, desktop)
	kinds, seen := map[string]int{}, map[string]bool{}
	queue := []string{"/", "/?show=parked", "/?days=90", "/?q=shop", "/out", "/ingest"}
	pages, numbers := 0, 0
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		b.do(t, chromedp.Navigate(b.url+path))
		pages++
		if code := b.status(t); code != 200 {
			t.Errorf("%s: status %d", path, code)
		}
		for _, p := range b.takeProblems() {
			t.Errorf("%s: %s", path, p)
		}
		// A file is no page: Chromium shows JSON, and stores CSV, which it reports as a navigation
		// that was broken off. Their contents are compared elsewhere.
		links := ask(t, b, chromedp.Evaluate[[][2]string](
			`[...document.querySelectorAll("a[href]")].map(a => [new URL(a.getAttribute("href"), `+
				`location).href, a.textContent.trim()])`))
		for _, a := range links {
			if !strings.HasPrefix(a[0], b.url+"/") {
				t.Errorf("%s: link %q leads elsewhere", path, a[0])
				continue
			}
			u, err := url.Parse(strings.TrimPrefix(a[0], b.url))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			u.Fragment = ""
			kind := kindOf(u.String())
			isFile := strings.Contains(u.Path, ".csv") || strings.Contains(u.Path, ".json") ||
				strings.HasSuffix(u.Path, ".xml") || strings.HasSuffix(u.Path, ".eml") ||
				strings.HasSuffix(u.Path, "/raw")
			if kinds[kind] >= perKind || seen[u.String()] || isFile {
				continue
			}
			kinds[kind]++
			seen[u.String()] = true
			if u.Path == "/messages" && plainNumber.MatchString(a[1]) {
				checkSum(t, s, path, a[1], u)
				numbers++
			}
			queue = append(queue, u.String())
		}
	}
	t.Logf("%d pages, %d numbers compared with their lists", pages, numbers)
	if pages < least || numbers < least/5 {
		t.Errorf("%d pages and %d numbers: the crawl looks in the wrong place", pages, numbers)
	}
}
