package keysql

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/keys"
)

// certificate makes one for 127.0.0.1 that vouches for itself, and its key, both PEM.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

func file(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// trouble is a question that cannot be answered: the source is away, and says why in words that
// help.
func trouble(t *testing.T, name string, o Options, want ...string) {
	t.Helper()
	_, err := source(t, o).Key(t.Context(), "a")
	if err == nil || errors.Is(err, keys.ErrNotFound) || errors.Is(err, keys.ErrAnswer) {
		t.Errorf("%s: the source says %v", name, err)
		return
	}
	for _, w := range append(want, `source "hosting": key_query: `) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: the source says %q, without %q", name, err, w)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s: the source tells the password: %v", name, err)
	}
}

func works(t *testing.T, name string, o Options) {
	t.Helper()
	if k, err := source(t, o).Key(t.Context(), "a"); err != nil || k.Selector != "a" {
		t.Errorf("%s: got %v, %v", name, k, err)
	}
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// TestPostgresTrouble is what a postmaster runs into: TLS, passwords, rights, limits.
func TestPostgresTrouble(t *testing.T) {
	server := rig.Postgres(t)
	db := fill(t, Postgres, server.DSN)
	cert, key := certificate(t)
	server.File("server.crt", cert)
	server.File("server.key", key)
	server.File("pg_hba.conf", []byte("local all all trust\nhost all mailseal 127.0.0.1/32 "+
		"trust\nhostssl all secure 127.0.0.1/32 scram-sha-256\nhost all plain,limited 127.0.0.1/32 scram-sha-256\n"))
	run(t, db, "ALTER SYSTEM SET ssl = on", "CREATE ROLE secure LOGIN PASSWORD 'hunter2'",
		"CREATE ROLE plain LOGIN PASSWORD 'hunter2'",
		"CREATE ROLE limited LOGIN PASSWORD 'hunter2' CONNECTION LIMIT 1",
		"GRANT SELECT ON dkim_keys TO secure, plain, limited", "SELECT pg_reload_conf()")
	host, port, _ := net.SplitHostPort(server.Address())
	dsn := func(more string) Options {
		return Options{Driver: Postgres, DSN: "host=" + host + " port=" + port +
			" dbname=postgres " + more}
	}
	ca := file(t, cert)
	await(t, dsn("user=secure password=hunter2 sslmode=verify-full sslrootcert="+ca))
	works(t, "TLS", dsn("user=secure password=hunter2 sslmode=verify-full sslrootcert="+ca))
	other, _ := certificate(t)
	trouble(t, "another authority",
		dsn("user=secure password=hunter2 sslmode=verify-full sslrootcert="+file(t, other)),
		"certificate")
	trouble(t, "TLS is wanted", dsn("user=secure password=hunter2 sslmode=disable"), "pg_hba.conf",
		"no encryption")
	trouble(t, "a wrong password", dsn("user=secure password=hunter22 sslmode=require"),
		"password authentication failed")
	trouble(t, "no such user", dsn("user=nobody password=hunter2 sslmode=require"), "nobody")
	trouble(t, "no such database", Options{Driver: Postgres, DSN: server.DSN + " dbname=elsewhere"},
		"elsewhere", "does not exist")

	denied := dsn("user=plain password=hunter2 sslmode=disable")
	denied.KeyQuery = "SELECT domain, '', key_name FROM dkim_signing WHERE domain = $1"
	trouble(t, "no rights", denied, "permission denied", ErrQuery.Error())
	held := source(t, dsn("user=limited password=hunter2 sslmode=disable"))
	if _, err := held.Key(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	trouble(t, "too many connections", dsn("user=limited password=hunter2 sslmode=disable"),
		"too many connections")

	slow := Options{Driver: Postgres, DSN: server.DSN, Timeout: 300 * time.Millisecond,
		KeyQuery: "SELECT domain, selector, private_key FROM dkim_keys, pg_sleep(30) WHERE name = $1"}
	trouble(t, "a slow query", slow, "no answer within 300ms")
	slow.DSN, slow.Timeout = slow.DSN+" statement_timeout=100", 10*time.Second
	trouble(t, "the server's own limit", slow, "statement timeout")
	shortOfConnections(t, slow)
}

// await lets a server read its configuration again.
func await(t *testing.T, o Options) {
	t.Helper()
	s := source(t, o)
	var err error
	if !rig.Await(func() bool {
		_, err = s.Key(t.Context(), "a")
		return err == nil
	}) {
		t.Fatal(err)
	}
}

// shortOfConnections fills our own pool with slow questions: another one says so.
func shortOfConnections(t *testing.T, o Options) {
	t.Helper()
	o.DSN, o.Timeout = strings.Replace(o.DSN, "statement_timeout=100", "", 1), time.Second
	s := source(t, o)
	var wait sync.WaitGroup
	said := make([]error, 2*maxConnections)
	for i := range said {
		wait.Go(func() { _, said[i] = s.Key(t.Context(), "a") })
	}
	wait.Wait()
	if text := fmt.Sprint(said); !strings.Contains(text,
		fmt.Sprintf("all %d connections are waiting", maxConnections)) {
		t.Errorf("a full pool says %s", text)
	}
}

// A DSN of several servers is one of any of them: the first may be gone, or hang.
func TestPostgresFailover(t *testing.T) {
	first, second := rig.Postgres(t), rig.Postgres(t)
	fill(t, Postgres, first.DSN)
	fill(t, Postgres, second.DSN)
	_, port1, _ := net.SplitHostPort(first.Address())
	_, port2, _ := net.SplitHostPort(second.Address())
	o := Options{Driver: Postgres, Timeout: 4 * time.Second, DSN: "host=127.0.0.1,127.0.0.1 port=" +
		port1 + "," + port2 + " user=mailseal dbname=postgres sslmode=disable"}
	s := source(t, o)
	if _, err := s.Key(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	first.Pause()
	works(t, "the first hangs", o)
	first.Resume()
	first.Stop()
	works(t, "the first is gone", o)
	await(t, o)
	if _, err := s.Key(t.Context(), "a"); err != nil { // its connection broke
		if _, err = s.Key(t.Context(), "a"); err != nil {
			t.Errorf("a pool that had the first: %v", err)
		}
	}
}

// TestMariaDBTrouble is the same for MariaDB. Its grants are off in the tests, so that a wrong
// password is not refused.
func TestMariaDBTrouble(t *testing.T) {
	server := rig.MariaDB(t)
	fill(t, MySQL, server.DSN)
	cert, key := certificate(t)
	server.Options("--ssl-cert="+server.File("server.crt", cert), "--ssl-key="+
		server.File("server.key", key), "--ssl-ca="+server.File("ca.crt", cert))
	server.Stop()
	server.Start()
	other, _ := certificate(t)
	o := Options{Driver: MySQL, DSN: server.DSN}
	o.TLS = keys.TLS{CAFile: file(t, other)}
	trouble(t, "another authority", o, "certificate")
	o.TLS.CAFile = file(t, cert)
	works(t, "TLS", o)
	o.TLS.Certificate, o.TLS.Key = file(t, cert), file(t, key)
	works(t, "TLS with our certificate", o)
	renewAuthority(t, server, o)

	slow := o
	slow.Timeout, slow.KeyQuery = 300*time.Millisecond,
		"SELECT domain, selector, private_key FROM dkim_keys WHERE name = $1 AND SLEEP(30) = 0"
	trouble(t, "a slow query", slow, "no answer within 300ms")
	slow.Timeout, slow.KeyQuery = 10*time.Second,
		"SET STATEMENT max_statement_time=0.1 FOR SELECT domain, selector, private_key FROM "+
			"dkim_keys WHERE name = $1 AND SLEEP(30) = 0"
	trouble(t, "the server's own limit", slow, "max_statement_time")
	o.DSN = strings.Replace(o.DSN, "/mail", "/elsewhere", 1)
	trouble(t, "no such database", o, "elsewhere")
	o.TLS.CAFile = "/nonexistent/ca.pem"
	o.KeyQuery = keyQuery
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "/nonexistent/ca.pem") {
		t.Errorf("no file of authorities: %v", err)
	}
}

// renewAuthority has a source that is in use follow its server to another authority, whose file is
// renewed in place, and back to the first.
func renewAuthority(t *testing.T, server *rig.Database, o Options) {
	t.Helper()
	s := source(t, o)
	before, err := os.ReadFile(o.TLS.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	other, otherKey := certificate(t)
	beforeKey, err := os.ReadFile(o.TLS.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range []struct{ cert, key []byte }{{other, otherKey}, {before, beforeKey}} {
		server.File("server.crt", now.cert)
		server.File("server.key", now.key)
		server.File("ca.crt", now.cert)
		server.Stop()
		server.Start()
		if _, err := s.Key(t.Context(), "a"); err == nil {
			t.Error("the authority before is still trusted")
		}
		for name, text := range map[string][]byte{o.TLS.CAFile: now.cert,
			o.TLS.Certificate: now.cert, o.TLS.Key: now.key} {
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Key(t.Context(), "a"); err != nil {
			t.Errorf("an authority that was renewed: %v", err)
		}
	}
}
