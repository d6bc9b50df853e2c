package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"mailseal/milter/report/advice"
)

//go:embed page.html style.css
var files embed.FS

// policy lets a page load the stylesheet, send forms home, and nothing else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// Config configures a Server.
type Config struct {
	Read     Reader
	Commands Commands // nil: pages have no forms
	Checker  Checker  // nil: there is no page that asks the DNS
	Access   *Access
	Host     string // shown at the foot
	Version  string
	Now      func() time.Time
	Log      *slog.Logger
	Patience time.Duration // for what has changed since it was judged; 0 is 150 ms

	// Groups are those that the overview can be limited to, in the order of their links.
	Groups []Group

	// Waiting says what waits in the spool of this host, a sentence; "": nothing does. Nil: never.
	Waiting func() string
}

// Group is a group of domains with a name.
type Group struct {
	Name string
	Has  func(domain string) bool
}

// Server serves the pages.
type Server struct {
	read     Reader
	commands Commands
	checker  Checker
	access   *Access
	host     string
	version  string
	now      func() time.Time
	log      *slog.Logger
	waiting  func() string
	groups   []Group
	pages    *template.Template
	mux      *http.ServeMux
	patterns []string // of mux

	mu       sync.Mutex
	cache    factsCache
	kept     keeping
	patience time.Duration
	summed   int // maxSummed

	notices map[string]string // by session: what became of its last change, shown once
}

// New makes a server.
func New(c Config) (*Server, error) {
	s := &Server{read: c.Read, commands: c.Commands, checker: c.Checker, access: c.Access,
		host: c.Host, version: c.Version, now: c.Now,
		log: c.Log, waiting: c.Waiting, groups: c.Groups,
		cache: factsCache{facts: map[string]cachedFacts{}}}
	s.summed, s.kept.slim = maxSummed, withoutAdvice
	if s.patience = c.Patience; s.patience == 0 {
		s.patience = usualPatience
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	s.pages, err = template.New("page.html").Funcs(template.FuncMap{"count": advice.Count,
		"name": name, "visible": visible}).ParseFS(files, "page.html")
	if err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

// ServeHTTP implements http.Handler. Every answer has the headers that keep it from fetching or
// being framed.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	SetHeaders(w.Header())
	r.Body = bounded(w, r)
	s.mux.ServeHTTP(w, r)
}

// show answers with a page, or with one of its tables.
func (s *Server) show(w http.ResponseWriter, r *http.Request,
	build func(context.Context, visit) (*page, error)) {
	who, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	v := s.visitOf(r, who)
	if v.bad != nil {
		s.fail(w, r, who, v.bad)
		return
	}
	if err := s.cache.look(r.Context(), s.read); err != nil {
		s.fail(w, r, who, err)
		return
	}
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
		p.Lead = append(s.noticed(who), p.Lead...)
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
	p.Frame = frame{Host: s.host, Version: s.version, User: who.name, CSRF: who.token(),
		Admin: who.admin(), Proxy: who.proxy}
	p.forms(p.Frame.CSRF)
	if who.all() && who.name != "" {
		if in, err := s.intake(r.Context()); err == nil {
			p.Frame.Errors = int(in.unread())
			if !in.Last.IsZero() {
				p.Frame.Last = timeHTML(in.Last)
			}
		}
		p.Frame.HasIn = true
		p.Frame.HasOut = s.read.HasOutgoing()
	}
	p.Frame.HasCheck = s.checker != nil && who.name != ""
	var out bytes.Buffer
	if err := s.pages.Execute(&out, p); err != nil {
		s.log.Error("a page could not be rendered: this is a bug in Mailseal, please report it",
			"path", r.URL.Path, "error", err)
		http.Error(w, "The page could not be made; the log has the reason.",
			http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// fail answers with a page about what was not found or did not answer.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, who session, err error) {
	status := http.StatusInternalServerError
	p := &page{Title: "The database did not answer",
		Heading: say("The database did not answer at %s UTC. Try again in a minute; the log has "+
			"the reason.",
			plain(s.now().UTC().Format("15:04")))}
	switch {
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
		p = &page{Title: "Not found", Heading: "This page does not exist.",
			Lead: []template.HTML{
				say("You asked for %s. It may have been deleted, or your account may not see it. "+
					"Search for a domain above.",
					mono(r.URL.Path))}}
	case errors.Is(err, errDay):
		status = http.StatusBadRequest
		p = &page{Title: "Not a day", Heading: "The address of this page has a day that cannot be " +
			"read.",
			Lead: []template.HTML{plain(visible(err.Error()) + ".")}}
	case errors.Is(err, errNoResult):
		status = http.StatusBadRequest
		p = &page{Title: "Not a result",
			Heading: "The address of this page names an unknown result.",
			Lead:    []template.HTML{plain(visible(err.Error()) + ".")}}
	case errors.Is(err, ErrBusy):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "60")
		p = &page{Title: "Try again", Heading: "Too many visitors ask for this at once. Try again " +
			"in a minute."}
	case errors.Is(err, ErrAway):
		status = http.StatusServiceUnavailable
		p = &page{Title: "Not changed", Heading: "The change could not be made: the process that " +
			"receives reports does not answer.",
			Lead: []template.HTML{"Nothing was changed. Start “mailseal reports serve” with the " +
				"role intake, go back, and send the form again. Reports that arrive wait in the " +
				"mail server."}}
		s.log.Error("a change on the pages was not made; start the role intake", "path",
			r.URL.Path, "error", err)
	case errors.Is(err, errUnanswered):
		status = http.StatusServiceUnavailable
		p = &page{Title: "No answer", Heading: "The process that receives reports did not answer " +
			"in time.",
			Lead: []template.HTML{"The change may have been made: open the page again to see. " +
				"Sending it again does no harm, since a report that is stored already is not " +
				"counted twice."}}
		s.log.Error("the role intake did not confirm a change on the pages, which may have been "+
			"made",
			"path", r.URL.Path, "error", err)
	case errors.Is(err, ErrRefused):
		status = http.StatusUnprocessableEntity
		p = &page{Title: "Not changed", Heading: "The change was refused.",
			Lead: []template.HTML{plain(visible(why(err, ErrRefused)) + ". Nothing was changed.")}}
	case errors.Is(err, errRefused):
		status = http.StatusForbidden
		p = &page{Title: "Refused", Heading: "The form was not accepted.",
			Lead: []template.HTML{plain(visible(why(err, errRefused)) + ". Nothing was changed.")}}
	default:
		if waits := s.waits(); waits != "" {
			p.Lead = append(p.Lead, plain("Mail is not affected. "+waits))
		}
		s.log.Error("a page could not be made", "path", r.URL.Path, "error", err)
	}
	s.render(w, r, who, p, status)
}

// why returns the reason of an error of a kind that the heading of the page names already, as the
// start of a sentence.
func why(err, kind error) string {
	reason := strings.TrimPrefix(err.Error(), kind.Error()+": ")
	return strings.ToUpper(reason[:1]) + reason[1:]
}

// waits describes what waits in the spool of this host.
func (s *Server) waits() string {
	if s.waiting == nil {
		return ""
	}
	return s.waiting()
}

// signedIn returns who sent the request. One who has not signed in is sent to the login.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request) (session, bool) {
	who, ok := s.access.visitor(r)
	if !ok {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	}
	return who, ok
}

func (s *Server) raw(w http.ResponseWriter, r *http.Request) {
	who, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	v := s.visitOf(r, who)
	report, records, err := s.read.Report(r.Context(), v.id())
	if err == nil && !who.may(report.Domain) {
		err = ErrNotFound
	}
	if _, hidden := v.visible(&report, records); err == nil && hidden > 0 {
		err = ErrNotFound // it names domains that the visitor may not see
	}
	var raw []byte
	if err == nil {
		raw, err = s.read.Raw(r.Context(), v.id())
	}
	if err != nil {
		s.fail(w, r, who, err)
		return
	}
	download(w, "report-"+itoa(v.id())+".xml", raw)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
