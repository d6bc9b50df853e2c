package spf

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mailseal/contrib/test/allocations"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// The numbers are those of the list of acceptance checks that the project shares.

func TestCheck45TenTermsThatAsk(t *testing.T) {
	id := Identity{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "joe@example.com"}
	fill := func(n int) Result {
		record := "v=spf1 include:a.example.com include:b.example.com " +
			strings.Repeat("a:h.example.com ", n) + "redirect=c.example.com"
		z := dnstest.Must(`
a.example.com TXT "v=spf1 a:h.example.com"
b.example.com TXT "v=spf1 mx:h.example.com"
c.example.com TXT "v=spf1 -all exp=why.example.com"
h.example.com A 192.0.2.9
h.example.com MX 1 h.example.com
why.example.com TXT "because"
`)
		z.AddTXT("example.com", record)
		return checkID(z, id)
	}
	if got := fill(5); got.Value != Fail || got.Lookups != 10 || got.Explanation != "because" {
		t.Errorf("ten: %s", got)
	}
	if got := fill(6); got.Value != Permerror || got.Lookups != 11 {
		t.Errorf("eleven: %s", got)
	}
}

// The macro p asks for the client's name once, and counts once.
func TestNameOfTheClientCounts(t *testing.T) {
	for n, want := range map[int]Value{8: Fail, 9: Permerror} {
		zone := dnstest.Must("*.x.example.com A 127.0.0.2\n1.2.0.192.in-addr.arpa PTR " +
			"h.example.org\nh.example.org A 192.0.2.1\n")
		zone.AddTXT("example.com", "v=spf1"+strings.Repeat(" a:a.x.example.com", n)+
			" -exists:%{p}.%{p}.x.example.com")
		got := checkID(zone, Identity{IP: netip.MustParseAddr("192.0.2.1"),
			MailFrom: "joe@example.com"})
		if got.Value != want || got.Lookups != n+2 {
			t.Errorf("beside %d terms: want %s, got %s", n, want, got)
		}
	}
}

func TestCheck46TwoVoidLookUps(t *testing.T) {
	for n, want := range map[int]Value{1: Fail, 2: Fail, 3: Permerror, 9: Permerror} {
		record := "v=spf1"
		for i := range n {
			record += fmt.Sprintf(" a:%d.gone.example.com", i)
		}
		zone := &dnstest.Zone{}
		zone.AddTXT("example.com", record+" -all")
		got := checkID(zone, Identity{IP: netip.MustParseAddr("192.0.2.1"),
			MailFrom: "joe@example.com"})
		if got.Value != want || len(zone.Queries()) != min(n, 3)+1 {
			t.Errorf("%d names that do not exist: %d questions, %s", n, len(zone.Queries()), got)
		}
	}
}

func TestCheck47SelectingRecords(t *testing.T) {
	tests := []struct {
		name, zone string
		want       Value
	}{
		{"two records", "example.com TXT \"v=spf1 +all\"\nexample.com TXT \"v=spf1 -all\"", Permerror},
		{"two records in other case", "example.com TXT \"v=spf1 +all\"\nexample.com TXT \"V=SPF1 -all\"", Permerror},
		{"v=spf10", `example.com TXT "v=spf10 +all"`, None},
		{"leading space", `example.com TXT " v=spf1 +all"`, None},
		{"spf2.0 beside it", "example.com TXT \"spf2.0/pra +all\"\nexample.com TXT \"v=spf1 -all\"", Fail},
		{"other records beside it", "example.com TXT \"some v=spf1 text\"\nexample.com TXT " +
			"\"\"\nexample.com TXT \"v=spf1 -all\"", Fail},
		{"type 99 alone", `example.com SPF "v=spf1 +all"`, None},
	}
	for _, tt := range tests {
		if got := check(tt.zone+"\n", "joe@example.com"); got.Value != tt.want {
			t.Errorf("%s: want %s, got %s", tt.name, tt.want, got)
		}
	}
}

func TestCheck48IncludeAndRedirect(t *testing.T) {
	tests := []struct {
		name, zone string
		want       Value
	}{
		{"include of a name without SPF", "example.com TXT \"v=spf1 include:b.example.com " +
			"+all\"\nb.example.com TXT x", Permerror},
		{"include of a name that does not exist", "example.com TXT \"v=spf1 include:b.example.com +all\"", Permerror},
		{"redirect to a name without SPF",
			"example.com TXT \"v=spf1 redirect=b.example.com\"\nb.example.com TXT x", Permerror},
		{"redirect to a name that does not exist", "example.com TXT \"v=spf1 redirect=b.example.com\"", Permerror},
		{"redirect to an impossible name", "example.com TXT \"v=spf1 redirect=b..example.com\"", Permerror},
		{"include that times out", "example.com TXT \"v=spf1 include:b.example.com +all\"\n$TIMEOUT b.example.com",
			Temperror},
		{"redirect that fails", "example.com TXT \"v=spf1 redirect=b.example.com\"\n$SERVFAIL b.example.com",
			Temperror},
	}
	for _, tt := range tests {
		if got := check(tt.zone+"\n", "joe@example.com"); got.Value != tt.want {
			t.Errorf("%s: want %s, got %s", tt.name, tt.want, got)
		}
	}
}

func TestCheck49NothingToAsk(t *testing.T) {
	zone := dnstest.Must("$SERVFAIL broken.example.com\n$TIMEOUT slow.example.com\nexample.com A 192.0.2.1\n")
	for helo, want := range map[string]Value{
		"[192.0.2.1]": None, "localhost": None, "gone.example.com": None, "example.com": None,
		"": None, "a..example.com": None,
		strings.Repeat("x", 64) + ".example.com": None, strings.Repeat("x.", 130) +
			"example.com": None,
		"broken.example.com": Temperror, "slow.example.com": Temperror,
	} {
		if got := checkID(zone, Identity{IP: netip.MustParseAddr("192.0.2.1"), Helo: helo,
			Scope: Helo}); got.Value != want {
			t.Errorf("%q: want %s, got %s", helo, want, got)
		}
	}
}

// TestCheck50 is TestSuite: neutral and softfail are results like others here, what is made of them
// is policy's.

// Whatever a record says, the questions, the memory and the tree are bounded.
func TestBombs(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	bomb := func(zone string, record string) *dnstest.Zone {
		z := dnstest.Must(zone + "\n")
		z.AddTXT("example.com", record)
		return z
	}
	tests := []struct {
		name    string
		zone    *dnstest.Zone
		want    Value
		queries int // at most
	}{
		{"include of itself", bomb("", "v=spf1 include:example.com -all"), Permerror, 11},
		{"redirect to itself", bomb("", "v=spf1 redirect=example.com"), Permerror, 11},
		{"two that include each other twice",
			bomb(`b.example.com TXT "v=spf1 include:example.com include:example.com -all"`,
				"v=spf1 include:b.example.com include:b.example.com -all"), Permerror, 11},
		{"1000 includes", bomb(`*.i.example.com TXT "v=spf1 -all"`, "v=spf1"+
			many(1000, " include:%d.i.example.com")), Permerror, 11},
		{"ten mx of ten names", bomb(many(10, "x.example.com MX 1 %d.h.example.com\n")+
			many(10, "%d.h.example.com A 192.0.2.9\n"), "v=spf1"+strings.Repeat(" mx:x.example.com",
			10)+" -all"), Fail, 1 + 10*11},
		{"eleven names of an mx", bomb(many(11, "x.example.com MX 1 %d.h.example.com\n")+
			"*.h.example.com A 192.0.2.9", "v=spf1 mx:x.example.com -all"), Permerror, 2},
		{"ten mx of ten names that do not exist",
			bomb(many(10, "x.example.com MX 1 %d.h.example.com\n"), "v=spf1"+
				strings.Repeat(" mx:x.example.com", 10)+" -all"), Permerror, 1 + 2*11 + 2},
		{"ptr with 300 names", bomb(many(300, "1.2.0.192.in-addr.arpa PTR %d.example.com\n")+
			"*.example.com A 192.0.2.9", "v=spf1"+strings.Repeat(" ptr", 10)+" -all"), Fail, 12},
		{"p everywhere, 300 names", bomb(many(300, "1.2.0.192.in-addr.arpa PTR %d.example.org\n")+
			"*.example.org A 192.0.2.9\n*.x.example.com A 192.0.2.9\nunknown.why.example.com TXT %{p}%{p}%{p}",
			"v=spf1"+strings.Repeat(" -exists:%{p}.%{p}.x.example.com", 8)+
				" exp=%{p}.why.example.com"), Fail, 14},
		{"16,000 terms", bomb("", "v=spf1"+strings.Repeat(" a=", 16000)+" -all"), Fail, 1},
		{"5,000 networks", bomb("", "v=spf1"+strings.Repeat(" ip4:1.2.3.4", 5000)+" -all"), Fail, 1},
		{"macros of one domain-spec", bomb("", "v=spf1 exists:"+strings.Repeat("%{s}", 10000)+
			" -all"), Permerror, 1},
		{"128 macros ten times", bomb("", "v=spf1"+strings.Repeat(" exists:"+
			strings.Repeat("%{Sr-+./}", 128), 10)+" -all"), Permerror, 4},
		{"a long domain-spec", bomb("", "v=spf1 exists:"+strings.Repeat("x.", 30000)+"example.com -all"), Fail, 2},
		{"1,000 records", bomb(many(1000, "example.com TXT \"v=spf1 ip4:192.0.2.1 x=%d\"\n"),
			"v=spf1"), Permerror, 1},
		{"explanation of macros", bomb("why.example.com TXT \""+strings.Repeat("%{s}", 60)+"\" \""+
			strings.Repeat("%{s}", 60)+"\"", "v=spf1 -all exp=why.example.com"), Fail, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := Identity{IP: netip.MustParseAddr("192.0.2.1"), Helo: strings.Repeat("h", 100000),
				MailFrom: strings.Repeat("l-", 100000) + "@example.com"}
			got := checkID(tt.zone, id)
			if n := len(tt.zone.Queries()); got.Value != tt.want || n > tt.queries ||
				n != got.Queries {
				t.Errorf("got %s (%s), want %s; %d questions, counted %d, want at most %d",
					got.Value, got.Reason, tt.want, n, got.Queries, tt.queries)
			}
			if steps := countSteps(got.Tree); steps > maxSteps+20 {
				t.Errorf("%d steps in the tree", steps)
			}
			if s := got.String(); len(s) > 64<<10 {
				t.Errorf("the tree has %d octets", len(s))
			}
			if got.Explanation != "" && len(got.Explanation) > maxExplanation {
				t.Errorf("an explanation of %d octets", len(got.Explanation))
			}
			answers := recorded(t, tt.zone, id)
			row := "milter/spf: a hostile record"
			if tt.name == "5,000 networks" {
				row = "milter/spf: a record of 5,000 networks"
			}
			allocations.Hold(t, row, 2, func() { checkID(answers, id) })
		})
	}
}

func countSteps(r *Record) int {
	n := len(r.Steps)
	for _, s := range r.Steps {
		if s.Nested != nil {
			n += countSteps(s.Nested)
		}
	}
	return n
}

// recorded answers as zone does without its cost, so that allocations are ours.
func recorded(t *testing.T, zone *dnstest.Zone, id Identity) dns.Resolver {
	t.Helper()
	m := memory{}
	checkID(recorder{zone, m}, id)
	return m
}
