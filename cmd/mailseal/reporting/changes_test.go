package reporting

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/contrib/test/rig"
	"mailseal/milter/report/store"
)

// browser is that of a user who signed in with the token, at the socket of the role web.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T, socket string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	b := &browser{t, &http.Client{Jar: jar, Transport: &http.Transport{DialContext: dial,
		DisableKeepAlives: true}}}
	_, text := b.get("/login")
	b.post("/login", url.Values{"csrf": {b.token(text)}, "password": {pageToken}, "next": {"/"}})
	return b
}

var formToken = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (b *browser) token(text string) string {
	b.t.Helper()
	m := formToken.FindStringSubmatch(text)
	if m == nil {
		b.t.Fatal("the page has no form")
	}
	return m[1]
}

func (b *browser) do(r *http.Request, err error) (int, string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	w, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return w.StatusCode, string(text)
}

func (b *browser) get(path string) (int, string) {
	b.t.Helper()
	return b.do(http.NewRequestWithContext(b.t.Context(), http.MethodGet, "http://page"+path, nil))
}

func (b *browser) post(path string, form url.Values) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://page"+path,
		strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.do(r, err)
}

func (b *browser) upload(token, name string, data []byte) (int, string) {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("csrf", token)
	part, err := form.CreateFormFile("files", name)
	if err != nil {
		b.t.Fatal(err)
	}
	_, _ = part.Write(data)
	_ = form.Close()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://page/ingest",
		&body)
	if err == nil {
		r.Header.Set("Content-Type", form.FormDataContentType())
	}
	return b.do(r, err)
}

// reportOf is a report on shop.example whose only mail, from 192.0.2.77, fails.
func reportOf(org, id string, day time.Time) []byte {
	return fmt.Appendf(nil, `<feedback><report_metadata><org_name>%s</org_name><email>a@%[1]s</email><report_id>%s</report_id>`+
		`<date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>`+
		`<policy_published><domain>shop.example</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.77</source_ip>`+
		`<count>50</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>`+
		`<identifiers><header_from>shop.example</header_from></identifiers><auth_results><spf><domain>x.test</domain>`+
		`<result>fail</result></spf></auth_results></record></feedback>`, org, id, day.Unix(),
		day.Unix()+86399)
}

// start runs roles until the function that it returns is called.
func start(t *testing.T, cfg *config.Config, names ...string) (stop func()) {
	t.Helper()
	roles, err := Select(Roles(), names)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now, Version: "test"}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.Serve(ctx, roles, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", names, err)
		}
		if p.store != nil {
			p.store.Close()
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestChanges uploads a report, accepts a reporter, judges a source and undoes it on the page, over
// both databases, with both roles in one process and in two; then without an intake.
func TestChanges(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres"} {
		for _, split := range []bool{false, true} {
			t.Run(fmt.Sprint(driver, " in two processes ", split),
				func(t *testing.T) { testChanges(t, driver, split) })
		}
	}
}

func testChanges(t *testing.T, driver string, split bool) {
	dir := t.TempDir()
	cfg, err := config.Parse("mailseal.toml", []byte("authserv_id = \"mx.example\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := &cfg.Reports
	r.Directory, r.Store = dir, "sqlite:"+filepath.Join(dir, "reports.db")
	if driver == "postgres" {
		if testing.Short() {
			t.Skip("starts a real server")
		}
		r.Store = rig.Postgres(t).DSN
	}
	r.Intake.Address, r.Intake.Changes = filepath.Join(dir, "i"), filepath.Join(dir, "c")
	socket := filepath.Join(dir, "p")
	r.Web = config.ReportsWeb{Address: "unix:" + socket,
		TokenFile: config.SecretFile(writeFile(t, dir, "token", pageToken))}

	stopIntake := func() {}
	if split {
		start(t, cfg, "web")
		stopIntake = start(t, cfg, "intake")
	} else {
		start(t, cfg, "intake", "web")
	}
	b := newBrowser(t, socket)
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -3)
	uploadAndAccept(t, b, cfg, day)
	operate(t, b, cfg, day)
	judgeAndUndo(t, b, cfg)
	undoEach(t, b, cfg)
	if !split {
		return
	}
	_, text := b.get("/ingest")
	token := b.token(text)
	stopIntake()
	for _, path := range []string{"/ingest", sourceOfTests} {
		if code, text := b.get(path); code != 200 ||
			!strings.Contains(text, "Nothing can be changed here now") ||
			strings.Contains(text, `name="class"`) || strings.Contains(text, `type="file"`) {
			t.Errorf("%s without an intake: status %d, or forms that cannot work", path, code)
		}
	}
	for name, send := range map[string]func() (int, string){
		"judge":  func() (int, string) { return b.post(sourceOfTests, url.Values{"csrf": {token}, "class": {"ours"}}) },
		"upload": func() (int, string) { return b.upload(token, "late.xml", reportOf("big.test", "late", day)) },
	} {
		if code, text := send(); code != http.StatusServiceUnavailable ||
			!strings.Contains(text, "Nothing was changed") {
			t.Errorf("%s without an intake: status %d", name, code)
		}
	}
	start(t, cfg, "intake")
	if _, text := b.upload(token, "late.xml", reportOf("big.test", "late", day)); !strings.Contains(
		text, "1 new report on 50 messages.") {
		t.Errorf("upload after a restart of the intake:\n%s", text)
	}
}

const sourceOfTests = "/d/shop.example/s/192.0.2.77"

func uploadAndAccept(t *testing.T, b *browser, cfg *config.Config, day time.Time) {
	t.Helper()
	_, text := b.get("/ingest")
	token := b.token(text)
	if _, text := b.upload(token, "a.xml", reportOf("big.test", "a", day)); !strings.Contains(text,
		"a.xml: 1 new report on 50 messages.") {
		t.Errorf("upload:\n%s", text)
	}
	if _, text := b.get("/ingest"); strings.Contains(text, "1 new report on") {
		t.Error("the sentence about the upload is shown twice")
	}
	if _, text := b.upload(token, "a.xml", reportOf("big.test", "a", day)); !strings.Contains(text,
		"1 was there already.") {
		t.Errorf("the same upload again:\n%s", text)
	}
	if code, _ := b.upload("wrong", "b.xml",
		reportOf("big.test", "b", day)); code != http.StatusForbidden {
		t.Errorf("upload without the token of a form: status %d", code)
	}
	if _, text := b.upload(token, "c.xml", []byte("<!DOCTYPE x><feedback>")); !strings.Contains(
		text, "Not read: c.xml: ") {
		t.Errorf("a hostile upload:\n%s", text)
	}
	if code, text := b.upload(token, "large.xml",
		make([]byte, 26<<20)); code != http.StatusForbidden || !strings.Contains(text, "25 MB") {
		t.Errorf("26 MiB: status %d", code)
	}
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	mail := "From: a@stranger.test\r\nSubject: report\r\nContent-Type: application/xml\r\n\r\n" +
		string(reportOf("stranger.test", "s", day))
	if err := p.Deliver(t.Context(), []byte(mail)); err != nil {
		t.Fatal(err)
	}
	if n := countedIn(t, cfg); n != 1 {
		t.Errorf("%d reports count before the reporter is accepted, want 1", n)
	}
	_, text = b.post("/ingest", url.Values{"csrf": {token},
		"trust": {url.QueryEscape("stranger.test")}})
	if n := countedIn(t, cfg); n != 2 ||
		!strings.Contains(text, "Reports of stranger.test count from now on.") {
		t.Errorf("%d reports count after it, want 2", n)
	}
	refuseAndTakeBack(t, b, cfg, token)
	if code, text := b.post("/ingest", url.Values{"csrf": {token},
		"trust": {"nobody.test"}}); code != http.StatusUnprocessableEntity ||
		!strings.Contains(text, "nobody.test") {
		t.Errorf("a reporter that is not known: status %d", code)
	}
}

// refuseAndTakeBack refuses a reporter on its page, and takes that back, and that another one is
// trusted, on the page of reports that come in.
func refuseAndTakeBack(t *testing.T, b *browser, cfg *config.Config, token string) {
	t.Helper()
	const receiver = "/receiver?name=big.test"
	if _, text := b.get(receiver); !strings.Contains(text, `name="refuse" value="big.test"`) {
		t.Errorf("the page of a receiver has no button to refuse it:\n%s", text)
	}
	if code, _ := b.post("/ingest", url.Values{"csrf": {"wrong"},
		"refuse": {"big.test"}}); code != http.StatusForbidden || countedIn(t, cfg) != 2 {
		t.Errorf("refused without the token of a form: status %d", code)
	}
	_, text := b.post("/ingest", url.Values{"csrf": {token}, "refuse": {"big.test"}})
	if n := countedIn(t, cfg); n != 1 ||
		!strings.Contains(text, "Reports of big.test do not count any more.") ||
		!strings.Contains(text, `name="prove" value="big.test"`) ||
		strings.Contains(text, `name="trust" value="big.test"`) {
		t.Errorf("%d reports count once a reporter is refused, want 1:\n%s", n, text)
	}
	if _, text := b.get(receiver); !strings.Contains(text,
		"An administrator decided that they do not count.") || !strings.Contains(text, `name="prove"`) {
		t.Errorf("the page of the receiver that was refused:\n%s", text)
	}
	for _, step := range []struct {
		org  string
		want int
	}{{"big.test", 2}, {"stranger.test", 1}} {
		_, text := b.post("/ingest", url.Values{"csrf": {token}, "prove": {step.org}})
		if n := countedIn(t, cfg); n != step.want ||
			strings.Contains(text, `name="prove" value="`+step.org) {
			t.Errorf("%d reports count once the decision on %s is taken back, want %d", n, step.org,
				step.want)
		}
	}
	if _, text := b.post("/ingest",
		url.Values{"csrf": {token}, "trust": {"stranger.test"}}); countedIn(t, cfg) != 2 {
		t.Errorf("trusted again:\n%s", text)
	}
}

func countedIn(t *testing.T, cfg *config.Config) (n int) {
	t.Helper()
	inStore(t, cfg, func(s *store.Store) error {
		return s.View(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRowContext(t.Context(),
				"SELECT COUNT(*) FROM in_report WHERE counted = 1").Scan(&n)
		})
	})
	return n
}

func inStore(t *testing.T, cfg *config.Config, do func(*store.Store) error) {
	t.Helper()
	s, err := OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := do(s); err != nil {
		t.Fatal(err)
	}
}

// classOf is what the newest verdict that holds says of the source; "mailseal reports sources"
// shows it.
func classOf(t *testing.T, cfg *config.Config) (class string) {
	t.Helper()
	inStore(t, cfg, func(s *store.Store) error {
		verdicts, err := s.Verdicts(t.Context())
		for i := range verdicts {
			if class == "" && verdicts[i].Matches("shop.example",
				netip.MustParseAddr("192.0.2.77")) {
				class = verdicts[i].Class
			}
		}
		return err
	})
	return class
}

func judgeAndUndo(t *testing.T, b *browser, cfg *config.Config) {
	t.Helper()
	_, text := b.get(sourceOfTests)
	token := b.token(text)
	undo := regexp.MustCompile(`name="undo" value="(\d+)"`)
	for _, class := range []string{"scanner", "ours"} {
		_, text = b.post(sourceOfTests, url.Values{"csrf": {token}, "class": {class}})
		if got := classOf(t, cfg); got != class || !strings.Contains(text, "Judged “"+class+"”") {
			t.Errorf("judged %s: reports sources says %q", class, got)
		}
	}
	if code, _ := b.post(sourceOfTests,
		url.Values{"csrf": {token}, "undo": {"99"}}); code != http.StatusForbidden {
		t.Errorf("undo of another verdict: status %d", code)
	}
	for _, want := range []string{"scanner", ""} {
		m := undo.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the page of a judged source has no undo")
		}
		_, text = b.post(sourceOfTests, url.Values{"csrf": {token}, "undo": {m[1]}})
		if got := classOf(t, cfg); got != want {
			t.Errorf("after undo: class %q, want %q", got, want)
		}
	}
	if code, _ := b.post("/d/shop.example/s/192.0.2.99",
		url.Values{"csrf": {token}, "class": {"ours"}}); code != http.StatusNotFound {
		t.Errorf("a source that does not exist: status %d", code)
	}
}
