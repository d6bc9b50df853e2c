package web

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mailseal/milter/report/advice"
)

//go:embed page.html style.css
var files embed.FS

// policy lets a page load the stylesheet, send forms home, and nothing else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Config is what a Server is made of.
type Config struct {
	Read     Reader
	Commands Commands // nil: pages have no forms
	Access   *Access
	Host     string // shown at the foot
	Version  string
	Now      func() time.Time
	Log      *slog.Logger
}

// Server serves the pages.
type Server struct {
	read     Reader
	commands Commands
	access   *Access
	host     string
	version  string
	now      func() time.Time
	log      *slog.Logger
	pages    *template.Template
	mux      *http.ServeMux

	mu    sync.Mutex
	known map[string]remembered // facts of a domain and period, for factsFor
}

// remembered are facts with the time at which they were gathered.
type remembered struct {
	facts *facts
	at    time.Time
}

// How long gathered facts are used again, and how many are kept: then all are dropped and gathered
// anew.
const (
	factsFor  = time.Minute
	factsKept = 400
)

// New makes a server.
func New(c Config) (*Server, error) {
	s := &Server{read: c.Read, commands: c.Commands, access: c.Access, host: c.Host, version: c.Version, now: c.Now,
		log: c.Log, known: map[string]remembered{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	s.pages, err = template.New("page.html").Funcs(template.FuncMap{"count": advice.Count, "name": name, "visible": visible}).ParseFS(files, "page.html")
	if err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	s.mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		http.ServeFileFS(w, r, files, "style.css")
	})
	s.mux.HandleFunc("GET /login", s.showLogin)
	s.mux.HandleFunc("POST /login", s.login)
	s.mux.HandleFunc("POST /logout", s.logout)
	serve := func(pattern string, build func(context.Context, visit) (*page, error)) {
		s.mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) { s.show(w, r, build) })
	}
	tables := func(path string, build func(context.Context, visit) (*page, error)) {
		serve(path, build)
		serve(strings.TrimSuffix(path, "/{$}")+"/{table}", func(ctx context.Context, v visit) (*page, error) {
			if v.table == "" {
				return nil, ErrNotFound
			}
			return build(ctx, v)
		})
	}
	tables("/{$}", s.start)
	tables("/messages", s.messagesPage)
	tables("/reports", s.reportsPage)
	tables("/receiver", s.receiverPage)
	tables("/ingest", s.whole(s.ingestPage))
	tables("/out", s.whole(s.outPage))
	tables("/d/{domain}", func(ctx context.Context, v visit) (*page, error) { return s.domainPage(ctx, v, v.path("domain")) })
	tables("/d/{domain}/s/{source}", func(ctx context.Context, v visit) (*page, error) {
		return s.sourcePage(ctx, v, v.path("domain"), v.path("source"))
	})
	serve("/r/{id}", func(ctx context.Context, v visit) (*page, error) { return s.reportPage(ctx, v, v.id(), 0) })
	s.mux.HandleFunc("GET /r/{id}/{table}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("table") == "raw.xml" {
			s.raw(w, r)
			return
		}
		s.show(w, r, func(ctx context.Context, v visit) (*page, error) {
			n, _ := strconv.Atoi(v.path("table"))
			return s.reportPage(ctx, v, v.id(), n)
		})
	})
	s.mux.HandleFunc("POST /d/{domain}/s/{source}", s.command)
	s.mux.HandleFunc("POST /ingest", s.command)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.show(w, r, func(context.Context, visit) (*page, error) { return nil, ErrNotFound })
	})
}

// start is the overview, or where a search leads.
func (s *Server) start(ctx context.Context, v visit) (*page, error) {
	q := strings.ToLower(strings.TrimSpace(v.q.Get("q")))
	if q == "" {
		return s.overview(ctx, v)
	}
	return s.search(ctx, v, q)
}

// whole keeps pages that concern all domains from those who may see some.
func (s *Server) whole(build func(context.Context, visit) (*page, error)) func(context.Context, visit) (*page, error) {
	return func(ctx context.Context, v visit) (*page, error) {
		if !v.all() {
			return nil, ErrNotFound
		}
		return build(ctx, v)
	}
}

// ServeHTTP implements http.Handler. Every answer has the headers that keep it from fetching or
// being framed.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
	r.Body = bounded(w, r)
	s.mux.ServeHTTP(w, r)
}

// visit is one request by somebody who signed in.
type visit struct {
	session
	q      url.Values
	now    time.Time
	filter Filter
	format string // "csv", "json", or "" for the page
	table  string
	r      *http.Request
}

func (v visit) path(name string) string { return v.r.PathValue(name) }

func (v visit) id() int64 {
	n, err := strconv.ParseInt(v.path("id"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// offset is the first row of the page that is asked for.
func (v visit) offset(rows int) int {
	n, err := strconv.Atoi(v.q.Get("page"))
	if err != nil || n < 1 || n > 100_000 {
		return 0
	}
	return (n - 1) * rows
}

func (v visit) pageURL(n int) string {
	q := url.Values{}
	for key, values := range v.q {
		q[key] = values
	}
	q.Set("page", strconv.Itoa(n))
	return "?" + q.Encode()
}

// pager has an entry for the page before and the one after.
func (v visit) pager(rows int64, per int) []choice {
	n := v.offset(per)/per + 1
	var out []choice
	if n > 1 {
		out = append(out, choice{Text: "Before", URL: v.pageURL(n - 1)})
	}
	if int64(n*per) < rows {
		out = append(out, choice{Text: "More", URL: v.pageURL(n + 1)})
	}
	return out
}

func (v visit) morePager(shown, per int) []choice {
	more := int64(v.offset(per))
	if shown == per {
		more += int64(per) + 1
	}
	return v.pager(more, per)
}

// visitOf reads the request; a bad date or period falls back on the last 30 days.
func (s *Server) visitOf(r *http.Request, who session) visit {
	v := visit{session: who, q: r.URL.Query(), now: s.now(), r: r}
	today := advice.DayOf(v.now)
	v.filter = Filter{From: today - 30, To: today - 1}
	if n, err := strconv.Atoi(v.q.Get("days")); err == nil && n >= 1 && n <= 3660 {
		v.filter.From = today - advice.Day(n)
	}
	if d, err := advice.ParseDay(v.q.Get("from")); err == nil {
		v.filter.From = d
	}
	if d, err := advice.ParseDay(v.q.Get("to")); err == nil {
		v.filter.To = d
	}
	if v.filter.To-v.filter.From > 3660 {
		v.filter.From = v.filter.To - 3660
	}
	v.filter.From = min(v.filter.From, v.filter.To)
	v.filter.Receiver = v.q.Get("receiver")
	v.format = v.q.Get("format")
	for _, suffix := range []string{"csv", "json"} {
		if t, ok := strings.CutSuffix(r.PathValue("table"), "."+suffix); ok {
			v.table, v.format = t, suffix
		}
	}
	return v
}

// show answers with a page, or with one of its tables.
func (s *Server) show(w http.ResponseWriter, r *http.Request, build func(context.Context, visit) (*page, error)) {
	who, ok := s.access.visitor(r)
	if !ok {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	v := s.visitOf(r, who)
	p, err := build(r.Context(), v)
	if err != nil {
		s.fail(w, r, who, err)
		return
	}
	path := r.URL.EscapedPath()
	if v.table != "" {
		path = path[:strings.LastIndexByte(path, '/')]
	}
	p.finish(strings.TrimSuffix(path, "/"), v.q.Encode())
	if v.table == "" {
		s.render(w, r, who, p, http.StatusOK)
		return
	}
	t := p.table(v.table)
	if t == nil {
		s.fail(w, r, who, ErrNotFound)
		return
	}
	var out bytes.Buffer
	if v.format == "csv" {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+t.Name+`.csv"`)
		err = t.writeCSV(&out)
	} else {
		w.Header().Set("Content-Type", "application/json")
		err = t.writeJSON(&out)
	}
	if err != nil {
		s.fail(w, r, who, err)
		return
	}
	_, _ = w.Write(out.Bytes())
}

func (s *Server) render(w http.ResponseWriter, r *http.Request, who session, p *page, status int) {
	p.Frame = frame{Host: s.host, Version: s.version, User: who.name, CSRF: who.token(), Admin: who.admin(), Proxy: who.proxy}
	if who.all() && who.name != "" {
		if in, err := s.read.Intake(r.Context(), s.now()); err == nil {
			p.Frame.Errors = len(in.Errors)
			if !in.Last.IsZero() {
				p.Frame.Last = timeHTML(in.Last)
			}
		}
		p.Frame.HasIn = true
		_, err := s.read.Outgoing(r.Context(), s.now())
		p.Frame.HasOut = err == nil
	}
	var out bytes.Buffer
	if err := s.pages.Execute(&out, p); err != nil {
		s.log.Error("page not rendered", "path", r.URL.Path, "error", err)
		http.Error(w, "The page could not be made; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// fail answers with a page that says what was not found or did not answer.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, who session, err error) {
	status := http.StatusInternalServerError
	p := &page{Title: "The database did not answer", Heading: say("The database did not answer at %s UTC. Try again in a minute; the log says why.",
		plain(s.now().UTC().Format("15:04")))}
	switch {
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
		p = &page{Title: "Not found", Heading: "There is nothing under this address.", Lead: []template.HTML{
			say("Asked for: %s. It may have been deleted, or you may not see it. Search for a domain above.", mono(r.URL.Path))}}
	case errors.Is(err, errRefused):
		status = http.StatusForbidden
		p = &page{Title: "Refused", Heading: "The form was not accepted.", Lead: []template.HTML{plain(err.Error() + ". Nothing was changed.")}}
	default:
		s.log.Error("page not made", "path", r.URL.Path, "error", err)
	}
	s.render(w, r, who, p, status)
}

func (s *Server) raw(w http.ResponseWriter, r *http.Request) {
	who, ok := s.access.visitor(r)
	if !ok {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	v := s.visitOf(r, who)
	report, _, err := s.read.Report(r.Context(), v.id())
	if err == nil && !who.may(report.Domain) {
		err = ErrNotFound
	}
	var raw []byte
	if err == nil {
		raw, err = s.read.Raw(r.Context(), v.id())
	}
	if err != nil {
		s.fail(w, r, who, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="report-`+itoa(v.id())+`.xml"`)
	_, _ = w.Write(raw)
}

// domains returns the domains that the visitor may see.
func (s *Server) domains(ctx context.Context, v visit) ([]Domain, error) {
	all, err := s.read.Domains(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(d Domain) bool { return !v.may(d.Name) }), nil
}

func (s *Server) domain(ctx context.Context, v visit, name string) (Domain, error) {
	all, err := s.domains(ctx, v)
	if err != nil {
		return Domain{}, err
	}
	for _, d := range all {
		if d.Name == strings.ToLower(name) {
			return d, nil
		}
	}
	return Domain{}, ErrNotFound
}

func names(domains []Domain) []string {
	out := []string{}
	for _, d := range domains {
		out = append(out, d.Name)
	}
	return out
}

// facts gathers what is known about a domain, or uses what was gathered less than a minute ago.
func (s *Server) facts(ctx context.Context, d Domain, f Filter) (*facts, error) {
	key := d.Name + "?" + f.query()
	s.mu.Lock()
	r, has := s.known[key]
	s.mu.Unlock()
	if has && s.now().Sub(r.at) < factsFor {
		return r.facts, nil
	}
	x, err := s.gather(ctx, d, f)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= factsKept {
		clear(s.known)
	}
	s.known[key] = remembered{x, s.now()}
	return x, nil
}

// forget drops what was gathered, after a verdict changed it.
func (s *Server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

// selection is the filter of a list, from the query. A source is resolved to its addresses.
func (s *Server) selection(ctx context.Context, v visit) (Filter, error) {
	f := v.filter
	q := v.q
	f.HeaderOf, f.Result, f.DKIM, f.SPF = q.Get("header_from"), q.Get("result"), q.Get("dkim"), q.Get("spf")
	f.Signer, f.Selector, f.Envelope = q.Get("signer"), q.Get("selector"), q.Get("envelope")
	domains, err := s.domains(ctx, v)
	if err != nil {
		return f, err
	}
	f.Domains = []string{}
	for _, d := range domains {
		if wanted := q.Get("domain"); wanted == "" && shows(q.Get("show"), d) || wanted == d.Name {
			f.Domains = append(f.Domains, d.Name)
		}
	}
	if a := q.Get("address"); a != "" {
		return f, f.address(a)
	}
	if src := q.Get("source"); src != "" && len(f.Domains) == 1 {
		return f, s.sourceFilter(ctx, v, domains, &f, src)
	}
	return f, nil
}

// search leads to a domain, an address or a report.
func (s *Server) search(ctx context.Context, v visit, q string) (*page, error) {
	domains, err := s.domains(ctx, v)
	if err != nil {
		return nil, err
	}
	t := &Table{Name: "found", Fit: true, Caption: "What was found.", Empty: "Nothing. A domain, an address, or the number of a report can be searched for.",
		Columns: []Column{{Key: "what", Title: "What"}, {Key: "where", Title: "Where"}}}
	add := func(what, text, at string) {
		t.Rows = append(t.Rows, []Cell{words(what).head(), {Value: at, HTML: link(at, name(text))}})
	}
	for _, d := range domains {
		if strings.Contains(d.Name, q) && len(t.Rows) < rowsOfPage {
			add("domain", d.Name, domainURL(d.Name))
		}
	}
	f := v.filter
	if f.address(q) == nil {
		add("messages of the address", q, v.filter.messages("address", q))
	}
	if id, err := strconv.ParseInt(q, 10, 64); err == nil {
		if r, _, err := s.read.Report(ctx, id); err == nil && v.may(r.Domain) {
			add("report", r.Receiver+", "+r.Domain, "/r/"+itoa(id))
		}
	}
	return &page{Current: "/", Title: "Search", Heading: say("%s for %s.", plain(advice.Plural(int64(len(t.Rows)), "place", "places")), q),
		Crumbs: []crumb{{"Domains", "/"}, {"Search", ""}}, Sections: []section{{ID: "found", Title: "Found", Table: t}}}, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func sortedSums(sums []Sum) []Sum {
	slices.SortFunc(sums, func(a, b Sum) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Domain, b.Domain))
	})
	return sums
}
