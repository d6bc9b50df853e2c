package spf

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/dns/dnstest"
)

var values = []Value{None, Neutral, Pass, Fail, Softfail, Temperror, Permerror}

// FuzzRecord evaluates a record that includes itself, is redirected to and explains itself,
// whatever it is.
func FuzzRecord(f *testing.F) {
	f.Add("v=spf1 a mx/24//64 ptr:%{d} ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:%{ir}.%{v}.%{l1r-}.x.example.com -all",
		"joe@example.com", false)
	f.Add("v=spf1 include:example.com redirect=_spf.%{d2} exp=why.example.com moo=%{c}",
		`"a@b"@example.com`, true)
	f.Add("v=spf1 ?include:%{o} -exists:%{S}%%%_%-.%{h} exp=%{p}.example.com", "\xff@example.com",
		false)
	f.Fuzz(func(t *testing.T, record, from string, six bool) {
		zone := dnstest.Must(`
*.example.com A 192.0.2.1
*.example.com AAAA 2001:db8::1
example.com MX 10 a.example.com
example.com MX 20 gone.example.org
1.2.0.192.in-addr.arpa PTR a.example.com
$SERVFAIL broken.example.com
$TIMEOUT slow.example.com
`)
		zone.AddTXT("example.com", record)
		zone.AddTXT("*.example.com", record)
		id := Identity{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example.com",
			MailFrom: from}
		if six {
			id.IP = netip.MustParseAddr("2001:db8::1")
		}
		got := checkID(zone, id)
		if !slices.Contains(values, got.Value) || got.Queries > 1+10*11+11+1 ||
			got.Queries > len(zone.Queries())+130 {
			t.Errorf("%q for %q: %s", record, from, got)
		}
		if got.Lookups > maxLookups+1 || got.Lookups > maxLookups && got.Value != Permerror ||
			got.Voids > defaultVoids && got.Value != Permerror {
			t.Errorf("%q for %q: limits: %s", record, from, got)
		}
		if len(got.Explanation) > maxExplanation || !isPrintable(got.Explanation) ||
			got.Explanation != "" && got.Value != Fail {
			t.Errorf("%q for %q: explanation %q", record, from, got.Explanation)
		}
		if isRecord(record) && got.Domain == "example.com" {
			if _, err := parseRecord(record); err != nil && got.Value != Permerror {
				t.Errorf("%q: %v, but %s", record, err, got)
			}
		}
		_, value := got.Field("mx.example.net")
		checkLines(t, value)
		if s := got.String(); strings.ContainsFunc(s,
			func(r rune) bool { return (r < ' ' || r > '~') && r != '\n' }) {
			t.Errorf("%q", s)
		}
	})
}

// FuzzMacro holds the expansion against one written for clarity, and the check against the
// expansion.
func FuzzMacro(f *testing.F) {
	f.Add("%{ir}.%{v}._spf.%{d2}", "strong-bad", "email.example.com")
	f.Add("%{L1r-+,/_=.}%%%_%-", "a--b..c", "x")
	f.Add("%{s0}%{d200}{}%{", "", "")
	f.Fuzz(func(t *testing.T, spec, local, domain string) {
		if len(spec) > 1000 || len(local) > maxLocal || len(domain) > 253 {
			return
		}
		e := exampleEvaluation("192.0.2.3")
		e.local = local
		end, err := checkMacros(spec, explainLetters)
		if err != nil {
			return
		}
		if end > len(spec) || strings.Contains(spec[end:], "%") {
			t.Fatalf("%q: its last macro ends at %d", spec, end)
		}
		got := string(e.expand(nil, spec, domain, maxExpansion))
		if want := slowExpand(e, spec, domain); got != want {
			t.Errorf("%q: got %q, want %q", spec, got, want)
		}
		if name := cutName(got); len(name) > 253 && strings.Contains(name, ".") ||
			!strings.HasSuffix(strings.TrimSuffix(got, "."), name) {
			t.Errorf("%q was cut to %q", got, name)
		}
	})
}

// slowExpand expands as section 7.3 reads, one octet of the macro after the other.
func slowExpand(e *evaluation, spec, domain string) string {
	if !strings.Contains(spec, "%") {
		return spec
	}
	before, rest, _ := strings.Cut(spec, "%")
	if plain, ok := map[byte]string{'%': "%", '_': " ", '-': "%20"}[rest[0]]; ok {
		return before + plain + slowExpand(e, rest[1:], domain)
	}
	body, after, _ := strings.Cut(rest[1:], "}")
	letter, options := body[:1], body[1:]
	value := e.value(strings.ToLower(letter)[0], domain)
	if options != "" {
		value = slowTransform(value, options)
	}
	if letter != strings.ToLower(letter) {
		var b strings.Builder
		for _, c := range []byte(value) {
			b.Write(appendPart(nil, string([]byte{c}), true))
		}
		value = b.String()
	}
	return before + value + slowExpand(e, after, domain)
}

func slowTransform(value, options string) string {
	keep, reverse, delimiters := 0, false, ""
	for _, c := range options {
		switch {
		case c >= '0' && c <= '9':
			keep = min(keep*10+int(c-'0'), 100000)
		case c == 'r' || c == 'R':
			reverse = true
		default:
			delimiters += string(c)
		}
	}
	if delimiters == "" {
		delimiters = "."
	}
	var parts []string
	part := []byte{}
	for _, c := range []byte(value) {
		if strings.IndexByte(delimiters, c) >= 0 {
			parts, part = append(parts, string(part)), part[:0]
		} else {
			part = append(part, c)
		}
	}
	parts = append(parts, string(part))
	if reverse {
		slices.Reverse(parts)
	}
	if keep > 0 && keep < len(parts) {
		parts = parts[len(parts)-keep:]
	}
	return strings.Join(parts, ".")
}
