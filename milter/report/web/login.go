package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// loginCookie ties the form of the login to the browser that asked for it.
const loginCookie = "mailseal-login"

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request) {
	s.loginPage(w, r, "", "", http.StatusOK)
}

// loginPage shows the form. Its token is masked with the secret of a cookie, as those of other
// forms with the session's.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request, problem, user string,
	status int) {
	before := session{secret: make([]byte, 32)}
	if c, err := r.Cookie(loginCookie); err == nil && len(c.Value) == 32 {
		before.secret = []byte(c.Value)
	} else {
		before.secret = []byte(rand.Text() + rand.Text())[:32]
	}
	s.cookie(w, r, loginCookie, string(before.secret), 3600)
	p := &page{Title: "Sign in", Login: &loginForm{Error: problem, Next: local(r.FormValue("next")),
		Name: user}}
	s.render(w, r, before, p, status)
}

func (s *Server) cookie(w http.ResponseWriter, r *http.Request, name, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true,
		Secure:   s.access.overTLS(r), SameSite: http.SameSiteLaxMode})
}

// local returns next if it leads to a page of ours, else the start.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") ||
		strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	c, err := r.Cookie(loginCookie)
	user := r.FormValue("user")
	if err != nil || !(session{secret: []byte(c.Value)}).isToken(r.FormValue("csrf")) {
		s.loginPage(w, r, "The form has expired. Try again; the browser must accept cookies.",
			user, http.StatusForbidden)
		return
	}
	value, err := s.access.enter(r, user, r.FormValue("password"))
	who := []any{"user", clip(user), "client", r.RemoteAddr}
	if from := s.access.client(r); from.IsValid() {
		who = append(who, "from", from.String())
	}
	switch {
	case errors.Is(err, errLocked):
		w.Header().Set("Retry-After", "600")
		s.log.Warn("login refused: locked for ten minutes after wrong passwords", who...)
		s.loginPage(w, r, "Too many wrong passwords from your address. Wait ten minutes.", user,
			http.StatusTooManyRequests)
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "60")
		s.log.Warn("login refused: too many at once", who...)
		s.loginPage(w, r, "Too many logins at once. Try again in a minute.", user,
			http.StatusServiceUnavailable)
	case err != nil:
		s.log.Warn("login refused: wrong name or password", who...)
		s.loginPage(w, r, "Name or password is wrong.", user, http.StatusForbidden)
	default:
		s.log.Info("login", who...)
		s.cookie(w, r, cookieName, value, int(sessionFor.Seconds()))
		http.Redirect(w, r, local(r.FormValue("next")), http.StatusSeeOther)
	}
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	who, ok := s.access.visitor(r)
	if ok && who.isToken(r.FormValue("csrf")) {
		if c, err := r.Cookie(cookieName); err == nil {
			s.access.leave(c.Value)
		}
		s.cookie(w, r, cookieName, "", -1)
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
