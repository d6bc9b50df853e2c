package keyhttp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/keys"
	"mailseal/keys/files"

	"golang.org/x/sys/unix"
)

var seed = base64.StdEncoding.EncodeToString(make([]byte, 32))

// routes answer by path and query; what is not there is 404 with JSON.
type routes map[string]struct {
	status int
	body   string
}

func (r routes) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	a, ok := r[q.URL.RequestURI()]
	switch {
	case q.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[]}`)
	case a.status >= 300 && a.status < 400:
		http.Redirect(w, q, "/v1/keys/a", a.status)
	default:
		w.WriteHeader(a.status)
		fmt.Fprint(w, a.body)
	}
}

// serve starts a TLS server, and returns options that reach it.
func serve(t *testing.T, h http.Handler) (*httptest.Server, Options) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, pemText("CERTIFICATE", server.Certificate().Raw))
	return server, Options{Name: "api", URL: server.URL + "/v1/", TLS: keys.TLS{CAFile: ca}}
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func source(t *testing.T, o Options) *Source {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestKey(t *testing.T) {
	good := `{"domain":"one.example","selector":"a","private_key":"` + seed + `"}`
	_, o := serve(t, routes{
		"/v1/keys/a":        {200, good},
		"/v1/keys/vault":    {200, `{"request_id":"x","data":{"data":` + good + `,"metadata":{"version":3}}}`},
		"/v1/keys/a%2Fb%3F": {200, good},
		"/v1/keys/empty":    {200, `{}`},
		"/v1/keys/list":     {200, `[` + good + `]`},
		"/v1/keys/html":     {200, `<html>login</html>`},
		"/v1/keys/badkey":   {200, `{"domain":"one.example","selector":"a","private_key":"secretsecret!"}`},
		"/v1/keys/number":   {200, `{"domain":"one.example","selector":"a","private_key":42}`},
		"/v1/keys/denied":   {403, good},
		"/v1/keys/down":     {503, ``},
		"/v1/keys/moved":    {302, ``},
		"/v1/keys/huge":     {200, `{"x":"` + strings.Repeat("x", maxAnswer) + `"}`},
		"/v1/keys/nothing":  {204, ``},
	})
	s := source(t, o)
	away := errors.New("away")
	for name, says := range map[string]string{
		"denied": "/v1/keys/denied: 403 Forbidden: check token_file",
		"down":   "GET " + o.URL + "keys/down: 503 Service Unavailable",
		"badkey": `private_key of selector "a", domain "one.example"`,
	} {
		if _, err := s.Key(t.Context(), name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", name, err, says)
		}
	}
	for _, tc := range []struct {
		name string
		want error
	}{
		{"a", nil}, {"vault", nil}, {"a/b?", nil},
		{"unknown", keys.ErrNotFound}, {"..", keys.ErrNotFound},
		{"empty", keys.ErrAnswer},
		{"list", keys.ErrAnswer},
		{"html", keys.ErrAnswer},
		{"badkey", keys.ErrAnswer},
		{"number", keys.ErrAnswer},
		{"huge", keys.ErrAnswer},
		{"denied", away}, {"down", away}, {"moved", away}, {"nothing", away},
	} {
		k, err := s.Key(t.Context(), tc.name)
		switch {
		case tc.want == away:
			if err == nil || errors.Is(err, keys.ErrNotFound) || errors.Is(err, keys.ErrAnswer) {
				t.Errorf("%s: got %v, %v", tc.name, k, err)
			}
		case !errors.Is(err, tc.want) || err == nil &&
			(k.String() != "a._domainkey.one.example (ed25519 256)" || k.Name != tc.name):
			t.Errorf("%s: got %v, %v; want %v", tc.name, k, err, tc.want)
		}
		if err != nil && (strings.Contains(err.Error(), "secretsecret") ||
			!strings.Contains(err.Error(), `"api"`)) {
			t.Errorf("%s: shows too much or too little: %v", tc.name, err)
		}
	}
}

func TestChoose(t *testing.T) {
	_, o := serve(t, routes{
		"/v1/signing/one.example": {200, `{"keys":["a","b"]}`},
		"/v1/signing/one.example?login=joe%26x%3D1": {200,
			`{"keys":[{"domain":"one.example","selector":"j","private_key":"` + seed + `"}]}`},
		"/v1/signing/vault.example":  {200, `{"data":{"data":{"keys":["v"]}}}`},
		"/v1/signing/nobody.example": {200, `{"keys":[]}`},
		"/v1/signing/page.example":   {404, `<h1>Not Found</h1>`},
		"/v1/signing/silent.example": {404, ``},
		"/v1/signing/other.example":  {200, `{"result":"ok"}`},
		"/v1/signing/null.example":   {200, `{"keys":null}`},
		"/v1/signing/mixed.example":  {200, `{"keys":["a", 5]}`},
		"/v1/signing/many.example": {200, `{"keys":["a"` + strings.Repeat(`,"a"`,
			keys.MaxChosen) + `]}`},
		"/v1/signing/down.example": {500, `{"keys":[]}`},
	})
	s := source(t, o)
	for _, tc := range []struct {
		query keys.Query
		want  string // names, or "error"
	}{
		{keys.Query{Domain: "one.example"}, "a b"},
		{keys.Query{Domain: "one.example", Login: "joe&x=1"}, "j._domainkey.one.example"},
		{keys.Query{Domain: "vault.example"}, "v"},
		{keys.Query{Domain: "nobody.example"}, ""},
		{keys.Query{Domain: "unknown.example"}, ""},
		{keys.Query{Domain: "page.example"}, "error"},
		{keys.Query{Domain: "silent.example"}, "error"},
		{keys.Query{Domain: "other.example"}, "error"},
		{keys.Query{Domain: "null.example"}, "error"},
		{keys.Query{Domain: "mixed.example"}, "error"},
		{keys.Query{Domain: "many.example"}, "error"},
		{keys.Query{Domain: "down.example"}, "error"},
	} {
		found, err := s.Choose(t.Context(), tc.query)
		var names []string
		for _, k := range found {
			names = append(names, k.Name)
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = "error"
		}
		if got != tc.want {
			t.Errorf("%v: got %q, %v; want %q", tc.query, got, err, tc.want)
		}
	}
	if said, err := s.Check(t.Context()); err != nil ||
		said != "http answers for keys and for signing" {
		t.Errorf("check says %q, %v", said, err)
	}
}

// The token is read again for each request: it is renewed every hour in some places.
func TestToken(t *testing.T) {
	want := "first"
	_, o := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Authorization") != "Bearer "+want {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"keys":[]}`)
	}))
	o.TokenFile = filepath.Join(t.TempDir(), "token")
	write(t, o.TokenFile, "first\n")
	s := source(t, o)
	ask := func() error {
		_, err := s.Choose(t.Context(), keys.Query{Domain: "one.example"})
		return err
	}
	if err := ask(); err != nil {
		t.Error(err)
	}
	want = "second"
	if err := ask(); err == nil || strings.Contains(err.Error(), "first") {
		t.Errorf("an old token: %v", err)
	}
	write(t, o.TokenFile, "second")
	if err := ask(); err != nil {
		t.Error(err)
	}
	write(t, o.TokenFile, " \n")
	if err := ask(); err == nil {
		t.Error("no token, and no error")
	}
}

func TestTLS(t *testing.T) {
	_, o := serve(t, routes{})
	for _, tc := range []struct {
		name string
		edit func(*Options)
		good bool
	}{
		{"as it should be", func(*Options) {}, true},
		{"another authority", func(o *Options) { o.TLS.CAFile = "" }, false},
		{"nobody there", func(o *Options) { o.URL = "https://127.0.0.1:1/" }, false},
		{"no TLS", func(o *Options) { o.URL = strings.Replace(o.URL, "https:", "http:", 1) }, false},
	} {
		o := o
		tc.edit(&o)
		if said, err := source(t, o).Check(t.Context()); (err == nil) != tc.good {
			t.Errorf("%s: %q, %v", tc.name, said, err)
		}
	}
}

// mTLS: the server takes no one without a certificate of ours.
func TestClientCertificate(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(routes{})
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs: x509.NewCertPool()}
	server.TLS.ClientCAs.AddCert(own)
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	o := Options{Name: "api", URL: server.URL, TLS: keys.TLS{CAFile: filepath.Join(dir, "ca"),
		Certificate: filepath.Join(dir, "crt"), Key: filepath.Join(dir, "key")}}
	write(t, o.TLS.CAFile, pemText("CERTIFICATE", server.Certificate().Raw))
	if _, err := New(o); err == nil {
		t.Error("no certificate there, and no error")
	}
	write(t, o.TLS.Certificate, pemText("CERTIFICATE", der))
	write(t, o.TLS.Key, pemText("PRIVATE KEY", keyDER))
	if said, err := source(t, o).Check(t.Context()); err != nil {
		t.Errorf("with a certificate: %q, %v", said, err)
	}
	o.TLS.Certificate, o.TLS.Key = "", ""
	if said, err := source(t, o).Check(t.Context()); err == nil {
		t.Errorf("without a certificate: %q", said)
	}
}

func TestTimeout(t *testing.T) {
	hang := make(chan struct{})
	_, o := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(func() { close(hang) })
	o.Timeout = 50 * time.Millisecond
	if _, err := source(t, o).Key(t.Context(), "a"); err == nil ||
		errors.Is(err, keys.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "keys.example.com", "ftp://keys.example.com/",
		"http://u:hunter2@ x/"} {
		if _, err := New(Options{URL: url}); err == nil ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// Whatever a service answers, no key and no error is said of an empty list alone.
func FuzzAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := parseKeys(body, "")
		if err == nil && len(found) == 0 && !strings.Contains(strings.ToLower(string(body)),
			`keys"`) && !strings.Contains(string(body), `\u`) {
			t.Errorf("nobody signs, says %q", body)
		}
		for _, k := range found {
			if k.Name == "" || len(found) > keys.MaxChosen {
				t.Errorf("%v from %q", found, body)
			}
		}
		if k, err := parseKey(body, ""); err == nil && k.Signer == nil {
			t.Errorf("no key and no error from %q", body)
		}
	})
}

// TestFilesReplaced wants the files of certificates and the token to count as they are at the next
// connection.
func TestFilesReplaced(t *testing.T) {
	server, o := serve(t, routes{})
	good := pemText("CERTIFICATE", server.Certificate().Raw)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	s := source(t, o)
	for _, tc := range []struct {
		name, ca string
		good     bool
	}{
		{"as it was", good, true},
		{"another authority", pemText("CERTIFICATE", der), false},
		{"the first again", good, true},
		{"truncated", "", false}, {"and mended", good, true},
	} {
		write(t, o.TLS.CAFile, tc.ca)
		s.Reopen()
		if said, err := s.Check(t.Context()); (err == nil) != tc.good {
			t.Errorf("%s: %q, %v", tc.name, said, err)
		}
	}
}

// TestFilesSpecial wants a pipe instead of a token refused: reading it would wait for ever.
func TestFilesSpecial(t *testing.T) {
	_, o := serve(t, routes{})
	o.TokenFile = filepath.Join(t.TempDir(), "token")
	if err := unix.Mkfifo(o.TokenFile, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := source(t, o).Check(t.Context()); !errors.Is(err, files.ErrSpecial) {
		t.Errorf("got %v, want %v", err, files.ErrSpecial)
	}
}
