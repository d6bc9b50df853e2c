package filter

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dns"
	"mailseal/milter/message"
	"mailseal/milter/policy"
)

// shortOf is a resolver of a host that has nothing left to look some names up with.
type shortOf struct {
	next  dns.Resolver
	names string
	err   error
}

func (s shortOf) Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if s.names == "*" || strings.Contains(" "+s.names+" ", " "+name+" ") {
		return dns.Answer{}, s.err
	}
	return s.next.Lookup(ctx, name, t)
}

// A host that is too busy to judge a message defers it, whatever the actions are: to be busy must
// not be a way past a policy. It blames neither the sender nor the DNS.
func TestShortage(t *testing.T) {
	atHome := message.Envelope{Client: fromAway.Client, Helo: "x.example", Sender: "a@example.com",
		Recipients: []string{"b@example.net"}}
	reject := func(f *Filter) { f.Policy.DMARC.Reject = action.Reject }
	for _, tc := range []struct {
		name   string
		short  string
		role   action.Role
		env    message.Envelope
		change func(*Filter)
		want   action.Action
	}{
		{"no policy found, all is accepted by setting", "_dmarc.example.com", action.RoleTheirs,
			fromAway, func(f *Filter) { f.Policy.DMARC.Reject = action.Accept }, action.Tempfail},
		{"nothing at all", "*", action.RoleTheirs, fromAway, nil, action.Tempfail},
		{"no SPF record found", "example.com", action.RoleTheirs, atHome, nil, action.Tempfail},
		{"a rejection is put off too", "other.example example.com", action.RoleTheirs, fromAway,
			reject, action.Tempfail},
		{"an override accepts what fails", "*", action.RoleTheirs, fromAway, func(f *Filter) {
			f.Policy.Overrides = []policy.Override{{Name: "policy.override[0]", Authors: patterns(t,
				"example.com"), Replace: action.Accept, Actions: f.Policy.Actions}}
		}, action.Tempfail},
		{"dry run", "*", action.RoleTheirs, fromAway, func(f *Filter) { f.Policy.DryRun = true }, action.Accept},
		{"not judged", "*", action.RoleTheirs, fromAway,
			func(f *Filter) { f.Policy.NotJudged.Recipients = patterns(t, "*") }, action.Accept},
		{"a relay's mail", "*", action.RoleRelay, fromAway, nil, action.Accept},
		{"nothing was missing", "unasked.example", action.RoleTheirs, fromAway, nil, action.Accept},
	} {
		for _, cause := range []error{
			dns.ErrShortage,
			fmt.Errorf("%w: %w", dns.ErrShortage, syscall.EMFILE),
			fmt.Errorf("%w: 4096 queries are in progress", dns.ErrShortage),
		} {
			t.Run(tc.name+": "+cause.Error(), func(t *testing.T) {
				f, counts := newFilter(t, "good")
				f.Verifier.Resolver = shortOf{f.Verifier.Resolver, tc.short, cause}
				if tc.change != nil {
					tc.change(f)
				}
				o, _ := decide(t, f, tc.role, milter.ByDefault, tc.env, plainText)
				if o.Action != tc.want {
					t.Fatalf("%s %+v %v, want %s", o.Action, o.Reply, o.Details, tc.want)
				}
				if tc.want != action.Tempfail {
					return
				}
				if o.Reply.Code != 451 || o.Reply.Enhanced != "4.3.2" ||
					!strings.Contains(o.Reply.Text, "too busy") ||
					strings.Contains(o.Reply.Text, "DNS") {
					t.Errorf("reply %+v", o.Reply)
				}
				if !strings.Contains(strings.Join(counts.words, " "), "short") ||
					!strings.Contains(fmt.Sprint(o.Details), "shortage=") {
					t.Errorf("counted %q, logged %v", counts.words, o.Details)
				}
			})
		}
	}
}

// What passes DMARC needs nothing more: it is not held up because another signature's key could not
// be looked up.
func TestShortageThatDecidesNothing(t *testing.T) {
	f, counts := newFilter(t, "good")
	f.Verifier.Resolver = shortOf{f.Verifier.Resolver, "k._domainkey.other.example",
		dns.ErrShortage}
	raw := "DKIM-Signature: v=1; a=ed25519-sha256; d=other.example; s=k; h=From; bh=AAAA; b=AAAA\n" + plainText
	env := message.Envelope{Client: netip.MustParseAddr("192.0.2.1"), Helo: "x",
		Sender: "a@example.com", Recipients: []string{"b@example.net"}}
	o, _ := decide(t, f, action.RoleTheirs, milter.ByDefault, env, raw)
	if o.Action != action.Accept || !strings.Contains(o.Results, "dmarc=pass") ||
		strings.Contains(strings.Join(counts.words, " "), "short") {
		t.Errorf("%s, %s, counted %q", o.Action, o.Results, counts.words)
	}
}
