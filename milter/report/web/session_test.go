package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

// TestSessionEnds holds that a session ends after its time to the second, that a form without its
// secret does not end it, and that its cookie is worth nothing after it was signed out.
func TestSessionEnds(t *testing.T) {
	a, now, _ := accounts(t)
	s := serverWith(t, a, nil)
	b := &browser{t: t, s: s, cookies: map[string]string{}}
	signedIn := func() bool { return b.get("/").Code == http.StatusOK }
	if w := b.login("anna", "secret of anna"); w.Code != http.StatusSeeOther {
		t.Fatalf("status %d", w.Code)
	}
	*now = now.Add(sessionFor - time.Second)
	if !signedIn() {
		t.Error("the session ended early")
	}
	*now = now.Add(time.Second)
	if signedIn() {
		t.Error("the session did not end")
	}
	b.login("anna", "secret of anna")
	old := b.cookies[cookieName]
	for _, token := range []string{"", "wrong"} {
		if b.post("/logout", url.Values{"csrf": {token}}); !signedIn() {
			t.Errorf("a form with the token %q signed out", token)
		}
	}
	b.post("/logout", url.Values{"csrf": {csrfOf(t, b.get("/"))}})
	if b.cookies[cookieName] != "" || signedIn() {
		t.Error("the cookie was not taken back")
	}
	if b.cookies[cookieName] = old; signedIn() {
		t.Error("the cookie of a session that was signed out is accepted")
	}
	b.cookies[cookieName] = ""
	if signedIn() {
		t.Error("an empty cookie is accepted") // as is the entry of the secret of the process
	}
}

// TestProxyForms holds which peers may say who a visitor is, by every form in which an address is
// written; one that is not understood is not believed.
func TestProxyForms(t *testing.T) {
	a, _, _ := accounts(t)
	a.ProxyHeader = "X-Remote-User"
	a.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.5/32"),
		netip.MustParsePrefix("2001:db8::5/128"), netip.MustParsePrefix("fe80::/10")}
	s := serverWith(t, a, nil)
	for remote, want := range map[string]int{
		"127.0.0.5:1": 200, "[::ffff:127.0.0.5]:1": 200, "[::ffff:7f00:5]:1": 200,
		"[2001:db8::5]:1": 200, "[2001:0db8:0::5]:65535": 200, "[fe80::1]:1": 200,
		"/run/proxy.sock": 200, "@": 200,
		"[fe80::1%eth0]:1": 303, "[2001:db8::5%x]:1": 303, "127.0.0.5": 303, "127.0.0.5:": 303,
		"127.0.0.5:http": 303, "2001:db8::5": 303, "127.0.0.50:1": 303, "[::127.0.0.5]:1": 303,
		"localhost:1": 303, " 127.0.0.5:1": 303, "@other": 303,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Remote-User", "anna")
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %q: status %d, want %d", remote, w.Code, want)
		}
	}
	// A header with several values in one line is one name, of no account that may do more.
	r := httptest.NewRequest(http.MethodGet, "/ingest/mail/1", nil)
	r.RemoteAddr = "127.0.0.5:1"
	r.Header.Set("X-Remote-User", "ben, anna")
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != http.StatusNotFound {
		t.Errorf("two names in a header: status %d, want %d", w.Code, http.StatusNotFound)
	}
}
