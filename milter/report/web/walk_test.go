package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The routes of the pages, with values for what is variable in them: of shop.example, which carla
// may not see. A route that is not here fails the tests below, so that a new one is thought of.
var routeSamples = map[string]string{
	"/{$}":      "/",
	"/{table}":  "/domains.csv",
	"/messages": "/messages?domain=shop.example", "/messages/{table}": "/messages/records.json?domain=shop.example",
	"/reports": "/reports?domain=shop.example", "/reports/{table}": "/reports/reports.csv?domain=shop.example",
	"/receiver": "/receiver?name=google.com", "/receiver/{table}": "/receiver/domains.csv?name=google.com",
	"/ingest": "/ingest", "/ingest/{table}": "/ingest/errors.csv",
	"/ingest/mail/{id}": "/ingest/mail/1", "/ingest/mail/{id}/raw": "/ingest/mail/1/raw",
	"/out": "/out", "/out/{table}": "/out/sent.json",
	"/out/d/{domain}":             "/out/d/college.example",
	"/out/d/{domain}/{id}/{file}": "/out/d/college.example/20261130abcdefghijklmnopqrstuv/report.xml",
	"/check":                      "/check", "/check/{table}": "/check/findings.csv?domain=shop.example",
	"/d/{domain}":                    "/d/shop.example",
	"/d/{domain}/{table}":            "/d/shop.example/sources.csv",
	"/d/{domain}/s/{source}":         "/d/shop.example/s/esp.example",
	"/d/{domain}/s/{source}/{table}": "/d/shop.example/s/esp.example/receivers.json",
	"/s/{source}":                    "/s/esp.example", "/s/{source}/{table}": "/s/esp.example/domains.csv",
	"/tls": "/tls", "/tls/{table}": "/tls/tls.csv",
	"/failures": "/failures", "/failures/{table}": "/failures/failures.json",
	"/r/{id}": "/r/1", "/r/{id}/{table}": "/r/1/raw.xml",
}

// open are routes that need no login; lists has those that restrict themselves to the domains that
// a visitor may see, rather than answer that there is nothing.
var (
	openRoutes = []string{"/healthz", "/style.css", "/login", "/logout", "/"}
	listRoutes = []string{"/{$}", "/{table}", "/messages", "/messages/{table}", "/reports",
		"/reports/{table}", "/receiver", "/receiver/{table}", "/check", "/check/{table}",
		"/tls", "/tls/{table}", "/failures", "/failures/{table}"}
)

// walked calls do with the method, the route and the sample of each route that needs a login.
func walked(t *testing.T, s *Server, do func(method, route, path string)) {
	t.Helper()
	if len(s.patterns) < 30 {
		t.Fatalf("%d routes", len(s.patterns))
	}
	for _, p := range s.patterns {
		method, route, found := strings.Cut(p, " ")
		if !found {
			method, route = "", p
		}
		if slices.Contains(openRoutes, route) {
			continue
		}
		path, has := routeSamples[route]
		if !has {
			t.Errorf("%s: there is no sample of this route", p)
			continue
		}
		do(method, route, path)
	}
}

// walkServer is over 90 days of 25 domains, with the accounts anna (all), ben (reads all), carla
// (reads example.org) and dora (changes example.org).
func walkServer(t *testing.T) (s *Server, as func(string) *browser, got *[]string) {
	t.Helper()
	a, _, _ := accounts(t)
	a.Passwords["dora"] = a.Passwords["carla"]
	a.Accounts["dora"] = Account{Role: Admin, Domains: []string{"example.org"}}
	got = &[]string{}
	s, err := New(Config{Read: world(), Commands: fakeCommands{got}, Checker: fakeChecker{},
		Access: a, Now: clockNow, Groups: []Group{{"group-of-shop.example",
			func(d string) bool { return d == "shop.example" }}}})
	if err != nil {
		t.Fatal(err)
	}
	return s, func(user string) *browser {
		b := &browser{t: t, s: s, cookies: map[string]string{}, remote: "198.51.100.1:1"}
		password := "secret of " + map[string]string{"dora": "carla"}[user]
		if user != "dora" {
			password = "secret of " + user
		}
		if w := b.login(user, password); w.Code != http.StatusSeeOther {
			t.Fatalf("%s cannot sign in: status %d", user, w.Code)
		}
		return b
	}, got
}

// TestEveryPageNeedsALogin asks for every route without one.
func TestEveryPageNeedsALogin(t *testing.T) {
	s, as, got := walkServer(t)
	guest := &browser{t: t, s: s, cookies: map[string]string{}}
	anna := as("anna")
	walked(t, s, func(method, route, path string) {
		if method == http.MethodPost {
			w := guest.post(path, url.Values{"csrf": {"x"}})
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login" {
				t.Errorf("POST %s: status %d", path, w.Code)
			}
			return
		}
		if w := guest.get(path); w.Code != http.StatusSeeOther ||
			!strings.HasPrefix(w.Header().Get("Location"), "/login?next=") || w.Body.Len() > 200 {
			t.Errorf("%s: status %d, %d bytes", path, w.Code, w.Body.Len())
		}
		if w := anna.get(path); w.Code != http.StatusOK {
			t.Errorf("%s: the sample is not good: status %d for an administrator", path, w.Code)
		}
	})
	if len(*got) > 0 {
		t.Errorf("changes without a login: %q", *got)
	}
}

// TestRestrictedRoutes asks for every route as one who may see another domain only.
func TestRestrictedRoutes(t *testing.T) {
	s, as, _ := walkServer(t)
	for _, user := range []string{"carla", "dora"} {
		b := as(user)
		walked(t, s, func(method, route, path string) {
			if method == http.MethodPost {
				return
			}
			w := b.get(path)
			if slices.Contains(listRoutes, route) {
				isCheck := route == "/check/{table}" // what is there to export is the domain's
				if w.Code != http.StatusOK && !(isCheck && w.Code == http.StatusNotFound) {
					t.Errorf("%s: %s: status %d", user, path, w.Code)
				}
				// a form or a link may repeat what the address asks for
				body := strings.ReplaceAll(w.Body.String(), "domain=shop.example", "")
				hasRows := strings.Contains(path, "shop.example") &&
					(strings.Contains(body, `href="/r/`) || strings.Contains(body, "google.com"))
				if hasRows || strings.Contains(body, "esp.example") || strings.Contains(body,
					"shop.example") && !strings.Contains(path, "shop.example") {
					t.Errorf("%s: %s has data of shop.example", user, path)
				}
				return
			}
			if w.Code != http.StatusNotFound {
				t.Errorf("%s: %s: status %d, want 404", user, path, w.Code)
			}
		})
	}
}

// changesOf are forms of each route that changes something.
var changesOf = map[string][]url.Values{
	"/d/{domain}":            {{"use": {"machines"}}},
	"/d/{domain}/s/{source}": {{"class": {"ours"}}, {"class": {"ours"}, "all": {"1"}}, {"undo": {"41"}}},
	"/ingest": {{"trust": {"receiver.test"}}, {"refuse": {"receiver.test"}}, {"prove": {"liar.test"}},
		{"reread": {"1"}}, {"rereadkind": {"aggregate"}}},
	"/ingest/mail/{id}": {{"reread": {"1"}}, {"discard": {"1"}, "confirm": {"yes"}}},
	"/out": {{"suppress": {"d@a.example"}, "until": {"2027-01-01"}}, {"release": {"d@a.example"}},
		{"resend": {"x"}}},
}

// TestEveryChangeNeedsItsForm sends every change without a token, with a wrong one, with that of
// another session and with that of the login, then as accounts that may not make it. None is made.
// The same forms of an administrator are.
func TestEveryChangeNeedsItsForm(t *testing.T) {
	s, as, got := walkServer(t)
	anna, other, ben, carla, dora := as("anna"), as("anna"), as("ben"), as("carla"), as("dora")
	token := func(b *browser) string { return csrfOf(t, b.get("/")) }
	guest := &browser{t: t, s: s, cookies: map[string]string{}}
	login := csrfOf(t, guest.get("/login"))
	made := 0
	walked(t, s, func(method, route, path string) {
		if method != http.MethodPost {
			return
		}
		forms := changesOf[route]
		if len(forms) == 0 {
			t.Errorf("POST %s: there is no sample of its form", route)
		}
		for _, form := range forms {
			for _, c := range []struct {
				name, csrf string
				b          *browser
				want       []int
			}{
				{"no token", "", anna, []int{403}},
				{"a wrong token", "wrong", anna, []int{403}},
				{"a token of the right length", strings.Repeat("A", 86), anna, []int{403}},
				{"the token of another session", token(other), anna, []int{403}},
				{"the token of the login", login, anna, []int{403}},
				{"a reader", token(ben), ben, []int{403}},
				{"a reader of another domain", token(carla), carla, []int{403, 404}},
				{"an administrator of another domain", token(dora), dora, []int{403, 404}},
			} {
				form.Set("csrf", c.csrf)
				if w := c.b.post(path, form); !slices.Contains(c.want, w.Code) {
					t.Errorf("%s, POST %s %v: status %d", c.name, path, form, w.Code)
				}
			}
			if len(*got) > made {
				t.Fatalf("POST %s %v: %q was made", path, form, (*got)[made:])
			}
			form.Set("csrf", token(anna))
			if w := anna.post(path, form); w.Code != http.StatusSeeOther || len(*got) != made+1 {
				t.Errorf("an administrator, POST %s %v: status %d, %q", path, form, w.Code, *got)
			}
			made = len(*got)
		}
	})
}

var (
	formTag   = regexp.MustCompile(`(?s)<form[^>]*>.*?</form>`)
	actionTag = regexp.MustCompile(`^<form[^>]*action="([^"]+)"`)
)

// TestEveryFormHasAToken holds that every form that changes something carries the secret of the
// session, and leads to a route of ours.
func TestEveryFormHasAToken(t *testing.T) {
	s, as, _ := walkServer(t)
	anna, forms := as("anna"), map[string]int{}
	walked(t, s, func(method, _, path string) {
		if method == http.MethodPost || strings.Contains(path, ".csv") ||
			strings.Contains(path, ".json") {
			return
		}
		for _, form := range formTag.FindAllString(anna.get(path).Body.String(), -1) {
			open, _, _ := strings.Cut(form, ">")
			if !strings.Contains(open, `method="post"`) {
				continue
			}
			m := actionTag.FindStringSubmatch(form)
			if m == nil || !strings.HasPrefix(m[1], "/") || strings.HasPrefix(m[1], "//") {
				t.Errorf("%s: a form leads to %v", path, m)
				continue
			}
			field := csrfField.FindStringSubmatch(form)
			if field == nil || len(field[1]) < 80 {
				t.Errorf("%s: a form to %s has no token: %s", path, m[1], form)
			}
			forms[strings.SplitN(m[1], "/", 3)[1]]++
		}
	})
	for _, want := range []string{"logout", "ingest", "out", "d"} {
		if forms[want] == 0 {
			t.Errorf("no page has a form that leads to /%s: %v", want, fmt.Sprint(forms))
		}
	}
}
