package dnstest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

func TestLoadErrors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"record", "\n\nexample.com A 192.0.2.300\n", "line 3"},
		{"record behind our lines", "$SERVFAIL x\n$TIMEOUT y\nexample.com A x\n", "line 3"},
		{"record without data", "example.com A\n", "example.com. A has no data"},
		{"label too long", strings.Repeat("a", 64) + ".com A 192.0.2.1\n", "line 1"},
		{"no name", "\n$SERVFAIL\n", "line 2: $SERVFAIL without a name"},
		{"no name but a comment", "$TIMEOUT ; slow.example\n", "line 1: $TIMEOUT without a name"},
		{"bad name", "$TIMEOUT a..b\n", `line 1: $TIMEOUT: "a..b" is not a name`},
		{"bad type", "$TIMEOUT a TXT FOO\n", `line 1: $TIMEOUT: "FOO" is not a type`},
		{"include", "$INCLUDE /etc/passwd\n", "$INCLUDE directive not allowed"},
		{"endless line", strings.Repeat("x", 2<<20), "token too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := dnstest.Load(strings.NewReader(tt.text)); err == nil ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDirectives(t *testing.T) {
	z := dnstest.Must(`
$SERVFAIL above.example       ; names are absolute without an $ORIGIN
$ORIGIN Example.
$SERVFAIL Broken
$SERVFAIL full.test.
$SERVFAIL some TXT mx
$ORIGIN sub
$TIMEOUT @
text TXT "$SERVFAIL inside"
`)
	tests := []struct {
		name string
		typ  dns.Type
		want error
	}{
		{"above.example", dns.A, dns.ErrFailure},
		{"broken.example", dns.A, dns.ErrFailure},
		{"broken.example", dns.TXT, dns.ErrFailure},
		{"full.test", dns.A, dns.ErrFailure},
		{"some.example", dns.TXT, dns.ErrFailure},
		{"some.example", dns.MX, dns.ErrFailure},
		{"some.example", dns.A, nil},
		{"sub.example", dns.A, dns.ErrTimeout},
		{"text.sub.example", dns.TXT, nil},
	}
	for _, tt := range tests {
		t.Run(tt.typ.String()+" "+tt.name, func(t *testing.T) {
			if _, err := z.Lookup(t.Context(), tt.name, tt.typ); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestFromMap(t *testing.T) {
	long := strings.Repeat("0123456789", 60)
	z := dnstest.FromMap(map[string][]string{
		"Example.com.":     {"one", "two"},
		"long.example.com": {long},
		"odd.example.com":  {"\"\\\x00\xff;"},
		"none.example.com": nil,
		"fail.example.com": {"!SERVFAIL"},
		"slow.example.com": {"!TIMEOUT"},
		"a..b":             {"x"},
	})
	tests := []struct {
		name string
		want string
	}{
		{"example.com", `found ["one" "two"]`},
		{"long.example.com", fmt.Sprintf("found [%q]", long)},
		{"odd.example.com", `found ["\"\\\x00\xff;"]`},
		{"none.example.com", "no data []"},
		{"com", "no data []"},
		{"nx.example.com", "NXDOMAIN []"},
		{"a..b", "NXDOMAIN []"},
		{"fail.example.com", "TXT fail.example.com: lookup failed: SERVFAIL"},
		{"slow.example.com", "TXT slow.example.com: lookup failed: no answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := z.Lookup(t.Context(), tt.name, dns.TXT)
			got := fmt.Sprintf("%v %q", a.Status, a.Texts)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestQueries(t *testing.T) {
	z := dnstest.FromMap(map[string][]string{"a.example": {"x"}})
	z.Lookup(t.Context(), "A.example.", dns.TXT)
	z.Lookup(t.Context(), "not a..name", dns.TXT)
	z.Lookup(t.Context(), "b.example", dns.MX)
	if got, want := fmt.Sprint(z.Queries()), "[TXT a.example MX b.example]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	z.Reset()
	if got := z.Queries(); len(got) != 0 {
		t.Errorf("after Reset: got %s", got)
	}
}

// FuzzLoad reads any text as a zone. What loads can be asked for every name that it has.
func FuzzLoad(f *testing.F) {
	f.Add(zone)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToUpper(text), "$GENERATE") || len(text) > 10_000 {
			return // 65,535 records a line: right, and too slow here
		}
		z, err := dnstest.Load(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, word := range append(strings.Fields(text), "example.com") {
			for _, typ := range []dns.Type{dns.TXT, dns.PTR} {
				if a, err := z.Lookup(t.Context(), word, typ); err != nil &&
					!errors.Is(err, dns.ErrFailure) || a.Status != dns.Found && a.Texts != nil {
					t.Errorf("%s: %+v, %v", word, a, err)
				}
			}
		}
	})
}
