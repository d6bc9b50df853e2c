package web

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"mailseal/milter/report/advice"
)

// seen are the pages that the browser looks at, one of each kind and each state.
var seen = []struct{ name, path string }{
	{"overview", "/"},
	{"overview-90", "/?days=90"},
	{"domain", "/d/shop.example"},
	{"domain-whatif", "/d/shop.example?p=reject&adkim=s&nospf=1"},
	{"domain-nodata", "/d/new.example"},
	{"domain-parked", "/d/old.example"},
	{"source", "/d/shop.example/s/esp.example"},
	{"everywhere", "/s/forward.test"},
	{"receiver", "/receiver?name=google.com"},
	{"reports", "/reports"},
	{"messages", "/messages?result=held"},
	{"report", "/r/1"},
	{"tls", "/tls"},
	{"failures", "/failures"},
	{"record", "/r/1/1"},
	{"ingest", "/ingest"},
	{"ingest-mail", "/ingest/mail/1"},
	{"out", "/out"},
	{"out-preview", "/out/d/college.example"},
	{"check", "/check"},
	{"check-domain", "/check?domain=shop.example"},
	{"search", "/?q=192.0.2.10"},
	{"empty", "/messages?domain=new.example"},
	{"notfound", "/r/999999"},
}

// whole reads messages from a real store, and the state of the processes from the world.
type whole struct {
	*Stored
	world *Memory
}

func (w whole) Domains(ctx context.Context) ([]Domain, error) {
	out, err := w.Stored.Domains(ctx)
	for i := range out {
		for _, d := range w.world.DomainList {
			if d.Name == out[i].Name {
				out[i].DNS, out[i].Published, out[i].Parked = d.DNS, d.Published, d.Parked
				out[i].Was, out[i].Last, out[i].Terms = d.Was, d.Last, d.Terms
			}
		}
	}
	return out, err
}
func (w whole) Others(ctx context.Context, kind OtherKind, f Filter, win Window) ([]Other,
	OtherSums, error) {
	return w.world.Others(ctx, kind, f, win)
}
func (w whole) Detail(ctx context.Context, domain string) (Detail, error) {
	return w.world.Detail(ctx, domain)
}
func (w whole) Rules(ctx context.Context) ([]Rule, error) { return w.world.Rules(ctx) }
func (w whole) Events(ctx context.Context, f Filter) ([]Event, error) {
	return w.world.Events(ctx, f)
}
func (w whole) Intake(ctx context.Context, now time.Time) (Intake, error) {
	return w.world.Intake(ctx, now)
}
func (w whole) Outgoing(ctx context.Context, now time.Time) (Outgoing, error) {
	return w.world.Outgoing(ctx, now)
}
func (w whole) Unread(ctx context.Context, id int64) (Failure, []byte, error) {
	return w.world.Unread(ctx, id)
}
func (w whole) Preview(ctx context.Context, domain string) ([]Preview, error) {
	return w.world.Preview(ctx, domain)
}
func (w whole) HasOutgoing() bool { return w.world.HasOutgoing() }

var (
	desktop   = look{name: "desktop", width: 1366, height: 768}
	telephone = look{name: "telephone", width: 390, height: 844}
	screen    = look{name: "screen", width: 1920, height: 1080}
	dark      = look{name: "dark", width: 1366, height: 768, dark: true}
	darkPhone = look{name: "dark-telephone", width: 390, height: 844, dark: true}
	paper     = look{name: "paper", width: 1050, height: 740, print: true}
	unstyled  = look{name: "unstyled", width: 1366, height: 768, unstyled: true}
)

// TestBrowser looks at every kind of page with Chromium, over a store with 90 days of 25 domains:
// nothing hangs over the edge, no text is cut, nothing is fetched from elsewhere, the policy of
// content is never violated, and axe-core finds nothing. Two looks have both widths and both
// schemes.
func TestBrowser(t *testing.T) { lookAtPages(t, desktop, darkPhone) }

// TestLongBrowser looks at the same pages in all other ways.
func TestLongBrowser(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("it takes minutes; MAILSEAL_LONG=1 runs it")
	}
	lookAtPages(t, telephone, screen, dark, paper, unstyled)
}

func lookAtPages(t *testing.T, looks ...look) {
	tool(t, "chromium")
	m := world()
	b := newWindow(t, newServer(t, whole{stored(t, m), m}, fakeCommands{}))
	for _, p := range seen {
		t.Run(p.name, func(t *testing.T) {
			for _, l := range looks {
				b.open(t, p.path, l)
				b.inspect(t, p.name, l)
				if l.print {
					b.inspectPDF(t, p.name)
				}
			}
		})
	}
	b.signOut(t)
	for _, l := range looks {
		if l.print || l.unstyled {
			continue
		}
		b.open(t, "/login?next=%2Fout", l)
		b.inspect(t, "login", l)
		b.do(t, chromedp.SendKeys("#p", "a wrong word"+kb.Enter), chromedp.WaitVisible("#e"))
		b.inspect(t, "login-error", l)
	}
}

// TestBrowserHostile looks at pages whose every field holds what a stranger would like to act.
func TestBrowserHostile(t *testing.T) {
	b := newWindow(t, newServer(t, hostileWorld(hostile), fakeCommands{}))
	for name, path := range map[string]string{"overview": "/", "domain": "/d/shop.example",
		"report": "/r/1", "record": "/r/1/1",
		"ingest": "/ingest", "ingest-mail": "/ingest/mail/1", "out": "/out",
		"out-preview": previewURL(hostile), "source": "/d/shop.example/s/203.0.113.5"} {
		for _, l := range []look{desktop, telephone} {
			b.open(t, path, l)
			b.inspect(t, "hostile-"+name, l)
		}
	}
}

// layout reports what is wrong with how a page is laid out: an array of sentences.
const layout = `(() => {
	const out = [];
	const root = document.documentElement;
	if (root.scrollWidth > innerWidth) out.push("the page is " + root.scrollWidth + " px wide in a window of " + innerWidth);
	const hidden = e => e.closest(".vh, .skip, .defs, [hidden], .matrix thead, details:not([open])");
	const scrolls = e => e.closest(".scroll, .matrix-box, .raw");
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.data.trim() || hidden(e) || e.closest("option, svg")) continue;
		const range = document.createRange();
		range.selectNodeContents(n);
		for (const box of range.getClientRects()) {
			if (box.width === 0) continue;
			const what = JSON.stringify(n.data.trim().slice(0, 60));
			if ((box.right > innerWidth + 1 || box.left < -1) && !scrolls(e)) out.push(what + " hangs over the edge, to " + Math.round(box.right));
			const cell = e.closest("td, th, dd, dt, li, button, p, h1, h2, h3");
			const border = cell && cell.getBoundingClientRect();
			if (border && border.width && (box.right > border.right + 1.5 || box.left < border.left - 1.5)) out.push(what + " hangs out of its " + cell.localName);
			for (let p = e; p && p !== document.body; p = p.parentElement) {
				const style = getComputedStyle(p);
				if (style.overflowX === "visible" || scrolls(p) === p) continue;
				if (box.right > p.getBoundingClientRect().right + 1) out.push(what + " is cut off by its " + p.localName);
			}
			break;
		}
	}
	return [...new Set(out)].slice(0, 10);
})()`

// barriers asks axe-core: an array of sentences.
const barriers = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.flatMap(v =>
	v.nodes.slice(0, 3).map(n => v.id + ": " + v.help + ": " + n.target.join(" ") + " " + (n.failureSummary || ""))))`

func (b *window) inspect(t *testing.T, name string, l look) {
	t.Helper()
	b.picture(t, name+"-"+l.name, l)
	var found []string
	if !l.unstyled {
		found = ask(t, b, chromedp.Evaluate[[]string](layout))
	} else {
		found = b.plainly(t)
	}
	if !l.print && !l.unstyled {
		found = append(found, b.barriers(t)...)
	}
	for _, f := range append(found, b.takeProblems()...) {
		t.Errorf("%s, %s: %s", name, l.name, f)
	}
}

// barriers are what axe-core finds.
func (b *window) barriers(t *testing.T) []string {
	t.Helper()
	source, err := axe()
	if err != nil {
		t.Fatal(err)
	}
	ask(t, b, chromedp.Evaluate[int](source+"\n;0"))
	return ask(t, b, chromedp.Evaluate[[]string](barriers, chromedp.EvalAwaitPromise))
}

// plainly looks at a page without its stylesheet: the sentence is near its beginning, and no
// drawing is larger than its own size.
func (b *window) plainly(t *testing.T) []string {
	t.Helper()
	return ask(t, b, chromedp.Evaluate[[]string](`(() => {
		const out = [];
		const top = document.querySelector("h1").getBoundingClientRect().top;
		if (top > 700) out.push("the sentence begins " + Math.round(top) + " px below the top");
		for (const s of document.querySelectorAll("svg")) {
			const box = s.getBoundingClientRect();
			if (!s.closest("details:not([open])") && !s.closest(".chart") && (box.width > 130 || box.height > 40))
				out.push("a drawing is " + Math.round(box.width) + " × " + Math.round(box.height) + " px: " + s.outerHTML.slice(0, 80));
		}
		return [...new Set(out)].slice(0, 5);
	})()`))
}

var pdfPages = regexp.MustCompile(`/Type\s*/Page\b`)

// inspectPDF holds that a page prints, on a number of sheets that someone would print.
func (b *window) inspectPDF(t *testing.T, name string) {
	t.Helper()
	pdf := b.printed(t)
	if pictures != "" {
		writePicture(t, name+".pdf", pdf)
	}
	n := len(pdfPages.FindAll(pdf, -1))
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) || n < 1 || n > 12 {
		t.Errorf("%s: printed on %d pages", name, n)
	}
}

// stop is where the tabulator stops.
type stop struct {
	Tag, Text                      string
	Ring, Follows, Inside, Visible bool
}

// TestKeyboard goes through pages with the tabulator: the skip link is first, each stop shows a
// ring, and the stops come in the order of the page.
func TestKeyboard(t *testing.T) {
	b := newWindow(t, newServer(t, world(), fakeCommands{}))
	for _, path := range []string{"/", "/d/shop.example", "/d/shop.example/s/esp.example",
		"/ingest"} {
		b.open(t, path, desktop)
		stops := 0
		for range 40 {
			b.do(t, chromedp.KeyEvent(kb.Tab))
			at := ask(t, b, chromedp.Evaluate[stop](`(() => {
				const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
				const follows = !window.before || !!(window.before.compareDocumentPosition(e) & (Node.DOCUMENT_POSITION_FOLLOWING | Node.DOCUMENT_POSITION_CONTAINED_BY));
				window.before = e;
				return {Tag: e.localName, Text: e.textContent.trim().slice(0, 40), Ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
					Follows: follows, Visible: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight, Inside: e !== document.body};
			})()`))
			if !at.Inside {
				break
			}
			if stops == 0 && at.Text != "Skip to content" {
				t.Errorf("%s: the first stop is %s %q, not the skip link", path, at.Tag, at.Text)
			}
			stops++
			if !at.Ring || !at.Follows || !at.Visible {
				t.Errorf("%s: stop %d, %s %q: %+v", path, stops, at.Tag, at.Text, at)
			}
		}
		if stops < 15 {
			t.Errorf("%s: %d stops", path, stops)
		}
		for _, p := range b.takeProblems() {
			t.Errorf("%s: %s", path, p)
		}
	}
}

// TestOneScreen holds that 22 domains with nothing to say stand on one screen of 1920 × 1080.
func TestOneScreen(t *testing.T) {
	b := newWindow(t, newServer(t, quietWorld(), nil))
	b.open(t, "/", screen)
	b.picture(t, "quiet-screen", screen)
	rows := ask(t, b, chromedp.Evaluate[int](
		`[...document.querySelectorAll(".matrix tbody tr:not(.why)")].filter(r => `+
			`r.getBoundingClientRect().bottom <= 1080).length`))
	if rows < 22 {
		t.Errorf("%d domains stand on a screen of 1920 × 1080, want 22", rows)
	}
}

// quietWorld is a world of 22 domains that no one has to look at.
func quietWorld() *Memory {
	m := world()
	quiet := func(name string) bool { return strings.HasPrefix(name, "client-") }
	m.DomainList = nil
	names := map[string]string{}
	for _, d := range world().DomainList {
		if quiet(d.Name) {
			d.Policy.Step, d.Use = advice.Quarantine, advice.UsePeople
			d.Policy.Text = advice.WithStep(d.Policy.Text, d.Policy.Step)
			d.Published, d.Was = &Published{Step: d.Policy.Step, At: d.Name}, nil
			m.DomainList = append(m.DomainList, d)
		}
	}
	for i := len(m.DomainList); i < 22; i++ {
		d := m.DomainList[i%5]
		names[fmt.Sprintf("more-%02d.example", i)] = d.Name
		d.Name = fmt.Sprintf("more-%02d.example", i)
		m.DomainList = append(m.DomainList, d)
	}
	for _, r := range m.RecordList {
		for name, from := range names {
			if r.Domain == from {
				r.Domain, r.From = name, name
				m.RecordList = append(m.RecordList, r)
			}
		}
	}
	m.EventList = nil
	return m
}

// TestLynx reads pages as text: the sentence and the words of the tables stand there.
func TestLynx(t *testing.T) {
	program := tool(t, "lynx")
	s := newServer(t, world(), nil)
	for path, words := range map[string][]string{
		"/":                             {"domains", "shop.example", "Messages", "DMARC, %", "google.com"},
		"/d/shop.example":               {"shop.example", "esp.example", "What if", "198.51.100"},
		"/d/shop.example/s/esp.example": {"esp.example", "not aligned"},
		"/r/1":                          {"google.com", "SPF", "DKIM"},
		"/ingest":                       {"reports", "gzip ends before"},
		"/out":                          {"college.example", "written to"},
	} {
		file := t.TempDir() + "/page.html"
		if err := os.WriteFile(file, get(s, path).Body.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), program, "-dump", "-nolist", "-width=160",
			"-display_charset=utf-8",
			"-assume_charset=utf-8", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		if pictures != "" {
			writePicture(t, "lynx"+strings.ReplaceAll(path, "/", "-")+".txt", out)
		}
		for _, w := range words {
			if !bytes.Contains(out, []byte(w)) {
				t.Errorf("%s in lynx: %q is not there:\n%.2000s", path, w, out)
			}
		}
	}
}

// TestPictures makes the pictures of the README. "make pictures" keeps them.
func TestPictures(t *testing.T) {
	b := newWindow(t, newServer(t, world(), nil))
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	window := look{name: "window", width: 1280, height: 720}
	for name, path := range map[string]string{"page-overview": "/",
		"page-domain": "/d/shop.example"} {
		b.open(t, path, window)
		png := ask(t, b, chromedp.CaptureScreenshot())
		if len(png) < 10<<10 || len(png) > 250<<10 {
			t.Errorf("%s: %d bytes", name, len(png))
		}
		if !bytes.Contains(readme, []byte("contrib/pictures/"+name+".png")) {
			t.Errorf("the README does not show %s.png", name)
		}
		if pictures != "" {
			writePicture(t, name+".png", png)
		}
	}
}
