package expression

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
)

// forged is a message of example.com's author that fails DMARC, from a list.
func forged(t testing.TB) *Judged {
	t.Helper()
	env := &message.Envelope{
		Client:     netip.MustParseAddr("192.0.2.7"),
		ClientName: "MX.Sender.Example",
		Helo:       "mx.sender.example",
		Sender:     "bounce@Sender.Example",
		Recipients: []string{"a@example.net", "b@example.net"},
		AuthUser:   "alice",
		DaemonName: "ORIGINATING",
		TLSVersion: "TLSv1.3",
		TLSCipher:  "TLS_AES_256_GCM_SHA384",
	}
	h := messagetest.Header("From: Ann <ann@example.com>", "Subject: An offer\r\n for you",
		"List-Id: <news.example.org>",
		"Received: one", "Received: two")
	author, err := h.Author()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 31, 23, 5, 0, 0, time.UTC)
	return &Judged{
		Known: NewKnown(env, h, author, action.RoleTheirs, at),
		Size:  4096,
		SPF:   SPF{Result: "pass", Domain: "sender.example"},
		Helo:  SPF{Result: "fail", Domain: "mx.sender.example"},
		IPRev: IPRev{Result: "pass", Name: "mx.sender.example"},
		DKIM: []DKIM{
			{Result: "fail", Domain: "example.com", Selector: "mail", Algorithm: "rsa-sha256", Bits: 1024},
			{Result: "pass", Domain: "sender.example", Selector: "x", Algorithm: "ed25519-sha256", Bits: 256},
		},
		DMARC: DMARC{
			Record: "v=DMARC1; p=reject", Result: "fail", Domain: "example.com",
			RecordDomain: "example.com", Policy: "reject", Disposition: "reject",
		},
		ARC: ARC{Result: "pass", Sealer: "lists.example.org", Sealers: []string{"lists.example.org", "a.example"}},
	}
}

// each is an expression for every fact and function, and whether it holds for forged.
var each = []struct {
	text string
	want bool
}{
	{`client.address == "192.0.2.7"`, true},
	{`client.name == "mx.sender.example"`, true},
	{`client.helo endsWith ".example"`, true},
	{`in_network(client.address, "198.51.100.0/24", "192.0.2.0/24")`, true},
	{`in_network(client.address, "2001:db8::/32")`, false},
	{`in_network(client.address, "192.0.2.7")`, true},
	{`in_network(client.name, "0.0.0.0/0")`, false},
	{`envelope.sender == "bounce@Sender.Example"`, true},
	{`envelope.sender_domain == "sender.example"`, true},
	{`"a@example.net" in envelope.recipients`, true},
	{`len(envelope.recipients) > 2`, false},
	{`any(envelope.recipients, # endsWith "@example.net")`, true},
	{`none(envelope.recipients, lower(#) matches "^postmaster@")`, true},
	{`login == "alice" and role == "theirs" and daemon == "ORIGINATING"`, true},
	{`tls.version in ["TLSv1.2", "TLSv1.3"] and tls.cipher != ""`, true},
	{`author.address == "ann@example.com"`, true},
	{`below(author.domain, "example.com")`, true},
	{`below(author.domain, "ample.com")`, false},
	{`below(author.domain, "com", "example.org")`, true},
	{`header("list-id") == "<news.example.org>"`, true},
	{`header("Subject") == "An offer for you"`, true},
	{`header("X-Nothing") == ""`, true},
	{`any(headers("Received"), # == "two")`, true},
	{`header_count("Received") == 2 and header_count("To") == 0`, true},
	{`header("Subject") matches "(?i)an OFFER"`, true},
	{`trim(header("Subject")) contains "offer"`, true},
	{`time.hour >= 22 or time.hour < 6`, true},
	{`time.weekday == "saturday" and time.date == "2026-01-31"`, true},
	{`size > 10 * 1024`, false},
	{`spf.result == "pass" and not spf.aligned and spf.domain == "sender.example"`, true},
	{`helo.result == "fail" and helo.domain == client.helo and not helo.aligned`, true},
	{`iprev.result == "pass" and iprev.name == client.name`, true},
	{`any(dkim, .result == "pass" and .aligned)`, false},
	{`count(dkim, .result == "pass") == 1`, true},
	{`all(dkim, .selector != "")`, true},
	{`one(dkim, .algorithm startsWith "ed25519" && .bits == 256)`, true},
	{`any(dkim, .domain == author.domain)`, true},
	{`dmarc.result == "fail" and dmarc.policy == "reject" and dmarc.disposition == "reject"`, true},
	{`dmarc.record contains "p=reject"`, true},
	{`dmarc.domain == dmarc.record_domain and !dmarc.testing`, true},
	{`arc.result == "pass" and arc.sealer == "lists.example.org"`, true},
	{`"a.example" in arc.sealers`, true},
	{`not (spf.result == "fail" or helo.result == "fail")`, false},
}

func TestHolds(t *testing.T) {
	facts := forged(t)
	for _, tc := range each {
		c, err := Compile(tc.text, Judging)
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		if got, err := c.Holds(facts); err != nil || got != tc.want {
			t.Errorf("%s: got %v, %v; want %v", tc.text, got, err, tc.want)
		}
		// The parts must come to what the whole does, no matter who evaluates them.
		if got := c.Weigh(facts, nil); got != truth(tc.want) {
			t.Errorf("%s: the parts come to %v, want %v", tc.text, got, tc.want)
		}
	}
}

// TestEachFact fails for a fact or function without an expression above.
func TestEachFact(t *testing.T) {
	var asked []string
	var text strings.Builder
	for _, tc := range each {
		c, err := Compile(tc.text, Judging)
		if err != nil {
			t.Fatal(err)
		}
		asked = append(asked, c.Asks()...)
		text.WriteString(tc.text + "\n")
	}
	for _, f := range Facts(Judging) {
		list, part, isPart := strings.Cut(f.Name, "[].")
		if isPart && !strings.Contains(text.String(), "."+part) ||
			!isPart && !slices.Contains(asked, list) {
			t.Errorf("no expression asks for %s", f.Name)
		}
	}
	for _, f := range Functions() {
		if !strings.Contains(text.String(), f+"(") {
			t.Errorf("no expression calls %s", f)
		}
	}
}

// TestMistakes compiles what must be refused, with the place and the words that help.
func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		name, text   string
		scope        Scope
		line, column int
		want         string // in the text
		unknown      string
	}{
		{"a name", `dmrac.result == "fail"`, Judging, 1, 1, "unknown name", "dmrac"},
		{"a part of a name", `dmarc.reslt == "fail"`, Judging, 1, 7, "unknown name", "reslt"},
		{"a part of an element", "any(dkim,\n .alligned)", Judging, 2, 3, "unknown name", "alligned"},
		{"a function", `bellow(author.domain, "a.example")`, Judging, 1, 1, "unknown", "bellow"},
		{"a type", `size == "big"`, Judging, 1, 6, "cannot be compared", ""},
		{"a tilde", `dmarc.result ~ "x"`, Judging, 1, 14, "write matches", ""},
		{"a whole", `dmarc == "fail"`, Judging, 1, 7, "needs one of them", ""},
		{"a part without its dot", `any(dkim, aligned)`, Judging, 1, 11, "it is .aligned", "aligned"},
		{"a list", `dkim.result == "none"`, Judging, 1, 6, "this is a list", ""},
		{"a field", `header.subject contains "pay"`, Judging, 1, 8, "in quotes", "subject"},
		{"capitals", `true AND true`, Judging, 1, 6, "lower case", ""},
		{"no truth", `author.domain`, Judging, 1, 1, "not a condition", ""},
		{"syntax", `size > `, Judging, 1, 7, "ends too early", ""},
		{"a quote", `author.domain == "a`, Judging, 1, 20, "not terminated", ""},
		{"an assignment", `dmarc.result = "fail"`, Judging, 1, 14, "write ==", ""},
		{"empty", " ", Judging, 1, 1, "empty", ""},
		{"results at the end of the header", `dmarc.result == "fail"`, Signing, 1, 1, "unknown name", "dmarc"},
		{"the size at the end of the header", `size > 5`, Signing, 1, 1, "unknown name", "size"},
		{"a variable", `let a = 1; a == 1`, Judging, 1, 5, "only comparisons", ""},
		{"a range", `len(1..1000000) > 1`, Judging, 1, 6, "the operator ..", ""},
		{"a power", `size > 2 ** 70`, Judging, 1, 10, "the operator **", ""},
		{"joined texts", `"a" + author.domain == "ab"`, Judging, 1, 5, "only for numbers", ""},
		{"a number of a message", `size * 100000 > 1`, Judging, 1, 6, "only for numbers", ""},
		{"an element", `dkim[0].aligned`, Judging, 1, 5, "by number", ""},
		{"a slice", `author.domain[0:2] == "ab"`, Judging, 1, 14, "only comparisons", ""},
		{"a list in a list", `any(dkim, any(dkim, .aligned))`, Judging, 1, 11, "inside another", ""},
		{"a list in a predicate", `any(envelope.recipients, # in envelope.recipients)`, Judging, 1,
			40, "followed by a list", ""},
		{"a count without a condition", `count(dkim) > 1`, Judging, 1, 1, "needs a list and a condition", ""},
		{"many lists", strings.Repeat(`any(dkim, .aligned) or `, 11) + "true", Judging, 1, 231, "more than 10", ""},
		{"a text without quotes", `dmarc.result == fail`, Judging, 1, 17,
			`write a text in double quotes: "fail"`, "fail"},
		{"typographic quotes", `login == “joe”`, Judging, 1, 10, "typographic quotation marks", ""},
		{"null", `login != nil`, Judging, 1, 10, "every name has a value", ""},
		{"another program's name", `subject == "x"`, Judging, 1, 1, `write header("Subject")`, "subject"},
		{"not without parentheses", `not login == "joe"`, Judging, 1, 1, "parentheses", ""},
		{"a choice", `size > 5 ? true : false`, Judging, 1, 23, "there is no ? :", ""},
		{"an if", `if size > 5 { true } else { false }`, Judging, 1, 1, "no if", ""},
		{"a map", `map(dkim, .domain) == []`, Judging, 1, 1, "the function map", ""},
		{"repeat", `repeat("a", 1000000) == ""`, Judging, 1, 1, "the function repeat", ""},
		{"now", `now() == now()`, Judging, 1, 1, "the function now", ""},
		{"the environment", `$env == $env`, Judging, 1, 1, "cannot be used", ""},
		{"a pattern that is computed", `author.domain matches header("X-Pattern")`, Judging, 1, 23,
			"a pattern must be", ""},
		{"a bad pattern", `author.domain matches "("`, Judging, 1, 15, "error parsing regexp", ""},
		{"a lookahead", `author.domain matches "(?=a)"`, Judging, 1, 15, "error parsing regexp", ""},
		{"a network that is none", `in_network(client.address, "192.0.2.0/33")`, Judging, 1, 28, "not valid", ""},
		{"a network that is computed", `in_network(client.address, client.name)`, Judging, 1, 35,
			"texts in quotes", ""},
		{"no network", `in_network(client.address)`, Judging, 1, 1, "two arguments", ""},
		{"a domain that is none", `below(author.domain, "a b")`, Judging, 1, 22, "not valid", ""},
		{"a field that is none", `header("List Id") == ""`, Judging, 1, 8, "cannot be the name", ""},
		{"a field that is computed", `header(author.domain) == ""`, Judging, 1, 15, "in quotes", ""},
		{"a list that is none", `role in "ours"`, Judging, 1, 9, "is not a list", ""},
		{"too long", strings.Repeat("size > 1 or ", 1000) + "true", Judging, 1, 1, "longer than", ""},
		{"too many parts", strings.Repeat("size>1||", 400) + "true", Judging, 1, 1007, "more than 500", ""},
		{"a method", `author.domain.String() == ""`, Judging, 1, 15, "only functions", ""},
		{"a parted name", `author?.domain == ""`, Judging, 1, 9, "not needed", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Compile(tc.text, tc.scope)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if !strings.Contains(e.Text, tc.want) || e.Unknown != tc.unknown || e.Line != tc.line ||
				e.Column != tc.column {
				t.Errorf("got %d:%d %q (unknown %q), want %d:%d with %q (unknown %q)",
					e.Line, e.Column, e.Text, e.Unknown, tc.line, tc.column, tc.want, tc.unknown)
			}
		})
	}
}

// TestText reads a header until the bytes are spent that one message has, with one expression and
// with many.
func TestText(t *testing.T) {
	big := messagetest.Header("X-Big: " + strings.Repeat("a", 1<<20))
	var env message.Envelope
	for range 1000 {
		env.Recipients = append(env.Recipients, "a@example.net")
	}
	facts := func() *Judged {
		return &Judged{Known: NewKnown(&env, big, message.Address{}, action.RoleTheirs,
			time.Time{})}
	}
	c, err := Compile(`any(envelope.recipients, header("X-Big") contains #)`, Judging)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Holds(facts()); !errors.Is(err, errText) {
		t.Errorf("a header for each recipient: got %v, want %v", err, errText)
	}
	if got := c.Weigh(facts(), nil); got != Unknown {
		t.Errorf("a header for each recipient, weighed: got %v, want unknown", got)
	}
	if c, err = Compile(`header("X-Big") == ""`, Judging); err != nil {
		t.Fatal(err)
	}
	f, n := facts(), 0
	for ; n < 100; n++ {
		if _, err = c.Holds(f); err != nil {
			break
		}
	}
	if n != 7 || !errors.Is(err, errText) {
		t.Errorf("%d rules read 1 MiB each, then %v; want 7, then %v", n, err, errText)
	}
}

// random makes expressions of every fact, function and operator, most of them nonsense.
type random struct{ *rand.Rand }

func (r random) pick(list ...string) string { return list[r.IntN(len(list))] }

func (r random) value(depth int) string {
	facts := Facts(Judging)
	name := facts[r.IntN(len(facts))].Name
	if _, part, ok := strings.Cut(name, "[]."); ok {
		name = "." + part
	}
	if depth <= 0 {
		return r.pick(name, `"fail"`, `""`, "3", "true", "#", `"192.0.2.1"`)
	}
	d := depth - 1
	switch r.IntN(9) {
	case 0:
		return r.pick("len", "lower", "trim", "header", "headers", "header_count", "any") + "(" +
			r.value(d) + ")"
	case 1:
		return r.pick("any", "all", "none", "one", "count", "in_network", "below") + "(" +
			r.pick(name, "dkim", "envelope.recipients", `headers("Received")`) + ", " + r.value(d) +
			")"
	case 2:
		return "[" + r.value(d) + ", " + r.value(d) + "]"
	case 3:
		return "not (" + r.value(d) + ")"
	}
	return "(" + r.value(d) + " " + r.pick(operators...) + " " + r.value(d) + ")"
}

// TestNoErrorAtRunTime makes many expressions. Whatever compiles must have a value, for a message
// of which all is known and for one of which nothing is: an error would defer mail.
func TestNoErrorAtRunTime(t *testing.T) {
	r := random{rand.New(rand.NewPCG(1, 2))}
	empty := &Judged{Known: NewKnown(&message.Envelope{}, nil, message.Address{}, action.RoleTheirs,
		time.Time{})}
	compiled := 0
	for range 20_000 {
		text := r.value(3)
		c, err := Compile(text, Judging)
		if err != nil {
			continue
		}
		compiled++
		for _, facts := range []*Judged{empty, forged(t)} {
			holds, err := c.Holds(facts)
			if err != nil {
				t.Errorf("%s: %v", text, err)
			} else if got := c.Weigh(facts, nil); got != truth(holds) {
				t.Errorf("%s: the parts come to %v, the whole to %v", text, got, holds)
			}
		}
	}
	if compiled < 60 {
		t.Errorf("only %d of the expressions compile", compiled)
	}
	t.Logf("%d expressions", compiled)
}

// TestWeigh evaluates conditions of which not all facts are known, as a log line leaves them.
func TestWeigh(t *testing.T) {
	facts := forged(t)
	known := func(name string) bool { return !strings.HasPrefix(name, "header") && name != "size" }
	for _, tc := range []struct {
		text string
		want Truth
	}{
		{`dmarc.result == "fail"`, True},
		{`header("List-Id") == ""`, Unknown},
		{`header("List-Id") == "" and dmarc.result == "pass"`, False},
		{`header("List-Id") == "" and dmarc.result == "fail"`, Unknown},
		{`header("List-Id") == "" or dmarc.result == "fail"`, True},
		{`not (size > 5)`, Unknown},
		{`not (size > 5 and dmarc.result == "pass")`, True},
	} {
		c, err := Compile(tc.text, Judging)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Weigh(facts, known); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.text, got, tc.want)
		}
	}
}

func TestExplain(t *testing.T) {
	c, err := Compile(`dmarc.result == "fail" and not (in_network(client.address, "10.0.0.0/8") or header("Subject") contains "offer")`, Judging)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, s := range c.Explain(forged(t)) {
		got.WriteString(strings.Repeat("  ", s.Depth) + s.Text + " = " + s.Value + "\n")
	}
	const want = `dmarc.result == "fail" and not (in_network(client.address, "10.0.0.0/8") or header("Subject") contains "offer") = false
  dmarc.result == "fail" = true
    dmarc.result = "fail"
  not (in_network(client.address, "10.0.0.0/8") or header("Subject") contains "offer") = false
    in_network(client.address, "10.0.0.0/8") or header("Subject") contains "offer" = true
      in_network(client.address, "10.0.0.0/8") = false
        client.address = "192.0.2.7"
      header("Subject") contains "offer" = true
        header("Subject") = "An offer for you"
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// TestShow keeps what a stranger wrote in quotes and on one line.
func TestShow(t *testing.T) {
	for _, v := range []any{"a\nb\x1b[31m\u202e", []string{"x\ny", "\u202e"}, DKIM{Domain: "a"}} {
		if s := show(v); strings.ContainsAny(s, "\n\x1b\u202e") {
			t.Errorf("%q shows as %q", v, s)
		}
	}
	if s := show(strings.Repeat("a", 1000)); len(s) > 210 {
		t.Errorf("a long text shows as %d bytes", len(s))
	}
}

func TestConcurrent(t *testing.T) {
	c, err := Compile(`any(dkim, .aligned) or below(author.domain, "example.com")`, Judging)
	if err != nil {
		t.Fatal(err)
	}
	facts := forged(t)
	done := make(chan error)
	for range 8 {
		go func() {
			for range 200 {
				if holds, err := c.Holds(facts); err != nil || !holds {
					done <- errors.Join(errors.New("it must hold"), err)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// FuzzExpression compiles any text over any values. What compiles must come to true or false, or
// read too much, and its parts must come to the same.
func FuzzExpression(f *testing.F) {
	for _, tc := range each {
		f.Add(tc.text, "ann@example.com", "Subject: x", 3)
	}
	f.Add(`header("Subject") matches "(a*)*b"`, strings.Repeat("a", 100), "Subject: "+
		strings.Repeat("a", 1000), 1)
	f.Fuzz(func(t *testing.T, text, value, field string, n int) {
		facts := forged(t)
		facts.Envelope.Sender, facts.DMARC.Result, facts.Client.Address = value, value, value
		facts.Envelope.Recipients = slices.Repeat([]string{value}, max(0, min(n, 1000)))
		if parsed, err := message.ParseField([]byte(field)); err == nil {
			facts.Known = NewKnown(&message.Envelope{Sender: value,
				Recipients: facts.Envelope.Recipients},
				message.Header{parsed, parsed}, message.Address{}, action.RoleTheirs, time.Time{})
		}
		c, err := Compile(text, Judging)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Text == "" || strings.Contains(e.Text, "\n") {
				t.Fatalf("%q: %v is not an *Error of one line", text, err)
			}
			return
		}
		holds, err := c.Holds(facts)
		if err != nil {
			if !errors.Is(err, errText) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if got := c.Weigh(facts, nil); got != truth(holds) && got != Unknown {
			t.Errorf("%q: the parts come to %v, the whole to %v", text, got, holds)
		}
	})
}

// BenchmarkHolds is one rule as postmasters write them.
func BenchmarkHolds(b *testing.B) {
	facts := forged(b)
	c, err := Compile(`dmarc.result == "fail" and dmarc.policy == "reject" and not in_network(client.address, "10.0.0.0/8")`, Judging)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if holds, err := c.Holds(facts); err != nil || !holds {
			b.Fatal(holds, err)
		}
	}
}
