package web

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// Bounds of what a browser sends, in bytes. That of an upload is the one of a mail with a report.
const (
	uploadBytes  = 25 << 20
	maxFormBytes = 64 << 10
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
func (f *Filter) address(s string) error {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return ErrNotFound
	}
	f.Addresses = []netip.Addr{ip}
	return nil
}

func (s *Server) sourceFilter(ctx context.Context, v visit, domains []Domain, f *Filter, name string) error {
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
		if src == nil {
			return ErrNotFound
		}
		f.Addresses = src.Addresses
	}
	return nil
}

// command passes what a form asks for to the process that receives reports.
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
	if err := s.act(r, who); err != nil {
		s.fail(w, r, who, err)
		return
	}
	s.forget()
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
}

// accept checks that the form came from our page, by somebody who may change things. The role comes
// first: the form of an account that only reads is not parsed.
func (s *Server) accept(r *http.Request, who session) error {
	switch {
	case !who.admin():
		return fmt.Errorf("%w: your account may read only", errRefused)
	case s.commands == nil:
		return fmt.Errorf("%w: the process that receives reports is not connected", errRefused)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		if err := r.ParseMultipartForm(uploadBytes); err != nil { //nolint:gosec // the body is bounded
			return fmt.Errorf("%w: more than 25 MB, or cut short", errRefused)
		}
	}
	if !who.isToken(r.FormValue("csrf")) {
		return fmt.Errorf("%w: it is not from a page of this session; open the page again", errRefused)
	}
	return nil
}

func (s *Server) act(r *http.Request, who session) error {
	ctx := r.Context()
	if r.URL.Path == "/ingest" {
		if org, err := url.QueryUnescape(r.FormValue("trust")); err == nil && org != "" {
			return s.commands.Trust(ctx, who.name, org)
		}
		return s.upload(ctx, r, who)
	}
	if undo := r.FormValue("undo"); undo != "" {
		id, err := strconv.ParseInt(undo, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: no such verdict", errRefused)
		}
		return s.commands.Undo(ctx, who.name, id)
	}
	class, ok := advice.ParseClass(r.FormValue("class"))
	if !ok {
		return fmt.Errorf("%w: no such class", errRefused)
	}
	rule := Rule{Domain: r.PathValue("domain"), Source: r.PathValue("source"), Class: class, By: who.name, At: s.now()}
	if r.FormValue("all") == "1" {
		rule.Domain = ""
	}
	return s.commands.Judge(ctx, who.name, rule)
}

func (s *Server) upload(ctx context.Context, r *http.Request, who session) error {
	if r.MultipartForm == nil || len(r.MultipartForm.File["files"]) == 0 {
		return fmt.Errorf("%w: choose a file first", errRefused)
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	for _, h := range r.MultipartForm.File["files"] {
		f, err := h.Open()
		if err != nil {
			return err
		}
		_, err = s.commands.Upload(ctx, who.name, visible(h.Filename), f)
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("upload of %q: %w", h.Filename, err)
		}
	}
	return nil
}
