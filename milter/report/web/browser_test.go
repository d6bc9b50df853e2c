package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdpnetwork "github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// tool finds a program of contrib/test/fetch.sh, or one of the host's own, or skips the test.
func tool(t *testing.T, program string) string {
	t.Helper()
	if testing.Short() {
		t.Skip(program + " is started: not with -short")
	}
	fetched, err := filepath.Abs(filepath.Join("../../../.root/tools", program))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fetched); err == nil {
		return fetched
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip("no " + program + " here: contrib/test/fetch.sh browser fetches it")
	}
	return path
}

// window is a real browser in front of a server.
type window struct {
	ctx context.Context // of one tab
	url string          // of the server

	mu       sync.Mutex
	problems []string // requests to elsewhere, and what the policy of content refused
}

// pageTime bounds what a test does to one page.
const pageTime = 30 * time.Second

// newWindow starts Chromium, signed in as an administrator of s. Without a sandbox: the tests run
// as root in CI, and the pages are ours.
func newWindow(t *testing.T, s http.Handler) *window {
	t.Helper()
	path := tool(t, "chromium")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en"),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(allocator)
	t.Cleanup(stopTab)
	b := &window{ctx: ctx, url: server.URL}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	call(t, b, cdpnetwork.Enable, cdpnetwork.EnableParams{})
	call(t, b, cdplog.Enable, cdp.Empty{})
	b.signIn(t)
	return b
}

// signIn makes the browser that of the administrator.
func (b *window) signIn(t *testing.T) {
	t.Helper()
	call(t, b, cdpnetwork.SetExtraHTTPHeaders, cdpnetwork.SetExtraHTTPHeadersParams{
		Headers: cdpnetwork.Headers{"Authorization": "Bearer " + tokenOfTests}})
}

// signOut makes the browser that of no one.
func (b *window) signOut(t *testing.T) {
	t.Helper()
	call(t, b, cdpnetwork.SetExtraHTTPHeaders,
		cdpnetwork.SetExtraHTTPHeadersParams{Headers: cdpnetwork.Headers{}})
}

// listen notes what the pages must never do.
func (b *window) listen(event any) {
	problem := ""
	switch e := event.(type) {
	case *cdpnetwork.EventRequestWillBeSent:
		// Controls of the browser's own have their icons in data: addresses; ours may not, by the
		// policy.
		if !strings.HasPrefix(e.Request.URL, b.url+"/") &&
			!strings.HasPrefix(e.Request.URL, "data:") {
			problem = "it asks for " + e.Request.URL
		}
	case *cdplog.EventEntryAdded:
		// A status of 404 is an entry, too, and the tests ask for such pages.
		if e.Entry.Source != cdplog.EntrySourceNetwork {
			problem = fmt.Sprintf("the browser says: %s (%s)", e.Entry.Text, e.Entry.Source)
		}
	}
	if problem == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, problem)
}

func (b *window) takeProblems() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.problems
	b.problems = nil
	return out
}

// do does something to the page.
func (b *window) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, pageTime)
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// ask returns what an action returns.
func ask[T any](t *testing.T, b *window, action chromedp.Action[T]) T {
	t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, pageTime)
	defer stop()
	out, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// call gives the browser a command of its protocol.
func call[P, R any](t *testing.T, b *window, command cdp.Command[P, R], params P) R {
	t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, pageTime)
	defer stop()
	out, err := chromedp.Call(ctx, command, params)
	if err != nil {
		t.Fatalf("%s: %v", command.Method, err)
	}
	return out
}

// look is how a page is looked at.
type look struct {
	name          string
	width, height int64
	dark          bool
	print         bool
	unstyled      bool
}

// set makes the window what l says.
func (b *window) set(t *testing.T, l look) {
	t.Helper()
	scheme, media := "light", "screen"
	if l.dark {
		scheme = "dark"
	}
	if l.print {
		media = "print"
	}
	b.size(t, l.width, l.height)
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme",
			Value: scheme}}})
}

func (b *window) size(t *testing.T, width, height int64) {
	t.Helper()
	call(t, b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1})
}

// open loads a page.
func (b *window) open(t *testing.T, path string, l look) {
	t.Helper()
	b.set(t, l)
	b.do(t, chromedp.Navigate(b.url+path))
	if l.unstyled {
		ask(t, b, chromedp.Evaluate[int](
			`for (const s of document.styleSheets) s.disabled = true; 0`))
	}
}

// pictures is where the tests leave pictures of the pages; empty is nowhere.
var pictures = os.Getenv("MAILSEAL_PICTURES")

// picture leaves a picture of the whole page, if pictures are wanted. Its height is bounded, since
// Chromium's is.
func (b *window) picture(t *testing.T, name string, l look) {
	t.Helper()
	if pictures == "" {
		return
	}
	const highest = 4000
	height := ask(t, b, chromedp.Evaluate[int64](`document.documentElement.scrollHeight`))
	b.size(t, l.width, min(max(height, l.height), highest))
	png := ask(t, b, chromedp.CaptureScreenshot())
	b.size(t, l.width, l.height)
	writePicture(t, name+".png", png)
}

func writePicture(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pictures, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// printed returns the page as a PDF.
func (b *window) printed(t *testing.T) []byte {
	t.Helper()
	return ask(t, b, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(),
		chromedp.PDFPaper(chromedp.PaperA4)))
}

// axe returns the source of axe-core, which looks for what keeps people out of a page.
var axe = sync.OnceValues(func() (string, error) {
	packed, err := os.ReadFile("testdata/axe/axe.min.js.gz")
	if err != nil {
		return "", err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(z)
	return string(text), err
})
