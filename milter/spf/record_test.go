package spf

import (
	"strings"
	"testing"
)

func TestIsRecord(t *testing.T) {
	tests := []struct {
		text string
		want bool
	}{
		{"v=spf1", true}, {"v=spf1 ", true}, {"v=spf1 -all", true}, {"V=SPF1 -all", true},
		{"v=spf10", false}, {"v=spf1-all", false}, {"v=spf1\t-all", false}, {" v=spf1", false}, {"v=spf", false},
		{"", false}, {"spf2.0/pra -all", false}, {"v = spf1 -all", false}, {`"v=spf1 -all"`, false},
	}
	for _, tt := range tests {
		if got := isRecord(tt.text); got != tt.want {
			t.Errorf("isRecord(%q) = %v, want %v", tt.text, got, tt.want)
		}
	}
}

// Every kind of mistake that libraries were seen to let through, and what they were seen to refuse
// though it is right.
func TestParseRecord(t *testing.T) {
	right := []string{
		"", "-all", "~ALL", "?all", "+all", "all all", "  -all  ",
		"a", "a/24", "a//64", "a/24//64", "a/0//0", "a:example.com", "a:example.com/24",
		"a:example.com//64", "a:example.com/24//64", "a:example.com.",
		"a:%{d}", "a:%{d}.example.com", "a:x%%", "a:x%_", "a:x%-", "a:foo.1-2", "v=spf1:x/",
		"a:foo:bar/baz.example.com", "mx:foo:bar/baz.example.com", "a:foo:8080.example.com",
		"a:%{l/}", "a:%{l/}/24", "mx:!$&'*.example.com",
		"include:example.com", "INCLUDE:example.com", "exists:%{ir}.%{v}.%{l1r-}.x.example.com",
		"exists:%{S}.example.com", "ptr", "ptr:example.com",
		"ip4:192.0.2.1", "ip4:192.0.2.1/0", "ip4:192.0.2.1/32", "ip6:::", "ip6:::1/0",
		"ip6:2001:db8::/32", "ip6:::ffff:192.0.2.1/128", "ip6:2001:DB8::CD30/128",
		"redirect=example.com", "-all redirect=example.com", "exp=example.com",
		"exp=a.%{d} redirect=%{d2}", "REDIRECT=example.com",
		"foo=", "foo=bar", "foo=%{c}%{r}%{t}", "a.b-c_d=:/=", "all=x", "include=x", "foo=a foo=b",
		"default=softfail", "foo=a:b/24",
		"exists:%{d127}.example.com", "exists:%{d99999999999999999999}.example.com",
		"exists:%{dR}.example.com", "exists:%{d2r.-+,/_=}.example.com",
	}
	for _, terms := range right {
		if _, err := parseRecord("v=spf1 " + terms); err != nil {
			t.Errorf("%q: %v", terms, err)
		}
	}
	wrong := []string{
		"-", "+", "--all", "- all", "all:", "all:example.com", "all/8", "al", "all.", "foo",
		"foo:bar", "foo/24", "=x", "1=x", "a:1-2", "+foo=x", "-redirect=example.com",
		"a:", "a:/24", "a/33", "a/024", "a/00", "a//129", "a//064", "a///64", "a/", "a//", "a/x",
		"a/24/", "a/24//", "a/-1", "a/24/64", "a24", "a.example.com",
		"a:museum", "a:museum.", "a:example.com..", "a:example.-com", "a:example.com-",
		"a:111.222.33.44", "a:example.1", "a:example.com:8080", "a:example.com/abc", "a:com",
		"a:example.c_m", "a:%{d}com",
		"mx:", "mx:example.123", "mx/33",
		"include", "include:", "include:com", "include:example.com/24", "include/24", "exists",
		"exists:", "exists:example.com/24", "exists:com",
		"ptr:", "ptr/24", "ptr:example.com/24", "ptr:com",
		"ip4", "ip4:", "ip4:192.0.2", "ip4:192.0.2.256", "ip4:192.0.02.1", "ip4:192.0.2.1/",
		"ip4:192.0.2.1/33", "ip4:192.0.2.1/032", "ip4:192.0.2.1/-1", "ip4:192.0.2.1//32", "ip4:::1",
		"ip4:example.com", "ip4/24", "ip4:192.0.2.1/24/24",
		"ip6", "ip6:", "ip6:192.0.2.1", "ip6:::1.1.1.1//33", "ip6:::1/129", "ip6:::1%eth0",
		"ip6:2001:db8::/064", "ip6:[::1]", "-all ip6",
		"redirect", "redirect=", "redirect=com", "redirect:example.com",
		"redirect=example.com redirect=example.com", "redirect=example.com/24", "redirect=%{d1}.%",
		"exp", "exp=", "exp=com", "exp:example.com", "exp=example.com EXP=example.com",
		"exp=%{c}.example.com",
		"exists:%{x}.example.com", "exists:%{c}.example.com", "exists:%{r}", "exists:%{t}",
		"exists:%{", "exists:%{}", "exists:%{d", "exists:%{d0}", "exists:%{dr2}", "exists:%{d2rr}",
		"exists:%{d*}", "exists:%{ d}",
		"exists:%", "exists:%d.example.com", "exists:%(ir).example.com", "exists:100%.example.com",
		"exists:%{@}", "exists:%{\x13}",
		"foo=%", "foo=%{x}", "\tall", "a\x00", "a:b\x01.example.com", "a:b\x7f.example.com",
		"a:\xe9.example.com", "foo=\xff",
		"exists:" + strings.Repeat("%{h}", maxMacros+1),
	}
	for _, terms := range wrong {
		if _, err := parseRecord("v=spf1 " + terms); err == nil {
			t.Errorf("%q: no mistake found", terms)
		}
	}
}

func TestPolicy(t *testing.T) {
	p, err := parseRecord("v=spf1 a redirect=r.example.com -all exp=e.example.com")
	if err != nil || p.redirect.spec != "r.example.com" || p.exp.spec != "e.example.com" {
		t.Errorf("%+v, %v", p, err)
	}
	term, err := parseTerm("~mx:%{d}/20//60")
	if err != nil || term.value != Softfail || term.kind != kindMX || term.spec != "%{d}" ||
		term.bits4 != 20 || term.bits6 != 60 {
		t.Errorf("%+v, %v", term, err)
	}
}
