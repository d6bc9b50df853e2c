package reach_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/domains"
	"mailseal/cmd/mailseal/reach"
	"mailseal/milter/dns/dnstest"
)

// The addresses of the MX host and of the web server of the policy, which are served on loopback.
const (
	mxAt  = "198.51.100.25"
	webAt = "198.51.100.26"
)

// deepCase is a domain that is right but for one thing.
type deepCase struct {
	code   check.Code
	name   string
	host   func(*mailHost)
	zone   string // lines that come
	drop   string // beginning of lines that go
	web    http.HandlerFunc
	webFor string // name of the web server's certificate
	signed bool   // the resolver says that com is signed, and the domain is not
	gone   string // address that nothing serves
}

// TestDeepCodes holds that each code of --deep has servers that trigger exactly it, and that
// servers that are right trigger none.
func TestDeepCodes(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	cert, odd := ca.issue("mx.example.com", 90), other.issue("elsewhere.example", 90)
	tlsa := func(record string) string { return "_25._tcp.mx.example.com. TLSA " + record + "\n" }
	text := func(s string) http.HandlerFunc { return policy(s) }
	seen := map[check.Code]bool{}
	for _, tc := range []deepCase{
		{name: "all is right"},
		{name: "DANE", zone: tlsa(pin(cert, "3 1 1 %x"))},
		{name: "DANE vouches for a certificate of nobody", zone: tlsa(pin(odd, "3 1 1 %x")),
			host: func(m *mailHost) { m.cert = odd }},
		{name: "DANE of the authority", zone: tlsa(fmt.Sprintf("2 0 0 %x", ca.cert.Raw))},
		{code: domains.MXUnreached, name: "nothing listens", gone: mxAt},
		{code: domains.MXUnreached, name: "no greeting", host: func(m *mailHost) { m.greeting = "554 no\r\n" }},
		{code: domains.MXPlain, name: "no STARTTLS", host: func(m *mailHost) { m.cert = nil }},
		{code: domains.MXBroken, name: "STARTTLS fails", host: func(m *mailHost) { m.breaks = true }},
		{code: domains.MXOtherName, name: "other name",
			host: func(m *mailHost) { m.cert = ca.issue("www.example.com", 90) }},
		{code: domains.MXUntrusted, name: "unknown authority",
			host: func(m *mailHost) { m.cert = other.issue("mx.example.com", 90) }},
		{code: domains.MXEnds, name: "ends soon", host: func(m *mailHost) { m.cert = ca.issue("mx.example.com", 13) }},
		{code: domains.MXEnds, name: "has ended", host: func(m *mailHost) { m.cert = ca.issue("mx.example.com", -3) }},
		{code: domains.PinMismatch, name: "another key", zone: tlsa(pin(ca.issue("mx.example.com", 90), "3 1 1 %x"))},
		{code: domains.PinMismatch, name: "another authority", zone: tlsa(fmt.Sprintf("2 0 0 %x", other.cert.Raw))},
		{code: domains.PinUnusable, name: "usage 1", zone: tlsa(pin(cert, "1 1 1 %x")) + tlsa(pin(cert, "3 1 1 %x"))},
		{code: domains.PinUnsigned, name: "not signed", zone: tlsa(pin(cert, "3 1 1 %x")), signed: true},
		{code: domains.PolicyUnread, name: "nothing serves the policy", gone: webAt},
		{code: domains.PolicyRefused, name: "status 404", web: http.NotFound},
		{code: domains.PolicyRefused, name: "redirect",
			web: http.RedirectHandler("https://mta-sts.example.com/x", http.StatusFound).ServeHTTP},
		{code: domains.PolicyRefused, name: "certificate of another name", webFor: "www.example.com"},
		{code: domains.PolicyRefused, name: "no address", drop: "mta-sts.example.com."},
		{code: domains.PolicyRefused, name: "too large", web: text(strings.Repeat("x: y\n", reach.MaxPolicy/4))},
		{code: domains.PolicyType, name: "HTML", web: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, goodPolicy)
		}},
		{code: domains.PolicyBroken, name: "no version",
			web: text("mode: enforce\nmx: mx.example.com\nmax_age: 604800\n")},
		{code: domains.PolicyBroken, name: "no mode",
			web: text("version: STSv1\nmx: mx.example.com\nmax_age: 604800\n")},
		{code: domains.PolicyBroken, name: "max_age", web: text(strings.Replace(goodPolicy, "604800", "31557601", 1))},
		{code: domains.PolicyBroken, name: "twice", web: text(goodPolicy + "mode: none\n")},
		{code: domains.PolicyBroken, name: "no mx",
			web: text(strings.Replace(goodPolicy, "mx: mx.example.com\r\n", "", 1))},
		{code: domains.PolicyIdle, name: "testing", web: text(strings.Replace(goodPolicy, "enforce", "testing", 1))},
		{code: domains.PolicyIdle, name: "none", web: text(strings.Replace(goodPolicy, "enforce", "none", 1))},
		{code: domains.PolicyShort, name: "an hour", web: text(strings.Replace(goodPolicy, "604800", "3600", 1))},
		{code: domains.PolicyMX, name: "another host",
			zone: "example.com. MX 20 mx2.example.com.\nmx2.example.com. A " + mxAt + "\n" +
				"25.100.51.198.in-addr.arpa. PTR mx2.example.com.\n",
			host: func(m *mailHost) { m.cert = ca.issue("*.example.com", 90) }},
		{name: "a wildcard covers it", web: text(strings.Replace(goodPolicy, "mx.example.com", "*.example.com", 1))},
		{code: domains.PolicyUnused, name: "a host that is gone", web: text(goodPolicy + "mx: mx9.example.com\n")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := mailHost{cert: cert}
			if tc.host != nil {
				tc.host(&host)
			}
			webFor := "mta-sts.example.com"
			if tc.webFor != "" {
				webFor = tc.webFor
			}
			if tc.web == nil {
				tc.web = policy(goodPolicy)
			}
			at := map[string]string{mxAt: host.serve(t),
				webAt: policyServer(t, ca.issue(webFor, 90), tc.web)}
			if tc.gone != "" {
				at[tc.gone] = "127.0.0.1:1" // nothing listens there
			}
			resolver := secured{zoneOf(t, tc), tc.signed}
			guard := &reach.Guard{Resolver: resolver, Now: now}
			guard.Route(func(a netip.Addr, _ int) string { return at[a.String()] }, ca.roots())
			r := domains.Check(t.Context(), "example.com", domains.Options{
				Resolver: resolver, Selectors: []string{"s1"}, Deep: guard, Trusted: tc.signed,
			})
			var got, want []string
			for _, f := range r.Findings {
				if !slices.Contains(got, string(f.Code)) && f.Code != domains.NotSigned {
					got = append(got, string(f.Code))
				}
			}
			if tc.code != "" {
				want = []string{string(tc.code)}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
				for _, f := range r.Findings {
					t.Logf("%s: %s", f.Setting, f.Text)
				}
			}
		})
		seen[tc.code] = true
	}
	for _, code := range domains.DeepCodes() {
		if !seen[code] {
			t.Errorf("nothing triggers %s", code)
		}
	}
}

// zoneOf is the clean zone of the tests of domains, with the web server of a policy, and the
// changes of a case.
func zoneOf(t *testing.T, tc deepCase) *dnstest.Zone {
	t.Helper()
	clean, err := os.ReadFile("../domains/testdata/clean.zone")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(clean) + "mta-sts.example.com. A " + webAt + "\n" +
		tc.zone) {
		if tc.drop == "" || !strings.HasPrefix(line, tc.drop) {
			b.WriteString(line)
		}
	}
	return dnstest.Must(b.String())
}
