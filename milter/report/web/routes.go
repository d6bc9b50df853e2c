package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// handle registers a handler. The patterns are kept, so that tests can walk all of them.
func (s *Server) handle(pattern string, do http.HandlerFunc) {
	s.patterns = append(s.patterns, pattern)
	s.mux.HandleFunc(pattern, do)
}

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	s.handle("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	s.handle("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		http.ServeFileFS(w, r, files, "style.css")
	})
	s.handle("GET /login", s.showLogin)
	s.handle("POST /login", s.login)
	s.handle("POST /logout", s.logout)
	serve := func(pattern string, build func(context.Context, visit) (*page, error)) {
		s.handle("GET "+pattern,
			func(w http.ResponseWriter, r *http.Request) { s.show(w, r, build) })
	}
	tables := func(path string, build func(context.Context, visit) (*page, error)) {
		serve(path, build)
		serve(strings.TrimSuffix(path, "/{$}")+"/{table}",
			func(ctx context.Context, v visit) (*page, error) {
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
	tables("/tls", func(ctx context.Context, v visit) (*page, error) {
		return s.otherPage(ctx, v, TLSReports)
	})
	tables("/failures", func(ctx context.Context, v visit) (*page, error) {
		return s.otherPage(ctx, v, FailureReports)
	})
	tables("/ingest", s.whole(s.ingestPage))
	tables("/out", s.whole(s.outPage))
	serve("/ingest/mail/{id}", s.whole(s.unreadPage))
	s.handle("GET /ingest/mail/{id}/raw", s.unreadFile)
	serve("/out/d/{domain}", s.whole(s.previewPage))
	s.handle("GET /out/d/{domain}/{id}/{file}", s.previewFile)
	tables("/check", s.checkPage)
	tables("/d/{domain}", func(ctx context.Context, v visit) (*page,
		error) {
		return s.domainPage(ctx, v, v.path("domain"))
	})
	tables("/d/{domain}/s/{source}", func(ctx context.Context, v visit) (*page, error) {
		return s.sourcePage(ctx, v, v.path("domain"), v.path("source"))
	})
	tables("/s/{source}", func(ctx context.Context, v visit) (*page, error) {
		return s.everywherePage(ctx, v, v.path("source"))
	})
	serve("/r/{id}", func(ctx context.Context, v visit) (*page,
		error) {
		return s.reportPage(ctx, v, v.id(), 0)
	})
	s.handle("GET /r/{id}/{table}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("table") == "raw.xml" {
			s.raw(w, r)
			return
		}
		s.show(w, r, func(ctx context.Context, v visit) (*page, error) {
			n, _ := strconv.Atoi(v.path("table"))
			return s.reportPage(ctx, v, v.id(), n)
		})
	})
	s.handle("POST /d/{domain}", s.command)
	s.handle("POST /d/{domain}/s/{source}", s.command)
	s.handle("POST /ingest", s.command)
	s.handle("POST /ingest/mail/{id}", s.command)
	s.handle("POST /out", s.command)
	s.handle("/", func(w http.ResponseWriter, r *http.Request) {
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
func (s *Server) whole(build func(context.Context, visit) (*page, error)) func(context.Context,
	visit) (*page, error) {
	return func(ctx context.Context, v visit) (*page, error) {
		if !v.all() {
			return nil, ErrNotFound
		}
		return build(ctx, v)
	}
}
