package inspect

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report/web"
)

const zone = `
$ORIGIN example.net.
@ 3600 IN SOA ns.example.net. host.example.net. 1 7200 3600 1209600 3600
@ 3600 IN NS ns
ns 3600 IN A 192.0.2.53
@ 3600 IN MX 10 mx
mx 3600 IN A 192.0.2.10
@ 3600 IN TXT "v=spf1 ip4:192.0.2.10 ip4:192.0.2.200 -all"
_dmarc 3600 IN TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.net"
`

var clock = time.Date(2026, 11, 30, 8, 0, 1, 0, time.UTC)

func inspector(r dns.Resolver) *Inspector {
	return &Inspector{
		Resolver: r,
		Keys:     map[string][]string{"example.net": {"s1"}},
		Now:      func() time.Time { return clock },
	}
}

func find(c *web.Checked, code string) *web.Found {
	for i := range c.Findings {
		if c.Findings[i].Code == code {
			return &c.Findings[i]
		}
	}
	return nil
}

// TestCheck holds that a check finds what "mailseal domain" finds, looks for the key that the
// configuration signs with, and proposes records from what is asked for.
func TestCheck(t *testing.T) {
	c, err := inspector(dnstest.Must(zone)).Check(t.Context(), "anna",
		web.Question{Domain: "Example.NET.",
			SPF: web.SPFQuestion{
				Networks: []string{"198.51.100.0/24"},
				Without:  []string{"ip4:192.0.2.200"},
				All:      "-all",
			},
			DMARC: web.DMARCQuestion{Silent: false, People: true}})
	if err != nil {
		t.Fatal(err)
	}
	missing := find(c, "dkim-missing")
	if missing == nil || missing.Severity != "error" ||
		missing.Name != "s1._domainkey.example.net" {
		t.Errorf("the missing key was not found: %+v", c.Findings)
	}
	if got, want := strings.Join(c.Terms, " "), "ip4:192.0.2.10 ip4:192.0.2.200 -all"; got != want {
		t.Errorf("terms %q, want %q", got, want)
	}
	if len(c.NewSPF.Records) != 1 ||
		c.NewSPF.Records[0].Value != "v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.10 -all" {
		t.Errorf("SPF: %+v", c.NewSPF)
	}
	if len(c.NewDMARC.Records) != 1 ||
		c.NewDMARC.Records[0].Value != "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.net" {
		t.Errorf("DMARC: %+v", c.NewDMARC)
	}
	if c.Policy != "quarantine" || c.Queries == 0 || !c.HasSPF {
		t.Errorf("policy %q, %d queries, SPF %v", c.Policy, c.Queries, c.HasSPF)
	}
}

// TestProblems holds that a proposal that cannot be made says why, and that the rest is there.
func TestProblems(t *testing.T) {
	p := inspector(dnstest.Must(zone))
	c, err := p.Check(t.Context(), "anna", web.Question{Domain: "example.net",
		SPF: web.SPFQuestion{
			Networks: []string{"192.0.2"},
		}, DMARC: web.DMARCQuestion{People: true, Policy: "reject"}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(c.NewSPF.Problem, "neither an IP address") ||
		!strings.Contains(c.NewDMARC.Problem, "mailing lists") {
		t.Errorf("problems %q and %q", c.NewSPF.Problem, c.NewDMARC.Problem)
	}
	for _, q := range []web.Question{{Domain: ""}, {Domain: "a b"}, {Domain: "\u202e.example"},
		{Domain: strings.Repeat("a.", 200)},
		{Domain: "example.net", Selectors: make([]string, maxTerms+1)}} {
		if _, err := p.Check(t.Context(), "anna", q); !errors.Is(err, web.ErrRefused) {
			t.Errorf("%.20q with %d selectors: %v, want a refusal", q.Domain, len(q.Selectors), err)
		}
	}
}

// counting counts questions, and answers every one with a name of another to ask for.
type counting struct{ n int }

func (c *counting) Lookup(_ context.Context, name string, t dns.Type) (dns.Answer, error) {
	c.n++
	if t == dns.TXT {
		return dns.Answer{
			Status: dns.Found,
			Texts:  []string{"v=spf1 " + strings.Repeat("include:a."+name+" ", 20) + "-all"},
		}, nil
	}
	return dns.Answer{Status: dns.Found, Exchanges: many(name)}, nil
}

func many(name string) (out []dns.Exchange) {
	for i := range 600 {
		out = append(out, dns.Exchange{Host: fmt.Sprintf("mx%d.%s", i, name)})
	}
	return out
}

// TestQuestionsAreBounded holds that no zone makes a check ask more than maxQuestions.
func TestQuestionsAreBounded(t *testing.T) {
	r := &counting{}
	q := web.Question{Domain: "example.net"}
	for i := range maxTerms {
		q.Selectors = append(q.Selectors, fmt.Sprintf("s%d", i))
	}
	p := inspector(r)
	p.questions = 20
	c, err := p.Check(t.Context(), "anna", q)
	if err != nil {
		t.Fatal(err)
	}
	if r.n > p.questions || c.Queries != p.questions {
		t.Errorf("%d questions went to the DNS, %d are reported", r.n, c.Queries)
	}
	if f := find(c, "dns-no-answer"); f == nil || !strings.Contains(f.Text, "mailseal domain") {
		t.Errorf("what was not asked is not reported: %+v", f)
	}
	b := &bounded{next: r, left: 2}
	for range 2 {
		if _, err := b.Lookup(t.Context(), "a.example", dns.NS); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Lookup(t.Context(), "a.example", dns.NS); !errors.Is(err, errEnough) {
		t.Errorf("a question too many: %v", err)
	}
}

// TestRates holds that an account leaves room to the others, that all have a bound, that an answer
// is used again for a short time, and that the next minute is a new one.
func TestRates(t *testing.T) {
	p := inspector(dnstest.Must(zone))
	now := clock
	p.Now = func() time.Time { return now }
	ask := func(by string, i int) error {
		_, err := p.Check(t.Context(), by, web.Question{Domain: fmt.Sprintf("d%d.example.net", i)})
		return err
	}
	for i := range maxByAccount {
		if err := ask("anna", i); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask("anna", 0); err != nil {
		t.Errorf("what is known is asked for again: %v", err)
	}
	if err := ask("anna", 99); !errors.Is(err, web.ErrBusy) ||
		!strings.Contains(err.Error(), "try again in 59 seconds") {
		t.Errorf("beyond the rate of an account: %v", err)
	}
	for i := range maxByAll - maxByAccount {
		if err := ask(fmt.Sprint("other", i/5), 100+i); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask("new", 500); !errors.Is(err, web.ErrBusy) {
		t.Errorf("beyond the rate of all: %v", err)
	}
	now = now.Add(time.Minute)
	if err := ask("anna", 99); err != nil {
		t.Errorf("in the next minute: %v", err)
	}
}

// stuck never answers.
type stuck struct{}

func (stuck) Lookup(ctx context.Context, _ string, _ dns.Type) (dns.Answer, error) {
	<-ctx.Done()
	return dns.Answer{}, ctx.Err()
}

// TestStuck holds that a DNS that does not answer ends a check with its deadline, and that those
// who wait for a place are told so. What a visitor broke off is not the answer for the next.
func TestStuck(t *testing.T) {
	p := inspector(stuck{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, maxAtOnce)
	for i := range maxAtOnce {
		go func() {
			_, err := p.Check(ctx, fmt.Sprint("account ", i),
				web.Question{Domain: fmt.Sprintf("d%d.example.net", i)})
			ended <- err
		}()
	}
	for { // until both have their places
		p.once.Do(func() { p.places = make(chan struct{}, maxAtOnce) })
		if len(p.places) == maxAtOnce {
			break
		}
		runtime.Gosched()
	}
	late, stop := context.WithCancel(t.Context())
	stop()
	if _, err := p.Check(late, "bert", web.Question{Domain: "example.net"}); !errors.Is(err,
		web.ErrBusy) {
		t.Errorf("without a place: %v", err)
	}
	_, err := p.Check(t.Context(), "account 0", web.Question{Domain: "example.net"})
	if !errors.Is(err, web.ErrBusy) ||
		!strings.Contains(err.Error(), "your check of d0.example.net is still running") {
		t.Errorf("a second check of an account: %v", err)
	}
	cancel()
	for range maxAtOnce {
		if err := <-ended; err != nil {
			t.Errorf("a check without answers: %v", err)
		}
	}
	if err := p.begin("account 0", "example.net"); err != nil {
		t.Errorf("after the end of the first: %v", err)
	}
	if len(p.kept) != 0 {
		t.Errorf("%d checks that were broken off are kept for others", len(p.kept))
	}
}
