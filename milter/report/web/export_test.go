package web

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
)

// LookEverywhere looks at pages of a handler as TestBrowser does, in every way: wide, narrow, dark,
// printed and without styles. Paths are by the name of the picture.
func LookEverywhere(t *testing.T, s http.Handler, paths map[string]string) {
	tool(t, "chromium")
	b := newWindow(t, s)
	for name, path := range paths {
		for _, l := range []look{screen, desktop, telephone, darkPhone, paper, unstyled} {
			b.open(t, path, l)
			b.inspect(t, name, l)
			if l.print {
				b.inspectPDF(t, name)
			}
		}
	}
}

// status is that of the page which the browser shows.
func (b *window) status(t *testing.T) int {
	t.Helper()
	return ask(t, b, chromedp.Evaluate[int](
		`performance.getEntriesByType("navigation")[0].responseStatus`))
}
