package spf

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// check evaluates a MAIL FROM of the client 192.0.2.1 with the HELO mail.example.org.
func check(zone, from string) Result {
	return checkID(dnstest.Must(zone), Identity{IP: netip.MustParseAddr("192.0.2.1"),
		Helo: "mail.example.org", MailFrom: from})
}

func checkID(r dns.Resolver, id Identity) Result {
	c := &Checker{Resolver: r, Receiver: "mx.example.net",
		Now: func() time.Time { return time.Unix(1700000000, 0) }}
	return c.Check(context.Background(), id)
}

func TestIdentities(t *testing.T) {
	zone := dnstest.Must(`
example.com TXT "v=spf1 -all"
mail.example.org TXT "v=spf1 ip4:192.0.2.1 -all"
xn--bcher-kva.example TXT "v=spf1 ip4:192.0.2.1 -all"
_x.example.com TXT "v=spf1 +all"
why.example TXT "v=spf1 -all exp=text.why.example"
text.why.example TXT "%{s}"
link.example TXT "v=spf1 ip6:fe80::/10 -all"
local.example TXT "v=spf1 exists:%{l}.local.example -all"
postmaster.local.example A 127.0.0.2
`)
	ip := netip.MustParseAddr("192.0.2.1")
	tests := []struct {
		name string
		id   Identity
		want Value
		from string // what Authentication-Results may say
	}{
		{"plain", Identity{IP: ip, MailFrom: "joe@example.com"}, Fail, "mailfrom=example.com"},
		{"any case, final dot", Identity{IP: ip, MailFrom: "joe@Example.COM."}, Fail, "mailfrom=example.com"},
		{"quoted local part with an @", Identity{IP: ip, MailFrom: `"a@b"@example.com`}, Fail, "mailfrom=example.com"},
		{"quoted local part with a name", Identity{IP: ip,
			MailFrom: `"x@mail.example.org"@example.com`}, Fail, "mailfrom=example.com"},
		{"quoted pairs", Identity{IP: ip, MailFrom: `"a\"@mail.example.org"@example.com`}, Fail,
			"mailfrom=example.com"},
		{"two @ without quotes", Identity{IP: ip, MailFrom: "a@mail.example.org@example.com"}, Fail,
			"mailfrom=example.com"},
		{"source route", Identity{IP: ip, MailFrom: "@mail.example.org:joe@example.com"}, Fail, "mailfrom=example.com"},
		{"no local part", Identity{IP: ip, MailFrom: "@local.example"}, Pass, "mailfrom=postmaster@local.example"},
		{"record that looks at the local part", Identity{IP: ip, MailFrom: "joe@local.example"},
			Fail, "mailfrom=joe@local.example"},
		{"explanation that looks at the local part", Identity{IP: ip, MailFrom: "joe@why.example"},
			Fail, "mailfrom=why.example"},
		{"null sender", Identity{IP: ip, Helo: "mail.example.org"}, Pass, "helo=mail.example.org"},
		{"null sender is postmaster", Identity{IP: ip, Helo: "local.example"}, Pass, "helo=local.example"},
		{"null sender, address literal", Identity{IP: ip, Helo: "[192.0.2.1]"}, None, "helo=[192.0.2.1]"},
		{"HELO", Identity{IP: ip, Helo: "mail.example.org", MailFrom: "joe@example.com",
			Scope: Helo}, Pass, "helo=mail.example.org"},
		{"HELO of one label", Identity{IP: ip, Helo: "localhost", Scope: Helo}, None, "helo=localhost"},
		{"HELO that is an address", Identity{IP: ip, Helo: "192.0.2.1", Scope: Helo}, None, "helo=192.0.2.1"},
		{"no HELO", Identity{IP: ip, Scope: Helo}, None, "helo="},
		{"U-labels", Identity{IP: ip, MailFrom: "joe@bücher.example"}, Pass, "mailfrom=xn--bcher-kva.example"},
		{"U-labels in capitals", Identity{IP: ip, MailFrom: "joe@BÜCHER.example"}, Pass,
			"mailfrom=xn--bcher-kva.example"},
		{"underscore", Identity{IP: ip, MailFrom: "joe@_x.example.com"}, Pass, "mailfrom=_x.example.com"},
		{"no domain", Identity{IP: ip, MailFrom: "joe"}, None, "mailfrom=joe"},
		{"address literal", Identity{IP: ip, MailFrom: "joe@[192.0.2.1]"}, None, "mailfrom=[192.0.2.1]"},
		{"one label", Identity{IP: ip, MailFrom: "joe@localhost"}, None, "mailfrom=localhost"},
		{"no client", Identity{MailFrom: "joe@example.com"}, None, "mailfrom=example.com"},
		{"mapped client", Identity{IP: netip.MustParseAddr("::ffff:192.0.2.1"),
			Helo: "mail.example.org", Scope: Helo}, Pass, "helo=mail.example.org"},
		{"client with a zone", Identity{IP: netip.MustParseAddr("fe80::1%eth0"),
			MailFrom: "joe@link.example"}, Pass, "mailfrom=link.example"},
		{"a local part of 100,000 octets hides nothing", Identity{IP: ip,
			MailFrom: strings.Repeat("a@", 50000) + "example.com"}, Fail, "mailfrom=example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := checkID(zone, tt.id)
			name, value := got.Property()
			if got.Value != tt.want || name+"="+value != tt.from {
				t.Errorf("got %s (%s) %s=%s, want %s %s", got.Value, got.Reason, name, value,
					tt.want, tt.from)
			}
		})
	}
}

// TestOfHelo holds that what is concluded for HELO is what asking would have found.
func TestOfHelo(t *testing.T) {
	zone := dnstest.Must(`
same.example TXT "v=spf1 ip4:192.0.2.1 -all"
local.example TXT "v=spf1 exists:%{l}.local.example -all"
joe.local.example A 127.0.0.2
postmaster.local.example A 127.0.0.2
`)
	for _, tt := range []struct {
		name, helo, from string
		ok               bool
	}{
		{"one domain", "Same.example.", "joe@same.example", true},
		{"the null sender", "same.example", "", true},
		{"the null sender, and a record that looks at the local part", "local.example", "", true},
		{"a record that looks at the local part", "local.example", "joe@local.example", false},
		{"two domains", "same.example", "joe@local.example", false},
		{"one inside the other", "mx.same.example", "joe@same.example", false},
		{"no domain", "localhost", "joe@localhost", false},
		{"no names at all", "", "", false},
	} {
		id := Identity{IP: netip.MustParseAddr("192.0.2.1"), Helo: tt.helo, MailFrom: tt.from}
		got, ok := checkID(zone, id).OfHelo()
		if ok != tt.ok {
			t.Errorf("%s: %t, want %t", tt.name, ok, tt.ok)
			continue
		}
		id.Scope = Helo
		if want := checkID(zone, id); ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.name, got, want)
		}
	}
}

func TestResults(t *testing.T) {
	tests := []struct {
		name, zone string
		want       Value
		mechanism  string
	}{
		{"nothing matches", `example.com TXT "v=spf1 ip4:198.51.100.1"`, Neutral, ""},
		{"empty record", `example.com TXT "v=spf1"`, Neutral, ""},
		{"first match wins", `example.com TXT "v=spf1 ~ip4:192.0.2.0/24 +all"`, Softfail, "~ip4:192.0.2.0/24"},
		{"strings are joined", `example.com TXT "v=spf1 ip4:192.0" ".2.1 -all"`, Pass, "ip4:192.0.2.1"},
		{"mistake behind the match", `example.com TXT "v=spf1 ip4:192.0.2.1 foo:bar -all"`, Permerror, ""},
		{"mistake in a modifier behind all", `example.com TXT "v=spf1 +all redirect=%"`, Permerror, ""},
		{"redirect beside all", `example.com TXT "v=spf1 redirect=gone.example.com ?all"`, Neutral, "?all"},
		{"redirect", "example.com TXT \"v=spf1 redirect=b.example.com\"\nb.example.com TXT \"v=spf1 ?a:%{d} -all\"",
			Fail, "-all"},
		{"include keeps its own qualifier", "example.com TXT \"v=spf1 ?include:b.example.com " +
			"-all\"\nb.example.com TXT \"v=spf1 +all\"", Neutral, "?include:b.example.com"},
		{"include that fails", "example.com TXT \"v=spf1 include:b.example.com " +
			"~all\"\nb.example.com TXT \"v=spf1 -all\"", Softfail, "~all"},
		{"include of a permerror", "example.com TXT \"v=spf1 include:b.example.com " +
			"~all\"\nb.example.com TXT \"v=spf1 foo\"", Permerror, ""},
		{"include of one label", "example.com TXT \"v=spf1 include:%{v} ~all\"\nin-addr TXT \"v=spf1 +all\"",
			Permerror, ""},
		{"include of an impossible name", `example.com TXT "v=spf1 include:a..example.com ~all"`, Permerror, ""},
		{"a of an impossible name", `example.com TXT "v=spf1 a:a..example.com ~all"`, Softfail, "~all"},
		{"exists of a long label", `example.com TXT "v=spf1 exists:` + strings.Repeat("x", 64) +
			`.example.com ~all"`, Softfail, "~all"},
		{"a by CIDR", "example.com TXT \"v=spf1 a/24 -all\"\nexample.com A 192.0.2.200", Pass, "a/24"},
		{"a of IPv6 only, one void", "example.com TXT \"v=spf1 a -all\"\nexample.com AAAA 2001:db8::1", Fail, "-all"},
		{"no implicit mx", "example.com TXT \"v=spf1 mx -all\"\nexample.com A 192.0.2.1", Fail, "-all"},
		{"null mx", "example.com TXT \"v=spf1 mx -all\"\nexample.com MX 0 .", Fail, "-all"},
		{"mx with a dead exchange", "example.com TXT \"v=spf1 mx -all\"\nexample.com MX 1 " +
			"dead.example.com\nexample.com MX 2 b.example.com\nb.example.com A 192.0.2.1", Pass,
			"mx"},
		{"five dead exchanges are one void lookup",
			"example.com TXT \"v=spf1 mx a:gone.example.com -all\"\nexample.com MX 1 " +
				"a.example.com\nexample.com MX 2 b.example.com\nexample.com MX 3 " +
				"c.example.com\nexample.com MX 4 d.example.com\nexample.com MX 5 e.example.com",
			Fail, "-all"},
		{"mx that fails", "example.com TXT \"v=spf1 mx -all\"\n$SERVFAIL example.com MX", Temperror, ""},
		{"exchange that fails", "example.com TXT \"v=spf1 mx -all\"\nexample.com MX 1 " +
			"b.example.com\n$SERVFAIL b.example.com", Temperror, ""},
		{"exists with an address", "example.com TXT \"v=spf1 exists:%{ir}.b.example.com " +
			"-all\"\n1.2.0.192.b.example.com A 127.0.0.2", Pass, "exists:%{ir}.b.example.com"},
		{"exists with IPv6 only", "example.com TXT \"v=spf1 exists:b.example.com -all\"\nb.example.com AAAA ::1",
			Fail, "-all"},
		{"exists that fails", "example.com TXT \"v=spf1 exists:b.example.com -all\"\n$TIMEOUT b.example.com",
			Temperror, ""},
		{"ptr", "example.com TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa PTR " +
			"mail.example.com.\nmail.example.com A 192.0.2.1", Pass, "ptr"},
		{"ptr of the name itself", "example.com TXT \"v=spf1 ptr:mail.example.com " +
			"-all\"\n1.2.0.192.in-addr.arpa PTR Mail.Example.COM.\nmail.example.com A 192.0.2.1",
			Pass, "ptr:mail.example.com"},
		{"ptr that does not lead back",
			"example.com TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa PTR " +
				"mail.example.com.\nmail.example.com A 192.0.2.2", Fail, "-all"},
		{"ptr with a similar name", "example.com TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa " +
			"PTR bad-example.com.\nbad-example.com A 192.0.2.1", Fail, "-all"},
		{"ptr that fails", "example.com TXT \"v=spf1 ptr -all\"\n$SERVFAIL 1.2.0.192.in-addr.arpa", Fail, "-all"},
		{"ptr whose name fails", "example.com TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa " +
			"PTR mail.example.com.\n$SERVFAIL mail.example.com", Fail, "-all"},
		{"p", "example.com TXT \"v=spf1 exists:%{p}.b.example.com -all\"\n1.2.0.192.in-addr.arpa " +
			"PTR z.example.org.\n1.2.0.192.in-addr.arpa PTR y.example.com.\nz.example.org A " +
			"192.0.2.1\ny.example.com A 192.0.2.1\ny.example.com.b.example.com A 127.0.0.2", Pass,
			"exists:%{p}.b.example.com"},
		{"p unknown", "example.com TXT \"v=spf1 exists:%{p}.b.example.com -all\"\nunknown.b.example.com A 127.0.0.2",
			Pass, "exists:%{p}.b.example.com"},
		{"CNAME to the record", "example.com CNAME b.example.com.\nb.example.com TXT \"v=spf1 +all\"", Pass, "+all"},
		{"unknown modifier", `example.com TXT "v=spf1 moo=%{c} -all moo="`, Fail, "-all"},
		{"record over many octets", `example.com TXT "v=spf1 ` + strings.Repeat("ip4:198.51.100.1 ",
			14) + `" "` + strings.Repeat("ip4:198.51.100.1 ", 14) + `" "+all"`, Pass, "+all"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := check(tt.zone+"\n", "joe@example.com")
			if got.Value != tt.want || got.Mechanism != tt.mechanism {
				t.Errorf("got %s by %q (%s), want %s by %q\n%s", got.Value, got.Mechanism,
					got.Reason, tt.want, tt.mechanism, got)
			}
			if got.Reason == "" {
				t.Error("no reason")
			}
		})
	}
}

// A local part that is not ASCII matches no term that asks for it, and no name is looked up for it
// (RFC 8616 section 4).
func TestInternationalLocalPart(t *testing.T) {
	zone := dnstest.Must("example.com TXT \"v=spf1 exists:%{l}.example.com " +
		"exists:%{s1}.example.com exists:%{o}.b.example.com -all\"\n*.b.example.com A 127.0.0.2\n")
	got := checkID(zone, Identity{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "дм@example.com"})
	if got.Value != Pass || got.Mechanism != "exists:%{o}.b.example.com" ||
		len(zone.Queries()) != 2 {
		t.Errorf("got %s\nqueries %v", got, zone.Queries())
	}
	zone = dnstest.Must("example.com TXT \"v=spf1 redirect=%{l}.example.com\"\n*.example.com TXT \"v=spf1 +all\"\n")
	if got := checkID(zone, Identity{IP: netip.MustParseAddr("192.0.2.1"),
		MailFrom: "дм@example.com"}); got.Value != Permerror {
		t.Errorf("redirect: got %s", got)
	}
}

func TestExplanation(t *testing.T) {
	const fails = "example.com TXT \"v=spf1 -all exp=why.example.com\"\n"
	tests := []struct{ name, zone, want string }{
		{"text", fails + `why.example.com TXT "No."`, "No."},
		{"macros", fails + `why.example.com TXT "%{i} is not of %{d}%_(%{l}), ` +
			`says %{r} at %{t}; http://%{o}/?s=%{S}%-%%"`,
			"192.0.2.1 is not of example.com (joe+x), says mx.example.net at 1700000000; " +
				"http://example.com/?s=joe%2Bx%40example.com%20%"},
		{"none", `example.com TXT "v=spf1 -all"`, ""},
		{"no record", fails, ""},
		{"two records", fails + "why.example.com TXT a\nwhy.example.com TXT b", ""},
		{"SERVFAIL", fails + "$SERVFAIL why.example.com", ""},
		{"mistake", fails + `why.example.com TXT "50% sure"`, ""},
		{"not ASCII", fails + `why.example.com TXT "\195\188ber"`, ""},
		{"control characters", fails + `why.example.com TXT "a\013\010250 ok"`, ""},
		{"control characters of the sender", fails + `why.example.com TXT "%{h}"`, ""},
		{"p, when two lookups were void", "example.com TXT \"v=spf1 a:1.example.com " +
			"a:2.example.com a:other.example.com -all exp=why.example.com\"\nother.example.com A " +
			"192.0.2.9\nwhy.example.com TXT \"%{p}\"\n1.2.0.192.in-addr.arpa PTR " +
			"gone.example.org.\n1.2.0.192.in-addr.arpa PTR real.example.org.\nreal.example.org A 192.0.2.1",
			"real.example.org"},
		{"too long", fails + `why.example.com TXT "` + strings.Repeat("%{s}%{s}%{s}", 20) + `"`,
			strings.Repeat("joe+x@example.com", 24)[:397] + "..."},
		{"softfail has none", "example.com TXT \"v=spf1 ~all exp=why.example.com\"\nwhy.example.com TXT a", ""},
		{"impossible name", `example.com TXT "v=spf1 -all exp=a..example.com"`, ""},
		{"not that of an include", "example.com TXT \"v=spf1 -include:b.example.com " +
			"exp=why.example.com\"\nwhy.example.com TXT outer\nb.example.com TXT \"v=spf1 +all " +
			"exp=inner.example.com\"\ninner.example.com TXT inner", "outer"},
		{"not that of an include that fails", "example.com TXT \"v=spf1 include:b.example.com " +
			"-all\"\nb.example.com TXT \"v=spf1 -all exp=inner.example.com\"\ninner.example.com TXT inner", ""},
		{"that of a redirect", "example.com TXT \"v=spf1 redirect=b.example.com " +
			"exp=why.example.com\"\nwhy.example.com TXT outer\nb.example.com TXT \"v=spf1 -all " +
			"exp=inner.%{d}\"\ninner.b.example.com TXT \"%{d} %{o}\"", "b.example.com example.com"},
		{"not that before a redirect", "example.com TXT \"v=spf1 redirect=b.example.com " +
			"exp=why.example.com\"\nwhy.example.com TXT outer\nb.example.com TXT \"v=spf1 -all\"",
			""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := checkID(dnstest.Must(tt.zone+"\n"),
				Identity{IP: netip.MustParseAddr("192.0.2.1"), Helo: "a\x1bb",
					MailFrom: "joe+x@example.com"})
			if got.Explanation != tt.want || got.Voids > defaultVoids {
				t.Errorf("got %q, want %q\n%s", got.Explanation, tt.want, got)
			}
		})
	}
}

// The tree for people and for programs, as files to read.
func TestTree(t *testing.T) {
	zone, err := os.Open(filepath.Join("testdata", "tree", "zone"))
	if err != nil {
		t.Fatal(err)
	}
	defer zone.Close()
	z, err := dnstest.Load(zone)
	if err != nil {
		t.Fatal(err)
	}
	got := checkID(z, Identity{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example.org",
		MailFrom: "joe+x@example.com"})
	asJSON, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"want": got.String(), "want.json": string(asJSON) +
		"\n"} {
		path := filepath.Join("testdata", "tree", file)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, text, want)
		}
	}
}

func TestTreeIsVisible(t *testing.T) {
	got := check("example.com TXT \"v=spf1 a:\x1b[2J.example.com -all\"\n",
		"joe\x1b[1m@example.com")
	if s := got.String(); strings.ContainsAny(s, "\x1b\r") {
		t.Errorf("%q", s)
	}
}

func TestReceivedSPF(t *testing.T) {
	tests := []struct{ name, zone, from, want string }{
		{"pass", `example.com TXT "v=spf1 ip4:192.0.2.1 -all"`, "joe@example.com",
			`pass (mx.example.net: example.com permits 192.0.2.1) identity=mailfrom; ` +
				`client-ip=192.0.2.1; helo=mail.example.org; envelope-from="joe@example.com"; ` +
				`receiver=mx.example.net; mechanism="ip4:192.0.2.1"`},
		{"default", `example.com TXT "v=spf1"`, "joe@example.com",
			`neutral (mx.example.net: example.com does not say whether it permits 192.0.2.1) ` +
				`identity=mailfrom; client-ip=192.0.2.1; helo=mail.example.org; ` +
				`envelope-from="joe@example.com"; receiver=mx.example.net; mechanism=default`},
		{"temperror", "$TIMEOUT example.com", "joe@example.com",
			`temperror (mx.example.net: the DNS did not tell) identity=mailfrom; ` +
				`client-ip=192.0.2.1; helo=mail.example.org; envelope-from="joe@example.com"; ` +
				`receiver=mx.example.net; problem="TXT example.com: lookup failed: no answer in time"`},
		{"hostile sender", `example.com TXT "v=spf1 -all"`, "a\"b;\r\nX: (y\\z\xff@example.com",
			`fail (mx.example.net: example.com does not permit 192.0.2.1) identity=mailfrom; ` +
				`client-ip=192.0.2.1; helo=mail.example.org; envelope-from="a?b???X: ` +
				`?y?z?@example.com"; receiver=mx.example.net; mechanism=-all`},
		{"null sender", `mail.example.org TXT "v=spf1 ~all"`, "",
			`softfail (mx.example.net: mail.example.org probably does not permit 192.0.2.1) ` +
				`identity=mailfrom; client-ip=192.0.2.1; helo=mail.example.org; ` +
				`envelope-from="postmaster@mail.example.org"; receiver=mx.example.net; mechanism=~all`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, value := check(tt.zone+"\n", tt.from).Field("mx.example.net")
			checkLines(t, value)
			if got := strings.TrimSpace(strings.ReplaceAll(value, "\r\n\t",
				" ")); name != "Received-SPF" || got != tt.want {
				t.Errorf("got\n%s: %s\nwant\n%s", name, got, tt.want)
			}
		})
	}
}

// checkLines holds what is promised of a field's value.
func checkLines(t *testing.T, value string) {
	t.Helper()
	if len(value) > 900 || !strings.HasPrefix(value, " ") {
		t.Errorf("%d octets: %q", len(value), value)
	}
	for i, line := range strings.Split(value, "\r\n") {
		if i > 0 && (!strings.HasPrefix(line, "\t") || strings.TrimSpace(line) == "") {
			t.Errorf("line %q", line)
		}
		if strings.ContainsFunc(strings.TrimPrefix(line, "\t"),
			func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("line %q", line)
		}
	}
}

func TestReceivedSPFIsBounded(t *testing.T) {
	long := strings.Repeat("x;", 5000)
	got := checkID(dnstest.Must(""), Identity{IP: netip.MustParseAddr("192.0.2.1"), Helo: long,
		MailFrom: long + "@" + long})
	_, value := got.Field(long)
	checkLines(t, value)
	var none Result
	_, value = none.Field("")
	checkLines(t, value)
}

func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := &Checker{Resolver: dnstest.Must("example.com TXT \"v=spf1 +all\"\n")}
	got := c.Check(ctx, Identity{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "joe@example.com"})
	if got.Value != Temperror || !strings.Contains(got.Reason, "cancel") {
		t.Errorf("got %s", got)
	}
}

func TestMaxVoids(t *testing.T) {
	zone := dnstest.Must("example.com TXT \"v=spf1 a:1.example.com a:2.example.com " +
		"a:3.example.com a:4.example.com +all\"\n")
	for voids, want := range map[int]Value{0: Permerror, 1: Permerror, 3: Permerror, 4: Pass} {
		c := &Checker{Resolver: zone, MaxVoids: voids}
		if got := c.Check(context.Background(), Identity{IP: netip.MustParseAddr("192.0.2.1"),
			MailFrom: "joe@example.com"}); got.Value != want {
			t.Errorf("MaxVoids %d: got %s, want %s", voids, got, want)
		}
	}
}

func ExampleResult_String() {
	fmt.Print(check("example.com TXT \"v=spf1 a -all\"\nexample.com A 192.0.2.9\n",
		"joe@example.com"))
	// Output:
	// fail: 192.0.2.1 matches "-all" of example.com
	// identity:    mailfrom joe@example.com
	// term:        -all
	// lookups:    1 of the 10 allowed, 0 of them void; 2 DNS queries in all
	//
	// example.com: "v=spf1 a -all" = fail
	//   a                                       no match  [1 of 10 lookups]  192.0.2.9
	//   -all                                    match
}
