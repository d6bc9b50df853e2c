package milter_test

import (
	"context"
	"net/netip"
	"testing"

	"mailseal/keys"
	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/filter"
	"mailseal/milter/message"
	"mailseal/milter/policy"
	"mailseal/milter/sign"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

func init() {
	milter.DaemonFilter = daemonFilter
	milter.ForgedFields = func(id string, m milter.Mail, h message.Header) []int {
		m.Header = h
		return filter.OwnFields{IDs: []string{id},
			KeepResults: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}.Forged(m)
	}
}

// daemonZone is a domain that wants to be protected.
const daemonZone = `
example.com.        IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com. IN TXT "v=DMARC1; p=reject"
`

// daemonKeys are the keys of example.com, by selector.
type daemonKeys map[string]keys.Key

func (k daemonKeys) Key(_ context.Context, name string) (keys.Key, error) { return k[name], nil }

// daemonFilter signs with an RSA and an Ed25519 key, and judges with the records in a cache, as the
// daemon does.
func daemonFilter(t *testing.T) milter.Filter {
	t.Helper()
	zone, all := dnstest.Must(daemonZone), daemonKeys{}
	for selector, algorithm := range map[string]keys.Algorithm{"rsa": keys.RSA,
		"ed": keys.Ed25519} {
		private, err := keys.Generate(algorithm, 0)
		if err != nil {
			t.Fatal(err)
		}
		all[selector] = keys.Key{Name: selector, Domain: "example.com", Selector: selector,
			Signer: private}
		record, err := all[selector].Record(keys.RecordOptions{})
		if err != nil {
			t.Fatal(err)
		}
		zone.AddTXT(record.Name, record.Text)
	}
	from, err := message.ParsePatterns([]string{"example.com"})
	if err != nil {
		t.Fatal(err)
	}
	rule := sign.Rule{Name: "sign[0]", From: from, Keys: []string{"rsa", "ed"},
		OnKeyError: action.KeySkip}
	return &filter.Filter{
		ID:     "mx.example.net",
		Own:    filter.OwnFields{IDs: []string{"mx.example.net"}, Names: []string{"X-Mark"}},
		Signer: &sign.Signer{Table: sign.NewTable([]sign.Rule{rule}), Keys: all},
		Verifier: &verify.Verifier{
			Resolver: dns.NewCache(zone, dns.CacheOptions{}),
			SPF:      &spf.Checker{},
			DKIM:     &dkim.Verifier{},
			DMARC:    &dmarc.Checker{},
		},
		Policy: &policy.Rules{
			Actions: policy.Actions{
				SPF:   action.SPF{Fail: action.Accept, None: action.Accept},
				DKIM:  action.DKIM{None: action.Accept, Fail: action.Accept},
				DMARC: action.DMARC{Reject: action.Mark},
			},
			MarkHeader: "X-Mark",
		},
		Unmatched: action.UnmatchedAccept,
		Senders:   filter.Senders{Require: action.SenderAny},
	}
}
