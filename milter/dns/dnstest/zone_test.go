package dnstest_test

import (
	"errors"
	"fmt"
	"testing"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

const zone = `
$TTL 300
$ORIGIN example.com.
@        SOA  ns hostmaster 1 2 3 4 60
@        A    192.0.2.1
@        AAAA 2001:db8::1
@        MX   10 Mail
@        MX   20 mail2
null     MX   0 .
text     600 TXT "one" " two"
text     60  TXT "\"quoted\\\" \009"
alias    CNAME alias2
alias2   30 CNAME text
dangling CNAME nowhere
outside  CNAME www.example.net.
loop     CNAME loop
*.wild   TXT "wild"
a.wild   A   192.0.2.2
b.c.wild A   192.0.2.3
deep.empty A 192.0.2.4
$SERVFAIL broken
$TIMEOUT slow TXT  ; only these
slow     A   192.0.2.5
$ORIGIN 2.0.192.in-addr.arpa.
1        PTR Mail.Example.com.
`

func TestLookup(t *testing.T) {
	tests := []struct {
		name, ask string
		typ       dns.Type
		want      string
		err       error
	}{
		{"address", "Example.COM.", dns.A, "found 192.0.2.1", nil},
		{"v6", "example.com", dns.AAAA, "found 2001:db8::1", nil},
		{"mx", "example.com", dns.MX, "found 10/mail.example.com 20/mail2.example.com", nil},
		{"null mx", "null.example.com", dns.MX, "found 0/", nil},
		{"strings joined, escapes undone", "text.example.com", dns.TXT,
			`found "one two" "\"quoted\\\" \t" ttl=60`, nil},
		{"ptr", "1.2.0.192.in-addr.arpa", dns.PTR, "found mail.example.com", nil},
		{"other type is no data", "example.com", dns.TXT, "no data ttl=60", nil},
		{"not there", "nx.example.com", dns.TXT, "NXDOMAIN ttl=60", nil},
		{"another zone", "example.net", dns.TXT, "NXDOMAIN ttl=0", nil},
		{"empty non-terminal", "empty.example.com", dns.A, "no data ttl=60", nil},
		{"top", "com", dns.A, "no data ttl=0", nil},
		{"alias", "alias.example.com", dns.TXT,
			`found "one two" "\"quoted\\\" \t" via alias2.example.com text.example.com ttl=30`,
			nil},
		{"alias without data", "alias.example.com", dns.A,
			`no data via alias2.example.com text.example.com ttl=30`, nil},
		{"alias to nowhere", "dangling.example.com", dns.A, `NXDOMAIN via nowhere.example.com ttl=60`, nil},
		{"alias out of the zone", "outside.example.com", dns.A, `NXDOMAIN via www.example.net ttl=0`, nil},
		{"alias loop", "loop.example.com", dns.A, "", dns.ErrFailure},
		{"wildcard", "x.y.wild.example.com", dns.TXT, `found "wild"`, nil},
		{"wildcard, other type", "x.wild.example.com", dns.A, "no data ttl=60", nil},
		{"wildcard hidden by a name", "a.wild.example.com", dns.TXT, "no data ttl=60", nil},
		{"wildcard hidden by an empty non-terminal", "c.wild.example.com", dns.TXT, "no data ttl=60", nil},
		{"wildcard hidden below a name", "x.a.wild.example.com", dns.TXT, "NXDOMAIN ttl=60", nil},
		{"wildcard hidden below an empty non-terminal", "x.c.wild.example.com", dns.TXT, "NXDOMAIN ttl=60", nil},
		{"above the wildcard", "wild.example.com", dns.TXT, "no data ttl=60", nil},
		{"servfail", "broken.example.com", dns.A, "", dns.ErrFailure},
		{"time-out", "slow.example.com", dns.TXT, "", dns.ErrTimeout},
		{"time-out of another type", "slow.example.com", dns.A, "found 192.0.2.5", nil},
		{"not a name", "a..b", dns.A, "NXDOMAIN ttl=0", nil},
		{"backslash is no escape", `a\.wild.example.com`, dns.A, "no data ttl=60", nil},
	}
	z := dnstest.Must(zone)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := z.Lookup(t.Context(), tt.ask, tt.typ)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("error: got %v, want %v", err, tt.err)
			}
			if got := show(a); err == nil && got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// show writes an answer as a line; the TTL of records is left out where it is the default.
func show(a dns.Answer) string {
	s := a.Status.String()
	for _, x := range a.Addrs {
		s += fmt.Sprintf(" %s", x)
	}
	for _, x := range a.Texts {
		s += fmt.Sprintf(" %q", x)
	}
	for _, x := range a.Names {
		s += " " + x
	}
	for _, x := range a.Exchanges {
		s += fmt.Sprintf(" %d/%s", x.Preference, x.Host)
	}
	for i, x := range a.Aliases {
		if i == 0 {
			s += " via"
		}
		s += " " + x
	}
	if a.TTL.Seconds() != 300 {
		s += fmt.Sprintf(" ttl=%.0f", a.TTL.Seconds())
	}
	return s
}
