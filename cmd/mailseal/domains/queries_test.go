package domains

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
)

// mostQueries bounds what is asked about one domain, whatever its records lead to.
const mostQueries = 60

// TestQueriesAreFew holds that the check of a domain asks fewer questions than its bound, for the
// zones of all codes.
func TestQueriesAreFew(t *testing.T) {
	for _, c := range cases(t) {
		o := c.options(t)
		o.Resolver, o.Random = liar{zoneOf(t, c), c.lie, c.signed}, "nosuchselector"
		name := domain.Name("example.com")
		if c.other != "" {
			name = domain.Name(c.other)
		}
		if r := Check(t.Context(), name, o); r.Queries >= mostQueries {
			t.Errorf("%s: %d questions", c.code, r.Queries)
		}
	}
}

// manyKeys are records of n RSA keys of a domain. No private key exists: the moduli are
// made so that no two have a divisor in common.
func manyKeys(t *testing.T, n int) (zone string, own []OwnKey) {
	t.Helper()
	// Numbers i*k+1 have no divisor in common, if all small numbers divide k.
	k := big.NewInt(1)
	for i := range int64(n) {
		k.Mul(k, new(big.Int).Div(big.NewInt(i+1), new(big.Int).GCD(nil, nil, k, big.NewInt(i+1))))
	}
	k.Lsh(k, uint(2047-k.BitLen()))
	var b strings.Builder
	for i := range n {
		modulus := new(big.Int).Mul(k, big.NewInt(int64(i+2)))
		modulus.Add(modulus, big.NewInt(1))
		der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus, E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		text := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
		name := fmt.Sprintf("k%d._domainkey.example.com", i)
		b.WriteString(txt(name+".", text))
		own = append(own, OwnKey{Name: name, Text: text})
	}
	return b.String(), own
}

// TestManyKeys holds that a thousand keys of one domain are each compared with their private keys
// and with one another, with one question each.
func TestManyKeys(t *testing.T) {
	zone, own := manyKeys(t, 1000)
	own[500].Text = own[501].Text
	z, err := dnstest.Load(strings.NewReader("$ORIGIN .\nexample.com. MX 10 mx.example.com.\n" +
		zone))
	if err != nil {
		t.Fatal(err)
	}
	r := Check(t.Context(), "example.com", Options{Resolver: z, Own: own})
	wrong := 0
	for _, f := range r.Findings {
		if f.Code == KeyMismatch {
			wrong++
			if f.Setting != "k500._domainkey.example.com" {
				t.Errorf("%s: %s", f.Setting, f.Text)
			}
		}
	}
	if wrong != 1 {
		t.Errorf("%d keys differ from their private keys, want 1", wrong)
	}
	if r.Queries > 1000+mostQueries {
		t.Errorf("%d questions", r.Queries)
	}
}
