package testmail

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/evidence"
	"mailseal/milter/spf"
)

var now = time.Date(2026, 11, 30, 8, 6, 0, 0, time.UTC)

func hostile(token string) evidence.Mail {
	const bad = "<script>alert(1)</script>\u202e\" onload=x"
	return evidence.Mail{
		Token: token, Time: now, Host: "mx.example.net",
		Client: netip.MustParseAddr("198.51.100.7"), Helo: bad, TLS: bad,
		Sender: bad, Recipient: bad, IPRev: &evidence.Finding{Value: "fail", Name: bad, Reason: bad},
		SPF: &spf.Result{Value: spf.Pass, Domain: "bounce.esp.example", Reason: bad,
			Explanation: bad, Tree: &spf.Record{
				Domain: bad, Text: bad, Steps: []spf.Step{{Term: bad, Outcome: "match", Detail: bad,
					Nested: &spf.Record{Text: bad}}}}},
		Signatures: []evidence.Signature{{Value: "fail", Domain: "shop.example", Selector: bad,
			Reason: bad, Checked: true, HeaderIntact: true, HeaderCause: bad, Cure: bad}},
		ARC: &evidence.Finding{Value: "fail", Name: bad, Reason: bad},
		DMARC: evidence.DMARC{Value: "fail", Reason: bad, Author: "shop.example", Record: bad, Requested: "reject",
			Alignments: []evidence.Alignment{{Method: "spf", Domain: bad, Why: bad}},
			Walk:       []evidence.Step{{Name: bad, Answer: bad}}},
		Action: "mark", Why: bad, Code: 550, Reply: []string{bad}, Fields: []evidence.Field{{Name: bad, Value: bad}},
	}
}

func newServer(t *testing.T) (*Server, *Store,
	func(path, remote string) *httptest.ResponseRecorder) {
	t.Helper()
	store, err := Open(t.Context(), filepath.Join(t.TempDir(), "tests.db"), 7*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s, err := New(Config{Store: store, Address: "test@example.net", URL: "https://mx.example.net",
		Host: "mx.example.net",
		Keep: 7 * 24 * time.Hour, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s, store, func(path, remote string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
}

const visitor = "203.0.113.9:1234"

// TestHostilePage holds that nothing a stranger wrote is markup, or moves the text around it.
func TestHostilePage(t *testing.T) {
	_, store, get := newServer(t)
	token := evidence.NewToken()
	if isNew, err := store.Put(t.Context(), "1", hostile(token)); err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	w := get("/t/"+token, visitor)
	body := w.Body.String()
	if w.Code != 200 || strings.Contains(body, "<script") || strings.Contains(body, "\u202e") ||
		strings.Contains(body, `" onload`) {
		t.Fatalf("status %d: %s", w.Code, body)
	}
	for _, want := range []string{"U+202E", "dmarc=fail", "The body was changed after signing",
		"Correct the signature of", "matches", "7 Dec", "signed "} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'", "X-Robots-Tag": "noindex",
		"Cache-Control": "no-store", "Referrer-Policy": "same-origin",
	} {
		if got := w.Header().Get(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestPages holds what is shown under which address.
func TestPages(t *testing.T) {
	_, store, get := newServer(t)
	token, old := evidence.NewToken(), evidence.NewToken()
	for i := range 2 * maxPerToken {
		m := hostile(token)
		m.Time = now.Add(-time.Duration(i) * time.Minute)
		if _, err := store.Put(t.Context(), "new"+string(rune('a'+i)), m); err != nil {
			t.Fatal(err)
		}
	}
	m := hostile(old)
	m.Time = now.Add(-8 * 24 * time.Hour)
	if _, err := store.Put(t.Context(), "old", m); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		code int
		text string
	}{
		{"/", 200, "test&#43;"},
		{"/t/" + token, 200, "Earlier mails"},
		{"/t/" + old, 404, "no mail here yet, or it has expired"},
		{"/t/" + evidence.NewToken(), 404, "no mail here yet"},
		{"/t/' OR 1=1 --", 404, "nothing under this address"},
		{"/t/" + strings.ToUpper(token), 404, "nothing under this address"},
		{"/t/", 404, "nothing under this address"},
		{"/d/shop.example", 404, "nothing under this address"},
		{"/style.css", 200, ".steps"},
		{"/robots.txt", 200, "Disallow: /"},
		{"/healthz", 200, "ok"},
	} {
		w := get(strings.ReplaceAll(c.path, " ", "%20"), visitor)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.text) {
			t.Errorf("%s: status %d, want %d with %q: %s", c.path, w.Code, c.code, c.text, w.Body)
		}
	}
	list, err := store.Mails(t.Context(), token, now)
	if err != nil || len(list) != maxPerToken || !list[0].Time.Equal(now) {
		t.Errorf("%d mails, %v", len(list), err)
	}
	if err := store.Expire(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if list, err := store.Mails(t.Context(), old, now.Add(-8*24*time.Hour)); err == nil {
		t.Errorf("%d old mails are left", len(list))
	}
}

// TestVisits holds that one network cannot ask without end, and that another can meanwhile.
func TestVisits(t *testing.T) {
	_, _, get := newServer(t)
	for range maxVisits {
		get("/healthz", visitor)
	}
	if w := get("/healthz", "203.0.113.200:1"); w.Code != 429 ||
		w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d beyond the bound", w.Code)
	}
	if w := get("/healthz", "192.0.2.1:1"); w.Code != 200 {
		t.Errorf("status %d for another network", w.Code)
	}
}

// TestCollect holds that each file is taken once, and that what is no test mail is removed.
func TestCollect(t *testing.T) {
	_, store, _ := newServer(t)
	dir := t.TempDir()
	text, err := evidence.Encode(hostile(evidence.NewToken()))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	each := func(evidence.Mail) error { n++; return nil }
	for range 2 {
		for name, text := range map[string][]byte{"1.testmail": text, "2.testmail": []byte("{}"),
			"3.testmail.open": text} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Collect(context.Background(), dir, slog.New(slog.DiscardHandler),
			each); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := evidence.Waiting(dir); err != nil || len(left) != 0 || n != 1 {
		t.Errorf("%d were new, %v are left, %v", n, left, err)
	}
}

// TestAdvice holds what is said first of each kind of mail.
func TestAdvice(t *testing.T) {
	client := netip.MustParseAddr("198.51.100.7")
	failed := &spf.Result{Value: spf.Fail, Domain: "shop.example",
		Tree: &spf.Record{Text: "v=spf1 mx -all"}}
	for _, c := range []struct {
		name          string
		mail          evidence.Mail
		want, publish string
	}{
		{"good", evidence.Mail{DMARC: evidence.DMARC{Value: "pass", Author: "shop.example"},
			Signatures: []evidence.Signature{{Value: "pass", Aligned: true}}}, "You need not change anything", ""},
		{"SPF alone", evidence.Mail{DMARC: evidence.DMARC{Value: "pass", Author: "shop.example"}},
			"Only SPF passed", ""},
		{"no record", evidence.Mail{DMARC: evidence.DMARC{Value: "none", Author: "shop.example"}},
			"p=none first", "_dmarc.shop.example. "},
		{"the DNS", evidence.Mail{DMARC: evidence.DMARC{Value: "temperror"}}, "again later", ""},
		{"two authors", evidence.Mail{DMARC: evidence.DMARC{Value: "permerror"}}, "exactly one address", ""},
		{"not aligned", evidence.Mail{DMARC: evidence.DMARC{Value: "fail", Author: "shop.example"},
			SPF: &spf.Result{Value: spf.Pass, Domain: "esp.example"}}, "SPF passed, but for esp.example", ""},
		{"not in SPF", evidence.Mail{Client: client,
			DMARC: evidence.DMARC{Value: "fail", Author: "shop.example"}, SPF: failed},
			"add it to the SPF record", `"v=spf1 ip4:198.51.100.7 mx -all"`},
		{"changed by a service", evidence.Mail{DMARC: evidence.DMARC{Value: "fail", Author: "shop.example"},
			SPF: &spf.Result{Value: spf.Pass, Domain: "bounce.esp.example"},
			Signatures: []evidence.Signature{{Value: "pass", Domain: "esp.example", Selector: "e1",
				Checked: true, HeaderIntact: true, BodyIntact: true},
				{Value: "fail", Domain: "shop.example", Selector: "s", Reason: "body changed",
					Checked: true, HeaderIntact: true}}},
			"Have esp.example sign with a key of shop.example as its last step", ""},
		{"signature broken", evidence.Mail{DMARC: evidence.DMARC{Value: "fail", Author: "a.shop.example"},
			Signatures: []evidence.Signature{{Value: "fail", Domain: "shop.example", Selector: "s",
				Reason: "body changed"}}},
			"Correct the signature of shop.example (selector s): body changed", ""},
	} {
		v := newView(c.mail)
		got := ""
		if v.Publish != nil {
			got = v.Publish.Text
		}
		if !strings.Contains(v.Advice, c.want) || (got == "") != (c.publish == "") ||
			!strings.Contains(got, c.publish) {
			t.Errorf("%s: %q, publish %q", c.name, v.Advice, got)
		}
	}
}

// TestVisitorLeaves holds that a visitor who leaves while the page collects what is new takes no
// one's mail away: the collection goes on.
func TestVisitorLeaves(t *testing.T) {
	s, store, _ := newServer(t)
	token := evidence.NewToken()
	ctx, leave := context.WithCancel(t.Context())
	s.Refresh = func(ctx context.Context) error {
		leave()
		_, err := store.Put(ctx, "file-1",
			evidence.Mail{Token: token, Time: now, DMARC: evidence.DMARC{Value: "pass"}})
		return err
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/t/"+token, nil)
	s.ServeHTTP(httptest.NewRecorder(), r)
	if list, err := store.Mails(t.Context(), token, now); err != nil || len(list) != 1 {
		t.Errorf("%d mails, %v: what was collected is lost", len(list), err)
	}
}

// leaving is the context of one who leaves as soon as a mail is stored.
type leaving struct {
	context.Context
	isStored func() bool
	gone     chan struct{}
}

func (l leaving) Done() <-chan struct{} {
	if l.isStored() {
		return l.gone
	}
	return l.Context.Done()
}

func (l leaving) Err() error {
	if l.isStored() {
		return context.Canceled
	}
	return l.Context.Err()
}

// TestLeavesBetween holds that a mail counts as new if it was stored before its visitor left: it
// would not be answered else.
func TestLeavesBetween(t *testing.T) {
	_, store, _ := newServer(t)
	other, err := database.Open(database.Options{Driver: database.SQLite, DSN: store.where,
		Timeout: time.Second, Access: database.Read})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx := leaving{t.Context(), func() bool {
		var n int
		err := other.QueryRowContext(context.Background(),
			"SELECT count(*) FROM mails WHERE file = 'file-1'").Scan(&n)
		return err == nil && n == 1
	}, make(chan struct{})}
	close(ctx.gone)
	isNew, err := store.Put(ctx, "file-1", evidence.Mail{Token: evidence.NewToken(), Time: now})
	if err != nil || !isNew || ctx.Err() == nil {
		t.Errorf("new %v, %v; left %v", isNew, err, ctx.Err())
	}
}
