package inspect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report/store"
)

const ownZone = `
$ORIGIN example.net.
@ 3600 IN TXT "v=spf1 mx include:_spf.esp.example include:_spf.foreign.example ip4:192.0.2.200 ip4:198.51.100.7 exists:%{i}.x.example.net ~all"
@ 3600 IN MX 10 mx
mx 3600 IN A 192.0.2.10
_dmarc 3600 IN TXT "v=DMARC1; p=quarantine"
s1._domainkey 3600 IN TXT "v=DKIM1; p=MIIB"
_spf.esp.example. 3600 IN TXT "v=spf1 ip4:198.51.100.0/24 -all"
_spf.foreign.example. 3600 IN TXT "v=spf1 ip4:203.0.113.0/24 -all"
`

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// TestLook holds what each term of a record is found to be good for.
func TestLook(t *testing.T) {
	senders := []Sender{
		{ip("192.0.2.10"), true, 1000}, {ip("198.51.100.7"), true, 50}, {ip("198.51.100.8"), true, 40},
		{ip("203.0.113.5"), false, 30}, {ip("192.0.2.99"), true, 5},
	}
	keys := []store.OwnSelector{{Name: "s1._domainkey.example.net", Messages: 5},
		{Name: "s2._domainkey.example.net", Messages: 7}}
	got, records, err := Look(t.Context(), dnstest.Must(ownZone), "example.net", senders,
		[]netip.Prefix{netip.MustParsePrefix("192.0.2.10/32"),
			netip.MustParsePrefix("127.0.0.0/8")}, keys)
	if err != nil {
		t.Fatal(err)
	}
	var terms []string
	for _, x := range got.Terms {
		terms = append(terms, fmt.Sprint(x.Text, " ", x.Messages, " own=", x.OwnHost, " foreign=",
			x.Foreign, " alone=", x.Alone))
	}
	want := []string{
		"mx 1000 own=true foreign=false alone=[192.0.2.10]",
		"include:_spf.esp.example 90 own=false foreign=false alone=[198.51.100.8]",
		"include:_spf.foreign.example 0 own=false foreign=true alone=[]",
		"ip4:192.0.2.200 0 own=false foreign=false alone=[]",
		"ip4:198.51.100.7 0 own=false foreign=false alone=[]",
		"exists:%{i}.x.example.net 0 own=true foreign=false alone=[]",
	}
	if !slices.Equal(terms, want) {
		t.Errorf("terms\n%s\nwant\n%s", strings.Join(terms, "\n"), strings.Join(want, "\n"))
	}
	if got.All != "~all" || got.Selected[0].Missing || !got.Selected[1].Missing {
		t.Errorf("all %q, keys %+v", got.All, got.Selected)
	}
	if len(records) != 2 || records[1].Name != "s2._domainkey.example.net" ||
		records[1].Values != nil || len(records[0].Values) != 1 {
		t.Errorf("records %q", records)
	}
}

// TestLookWithoutAnswers holds that a DNS that fails makes nothing known, neither a missing key nor
// a term that can go.
func TestLookWithoutAnswers(t *testing.T) {
	for _, name := range []string{"example.net", "s1._domainkey.example.net", "_spf.esp.example"} {
		r := dnstest.Must(strings.Replace(ownZone, "\n", "\n$SERVFAIL "+name+".\n", 1))
		state, _, err := Look(t.Context(), r, "example.net",
			[]Sender{{ip("198.51.100.8"), true, 40}}, nil,
			[]store.OwnSelector{{Name: "s1._domainkey.example.net"}})
		if err == nil {
			t.Errorf("%s: %+v, want an error", name, state)
		}
	}
}
