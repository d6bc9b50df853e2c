package domains

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// TestFoundInTheWild names each of the mistakes of one domain that has many, with advice to act on.
func TestFoundInTheWild(t *testing.T) {
	z := dnstest.Must(`$ORIGIN .
example.org. 3600 IN MX 10 mx.example.org.
mx.example.org. 3600 IN A 198.51.100.1
example.org. 3600 IN TXT "v=spf1 mx ip4: ip4: ?all"
example.org. 3600 IN TXT "spf2.0/pra mx -all"
_adsp._domiankey.example.org. 3600 IN TXT "dkim=all"
_domainkey.example.org. 3600 IN TXT "o=-"
vendor7._domainkey.example.org. 3600 IN TXT "v=DKIM1; t=y; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=quarantine; pct=50; ri=86400; rua=mailto:r@elsewhere.example"
elsewhere.example. 3600 IN MX 10 mx.example.org.
`)
	var out bytes.Buffer
	q := Request{Names: []string{"example.org"},
		Options: Options{Resolver: z, Selectors: []string{"vendor7"}}}
	if kind := answer.Of(q.Run(t.Context(), &out)); kind != answer.Bad {
		t.Errorf("answer %s", kind)
	}
	for _, want := range []string{
		"spf-syntax", "write the value directly after the colon, without a space, or remove the term",
		`example.org. 3600 IN TXT "v=spf1 mx ?all"`,
		"sender-id", "delete it", "[adsp]",
		"the name is misspelled, so no receiver ever used the record", "domainkeys-policy",
		"dkim-testing", "dmarc-report-unauthorized", "elsewhere.example must publish",
		`example.org._report._dmarc.elsewhere.example. 3600 IN TXT "v=DMARC1"`, "dmarc-pct",
		"dmarc-ri",
	} {
		flat := strings.Join(strings.Fields(out.String()), " ") // prose is broken into lines
		if !strings.Contains(out.String(), want) && !strings.Contains(flat, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// TestMarks holds that the mark stands below the mistake.
func TestMarks(t *testing.T) {
	z := dnstest.FromMap(map[string][]string{"example.org": {"v=spf1 mx ip4:999.1.1.1 ~all"}})
	r := Check(t.Context(), "example.org", Options{Resolver: z})
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "    v=spf1 mx ip4:999.1.1.1 ~all\n              ^^^^^^^^^^^^^\n"
	if !strings.Contains(b.String(), want) {
		t.Errorf("no mark in\n%s", b.String())
	}
}

// TestNotChecked holds that a failure of the DNS is never said to be a missing record, whatever is
// asked for.
func TestNotChecked(t *testing.T) {
	for _, name := range []string{
		"example.com.", "_dmarc.example.com.", "_domainkey.example.com.",
		"s1._domainkey.example.com.", "mx.example.com.",
		"_spf.example.net.", "_mta-sts.example.com.", "_smtp._tls.example.com.",
		"25.100.51.198.in-addr.arpa.",
	} {
		for _, how := range []string{"$SERVFAIL ", "$TIMEOUT "} {
			z := zoneOf(t, zoneCase{add: how + name + "\n"})
			var out bytes.Buffer
			q := Request{Names: []string{"example.com"}, Format: JSON,
				Options: Options{Resolver: z, Selectors: []string{"s1"}}}
			kind := answer.Of(q.Run(t.Context(), &out))
			var got struct{ Findings []findingJSON }
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if kind != answer.Unknown {
				t.Errorf("%s%s: answer %s", how, name, kind)
			}
			for _, f := range got.Findings {
				if f.Code != NoAnswer {
					t.Errorf("%s%s: %s: %s", how, name, f.Code, f.Text)
				}
			}
		}
	}
}

// still is a clock that waiting moves.
type still struct{ now time.Time }

func (c *still) Now() time.Time { return c.now }

func (c *still) Wait(_ context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return nil
}

// counting counts the questions of each second.
type counting struct {
	dns.Resolver
	clock   *still
	total   int
	seconds map[int64]int
}

func (c *counting) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	c.total++
	c.seconds[c.clock.now.Unix()]++
	return c.Resolver.Lookup(ctx, name, t)
}

// TestPace checks many domains within a rate, and fewer than 60 questions for each.
func TestPace(t *testing.T) { pace(t, 200) }

// TestPaceOfServers holds the questions to authoritative name servers to the same rate.
func TestPaceOfServers(t *testing.T) {
	clock := &still{time.Unix(1_800_000_000, 0)}
	count := &counting{zoneOf(t, zoneCase{}), clock, 0, map[int64]int{}}
	q := Request{Names: []string{"example.com"}, Rate: 2, Pace: clock, Options: Options{
		Resolver: count, Panel: panel{"ns1.example.net": count, "ns2.example.net": count},
	}}
	before := count.total
	if err := q.Run(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	for s, asked := range count.seconds {
		if asked > 2 {
			t.Errorf("%d questions in second %d", asked, s)
		}
	}
	if count.total-before < 30 {
		t.Errorf("%d questions: the servers were not asked", count.total-before)
	}
}

// TestPaceLong is TestPace with as many domains as a large host has.
func TestPaceLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("set MAILSEAL_LONG to check 10,000 domains")
	}
	pace(t, 10_000)
}

// pace checks n domains; the time allowed is in proportion to a day for 10,000.
func pace(t *testing.T, n int) {
	var names []string
	z := zoneOf(t, zoneCase{})
	for i := range n {
		name := fmt.Sprintf("d%d.example", i)
		names = append(names, name)
		text := fmt.Sprintf("%[1]s. 3600 IN MX 10 mx.example.com.\n%[1]s. 3600 IN TXT \"v=spf1 "+
			"include:_spf.example.net ~all\"\n"+
			"_dmarc.%[1]s. 3600 IN TXT \"v=DMARC1; p=reject; rua=mailto:a@%[1]s\"\n", name)
		if err := z.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	clock := &still{time.Unix(1_800_000_000, 0)}
	begin := clock.now
	count := &counting{z, clock, 0, map[int64]int{}}
	var progress bytes.Buffer
	q := Request{Names: names, Format: Prometheus, Rate: 5, Pace: clock, Progress: &progress,
		Options: Options{Resolver: count}}
	var out bytes.Buffer
	if err := q.Run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for s, asked := range count.seconds {
		if asked > 5 {
			t.Errorf("%d questions in second %d", asked, s)
		}
	}
	if count.total > 43*n || clock.now.Sub(begin) > 24*time.Hour*time.Duration(n)/10_000 {
		t.Errorf("%d questions in %s: 10,000 domains take more than a day", count.total,
			clock.now.Sub(begin))
	}
	want := ""
	for done := 100; done <= n; done += 100 {
		want += fmt.Sprintf("mailseal: %d of %d domains checked\n", done, n)
	}
	if got := progress.String(); got != want {
		t.Errorf("progress %q", got)
	}
	if !strings.Contains(out.String(),
		`mailseal_domain_findings{domain="d7.example",severity="error"} 0`) {
		t.Errorf("no metrics of d7.example")
	}
}

// TestChanges names the tags that have changed, and takes no failure of the DNS for a change.
func TestChanges(t *testing.T) {
	before := []Seen{
		{Name: "_dmarc.example.com", Type: "TXT", Status: "found",
			Values: []string{"v=DMARC1; p=none; rua=mailto:a@example.com"}},
		{Name: "example.com", Type: "TXT", Status: "found", Values: []string{"v=spf1 -all"}},
	}
	now := []Seen{
		{Name: "_dmarc.example.com", Type: "TXT", Status: "found", Values: []string{"v=DMARC1; p=reject; sp=none"}},
		{Name: "example.com", Type: "TXT", Status: "failed"},
	}
	got := Changes(before, now)
	want := []string{"p: none -> reject", "rua: removed, was mailto:a@example.com",
		"sp: added, none"}
	if len(got) != 1 || !slices.Equal(got[0].Tags, want) {
		t.Errorf("changes %+v", got)
	}
	if more := Changes(before, before); len(more) != 0 {
		t.Errorf("no change gives %+v", more)
	}
}

// TestDiff compares two runs: the second one sees a changed record and nothing else.
func TestDiff(t *testing.T) {
	run := func(z dns.Resolver, before []byte) string {
		var out bytes.Buffer
		q := Request{Names: []string{"example.com"}, Format: JSON, Before: before,
			Options: Options{Resolver: z}}
		if before != nil {
			q.Format = Text
		}
		_ = q.Run(t.Context(), &out)
		return out.String()
	}
	first := run(zoneOf(t, zoneCase{}), nil)
	if got := run(zoneOf(t, zoneCase{}),
		[]byte(first)); got != "example.com: nothing has changed\n" {
		t.Errorf("the same zone: %s", got)
	}
	changed := zoneOf(t, withDMARC("", "v=DMARC1; p=none; rua=mailto:dmarc@example.com"))
	if got := run(changed, []byte(first)); !strings.Contains(got, "p: reject -> none") {
		t.Errorf("a weaker policy: %s", got)
	}
}

// TestRepairs holds that a record that is proposed has not the mistake that it mends.
func TestRepairs(t *testing.T) {
	for _, c := range cases(t) {
		o := c.options(t)
		o.Resolver = zoneOf(t, c)
		for _, f := range Check(t.Context(), "example.com", o).Findings {
			if f.Code != c.code || f.Severity == check.Note || len(f.Publish) == 0 ||
				f.Publish[0].Name != f.Setting || f.Publish[0].Who != "" || f.Seen == "" {
				continue
			}
			text := txt(f.Setting+".", f.Publish[0].Text)
			repaired := zoneOf(t, zoneCase{drop: f.Setting + ". TXT", add: text})
			o.Resolver = repaired
			for _, g := range Check(t.Context(), "example.com", o).Findings {
				if g.Code == c.code && g.Text == f.Text {
					t.Errorf("%s: %q is proposed, and has the same mistake", c.code,
						f.Publish[0].Text)
				}
			}
		}
	}
}
