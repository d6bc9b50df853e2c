package reach_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// now is the time by which certificates are judged.
var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test"}, NotBefore: now.AddDate(-2, 0, 0),
		NotAfter: now.AddDate(2, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = a.sign(template, template, &a.key.PublicKey)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, public any) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for a name that ends after so many days.
func (a *authority) issue(name string, days int) *tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	cert := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: now.AddDate(-1, 0, 0),
		NotAfter: now.AddDate(0, 0, days), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, &key.PublicKey)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key,
		Leaf: cert}
}

// pin is the TLSA record of a certificate's key, or of another one with a slip.
func pin(c *tls.Certificate, format string) string {
	sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return fmt.Sprintf(format, sum)
}

// mailHost is an MX host.
type mailHost struct {
	cert     *tls.Certificate // nil: no STARTTLS
	breaks   bool             // STARTTLS is offered and refused
	greeting string           // in place of 220
}

// serve takes connections on loopback until the test ends, and returns the address.
func (m mailHost) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the test has ended
			}
			go m.talk(c)
		}
	}()
	return l.Addr().String()
}

func (m mailHost) talk(c net.Conn) {
	defer c.Close()
	greeting := "220 mx ready\r\n"
	if m.greeting != "" {
		greeting = m.greeting
	}
	fmt.Fprint(c, greeting)
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		switch word, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " "); word {
		case "EHLO":
			if m.cert != nil || m.breaks {
				fmt.Fprint(c, "250-mx\r\n250 STARTTLS\r\n")
				continue
			}
			fmt.Fprint(c, "250-mx\r\n250 SIZE\r\n")
		case "STARTTLS":
			if m.breaks {
				fmt.Fprint(c, "454 TLS is not available\r\n")
				continue
			}
			fmt.Fprint(c, "220 go\r\n")
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*m.cert}})
			if s.Handshake() != nil {
				return // the peer has gone
			}
			mailHost{}.talkOn(s)
			return
		case "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}

// talkOn answers whatever comes.
func (mailHost) talkOn(c net.Conn) {
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		fmt.Fprint(c, "250 ok\r\n")
	}
}

// policyServer serves a policy by HTTPS until the test ends, and returns the address.
func policyServer(t *testing.T, cert *tls.Certificate, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(answer)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

const goodPolicy = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmax_age: 604800\r\n"

func policy(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/mta-sts.txt" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, text)
	}
}
