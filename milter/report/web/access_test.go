package web

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// browser keeps cookies.
type browser struct {
	t       *testing.T
	s       http.Handler
	cookies map[string]string
	remote  string
	header  http.Header
}

func (b *browser) do(r *http.Request) *httptest.ResponseRecorder {
	b.t.Helper()
	if b.remote != "" {
		r.RemoteAddr = b.remote
	}
	for k, v := range b.header {
		r.Header[k] = v
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.s.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			b.t.Errorf("cookie %s: HttpOnly %v, SameSite %v", c.Name, c.HttpOnly, c.SameSite)
		}
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return w
}

func (b *browser) get(path string) *httptest.ResponseRecorder {
	return b.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (b *browser) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func csrfOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	m := csrfField.FindStringSubmatch(w.Body.String())
	if m == nil {
		t.Fatalf("no form with a token: status %d", w.Code)
	}
	return m[1]
}

func (b *browser) login(user, password string) *httptest.ResponseRecorder {
	b.t.Helper()
	token := csrfOf(b.t, b.get("/login?next=/d/shop.example"))
	return b.post("/login", url.Values{"csrf": {token}, "user": {user}, "password": {password},
		"next": {"/d/shop.example"}})
}

// accounts is an access with three people; its clock and its delay are the test's.
func accounts(t *testing.T) (*Access, *time.Time, *time.Duration) {
	t.Helper()
	now, waited := clock, time.Duration(0)
	path := filepath.Join(t.TempDir(), "htpasswd")
	var text strings.Builder
	for _, user := range []string{"anna", "ben", "carla"} {
		hash, err := bcrypt.GenerateFromPassword([]byte("secret of "+user), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(user + ":" + string(hash) + "\n")
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	passwords, err := ReadPasswords(path)
	if err != nil {
		t.Fatal(err)
	}
	a := &Access{Token: tokenOfTests, Passwords: passwords,
		Accounts: map[string]Account{"anna": {Role: Admin},
			"carla": {Role: Read, Domains: []string{"example.org"}}}, Now: func() time.Time { return now },
		Wait: func(d time.Duration) { waited += d }}
	return a, &now, &waited
}

func serverWith(t *testing.T, a *Access, got *[]string) *Server {
	t.Helper()
	s, err := New(Config{Read: hostileWorld(hostile), Commands: fakeCommands{got}, Access: a,
		Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNothingWithoutLogin(t *testing.T) {
	a, _, _ := accounts(t)
	b := &browser{t: t, s: serverWith(t, a, nil), cookies: map[string]string{}}
	for _, path := range []string{"/", "/d/shop.example", "/domains.csv",
		"/d/shop.example/sources.json", "/r/1", "/r/1/raw.xml", "/messages", "/ingest",
		"/out", "/reports", "/nothing"} {
		w := b.get(path)
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"),
			"/login?next=") || strings.Contains(w.Body.String(), "<main") {
			t.Errorf("%s: status %d to %q", path, w.Code, w.Header().Get("Location"))
		}
	}
	for _, path := range []string{"/healthz", "/login", "/style.css"} {
		if w := b.get(path); w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}

func TestLogin(t *testing.T) {
	a, now, waited := accounts(t)
	b := &browser{t: t, s: serverWith(t, a, nil), cookies: map[string]string{}}
	if w := b.login("anna", "secret of ben"); w.Code != http.StatusForbidden || *waited == 0 {
		t.Errorf("wrong password: status %d, waited %s", w.Code, *waited)
	}
	if w := b.login("nobody", "x"); w.Code != http.StatusForbidden {
		t.Errorf("unknown name: status %d", w.Code)
	}
	if w := b.login("anna", "secret of anna"); w.Code != http.StatusSeeOther ||
		w.Header().Get("Location") != "/d/shop.example" {
		t.Fatalf("right password: status %d to %s", w.Code, w.Header().Get("Location"))
	}
	if w := b.get("/"); w.Code != http.StatusOK {
		t.Errorf("after the login: status %d", w.Code)
	}
	*now = now.Add(13 * time.Hour)
	if w := b.get("/"); w.Code != http.StatusSeeOther {
		t.Errorf("after 13 hours: status %d", w.Code)
	}
	if w := b.login("", tokenOfTests); w.Code != http.StatusSeeOther {
		t.Errorf("token: status %d", w.Code)
	}
	page := b.get("/")
	if w := b.post("/logout", url.Values{"csrf": {csrfOf(t,
		page)}}); w.Code != http.StatusSeeOther || b.get("/").Code != http.StatusSeeOther {
		t.Error("the session outlives its end")
	}
	if first, second := csrfOf(t, b.get("/login")), csrfOf(t, b.get("/login")); first == second {
		t.Error("the token of the form is the same twice: it is not masked")
	}
}

func TestLoginStaysHome(t *testing.T) {
	for next, want := range map[string]string{"/d/x?y=z": "/d/x?y=z", "//evil.test/": "/",
		"https://evil.test": "/", `/\evil.test`: "/", "evil": "/", "": "/",
		"/\t/evil.test": "/"} {
		if got := local(next); got != want {
			t.Errorf("local(%q) = %q, want %q", next, got, want)
		}
	}
}

func TestRoles(t *testing.T) {
	a, _, _ := accounts(t)
	var got []string
	s := serverWith(t, a, &got)
	source := "/d/shop.example/s/203.0.113.5"
	judge := func(b *browser, token string) *httptest.ResponseRecorder {
		return b.post(source, url.Values{"csrf": {token}, "class": {"scanner"}})
	}
	anna := &browser{t: t, s: s, cookies: map[string]string{}}
	anna.login("anna", "secret of anna")
	token := csrfOf(t, anna.get(source))
	if w := judge(anna, ""); w.Code != http.StatusForbidden {
		t.Errorf("without token: status %d", w.Code)
	}
	if w := judge(anna, token[:20]+
		strings.Repeat("A", len(token)-20)); w.Code != http.StatusForbidden {
		t.Errorf("with another token: status %d", w.Code)
	}
	if w := judge(anna, token); w.Code != http.StatusSeeOther {
		t.Errorf("admin: status %d", w.Code)
	}
	if w := anna.post(source, url.Values{"csrf": {token},
		"class": {"spoof"}}); w.Code != http.StatusForbidden {
		t.Errorf("a class that only rules give: status %d", w.Code)
	}
	anna.post(source, url.Values{"csrf": {token}, "undo": {"1"}})
	for _, decision := range []string{"trust", "refuse", "prove"} {
		anna.post("/ingest", url.Values{"csrf": {token},
			decision: {url.QueryEscape("receiver.test")}})
	}
	upload(t, anna, token)
	for _, word := range []string{"machines", "unknown", "dogs"} {
		anna.post("/d/shop.example", url.Values{"csrf": {token}, "use": {word}})
	}
	want := []string{"judge anna shop.example 203.0.113.5 scanner", "undo anna 1",
		"trust anna receiver.test", "refuse anna receiver.test", "prove anna receiver.test",
		"upload anna r.xml <feedback/>",
		"use anna shop.example machines", "use anna shop.example "}
	if !slices.Equal(got, want) {
		t.Errorf("commands %q, want %q", got, want)
	}

	ben := &browser{t: t, s: s, cookies: map[string]string{}}
	ben.login("ben", "secret of ben")
	page := ben.get(source)
	if w := judge(ben, csrfOf(t, page)); w.Code != http.StatusForbidden ||
		strings.Contains(page.Body.String(), `name="class"`) {
		t.Errorf("a reader judges: status %d", w.Code)
	}

	use := ben.post("/d/shop.example", url.Values{"csrf": {csrfOf(t, page)}, "use": {"people"}})
	if body := ben.get("/d/shop.example").Body.String(); use.Code != http.StatusForbidden ||
		strings.Contains(body, `name="use"`) {
		t.Errorf("a reader says who writes: status %d", use.Code)
	}
	if body := anna.get("/d/shop.example").Body.String(); !strings.Contains(body,
		`name="use" value="machines"`) {
		t.Error("an administrator is not asked who writes from the domain")
	}

	carla := &browser{t: t, s: s, cookies: map[string]string{}}
	carla.login("carla", "secret of carla")
	for _, path := range []string{"/d/shop.example", "/r/1", "/r/1/raw.xml", "/ingest", "/out",
		source} {
		if w := carla.get(path); w.Code != http.StatusNotFound {
			t.Errorf("a reader of example.org: %s: status %d", path, w.Code)
		}
	}
	for _, path := range []string{"/", "/messages", "/messages?domain=shop.example", "/reports",
		"/domains.csv", "/messages/records.csv", "/?q=shop"} {
		if body := carla.get(path).Body.String(); strings.Contains(body, "203.0.113.5") ||
			strings.Contains(body, "/d/shop.example") {
			t.Errorf("a reader of example.org sees shop.example on %s", path)
		}
	}
	if len(got) != len(want) {
		t.Errorf("commands of readers: %q", got[len(want):])
	}
}

func upload(t *testing.T, b *browser, token string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("csrf", token)
	part, err := form.CreateFormFile("files", "r.xml")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte("<feedback/>"))
	_ = form.Close()
	r := httptest.NewRequest(http.MethodPost, "/ingest", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	if w := b.do(r); w.Code != http.StatusSeeOther {
		t.Errorf("upload: status %d", w.Code)
	}
}

func TestProxyHeader(t *testing.T) {
	a, _, _ := accounts(t)
	a.ProxyHeader, a.ProxyFrom = "X-Remote-User",
		[]netip.Prefix{netip.MustParsePrefix("127.0.0.5/32")}
	s := serverWith(t, a, nil)
	for remote, want := range map[string]int{"127.0.0.5:99": 200, "[::ffff:127.0.0.5]:99": 200,
		"127.0.0.6:99": 303, "@": 200, "": 200} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Remote-User", "anna")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("from %q: status %d, want %d", remote, w.Code, want)
		}
		// what the client sent, and what the proxy added
		r.Header["X-Remote-User"] = []string{"anna", "ben"}
		w = httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusSeeOther {
			t.Errorf("from %q, twice: status %d, want %d", remote, w.Code, http.StatusSeeOther)
		}
	}
}

func TestAccessIsChecked(t *testing.T) {
	tests := []struct {
		name string
		a    *Access
		want string
	}{
		{"nothing", &Access{}, "no user can sign in"},
		{"short token", &Access{Token: "short"}, "needs 20"},
		{"role", &Access{Token: tokenOfTests, Accounts: map[string]Account{"x": {Role: "root"}}}, "roles are"},
		{"good", &Access{Token: tokenOfTests}, ""},
	}
	for _, c := range tests {
		err := c.a.Check()
		if c.want == "" && err != nil ||
			c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(path, []byte("# people\nanna:$apr1$old$hash\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPasswords(path); err == nil || !strings.Contains(err.Error(), ":2: ") ||
		!strings.Contains(err.Error(), "htpasswd -nB") {
		t.Errorf("MD5 hash: %v", err)
	}
}

// TestBearerReads holds that a token in the header signs a program in for reading only: what
// changes something has a form with a secret.
func TestBearerReads(t *testing.T) {
	a := &Access{Token: "a token of 20 letters"}
	for method, want := range map[string]bool{"GET": true, "POST": false, "PUT": false,
		"DELETE": false} {
		r := httptest.NewRequest(method, "/", nil)
		r.Header.Set("Authorization", "Bearer "+a.Token)
		if who, ok := a.visitor(r); ok != want || ok && !who.admin() {
			t.Errorf("%s: signed in %v as %+v, want %v", method, ok, who, want)
		}
	}
}
