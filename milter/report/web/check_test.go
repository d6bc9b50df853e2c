package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeChecker answers with one finding, and keeps what was asked.
type fakeChecker struct {
	asked *[]Question
	words string // of strangers, in every field
	err   error
}

func (f fakeChecker) Check(_ context.Context, _ string, q Question) (*Checked, error) {
	if f.asked != nil {
		*f.asked = append(*f.asked, q)
	}
	w := f.words
	if w == "" {
		w = "v=spf1 ip4:192.0.2.10 ptr -all"
	}
	key := "v=DKIM1; p=" + strings.Repeat("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", 12)
	long := Publish{
		Name:    "s2026a._domainkey." + q.Domain,
		Kind:    "TXT",
		Zone:    "s2026a._domainkey." + q.Domain + `. 3600 IN TXT "` + key + `"`,
		Value:   key,
		Strings: `"` + key[:250] + `" "` + key[250:] + `"`,
	}
	p := Publish{Name: w, Kind: "TXT", Zone: w, Value: w, Strings: `"` + w + `" "` + w + `"`,
		Who: w}
	return &Checked{
		Domain:  q.Domain,
		At:      clock,
		Took:    time.Second,
		Queries: 41,
		Terms:   []string{"ip4:192.0.2.10", w, "-all"},
		SPF:     w + "\n" + w,
		Lookups: 9,
		HasSPF:  true,
		Policy:  w,
		Findings: []Found{
			{
				Code:     "spf-ptr",
				Severity: "error",
				Name:     w,
				Text:     w,
				Why:      "It is slow.",
				Seen:     w,
				Start:    7,
				End:      11,
				Publish:  []Publish{p},
			},
			{Code: "c2", Severity: "note", Name: q.Domain, Text: w, Seen: w, Start: -1, End: 1 << 20},
			{
				Code:     "dkim-missing",
				Severity: "note",
				Name:     "s2026a._domainkey." + q.Domain,
				Text:     "no key here",
				Why:      "It is in use.",
				Publish:  []Publish{long},
			},
		},
		NewSPF: Proposal{
			Records: []Publish{p},
			Notes:   []string{w, w + "\n" + w},
		},
		NewDMARC: Proposal{Problem: w, Notes: []string{w}},
	}, f.err
}

func checkServer(t *testing.T, c Checker, a *Access) *Server {
	t.Helper()
	a.Now = func() time.Time { return clock }
	s, err := New(
		Config{Read: world(), Checker: c, Access: a, Version: "test",
			Now: func() time.Time { return clock }},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCheckPage holds that the page shows what was found, with forms that keep what was typed, and
// that it asks with the selectors and addresses of the domain's own mail.
func TestCheckPage(t *testing.T) {
	var asked []Question
	s := checkServer(t, fakeChecker{asked: &asked}, &Access{Token: tokenOfTests})
	body := get(
		s,
		"/check?domain=Shop.Example.&without=ip4%3A192.0.2.10&all=-all&let=198.51.100.0%2F24+include%3A_spf.esp.example"+
			"&who=machines&reports=d%40shop.example&p=quarantine&t=y",
	).Body.String()
	for _, want := range []string{"shop.example</span>: 1 fault. First:",
		`value="ip4:192.0.2.10" checked`, `value="-all" selected`,
		`value="machines" checked`, `name="reports" value="d@shop.example"`,
		`value="quarantine" selected`,
		`name="let" value="_spf.esp.example 198.51.100.0/24"`, "<mark>", "41 queries, 1.0 s",
		"9 of 10 lookups", "line of a zone file",
		"What the proposal allows", `<p class="err" role="alert">`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(body, `name="without" value="-all"`) {
		t.Error("the end of the record can be taken out")
	}
	if len(asked) != 1 {
		t.Fatalf("%d questions", len(asked))
	}
	q := asked[0]
	if !slices.Contains(q.Selectors, "s2026a") || len(q.Addresses) == 0 || q.DMARC.People ||
		!q.DMARC.Testing ||
		q.SPF.All != "-all" ||
		!slices.Equal(q.SPF.Networks, []string{"198.51.100.0/24"}) ||
		!slices.Equal(q.SPF.Includes, []string{"_spf.esp.example"}) {
		t.Errorf("asked %+v", q)
	}
	get(s, "/check?domain=unknown.example&source=mx.shop.example&selector=a,b+c")
	if got := fmt.Sprint(asked[1]); !strings.HasPrefix(got, "{unknown.example [a b c] []") {
		t.Errorf("asked %s", got)
	}
	if body := get(s, "/check").Body.String(); len(asked) != 2 ||
		!strings.Contains(body, `href="/check?domain=shop.example"`) {
		t.Error("without a domain the DNS is asked, or the domains are not listed")
	}
	if body := get(s, "/d/shop.example").Body.String(); strings.Count(
		body,
		`href="/check?domain=shop.example"`,
	) < 2 {
		t.Error("the page of the domain does not lead to the check")
	}
}

// TestCheckOffersSources holds that a source of the domain is let in as a whole, by its name.
func TestCheckOffersSources(t *testing.T) {
	var asked []Question
	s := checkServer(t, fakeChecker{asked: &asked}, &Access{Token: tokenOfTests})
	body := get(s, "/check?domain=shop.example").Body.String()
	_, after, ok := strings.Cut(body, `name="source" value="`)
	if !ok {
		t.Fatal("no source is offered")
	}
	source, _, _ := strings.Cut(after, `"`)
	body = get(s, "/check?domain=shop.example&source="+source).Body.String()
	if len(asked[1].SPF.Networks) == 0 ||
		!strings.Contains(body, `name="source" value="`+source+`" checked`) {
		t.Errorf("source %q was ticked, and %v is let in", source, asked[1].SPF.Networks)
	}
	if !strings.Contains(body, `name="let" value=""`) {
		t.Error("the addresses of the source stand in the field of others, too")
	}
}

// TestCheckIsRefused holds that what is not to be asked is not asked, and that the page says so.
func TestCheckIsRefused(t *testing.T) {
	s := checkServer(
		t,
		fakeChecker{err: fmt.Errorf("%w in this minute; try again in 7 seconds", ErrBusy)},
		&Access{Token: tokenOfTests},
	)
	if w := get(s, "/check?domain=a.example"); w.Code != http.StatusOK ||
		!strings.Contains(w.Body.String(), "try again in 7 seconds") {
		t.Errorf("busy: status %d", w.Code)
	}
	if w := get(checkServer(t, nil, &Access{Token: tokenOfTests}),
		"/check"); w.Code != http.StatusNotFound {
		t.Errorf("without a checker: status %d", w.Code)
	}
	var asked []Question
	s = checkServer(
		t,
		fakeChecker{asked: &asked},
		&Access{ProxyHeader: "X-User",
			ProxyFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
			Accounts: map[string]Account{
				"anna": {Name: "anna", Role: Read, Domains: []string{"shop.example"}},
			}},
	)
	for domain, want := range map[string]int{"shop.example": 1, "new.shop.example": 1,
		"example.net": 0, "notshop.example": 0, "example": 0} {
		asked = nil
		r := httptest.NewRequest(http.MethodGet, "/check?domain="+domain, nil)
		r.Header.Set("X-User", "anna")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if len(asked) != want || w.Code != http.StatusOK {
			t.Errorf("%s: asked %d times, status %d", domain, len(asked), w.Code)
		}
		if body := w.Body.String(); want == 0 &&
			!strings.Contains(body, "Your account may check its own domains") {
			t.Errorf("%s: the page does not say why", domain)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/check", nil)
	r.Header.Set("X-User", "anna")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if body := w.Body.String(); strings.Contains(body, "example.net") ||
		!strings.Contains(body, "shop.example") {
		t.Error("the list has domains that the account may not see")
	}
}

// TestCheckIsHostile holds that strangers' records never act.
func TestCheckIsHostile(t *testing.T) {
	for _, text := range []string{hostile, formula} {
		s := checkServer(t, fakeChecker{words: text}, &Access{Token: tokenOfTests})
		for _, path := range []string{"/check?domain=shop.example",
			"/check?domain=%E2%80%AE%3Cscript%3E", "/check?domain=a.example&selector=" +
				"%E2%80%AE%22%3E%3Cscript%3E&let=%22%3E%3Cscript%3E&reports=%22%3E%3Cscript%3E" +
				"&without=%22%3E%3Cscript%3E"} {
			body := get(s, path).Body.String()
			noOrders(t, path, body)
			parse(t, body)
		}
		noOrders(t, "findings.json", get(s,
			"/check/findings.json?domain=shop.example").Body.String())
		out := get(s, "/check/findings.csv?domain=shop.example").Body.String()
		noOrders(t, "findings.csv", out)
		noFormulas(t, "findings.csv", out)
	}
}
