package testmail

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"mailseal/milter/report/evidence"
	"mailseal/milter/report/web"
)

//go:embed test.html
var files embed.FS

// Bounds of the pages' visitors: a token cannot be guessed, but each guess asks the store.
const (
	maxVisits   = 120   // of one network in a minute
	maxVisitors = 10000 // networks that are counted; beyond, all others together are one
)

// Config configures a Server.
type Config struct {
	Store   *Store
	Refresh func(ctx context.Context) error // takes what has come since; nil: nothing does
	Address string                          // for tests, shown on the pages
	URL     string                          // of the pages, without "/t/" and the token
	Answers bool                            // tests are answered by mail, too
	Host    string
	Version string
	Keep    time.Duration
	Now     func() time.Time
	Log     *slog.Logger
}

// Server serves the pages of test mails. Who knows the token of one may see it, and nothing
// else.
type Server struct {
	Config
	pages *template.Template
	mux   *http.ServeMux

	mu     sync.Mutex
	minute time.Time
	visits map[netip.Prefix]int
}

// New makes a server.
func New(c Config) (*Server, error) {
	s := &Server{Config: c, mux: http.NewServeMux(), visits: map[netip.Prefix]int{}}
	funcs := template.FuncMap{"name": web.Name, "text": web.Text, "visible": web.Visible,
		"sentence": sentence}
	var err error
	if s.pages, err = template.New("test.html").Funcs(funcs).ParseFS(files,
		"test.html"); err != nil {
		return nil, err
	}
	s.mux.HandleFunc("GET /{$}", s.start)
	s.mux.HandleFunc("GET /t/{token}", s.show)
	s.mux.HandleFunc("GET /style.css", style)
	s.mux.HandleFunc("GET /robots.txt", robots)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	s.mux.HandleFunc("/", s.unknown)
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.SetHeaders(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, 0) // no page takes anything
	if !s.admit(r.RemoteAddr) {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many requests from your network; try again in a minute.",
			http.StatusTooManyRequests)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// admit counts a visit. Visitors through a reverse proxy share its network, and so do all beyond
// the number of networks that are counted.
func (s *Server) admit(remote string) bool {
	var network netip.Prefix
	if host, _, err := net.SplitHostPort(remote); err == nil {
		if a, err := netip.ParseAddr(host); err == nil && !a.IsLoopback() {
			network = evidence.Network(a)
		} else if err == nil {
			return true // the proxy of this host, which has limits of its own
		}
	} else {
		return true // a unix socket
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	if age := now.Sub(s.minute); age >= time.Minute || age < 0 {
		s.minute = now
		clear(s.visits)
	}
	if _, known := s.visits[network]; !known && len(s.visits) >= maxVisitors {
		network = netip.Prefix{}
	}
	s.visits[network]++
	return s.visits[network] <= maxVisits
}

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write(web.Stylesheet())
}

func robots(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
}

// page is the data of the template.
type page struct {
	Title, Heading, Lead string
	Mail                 *view
	Others               []string // when other mails under the token came
	Again                string   // an address to write to: its mails are on this page
	URL                  string   // of the page, where it is to be told
	Until                time.Time
	Answered             string // whether a mail was sent, in a sentence
	Host, Version        string
}

// start offers an address: its token is made now, and known to no other.
func (s *Server) start(w http.ResponseWriter, _ *http.Request) {
	token := evidence.NewToken()
	s.render(w, http.StatusOK, &page{
		Title: "Test by mail", Heading: "Write to this address, and look at the page below.",
		Lead: "The address is new each time. Mail to it is judged like any other mail, by SPF, " +
			"DKIM and DMARC.",
		Again: With(s.Address, token), URL: s.URL + "/t/" + token,
	})
}

// With returns the address for tests whose mails are under a token.
func With(address, token string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[:i] + "+" + token + address[i:]
		}
	}
	return address
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	if !evidence.IsToken(token) {
		s.unknown(w, r)
		return
	}
	list, err := s.Store.Mails(r.Context(), token, s.Now())
	if errors.Is(err, ErrNone) && s.Refresh != nil {
		// It takes the mails of others, too, who must not lose theirs when this visitor leaves.
		if err = s.Refresh(context.WithoutCancel(r.Context())); err == nil {
			list, err = s.Store.Mails(r.Context(), token, s.Now())
		}
	}
	switch {
	case errors.Is(err, ErrNone):
		s.render(w, http.StatusNotFound, &page{
			Title: "No mail yet", Heading: "There is no mail here yet, or it has expired.",
			Lead: "A mail is shown a few seconds after it arrives, and for some days. Load this " +
				"page again after you have sent it.",
			Again: With(s.Address, token),
		})
		return
	case err != nil:
		s.Log.Error("the page of a test mail could not be made", "error", err)
		s.render(w, http.StatusInternalServerError, &page{Title: "Not available",
			Heading: "The page cannot be made now. Try again in a minute."})
		return
	}
	m := list[0]
	p := &page{Again: With(s.Address, token), Mail: newView(m), Until: m.Time.Add(s.Keep).UTC()}
	p.Answered = s.answered(m)
	p.Title, p.Heading, p.Lead = "Test: dmarc="+m.DMARC.Value, p.Mail.Heading, p.Mail.Advice
	for _, o := range list[1:] {
		p.Others = append(p.Others, o.Time.UTC().Format("2 Jan, 15:04:05")+" UTC: dmarc="+
			o.DMARC.Value)
	}
	s.render(w, http.StatusOK, p)
}

// answered reports whether a mail with the result was sent.
func (s *Server) answered(m evidence.Mail) string {
	switch {
	case !s.Answers:
		return "No mail was sent from here because of it."
	case m.Answer.Refused != "":
		return "No mail was sent from here because of it: " + m.Answer.Refused + "."
	}
	return "A mail with the result is sent to its envelope sender, unless a limit on such " +
		"answers is reached."
}

func (s *Server) unknown(w http.ResponseWriter, _ *http.Request) {
	s.render(w, http.StatusNotFound, &page{Title: "Not found", Heading: "There is nothing under " +
		"this address.",
		Lead: "The address of a page is /t/ and the 32 characters at the end of the reply to " +
			"your mail."})
}

func (s *Server) render(w http.ResponseWriter, status int, p *page) {
	p.Host, p.Version = s.Host, s.Version
	var out bytes.Buffer
	if err := s.pages.Execute(&out, p); err != nil {
		s.Log.Error("the page of a test mail could not be made", "error", err)
		http.Error(w, "The page cannot be made; the log has the reason.",
			http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}
