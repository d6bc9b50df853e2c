package verify

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

// TestHELO holds that SPF of HELO is asked once, told where it says something new, and never counts
// for DMARC.
func TestHELO(t *testing.T) {
	const extra = `
helo.example.       IN TXT "v=spf1 ip4:192.0.2.1 -all"
local.example.      IN TXT "v=spf1 exists:%{l}.local.example -all"
a.local.example.    IN A 127.0.0.2
`
	for _, tc := range []struct {
		name       string
		env        *message.Envelope
		want       string
		properties string // those of smtp in the field
		asked      int    // for TXT records of the HELO name
	}{
		{"another name passes", envelope("192.0.2.1", "helo.example", "a@other.example"),
			"dmarc=fail spf=fail helo=pass", "smtp.mailfrom=other.example smtp.helo=helo.example",
			1},
		{"an aligned name passes", envelope("192.0.2.1", "mx.example.com", "a@other.example"),
			"dmarc=fail spf=fail helo=pass", "smtp.mailfrom=other.example smtp.helo=mx.example.com",
			1},
		{"another name fails", envelope("192.0.2.2", "helo.example", "a@other.example"),
			"dmarc=fail spf=fail helo=fail", "smtp.mailfrom=other.example smtp.helo=helo.example",
			1},
		{"a name without a record", envelope("192.0.2.1", "host.example", "a@other.example"),
			"dmarc=fail spf=fail", "smtp.mailfrom=other.example", 1},
		{"one label", envelope("192.0.2.1", "localhost", "a@other.example"), "dmarc=fail spf=fail",
			"smtp.mailfrom=other.example", 0},
		{"an address literal", envelope("192.0.2.1", "[192.0.2.1]", "a@other.example"),
			"dmarc=fail spf=fail", "smtp.mailfrom=other.example", 0},
		{"the sender's own domain", envelope("192.0.2.1", "Helo.Example.", "a@helo.example"),
			"dmarc=fail spf=pass", "smtp.mailfrom=helo.example", 1},
		{"the null sender", envelope("192.0.2.1", "helo.example", ""), "dmarc=fail spf=pass",
			"smtp.helo=helo.example", 1},
		{"MAIL FROM is not a domain", envelope("192.0.2.1", "helo.example", "a@localhost"),
			"dmarc=fail spf=none helo=pass", "smtp.mailfrom=localhost smtp.helo=helo.example", 1},
		{"DNS away", envelope("192.0.2.1", "gone.example", "a@other.example"),
			"dmarc=fail spf=fail helo=temperror",
			"smtp.mailfrom=other.example smtp.helo=gone.example", 1},
	} {
		v, _ := newVerifier(t)
		z, err := dnstest.Load(strings.NewReader(zoneText + extra))
		if err != nil {
			t.Fatal(err)
		}
		v.Resolver, v.IPRev, v.DKIM, v.HELO = z, false, nil, true
		r := judged(t, t.Context(), v, tc.env, false, text)
		if got := r.String(); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
		var properties []string
		for word := range strings.FieldsSeq(strings.ReplaceAll(r.Field("mx.example.net",
			"").WithoutComments().Payload(), ";", " ")) {
			if strings.HasPrefix(word, "smtp.") {
				properties = append(properties, word)
			}
		}
		if got := strings.Join(properties, " "); got != tc.properties {
			t.Errorf("%s: properties %s, want %s", tc.name, got, tc.properties)
		}
		asked := 0
		for _, q := range z.Queries() {
			if q.Type == dns.TXT && strings.EqualFold(q.Name,
				strings.TrimSuffix(tc.env.Helo, ".")) {
				asked++
			}
		}
		if asked != tc.asked {
			t.Errorf("%s: asked %d times, want %d", tc.name, asked, tc.asked)
		}
	}
}

// TestHELOBudget holds that a client cannot use up what MAIL FROM needs by the name that it gives
// itself.
func TestHELOBudget(t *testing.T) {
	greedy := "v=spf1"
	for i := range 10 {
		greedy += fmt.Sprintf(" mx:m%d.greedy.example", i)
	}
	records := map[string][]string{"greedy.example": {greedy + " -all"},
		"example.com": {"v=spf1 ip4:192.0.2.1 -all"}}
	z := dnstest.FromMap(records)
	v, _ := newVerifier(t)
	v.Resolver, v.IPRev, v.DKIM, v.DMARC, v.HELO, v.MaxLookups = answering{z}, false, nil, nil,
		true, 1
	r := judged(t, t.Context(), v, envelope("192.0.2.1", "greedy.example", "a@example.com"), false,
		text)
	if got, want := r.String(), "spf=pass helo=temperror"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r.HELO.Queries != heloLookups+1 {
		t.Errorf("%d questions, want the one beyond %d to end it", r.HELO.Queries, heloLookups)
	}
}

// answering has ten mail exchanges for every name of greedy.example, and an address for each.
type answering struct{ dns.Resolver }

func (a answering) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if !strings.HasSuffix(name, ".greedy.example") {
		return a.Resolver.Lookup(ctx, name, t)
	}
	out := dns.Answer{Status: dns.Found}
	for i := range 10 {
		switch t {
		case dns.MX:
			out.Exchanges = append(out.Exchanges,
				dns.Exchange{Host: fmt.Sprintf("x%d.greedy.example", i)})
		case dns.A:
			out.Addrs = []netip.Addr{netip.MustParseAddr("198.51.100.9")}
		}
	}
	return out, nil
}

// TestHELOIsRemembered holds that HELO costs no question with the next message of a host, and comes
// to the same.
func TestHELOIsRemembered(t *testing.T) {
	v, z := newVerifier(t)
	v.Resolver, v.HELO = dns.NewCache(z, dns.CacheOptions{}), true
	env := envelope("192.0.2.1", "mx.example.com", "a@other.example")
	for i := range 2 {
		z.Reset()
		r := judged(t, t.Context(), v, env, false, text)
		if got, want := r.String(), "dmarc=fail spf=fail helo=pass iprev=pass dkim=none"; got != want {
			t.Errorf("message %d: got %s, want %s", i+1, got, want)
		}
		asked := 0
		for _, q := range z.Queries() {
			if strings.HasSuffix(q.Name, "mx.example.com") {
				asked++
			}
		}
		if (asked > 0) != (i == 0) {
			t.Errorf("message %d: %d questions about HELO", i+1, asked)
		}
	}
}
