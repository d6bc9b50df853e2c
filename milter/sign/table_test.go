package sign

import (
	"fmt"
	"net/netip"
	"testing"

	"mailseal/milter/domain"
	"mailseal/milter/message"
)

// ruleSet has one rule for each kind of pattern, from the narrowest to the widest, and one for a
// narrow pattern behind them all.
var ruleSet = []Rule{
	{Name: "address", From: patterns("boss@example.com")},
	{Name: "user", From: patterns("root@*")},
	{Name: "domain", From: patterns("*@example.com")},
	{Name: "deep", From: patterns("*@*.deep.example.net")},
	{Name: "below", From: patterns(".example.net")},
	{Name: "eai", From: patterns("bücher.example")},
	{Name: "bounces", From: patterns("*-bounces@lists.example", "*-bounces@*.lists.example")},
	{Name: "info", From: patterns("info*@*")},
	{Name: "lists", From: patterns("lists.example")},
	{Name: "info at lists", From: patterns("information@lists.example", "info@lists.example")},
	{Name: "all", From: patterns("*"), When: When{DaemonNames: []string{"CATCH"}}},
	{Name: "late", From: patterns("boss@example.com", "late@late.example")},
}

func TestMatch(t *testing.T) {
	table := NewTable(ruleSet)
	for _, tc := range []struct{ author, daemon, want string }{
		{"boss@example.com", "", "address"},
		{"BOSS@example.com", "", "address"},
		{"other@example.com", "", "domain"},
		{"root@example.com", "", "user"},
		{"root@anywhere.example", "", "user"},
		{"a@example.net", "", ""},
		{"a@sub.example.net", "", "below"},
		{"a@x.y.example.net", "", "below"},
		{"a@deep.example.net", "", "below"},
		{"a@x.deep.example.net", "", "deep"},
		{"a@notexample.net", "", ""},
		{"a@xn--bcher-kva.example", "", "eai"},
		{"late@late.example", "", "late"},
		{"late@late.example", "CATCH", "all"},
		{"ann-bounces@lists.example", "", "bounces"},
		{"ann-bounces@a.b.lists.example", "", "bounces"},
		{"info-bounces@lists.example", "", "bounces"},
		{"info@lists.example", "", "info"},
		{"information@lists.example", "", "info"},
		{"Info+x@elsewhere.example", "", "info"},
		{"ann@lists.example", "", "lists"},
		{"ann@a.lists.example", "", ""},
		{"*@lists.example", "", "lists"},
		{"nobody@elsewhere.example", "", ""},
		{"nobody@elsewhere.example", "CATCH", "all"},
	} {
		got := ""
		match := table.Match(Query{Author: address(t, tc.author), DaemonName: tc.daemon})
		for _, r := range match {
			got += r.Name
		}
		if got != tc.want {
			t.Errorf("%s (daemon %q): rule %q, want %q", tc.author, tc.daemon, got, tc.want)
		}
	}
}

func TestWhen(t *testing.T) {
	q := Query{
		Login:      "alice",
		Client:     netip.MustParseAddr("::ffff:192.0.2.7"),
		DaemonName: "MSA",
		Recipients: []string{"a@one.example", "b@sub.two.example"},
		Sender:     "x@bounces.example",
		ListID:     "news.lists.example",
	}
	net := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, tc := range []struct {
		name string
		when When
		want bool
	}{
		{"nothing asked", When{}, true},
		{"network, mapped client", When{Networks: net}, true},
		{"other network", When{Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, false},
		{"daemon", When{DaemonNames: []string{"MTA", "MSA"}}, true},
		{"other daemon", When{DaemonNames: []string{"msa"}}, false},
		{"login", When{Logins: []string{"alice"}}, true},
		{"other login", When{Logins: []string{"bob"}}, false},
		{"any login", When{Logins: []string{"*"}}, true},
		{"sender", When{Senders: patterns("*@bounces.example")}, true},
		{"another sender", When{Senders: patterns("*@other.example")}, false},
		{"bounces alone", When{NullSender: true}, false},
		{"bounces, too", When{NullSender: true, Senders: patterns("*@bounces.example")}, true},
		{"list", When{ListIDs: patterns("news.lists.example")}, true},
		{"list below", When{ListIDs: patterns(".lists.example")}, true},
		{"another list", When{ListIDs: patterns("lists.example", ".news.lists.example")}, false},
		{"recipient", When{Recipients: patterns("one.example")}, true},
		{"recipient below", When{Recipients: patterns("*@*.two.example")}, true},
		{"no recipient", When{Recipients: patterns("two.example")}, false},
		{"recipient address", When{Recipients: patterns("a@one.example")}, true},
		{"all must hold", When{Networks: net, Logins: []string{"bob"}}, false},
	} {
		table := NewTable([]Rule{{Name: "r", From: patterns("*"), When: tc.when}})
		if got := table.Match(q) != nil; got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	nobody := Query{}
	table := NewTable([]Rule{{Name: "r", From: patterns("*"), When: When{Logins: []string{"*"}}}})
	if table.Match(nobody) != nil {
		t.Error("a rule for logins matches without one")
	}
}

// TestMatchIsIndexed counts what a lookup allocates among many rules: it must not grow with them.
func TestMatchIsIndexed(t *testing.T) {
	count := func(n int) float64 {
		rules := make([]Rule, n)
		for i := range rules {
			rules[i] = Rule{Name: "r", From: patterns(fmt.Sprintf("*@d%d.example", i))}
		}
		table := NewTable(rules)
		q := Query{Author: address(t, "u@d7.example")}
		if len(table.candidates(q.Author)) != 1 {
			t.Fatalf("%d rules: candidates %v", n, table.candidates(q.Author))
		}
		return testing.AllocsPerRun(100, func() { table.Match(q) })
	}
	if few, many := count(10), count(10000); many > few {
		t.Errorf("10 rules: %v allocations, 10,000: %v", few, many)
	}
}

func BenchmarkMatch10000(b *testing.B) {
	rules := make([]Rule, 10000)
	for i := range rules {
		rules[i] = Rule{Name: "r", From: patterns(fmt.Sprintf("*@d%d.example", i))}
	}
	table := NewTable(rules)
	q := Query{Author: message.Address{Local: "user", Domain: domain.Name("d9999.example")}}
	b.ReportAllocs()
	for b.Loop() {
		table.Match(q)
	}
}

func address(t *testing.T, s string) message.Address {
	t.Helper()
	a, err := message.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// patterns reads patterns that a test has written itself.
func patterns(texts ...string) message.Patterns {
	ps, err := message.ParsePatterns(texts)
	if err != nil {
		panic(err)
	}
	return ps
}
