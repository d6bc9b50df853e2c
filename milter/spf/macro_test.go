package spf

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func exampleEvaluation(ip string) *evaluation {
	return &evaluation{ip: netip.MustParseAddr(ip), local: "strong-bad", host: "email.example.com",
		helo:     "mx.example.org",
		receiver: "mx.example.net", now: func() time.Time { return time.Unix(1700000000, 0) },
		names: clientNames{asked: true, names: []string{"mx.example.org"},
			valid: []validity{valid}}}
}

// The examples of RFC 7208 section 7.4, and what the text of section 7.3 says beside them.
func TestExpand(t *testing.T) {
	tests := []struct{ ip, spec, want string }{
		{"192.0.2.3", "%{s}", "strong-bad@email.example.com"},
		{"192.0.2.3", "%{o}", "email.example.com"},
		{"192.0.2.3", "%{d}", "email.example.com"},
		{"192.0.2.3", "%{d4}", "email.example.com"},
		{"192.0.2.3", "%{d3}", "email.example.com"},
		{"192.0.2.3", "%{d2}", "example.com"},
		{"192.0.2.3", "%{d1}", "com"},
		{"192.0.2.3", "%{dr}", "com.example.email"},
		{"192.0.2.3", "%{d2r}", "example.email"},
		{"192.0.2.3", "%{l}", "strong-bad"},
		{"192.0.2.3", "%{l-}", "strong.bad"},
		{"192.0.2.3", "%{lr}", "strong-bad"},
		{"192.0.2.3", "%{lr-}", "bad.strong"},
		{"192.0.2.3", "%{l1r-}", "strong"},
		{"192.0.2.3", "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
		{"192.0.2.3", "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
		{"192.0.2.3", "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
		{"192.0.2.3", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{"192.0.2.3", "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
		{"2001:db8::cb01", "%{ir}.%{v}._spf.%{d2}",
			"1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"},
		{"2001:db8::cb01", "%{i1}", "1"},
		{"192.0.2.3", "%%%_%-", "% %20"},
		{"192.0.2.3", "%{S}", "strong-bad%40email.example.com"},
		{"192.0.2.3", "%{L-}", "strong.bad"},
		{"192.0.2.3", "%{D2}", "example.com"},
		{"192.0.2.3", "%{h} %{p} %{c} %{r} %{t}", "mx.example.org mx.example.org 192.0.2.3 mx.example.net 1700000000"},
		{"2001:db8::cb01", "%{c} %{C}", "2001:db8::cb01 2001%3Adb8%3A%3Acb01"},
		{"192.0.2.3", "%{s-.@}", "%{s-.@}"}, // not a macro: checkMacros refuses it, expand stops
		{"192.0.2.3", "%{o2r.}-%{o1r.}", "example.email-email"},
		{"192.0.2.3", "%{l5r-}", "bad.strong"},
		{"192.0.2.3", "{l} }%{l}{", "{l} }strong-bad{"},
	}
	for _, tt := range tests {
		want := tt.want
		if _, err := checkMacros(tt.spec, explainLetters); err != nil {
			want = ""
		}
		if got := string(exampleEvaluation(tt.ip).expand(nil, tt.spec, "email.example.com",
			1000)); got != want {
			t.Errorf("%s of %s: got %s, want %s", tt.spec, tt.ip, got, want)
		}
	}
}

// Delimiters at an end or side by side have empty parts between them.
func TestExpandEmptyParts(t *testing.T) {
	tests := []struct{ local, spec, want string }{
		{"a..b", "%{l}", "a..b"},
		{"a..b", "%{lr}", "b..a"},
		{"a--b", "%{l-}", "a..b"},
		{"-a", "%{l1r-}", ""},
		{"a-", "%{l1-}", ""},
		{"", "%{lr}", ""}, {"a-b+c", "%{l-+}", "a.b.c"}, {"a=b", "%{l2=}", "a.b"}, {"a/b_c,d", "%{lr/_,}", "d.c.b.a"},
	}
	for _, tt := range tests {
		e := exampleEvaluation("192.0.2.3")
		e.local = tt.local
		if got := string(e.expand(nil, tt.spec, "", 1000)); got != tt.want {
			t.Errorf("%s of %q: got %q, want %q", tt.spec, tt.local, got, tt.want)
		}
	}
}

func TestCutName(t *testing.T) {
	long := strings.Repeat("abcdefghi.", 25) + "abc" // 253 octets
	tests := []struct{ name, in, want string }{
		{"short", "example.com.", "example.com"},
		{"just fits", long, long},
		{"just fits with a final dot", long + ".", long},
		{"one label more", "x." + long, long},
		{"an octet more", "x" + long, strings.SplitN(long, ".", 2)[1]},
		{"many labels more", strings.Repeat("y.", 1000) + long, long},
		{"one label", strings.Repeat("z", 300), strings.Repeat("z", 300)},
	}
	for _, tt := range tests {
		if got := cutName(tt.in); got != tt.want {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}

func TestExpandStops(t *testing.T) {
	e := exampleEvaluation("192.0.2.3")
	if got := e.expand(nil, strings.Repeat("%{s}", 10000), "", 400); len(got) > 400+256+255 {
		t.Errorf("%d octets", len(got))
	}
}
