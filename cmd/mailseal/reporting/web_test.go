package reporting

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/config"
)

const pageToken = "a-token-of-more-than-20-characters"

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWebRole runs the role on a unix socket: health is open, pages want the token, and they show
// the domains of keys.
func TestWebRole(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "page.sock")
	cfg := &config.Config{Keys: map[string]config.Key{"k": {Domain: "shop.example"}}}
	cfg.Reports.Directory, cfg.Reports.Store = dir, "sqlite:"+filepath.Join(dir, "reports.db")
	cfg.Reports.Web = config.ReportsWeb{Address: "unix:" + socket,
		TokenFile: config.SecretFile(writeFile(t, dir, "token", pageToken+"\n"))}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now, Version: "test"}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.Serve(ctx, []Role{webRole()}, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _,
		_ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}}
	for _, c := range []struct {
		path, token string
		status      int
		text        string
	}{{"/healthz", "", 200, "ok"}, {"/", "", 303, ""}, {"/", "wrong" + pageToken, 303, ""},
		{"/", pageToken, 200, "shop.example"},
		{"/d/shop.example", pageToken, 200, "NO DATA"}, {"/ingest", pageToken, 200, "Reports in"},
		{"/out", pageToken, 200, "Sending is off"}, {"/check", pageToken, 200, "shop.example"},
		{"/check?domain=a..b", pageToken, 200, "was not checked"}} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://page"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		w, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(w.Body)
		_ = w.Body.Close()
		if w.StatusCode != c.status || !strings.Contains(string(body), c.text) {
			t.Errorf("%s: status %d, want %d with %q", c.path, w.StatusCode, c.status, c.text)
		}
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("end: %v", err)
	}
}

// TestWebRoleIsOff holds that without an address nothing is opened, and that mistakes are errors
// that name the setting.
func TestWebRoleIsOff(t *testing.T) {
	dir := t.TempDir()
	cfg := &config.Config{}
	cfg.Reports.Store = "sqlite:" + filepath.Join(dir, "reports.db")
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	part, err := webRole().Build(context.Background(), p)
	if err != nil || part.Serve != nil {
		t.Errorf("without address: %v, %v", part.Serve != nil, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "reports.db")); err == nil {
		t.Error("the store was opened although nothing is served")
	}
	for want, settings := range map[string]config.ReportsWeb{
		"token_file":       {TokenFile: config.SecretFile(filepath.Join(dir, "none"))},
		"it needs 20":      {TokenFile: config.SecretFile(writeFile(t, dir, "short", "abc\n"))},
		"htpasswd -nB":     {Htpasswd: config.SecretFile(writeFile(t, dir, "htpasswd", "anna:plain\n"))},
		"no user can sign": {},
		"certificate": {TokenFile: config.SecretFile(writeFile(t, dir, "t", pageToken)),
			Certificate: filepath.Join(dir, "none"),
			Key:         config.SecretFile(filepath.Join(dir, "none"))},
	} {
		settings.Address = "127.0.0.1:0"
		cfg.Reports.Web = settings
		if _, err := webRole().Build(context.Background(), p); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// certificateFor writes a certificate with the serial number n, and its key.
func certificateFor(t *testing.T, dir string, n int64) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(n),
		Subject: pkix.Name{CommonName: "page"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, dir, "page.pem",
			string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		writeFile(t, dir, "page-key.pem",
			string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})))
}

// TestCertificateReloads holds that a new certificate is used without a restart, and that a broken
// one is not.
func TestCertificateReloads(t *testing.T) {
	dir := t.TempDir()
	certificate, key := certificateFor(t, dir, 1)
	var log bytes.Buffer
	l, err := listenWeb(context.Background(), config.ReportsWeb{Address: "127.0.0.1:0",
		Certificate: certificate, Key: config.SecretFile(key)},
		slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- servePages(ctx, l, http.NotFoundHandler()) }()
	serial := func() int64 {
		c, err := tls.Dial("tcp", l.Addr().String(),
			&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's own
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("certificate %d, want 1", got)
	}
	certificateFor(t, dir, 2)
	if err := os.Chtimes(certificate, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("certificate %d, want 2", got)
	}
	writeFile(t, dir, "page.pem", "broken, and longer or shorter than before")
	if got := serial(); got != 2 {
		t.Errorf("certificate %d after a broken file, want 2", got)
	}
	serial()
	if n := strings.Count(log.String(),
		"the changed certificate of the pages cannot be read"); n != 1 {
		t.Errorf("%d warnings of the broken file, want 1:\n%s", n, &log)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("end: %v", err)
	}
}
