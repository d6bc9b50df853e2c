package e2e

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailseal/contrib/test/hosted"
	"mailseal/contrib/test/rig"
)

// authority signs certificates for a test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: private}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue makes a certificate for a name, which is good for servers on 127.0.0.1 as well, and its
// key.
func (a *authority) issue(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, a.cert, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// put writes files of the daemon.
func put(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// safe is a service of keys that takes the clients of one authority and the bearer of one token,
// which change.
type safe struct {
	token  atomic.Pointer[string]
	wanted atomic.Pointer[x509.CertPool]
}

func (s *safe) want(a *authority, token string) {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	s.wanted.Store(pool)
	s.token.Store(&token)
}

func (s *safe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, err := r.TLS.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: s.wanted.Load(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil || r.Header.Get("Authorization") != "Bearer "+*s.token.Load() {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if kind == "signing" {
		fmt.Fprintf(w, `{"keys": [%q]}`, name)
		return
	}
	var i int
	if _, err := fmt.Sscanf(name, "d%d.example", &i); err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	seed := base64.StdEncoding.EncodeToString(hosted.Key(i).Signer.(ed25519.PrivateKey).Seed())
	fmt.Fprintf(w, `{"domain": %q, "selector": "s", "private_key": %q}`, name, seed)
}

const safeConfig = `
authserv_id = "mx.example.com"
mode = ["sign"]
[[listen]]
address = "unix:%[1]s/s"
[sources.hosting]
driver = "http"
url = "%[2]s"
token_file = "token"
ca_file = "ca"
client_certificate = "cert"
client_key = "key"
timeout = "1s"
ttl = "10ms"
negative_ttl = "10ms"
stale = "0s"
[[sign]]
source = "hosting"
`

// TestCredentialsOfHTTPSource renews the token and the client's certificate of a source under a
// stream of messages. Until the files are there the mail is deferred; none leaves unsigned, and
// nothing has to be reloaded.
func TestCredentialsOfHTTPSource(t *testing.T) {
	dir, servers := rig.Dir(t), newAuthority(t)
	cert, key := servers.issue(t, "server")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var service safe
	server := httptest.NewUnstartedServer(&service)
	var shown atomic.Pointer[tls.Certificate]
	shown.Store(&pair)
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*shown.Load()},
			ClientAuth: tls.RequireAnyClientCert}, nil
	}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes while the files do not fit
	server.StartTLS()
	t.Cleanup(server.Close)
	first := newAuthority(t)
	cert, key = first.issue(t, "mailseal")
	service.want(first, "first")
	put(t, dir, map[string][]byte{"ca": servers.pem(), "token": []byte("first\n"), "cert": cert,
		"key": key})

	h := newHosting(t, dir, "")
	h.config = fmt.Sprintf(safeConfig, dir, server.URL)
	h.daemon = rig.MailsealIn(t, dir, h.config, rig.DaemonOptions{})
	stop := h.stream(4)
	defer stop()
	h.await("signed at first", &h.Signed, 50)
	h.toll("no fault")
	for round := range 3 {
		token, next, servers := fmt.Sprintf("token%d", round), newAuthority(t), newAuthority(t)
		pair, err := tls.X509KeyPair(servers.issue(t, "server"))
		if err != nil {
			t.Fatal(err)
		}
		shown.Store(&pair)
		service.want(next, token)
		h.await("deferred with the old ones", &h.Deferred, 20)
		put(t, dir, map[string][]byte{"token": []byte(token), "ca": servers.pem()})
		cert, key := next.issue(t, "mailseal")
		put(t, dir, map[string][]byte{"cert": cert})
		put(t, dir, map[string][]byte{"key": key})
		h.await("signed with the new ones", &h.Signed, 50)
		h.toll("token and certificates of both sides renewed")
	}
	stop()
	if strings.Contains(h.log(), "token0") {
		t.Error("the log has a token")
	}
}

// TestCredentialsOfPostgreSQL renews the client's certificate with which the daemon logs in, after
// the server has begun to take those of another authority alone.
func TestCredentialsOfPostgreSQL(t *testing.T) {
	db := rig.Postgres(t)
	hosted.Fill(t, "pgx", db.DSN, "postgresql.sql")
	dir, servers, first := rig.Dir(t), newAuthority(t), newAuthority(t)
	cert, key := servers.issue(t, "server")
	db.File("server.crt", cert)
	db.File("server.key", key)
	db.File("clients.crt", first.pem())
	db.File("pg_hba.conf", []byte(
		"host all mailseal 127.0.0.1/32 trust\nhostssl all secure 127.0.0.1/32 cert\n"))
	db.Options("-c", "ssl=on", "-c", "ssl_ca_file=clients.crt")
	execPostgres(t, db, "CREATE ROLE secure LOGIN",
		"GRANT SELECT ON dkim_keys, dkim_signing TO secure")
	db.Stop()
	db.Start()
	cert, key = first.issue(t, "secure")
	put(t, dir, map[string][]byte{"ca": servers.pem(), "cert": cert, "key": key})
	host, port, _ := net.SplitHostPort(db.Address())
	dsn := fmt.Sprintf("host=%s port=%s user=secure dbname=postgres sslmode=verify-full "+
		"sslrootcert=%[3]s/ca sslcert=%[3]s/cert sslkey=%[3]s/key", host, port, dir)
	h := startHosting(t, "postgres", dsn, "ttl = \"10ms\"\nnegative_ttl = \"10ms\"\nstale = \"0s\"")
	stop := h.stream(4)
	defer stop()
	h.await("signed at first", &h.Signed, 50)
	h.toll("no fault")
	for range 3 {
		next, servers := newAuthority(t), newAuthority(t)
		cert, key := servers.issue(t, "server")
		db.File("server.crt", cert)
		db.File("server.key", key)
		db.File("clients.crt", next.pem())
		db.Stop() // all connections are gone, and the old certificates are no good any more
		db.Start()
		h.await("deferred with the old ones", &h.Deferred, 20)
		cert, key = next.issue(t, "secure")
		put(t, dir, map[string][]byte{"cert": cert})
		put(t, dir, map[string][]byte{"key": key})
		put(t, dir, map[string][]byte{"ca": servers.pem()})
		h.await("signed with the new ones", &h.Signed, 50)
		h.toll("certificates of both sides renewed")
	}
	stop()
}

func execPostgres(t *testing.T, db *rig.Database, statements ...string) {
	t.Helper()
	c, err := sql.Open("pgx", db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, s := range statements {
		if _, err := c.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// toll logs what became of the messages since the start of the daemon. A message that is lost or
// signed wrongly has failed the test.
func (h *hosting) toll(fault string) {
	h.t.Helper()
	h.t.Logf("%s: so far %d signed, %d deferred, %d unsigned, 0 wrong, 0 lost", fault,
		h.Signed.Load(), h.Deferred.Load(), h.Unsigned.Load())
	if n := h.Unsigned.Load(); n != 0 {
		h.t.Errorf("%s: %d messages went out unsigned", fault, n)
	}
}
