package changes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"mailseal/cmd/mailseal/control"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/send"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// Server makes the changes.
type Server struct {
	Intake *intake.Intake
	Log    *slog.Logger
	Now    func() time.Time

	wait time.Duration // for a request; 0: longestUpload

	rereading rereading
}

// refused is a peer that gets no answer.
type refused struct{}

// Serve makes changes until ctx ends. A change in progress is finished first.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	wait := cmp.Or(s.wait, longestUpload)
	defer s.rereading.begin(ctx)()
	h := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: min(wait, patience), ReadTimeout: wait, WriteTimeout: wait + patience,
		IdleTimeout: patience, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			if err := control.Allowed(nc); err != nil {
				s.Log.Warn("a process without the right to do so connected to the socket "+
					"reports.intake.changes; it was refused", "error", err)
				return context.WithValue(ctx, refused{}, true)
			}
			return ctx
		},
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_ = h.Shutdown(end)
		_ = h.Close()
	})
	err := h.Serve(l)
	if !stop() {
		<-ended
		return nil
	}
	return fmt.Errorf("the socket for changes from the pages: %w", err)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	places, files := make(chan struct{}, maxAtOnce), make(chan struct{}, maxFiles)
	handle := func(path string, most int64, room chan struct{},
		do func(*http.Request) (string, error)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Value(refused{}) != nil {
				write(w, http.StatusForbidden,
					reply{Error: "only root and the user of \"mailseal reports serve\" may make changes"})
				return
			}
			select {
			case room <- struct{}{}:
				defer func() { <-room }()
			case <-r.Context().Done():
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, most)
			text, err := do(r)
			s.answer(w, path, text, err)
		})
	}
	handle(pathReady, 0, places, func(*http.Request) (string, error) { return "", nil })
	handle(pathUpload, maxUpload, files, s.upload)
	for path, do := range map[string]func(context.Context, change) (string, error){
		pathJudge: s.judge, pathUndo: s.undo, pathUse: s.use, pathAccept: s.accept,
		pathRefuse: s.refuse, pathProve: s.prove,
		pathReread: s.reread, pathDiscard: s.discard,
		pathSuppress: s.suppress, pathRelease: s.release, pathResend: s.resend,
	} {
		handle(path, maxChange, places, func(r *http.Request) (string, error) {
			var c change
			d := json.NewDecoder(r.Body)
			d.DisallowUnknownFields()
			if err := d.Decode(&c); err != nil {
				return "", fmt.Errorf("%w: %w", errBad, err)
			}
			if err := c.check(); err != nil {
				return "", err
			}
			return do(r.Context(), c)
		})
	}
	return mux
}

// answer sends what became of a change. The page shows its own mistakes as they are; those of the
// store are for the log.
func (s *Server) answer(w http.ResponseWriter, path, text string, err error) {
	var large *http.MaxBytesError
	switch {
	case err == nil:
		write(w, http.StatusOK, reply{Text: text})
	case errors.As(err, &large):
		write(w, http.StatusRequestEntityTooLarge,
			reply{Error: fmt.Sprintf("it is larger than %d bytes", large.Limit)})
	case errors.Is(err, errBad), errors.Is(err, errNotNow), errors.Is(err, store.ErrNoReporter),
		errors.Is(err, store.ErrNoVerdict),
		errors.Is(err, store.ErrVerdicts), errors.Is(err, store.ErrNoUnread),
		errors.Is(err, store.ErrNotHeld), errors.Is(err, send.ErrRefused):
		write(w, http.StatusUnprocessableEntity, reply{Error: err.Error()})
	default:
		s.Log.Error("a change that was made on the pages could not be stored: make it again",
			"change", path, "error", err)
		write(w, http.StatusInternalServerError,
			reply{Error: "the store of reports cannot accept the change now; see the log"})
	}
}

func write(w http.ResponseWriter, status int, r reply) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(r) // a page that has gone does not need it
}

// check refuses what no page sends.
func (c *change) check() error {
	for _, field := range []struct{ name, text string }{
		{"account", c.By}, {"domain", c.Domain}, {"source", c.Subject}, {"class", c.Class},
		{"reporter", c.Reporter}, {"kind", c.Kind}, {"address", c.Address}, {"reason", c.Reason},
		{"report", c.Report},
	} {
		if len(field.text) > maxWords {
			return fmt.Errorf("%w: the %s is longer than %d bytes", errBad, field.name, maxWords)
		}
		if !utf8.ValidString(field.text) || strings.ContainsAny(field.text, "\x00\r\n") {
			return fmt.Errorf("%w: the %s must be one line of text", errBad, field.name)
		}
	}
	if c.By == "" {
		return fmt.Errorf("%w: it does not name the account", errBad)
	}
	if len(c.Addresses) > maxSources {
		return fmt.Errorf("%w: a source of more than %d addresses", errBad, maxSources)
	}
	return nil
}

func (s *Server) judge(ctx context.Context, c change) (string, error) {
	class, ok := advice.ParseClass(c.Class)
	if !ok || c.Subject == "" {
		return "", fmt.Errorf("%w: no source, or no class %q", errBad, c.Class)
	}
	if _, err := netip.ParsePrefix(c.Subject); err == nil {
		if _, err := web.ParseNetwork(c.Subject); err != nil {
			return "", fmt.Errorf("%w: %w", errBad, err)
		}
	}
	v := store.Verdict{Domain: c.Domain, Subject: c.Subject, Addresses: c.Addresses,
		Class: string(class), By: c.By, At: s.Now()}
	if err := s.Intake.Store.Judge(ctx, v); err != nil {
		return "", err
	}
	s.Log.Info("the class of a source was set", "by", c.By, "domain", c.Domain, "source", c.Subject,
		"class",
		c.Class)
	return "The verdict is stored.", nil
}

func (s *Server) undo(ctx context.Context, c change) (string, error) {
	if err := s.Intake.Store.Undo(ctx, c.Rule, c.By, s.Now()); err != nil {
		return "", err
	}
	s.Log.Info("the class of a source was reset", "by", c.By, "verdict", c.Rule)
	return "The verdict is undone.", nil
}

// use stores who writes from a domain.
func (s *Server) use(ctx context.Context, c change) (string, error) {
	if c.Domain == "" || c.Class != "" && c.Class != "people" && c.Class != "machines" {
		return "", fmt.Errorf("%w: no domain, or no answer %q", errBad, c.Class)
	}
	if err := s.Intake.Store.SetUse(ctx, store.Use{Domain: c.Domain, Word: c.Class, By: c.By,
		At: s.Now()}); err != nil {
		return "", err
	}
	s.Log.Info("an administrator answered who writes from a domain", "by", c.By, "domain", c.Domain,
		"answer",
		c.Class)
	return "The answer is stored.", nil
}

func (s *Server) accept(ctx context.Context, c change) (string, error) {
	n, err := s.Intake.Store.Accept(ctx, c.Reporter, true)
	if err != nil {
		return "", err
	}
	s.Log.Info("a reporter was accepted: its reports count without authentication", "by", c.By,
		"reporter", c.Reporter, "reports", n)
	return fmt.Sprintf("Reports of %s count from now on; %s already in the store count now.",
		c.Reporter,
		advice.Count(int64(n))), nil
}

func (s *Server) refuse(ctx context.Context, c change) (string, error) {
	n, err := s.Intake.Store.Refuse(ctx, c.Reporter)
	if err != nil {
		return "", err
	}
	s.Log.Info("a reporter was refused: its reports do not count", "by", c.By, "reporter",
		c.Reporter, "reports", n)
	return fmt.Sprintf("Reports of %s do not count from now on; %s in the store no longer count.",
		c.Reporter,
		advice.Count(int64(n))), nil
}

// prove takes back that a reporter was accepted or refused.
func (s *Server) prove(ctx context.Context, c change) (string, error) {
	n, err := s.Intake.Store.Accept(ctx, c.Reporter, false)
	if err != nil {
		return "", err
	}
	s.Log.Info("a reporter is no longer accepted or refused: its reports count if they are "+
		"authenticated", "by", c.By, "reporter", c.Reporter,
		"reports", n)
	return fmt.Sprintf("Reports of %s count only if they are authenticated; this changed %s in "+
		"the store.", c.Reporter,
		advice.Count(int64(n))), nil
}

// upload stores one file, as "mailseal reports import" does.
func (s *Server) upload(r *http.Request) (string, error) {
	name, by := r.URL.Query().Get("name"), r.URL.Query().Get("by")
	c := change{By: by, Subject: name}
	if err := c.check(); err != nil {
		return "", err
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errBad, err)
	}
	sum := &sum{}
	err = intake.Split(name, data, func(f intake.File) error {
		if f.Err != nil {
			sum.problem(f.Name + ": " + f.Err.Error())
			return nil
		}
		got, err := s.Intake.Take(r.Context(), &store.Arrival{
			Received: s.Now(), Via: "upload", Name: f.Name, Trust: store.ByHand, Data: f.Data,
		})
		if err == nil {
			sum.add(f.Name, got)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	s.Log.Info("a file with reports was uploaded", "by", by, "file", name, "reports", sum.reports)
	return sum.String(), nil
}
