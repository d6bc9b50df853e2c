package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"mailseal/milter/report/advice"
)

// errRefused means that a form was not accepted: its sender may not send it, or it did not come
// from our page.
var errRefused = errors.New("web: the form was not accepted")

// errUnanswered means that a change was sent, and that no answer came.
var errUnanswered = errors.New("web: no answer")

// Bounds of what a browser sends, in bytes. That of an upload is the one of a mail with a report.
const (
	uploadBytes  = 25 << 20
	maxFormBytes = 64 << 10
	maxUploads   = 100 // files of one form
)

// bounded gives the request a body that a handler may read. GET and HEAD have none: no page asks
// for one, and reading a form would keep its files on the disk.
func bounded(w http.ResponseWriter, r *http.Request) io.ReadCloser {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return http.NoBody
	case r.Method == http.MethodPost && r.URL.Path == "/ingest":
		return http.MaxBytesReader(w, r.Body, uploadBytes)
	}
	return http.MaxBytesReader(w, r.Body, maxFormBytes)
}

// address selects one address.
// noAddress stands in links for an address that reports do not give.
const noAddress = "none"

func (f *Filter) address(s string) error {
	ip, err := netip.ParseAddr(s)
	if s == noAddress {
		err = nil
	}
	if err != nil {
		return ErrNotFound
	}
	f.Addresses = []netip.Addr{ip}
	return nil
}

func (s *Server) sourceFilter(ctx context.Context, v visit, domains []Domain, f *Filter,
	name string) error {
	for _, d := range domains {
		if d.Name != f.Domains[0] {
			continue
		}
		period := v.filter
		period.Receiver = ""
		x, err := s.facts(ctx, d, period)
		if err != nil {
			return err
		}
		src := x.find(name)
		if src == nil { // what a source is called, and whether it is one, depends on the period
			period.From = min(period.From, period.To-usualDays)
			if x, err = s.facts(ctx, d, period); err != nil {
				return err
			}
			src = x.find(name)
		}
		if src == nil {
			return ErrNotFound
		}
		f.Addresses = src.Addresses
	}
	return nil
}

// command passes the change that a form requests to the process that receives reports.
func (s *Server) command(w http.ResponseWriter, r *http.Request) {
	who, ok := s.access.visitor(r)
	if !ok {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	if err := s.accept(r, who); err != nil {
		s.fail(w, r, who, err)
		return
	}
	text, err := s.act(r, who)
	s.forget()
	if err != nil {
		s.fail(w, r, who, unanswered(err))
		return
	}
	if text != "" {
		s.notice(who, text)
	}
	http.Redirect(w, r, afterwards(r), http.StatusSeeOther)
}

// afterwards is the page that shows what a change has done: a mail that was read or deleted has
// none of its own any more.
func afterwards(r *http.Request) string {
	switch {
	case strings.HasPrefix(r.URL.Path, "/ingest/"):
		return "/ingest"
	case r.PathValue("source") != "":
		return afterVerdict(r.URL.EscapedPath(), r.PathValue("source"), r.FormValue("network"),
			r.FormValue("undo"))
	}
	return r.URL.EscapedPath()
}

// accept checks that the form came from our page, by a user who may change things. The role comes
// first: the form of an account that only reads is not parsed.
func (s *Server) accept(r *http.Request, who session) error {
	switch {
	case !who.admin():
		return fmt.Errorf("%w: your account may read only", errRefused)
	case s.commands == nil:
		return fmt.Errorf("%w: the process that receives reports is not connected", errRefused)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		if err := r.ParseMultipartForm(
			uploadBytes); err != nil { //nolint:gosec // the body is bounded
			return fmt.Errorf("%w: more than 25 MB, or cut short", errRefused)
		}
	}
	if !who.isToken(r.FormValue("csrf")) {
		return fmt.Errorf("%w: it is not from a page of this session; open the page again",
			errRefused)
	}
	return nil
}

// unanswered marks errors after which the change may or may not have been made.
func unanswered(err error) error {
	for _, known := range []error{ErrAway, ErrRefused, errRefused, ErrNotFound} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errUnanswered, err)
}

// act makes the change that a form requests, and returns a sentence about it.
func (s *Server) act(r *http.Request, who session) (string, error) {
	ctx := r.Context()
	isIntake := r.URL.Path == "/ingest" || strings.HasPrefix(r.URL.Path, "/ingest/")
	if (isIntake || r.URL.Path == "/out") && !who.all() {
		return "", ErrNotFound
	}
	if r.URL.Path == "/out" {
		return s.changeOutgoing(ctx, r, who)
	}
	if isIntake {
		if text, ok, err := s.changeIntake(ctx, r, who); ok {
			return text, err
		}
		for _, d := range decisions {
			if org, err := url.QueryUnescape(r.FormValue(d.field)); err == nil && org != "" {
				return "Reports of " + org + " " + d.said, d.do(s.commands, ctx, who.name, org)
			}
		}
		return s.upload(ctx, r, who)
	}
	v := s.visitOf(r, who)
	if r.PathValue("source") == "" {
		return s.setUse(ctx, v, r.PathValue("domain"), r.FormValue("use"))
	}
	domain, src, err := s.judged(ctx, v, r.PathValue("domain"), r.PathValue("source"))
	if err != nil {
		return "", err
	}
	if undo := r.FormValue("undo"); undo != "" {
		id, err := strconv.ParseInt(undo, 10, 64)
		rule := src.ruleOf(id)
		if err != nil || rule == nil {
			return "", fmt.Errorf("%w: this verdict no longer exists; load the page again",
				errRefused)
		}
		if rule.Domain == "" && !who.all() {
			return "", fmt.Errorf("%w: the verdict is for all domains, and you may not see all",
				errRefused)
		}
		return "The verdict is undone.", s.commands.Undo(ctx, who.name, id)
	}
	class, ok := advice.ParseClass(r.FormValue("class"))
	if !ok {
		return "", fmt.Errorf("%w: unknown class %q; choose one of: ours, service, forwarding, "+
			"not ours, scanner", errRefused, r.FormValue("class"))
	}
	rule := Rule{Domain: domain, Source: src.Name, Addresses: src.Addresses, Class: class,
		By: who.name, At: s.now()}
	network, err := judgedNetwork(r.FormValue("network"), src, class)
	if err != nil {
		return "", err
	}
	if network != "" {
		rule.Source, rule.Addresses = network, nil
	}
	if r.FormValue("all") == "1" {
		if !who.all() {
			return "", fmt.Errorf("%w: you may not see all domains", errRefused)
		}
		rule.Domain = ""
	}
	return "The verdict is stored. Figures and advice follow it from now on.",
		s.commands.Judge(ctx, who.name, rule)
}

// ruleOf returns the verdict with an id, if it holds for the source.
func (s *source) ruleOf(id int64) *Rule {
	for _, r := range []*Rule{s.rule, s.accepted} {
		if r != nil && r.ID == id {
			return r
		}
	}
	return nil
}

// setUse stores who writes from a domain.
func (s *Server) setUse(ctx context.Context, v visit, domain, word string) (string, error) {
	d, err := s.domain(ctx, v, domain)
	if err != nil {
		return "", err
	}
	if word == "unknown" {
		return "The answer is removed.", s.commands.Use(ctx, v.name, d.Name, "")
	}
	if useOf(word) == advice.UseUnknown {
		return "", fmt.Errorf("%w: no such answer", errRefused)
	}
	return "The answer is stored. The advice follows it from now on.",
		s.commands.Use(ctx, v.name, d.Name, word)
}

// judged finds the source that a verdict is on, among the domains that the visitor may see.
func (s *Server) judged(ctx context.Context, v visit, domain, name string) (string, *source,
	error) {
	d, err := s.domain(ctx, v, domain)
	if err != nil {
		return "", nil, err
	}
	x, err := s.facts(ctx, d, v.filter)
	if err != nil {
		return "", nil, err
	}
	src := x.find(name)
	if src == nil || src.Name == forgeries {
		return "", nil, ErrNotFound
	}
	return d.Name, src, nil
}

// upload passes files on, one after the other. Those before one that fails are stored.
func (s *Server) upload(ctx context.Context, r *http.Request, who session) (string, error) {
	if r.MultipartForm == nil || len(r.MultipartForm.File["files"]) == 0 {
		return "", fmt.Errorf("%w: choose a file first", errRefused)
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	var said []string
	for _, h := range r.MultipartForm.File["files"][:min(len(r.MultipartForm.File["files"]),
		maxUploads)] {
		text, err := s.uploadOne(ctx, who, h)
		if err != nil {
			if len(said) > 0 {
				s.notice(who, strings.Join(said, " "))
			}
			return "", fmt.Errorf("%s: %w", visible(h.Filename), err)
		}
		said = append(said, visible(h.Filename)+": "+text)
	}
	if n := len(r.MultipartForm.File["files"]) - maxUploads; n > 0 {
		said = append(said, fmt.Sprintf("Only %d files are read at a time: %d were left out.",
			maxUploads, n))
	}
	return strings.Join(said, " "), nil
}

func (s *Server) uploadOne(ctx context.Context, who session, h *multipart.FileHeader) (string,
	error) {
	f, err := h.Open()
	if err != nil {
		return "", err
	}
	defer f.Close()
	return s.commands.Upload(ctx, who.name, h.Filename, f)
}
