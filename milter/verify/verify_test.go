package verify

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
	"mailseal/milter/spf"
)

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// key is published in zoneText as k._domainkey.example.com.
var key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

var keyRecord = "v=DKIM1; k=ed25519; p=" +
	base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))

// zoneText is the DNS of the tests: example.com wants p=reject and sends from 192.0.2.1.
var zoneText = `
example.com.                IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com.         IN TXT "v=DMARC1; p=reject; rua=mailto:r@example.com"
k._domainkey.example.com.   IN TXT "` + keyRecord + `"
k._domainkey.news.example.com. IN TXT "` + keyRecord + `"
mx.example.com.             IN TXT "v=spf1 a -all"
mx.example.com.             IN A 192.0.2.1
1.2.0.192.in-addr.arpa.     IN PTR mx.example.com.
other.example.              IN TXT "v=spf1 -all"
slow.example.               IN TXT "v=spf1 include:gone.example -all"
_dmarc.lost.example.        IN TXT "v=DMARC1; p=reject"
$SERVFAIL gone.example.
$SERVFAIL k._domainkey.lost.example.
`

func newVerifier(t *testing.T) (*Verifier, *dnstest.Zone) {
	t.Helper()
	z, err := dnstest.Load(strings.NewReader(zoneText))
	if err != nil {
		t.Fatal(err)
	}
	return &Verifier{
		Resolver: z,
		IPRev:    true,
		SPF:      &spf.Checker{Now: clock},
		DKIM:     &dkim.Verifier{Now: clock},
		DMARC:    &dmarc.Checker{},
	}, z
}

const text = "From: Alice <alice@example.com>\r\nTo: bob@example.net\r\nSubject: hello\r\nDate: " +
	"Sat, 31 Jan 2026 12:00:00 +0000\r\n\r\nhello\r\n"

// signed returns raw with a signature of domain d on top.
func signed(t *testing.T, raw, d string) string {
	t.Helper()
	o := dkim.SignOptions{Time: now}
	m, err := message.Read(strings.NewReader(raw), 1<<20,
		func(message.Header) []message.BodyHash { return []message.BodyHash{o.BodyHash()} })
	if err != nil {
		t.Fatal(err)
	}
	f, err := dkim.Sign(m.Header, m.Body, dkim.Key{Domain: d, Selector: "k", Signer: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Raw()) + "\r\n" + raw
}

// judged returns what v finds of raw.
func judged(t *testing.T, ctx context.Context, v *Verifier, env *message.Envelope, relay bool,
	raw string) *Results {
	t.Helper()
	var run *Run
	m, err := message.Read(strings.NewReader(raw), 1<<20,
		func(h message.Header) []message.BodyHash {
			run = v.Begin(env, h, h.From(), relay)
			return run.BodyHashes()
		})
	if err != nil {
		t.Fatal(err)
	}
	return run.Results(ctx, m)
}

func envelope(ip, helo, from string) *message.Envelope {
	return &message.Envelope{Client: netip.MustParseAddr(ip), Helo: helo, Sender: from,
		Recipients: []string{"bob@example.net"}}
}

func TestResults(t *testing.T) {
	good := signed(t, text, "example.com")
	for _, tc := range []struct {
		name  string
		env   *message.Envelope
		relay bool
		raw   string
		want  string
	}{
		{"all passes", envelope("192.0.2.1", "mx.example.com", "alice@example.com"), false, good,
			"dmarc=pass spf=pass iprev=pass dkim=pass/example.com"},
		{"spoofed", envelope("198.51.100.1", "x.other.example", "a@other.example"), false, text,
			"dmarc=fail spf=fail iprev=permerror dkim=none"},
		{"forwarded: DKIM carries it", envelope("198.51.100.1", "x.other.example",
			"a@other.example"), false, good,
			"dmarc=pass spf=fail iprev=permerror dkim=pass/example.com"},
		{"changed on the way, SPF carries it", envelope("192.0.2.1", "mx.example.com",
			"alice@example.com"), false, good + "footer\r\n",
			"dmarc=pass spf=pass iprev=pass dkim=fail/example.com"},
		{"null sender: HELO counts as MAIL FROM", envelope("192.0.2.1", "mx.example.com", ""),
			false, text, "dmarc=pass spf=pass iprev=pass dkim=none"},
		{"HELO alone does not count", envelope("192.0.2.1", "mx.example.com", "a@other.example"),
			false, text, "dmarc=fail spf=fail iprev=pass dkim=none"},
		{"DNS of SPF away", envelope("192.0.2.1", "x", "a@slow.example"), false, text,
			"dmarc=fail spf=temperror iprev=pass dkim=none"},
		{"DNS of an aligned key away", envelope("198.51.100.1", "x", "a@other.example"), false,
			signed(t, strings.Replace(text, "alice@example.com", "a@lost.example", 1),
				"lost.example"), "dmarc=temperror spf=fail iprev=permerror dkim=temperror/lost.example"},
		{"from a relay", envelope("198.51.100.1", "x", "a@other.example"), true, good, "dkim=pass/example.com"},
		{"no client address", &message.Envelope{Sender: "alice@example.com"}, false, good, "dkim=pass/example.com"},
		{"no author", envelope("192.0.2.1", "x", "alice@example.com"), false, "Subject: x\r\n\r\n",
			"dmarc=permerror spf=pass iprev=pass dkim=none"},
		{"two authors", envelope("192.0.2.1", "x", "alice@example.com"), false,
			"From: alice@example.com, b@other.example\r\n\r\n",
			"dmarc=permerror spf=pass iprev=pass dkim=none"},
		{"an author and an address literal", envelope("192.0.2.1", "x", "alice@example.com"), false,
			"From: alice@example.com, b@[192.0.2.9]\r\n\r\n",
			"dmarc=permerror spf=pass iprev=pass dkim=none"},
		{"two From fields", envelope("192.0.2.1", "x", "alice@example.com"), false,
			"From: alice@example.com\r\nFrom: alice@other.example\r\n\r\n",
			"dmarc=permerror spf=pass iprev=pass dkim=none"},
		{"two From fields with one domain", envelope("192.0.2.1", "x", "alice@example.com"), false,
			"From: alice@example.com\r\nFrom: bob@example.com\r\n\r\n",
			"dmarc=pass spf=pass iprev=pass dkim=none"},
		{"two From fields with one domain, forged", envelope("198.51.100.1", "x",
			"a@other.example"), false, "From: alice@example.com\r\nFrom: bob@example.com\r\n\r\n",
			"dmarc=fail spf=fail iprev=permerror dkim=none"},
	} {
		v, _ := newVerifier(t)
		if got := judged(t, t.Context(), v, tc.env, tc.relay, tc.raw).String(); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestField(t *testing.T) {
	v, _ := newVerifier(t)
	r := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com", "alice@example.com"),
		false, signed(t, text, "example.com"))
	got := r.Field("mx.example.net", "none").WithoutComments().Payload()
	b := r.DKIM[0].HeaderB
	want := `mx.example.net; dmarc=pass header.from=example.com policy.dmarc=none; spf=pass smtp.mailfrom=example.com` +
		`; iprev=pass policy.iprev=192.0.2.1` +
		`; dkim=pass header.d=example.com header.i=@example.com header.s=k header.a=ed25519-sha256 header.b=` + b
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if none := (&Results{}).Field("mx.example.net", "").Payload(); none != "mx.example.net; none" {
		t.Errorf("nothing judged: %q", none)
	}
	spoofed := judged(t, t.Context(), v, envelope("198.51.100.1", "x.example", ""), false, text)
	got = spoofed.Field("mx.example.net", "quarantine").Payload()
	for _, part := range []string{"dmarc=fail (p=reject dis=quarantine) header.from=example.com " +
		"policy.dmarc=quarantine", "smtp.helo=x.example"} {
		if !strings.Contains(got, part) {
			t.Errorf("%s\nlacks %s", got, part)
		}
	}
}

// TestFieldOfUnreadableSignature holds that no identity is invented where a signature names none.
func TestFieldOfUnreadableSignature(t *testing.T) {
	for _, signature := range []string{
		"garbage", "", "v=1", "v=1; d=; i=@", "v=2; s=x", "=;",
		"v=1; a=rsa-sha256; d=@; s=x; h=from; bh=AA==; b=AA==",
		"v=1; a=rsa-sha256; d=example..com; i=@example..com; s=x; h=from; bh=AA==; b=AA==",
	} {
		v, _ := newVerifier(t)
		r := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com", "alice@example.com"),
			false, "DKIM-Signature: "+signature+"\r\n"+text)
		got := r.Field("mx.example.net", "none").Payload()
		_, dkim, found := strings.Cut(got, "dkim=")
		if !found || strings.Contains(dkim, "header.i") || strings.Contains(dkim, "header.d") {
			t.Errorf("%q: %s", signature, got)
		}
	}
}

// TestBudget holds what a message full of invented signatures may ask of the DNS.
func TestBudget(t *testing.T) {
	v, z := newVerifier(t)
	v.MaxLookups = 7
	raw := text
	for i := range 100 {
		raw = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=d" + strings.Repeat("x",
			i%50) + ".example; s=s; h=from; bh=AAAA; b=AAAA\r\n" + raw
	}
	r := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com", "alice@example.com"),
		false, raw)
	const most = 7 + 10 + dmarcLookups // 10 signatures
	if n := len(z.Queries()); n > most {
		t.Errorf("%d queries, at most %d allowed", n, most)
	}
	if r.DMARC == nil || r.DKIM == nil {
		t.Error("a method has no result")
	}
}

// panicking stands for a bug that mail of a stranger finds.
type panicking struct{}

func (panicking) Lookup(context.Context, string, dns.Type) (dns.Answer,
	error) {
	panic("found a bug")
}

func TestPanic(t *testing.T) {
	v, _ := newVerifier(t)
	v.Resolver = panicking{}
	bugs := make(chan string, 10)
	v.Bug = func(method string, err error) { bugs <- method }
	r := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com", "alice@example.com"),
		false, signed(t, text, "example.com"))
	if got, want := r.String(), "dmarc=temperror spf=temperror iprev=temperror "+
		"dkim=temperror/example.com"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(bugs) != 3 {
		t.Errorf("%d bugs told, want 3", len(bugs))
	}
}

// hanging answers nothing until the context ends.
type hanging struct{}

func (hanging) Lookup(ctx context.Context, _ string, _ dns.Type) (dns.Answer, error) {
	<-ctx.Done()
	return dns.Answer{}, errors.Join(dns.ErrFailure, ctx.Err())
}

func TestDeadline(t *testing.T) {
	v, _ := newVerifier(t)
	v.Resolver = hanging{}
	v.Deadline = time.Millisecond
	r := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com", "alice@example.com"),
		false, signed(t, text, "example.com"))
	if got, want := r.String(), "dmarc=temperror spf=temperror iprev=temperror "+
		"dkim=temperror/example.com"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r.Trouble() == "" {
		t.Error("the log is not told why")
	}
	if told := r.Field("mx.example.net", "").Payload(); strings.Contains(told, r.Trouble()) {
		t.Errorf("recipients are told %q", told)
	}
}

// stalling answers everything but names below attacker.example, for which it waits until the
// context ends.
type stalling struct{ dns.Resolver }

func (s stalling) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if strings.HasSuffix(name, "attacker.example") && t == dns.TXT {
		return hanging{}.Lookup(ctx, name, t)
	}
	return s.Resolver.Lookup(ctx, name, t)
}

// TestPolicyIsFoundAllTheSame holds that a sender cannot keep the policy of a domain that he forges
// from being found: not by an SPF record that takes all the time, and not by one that takes all the
// lookups.
func TestPolicyIsFoundAllTheSame(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Verifier)
	}{
		{"time", func(v *Verifier) { v.Resolver, v.Deadline = stalling{v.Resolver}, 50*time.Millisecond }},
		{"lookups", func(v *Verifier) { v.MaxLookups = -1 }}, // none is left
	} {
		v, _ := newVerifier(t)
		tc.change(v)
		forged := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=none; " +
			"h=from; bh=AAAA; b=AAAA\r\n" + text
		r := judged(t, t.Context(), v, envelope("198.51.100.1", "x", "a@attacker.example"), false,
			forged)
		if r.DMARC.Value != dmarc.Fail || r.DMARC.Disposition != dmarc.Reject {
			t.Errorf("%s: dmarc=%s (%s), want fail and reject", tc.name, r.DMARC.Value,
				r.DMARC.Reason)
		}
	}
}

// clocked notes how much time each question for a name has left.
type clocked struct {
	dns.Resolver
	name string
	left []time.Duration
}

func (c *clocked) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if name == c.name {
		end, _ := ctx.Deadline()
		c.left = append(c.left, time.Until(end))
	}
	return c.Resolver.Lookup(ctx, name, t)
}

// TestShareOfDMARC holds that SPF may use four fifths of the deadline and no more: DMARC has to ask
// which organizational domain a signature belongs to after SPF has come to its end, and a signature
// that is aligned must count all the same.
func TestShareOfDMARC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := newVerifier(t)
		dmarcs := &clocked{Resolver: stalling{v.Resolver}, name: "_dmarc.news.example.com"}
		spfs := &clocked{Resolver: dmarcs, name: "attacker.example"}
		v.Resolver, v.Deadline = spfs, 20*time.Second
		began := time.Now()
		r := judged(t, t.Context(), v, envelope("198.51.100.1", "x", "a@attacker.example"), false,
			signed(t, text, "news.example.com"))
		if got, want := r.String(), "dmarc=pass spf=temperror iprev=permerror dkim=pass/news.example.com"; got != want {
			t.Errorf("got %s (%s), want %s", got, r.DMARC.Reason, want)
		}
		if took := time.Since(began); took != 16*time.Second {
			t.Errorf("judging took %s, want the 16s of SPF's share", took)
		}
		if want := []time.Duration{16 * time.Second}; !slices.Equal(spfs.left, want) {
			t.Errorf("SPF had %s, want %s", spfs.left, want)
		}
		if want := []time.Duration{4 * time.Second}; !slices.Equal(dmarcs.left, want) {
			t.Errorf("DMARC had %s left, want %s", dmarcs.left, want)
		}
	})
}

// late answers for one name after a time.
type late struct {
	dns.Resolver
	name string
	wait time.Duration
}

func (l late) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if name != l.name {
		return l.Resolver.Lookup(ctx, name, t)
	}
	select {
	case <-time.After(l.wait):
		return l.Resolver.Lookup(ctx, name, t)
	case <-ctx.Done():
		return dns.Answer{}, errors.Join(dns.ErrFailure, ctx.Err())
	}
}

// TestLatePolicy holds that looking for the policy may take the whole deadline, not only the share
// of the others.
func TestLatePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := newVerifier(t)
		v.Resolver, v.Deadline = late{v.Resolver, "_dmarc.example.com", 18 * time.Second},
			20*time.Second
		r := judged(t, t.Context(), v, envelope("198.51.100.1", "x", "a@other.example"), false,
			text)
		if r.DMARC.Value != dmarc.Fail || r.DMARC.Disposition != dmarc.Reject {
			t.Errorf("dmarc=%s (%s), want fail and reject", r.DMARC.Value, r.DMARC.Reason)
		}
	})
}

func TestBestDKIM(t *testing.T) {
	for _, tc := range []struct {
		values []dkim.Value
		want   string
	}{
		{nil, "none"},
		{[]dkim.Value{dkim.Fail, dkim.Pass}, "pass"},
		{[]dkim.Value{dkim.PermError, dkim.Fail}, "fail"},
		{[]dkim.Value{dkim.Policy, dkim.TempError}, "temperror"},
	} {
		r := &Results{}
		for _, v := range tc.values {
			r.DKIM = append(r.DKIM, dkim.Result{Value: v})
		}
		if got := r.BestDKIM(); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.values, got, tc.want)
		}
	}
}

// remembering puts a cache before a zone, whose answers are all good for an hour: it has no SOA for
// its negative ones.
func remembering(z *dnstest.Zone) *dns.Cache { return dns.NewCache(lasting{z}, dns.CacheOptions{}) }

type lasting struct{ dns.Resolver }

func (l lasting) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	a, err := l.Resolver.Lookup(ctx, name, t)
	a.TTL = time.Hour
	return a, err
}

// What the cache remembers is judged without asking the DNS, and to the same end.
func TestJudgedFromMemory(t *testing.T) {
	v, z := newVerifier(t)
	v.Resolver, v.ARC, v.HELO = remembering(z), &arc.Validator{Now: clock}, true
	raw := signed(t, text, "example.com")
	for _, tc := range []struct {
		name string
		env  *message.Envelope
	}{
		{"all passes", envelope("192.0.2.1", "mx.example.com", "alice@example.com")},
		{"spoofed", envelope("198.51.100.1", "x.other.example", "a@other.example")},
		{"DNS of SPF away", envelope("192.0.2.1", "x", "a@slow.example")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first := judged(t, t.Context(), v, tc.env, false, raw)
			asked := len(z.Queries())
			second := judged(t, t.Context(), v, tc.env, false, raw)
			if got, want := second.Field("mx", "").Payload(),
				first.Field("mx", "").Payload(); got != want {
				t.Errorf("from memory:\n%s\nwant\n%s", got, want)
			}
			if again := z.Queries()[asked:]; len(again) > 0 {
				t.Errorf("asked again: %v", again)
			}
		})
	}
}

// A method that has to ask does not make the others ask, nor twice for what it asked already.
func TestOneMethodForgot(t *testing.T) {
	v, z := newVerifier(t)
	v.Resolver = remembering(z)
	raw := signed(t, text, "example.com")
	want := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com", "alice@example.com"),
		false, raw).String()
	before := len(z.Queries())
	got := judged(t, t.Context(), v, envelope("192.0.2.1", "mx.example.com", "a@mx.example.com"),
		false, raw).String()
	if want != got {
		t.Errorf("got %s, want %s", got, want)
	}
	var asked []string
	for _, q := range z.Queries()[before:] {
		asked = append(asked, q.String())
	}
	slices.Sort(asked)
	if got := strings.Join(asked, ", "); got != "TXT _dmarc.mx.example.com, TXT mx.example.com" {
		t.Errorf("asked %s", got)
	}
}
