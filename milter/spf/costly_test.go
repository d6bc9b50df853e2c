package spf_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter/dns/dnstest"
	"mailseal/milter/spf"
)

// TestManyLongRecords: one record may be as long as the DNS allows, ten of them may not.
func TestManyLongRecords(t *testing.T) {
	for _, c := range []struct {
		includes, terms int
		want            spf.Value
	}{
		{1, 3000, spf.Fail},
		{10, 300, spf.Fail},
		{10, 3000, spf.Permerror},
		{2, 3000, spf.Permerror},
	} {
		t.Run(fmt.Sprint(c.includes, "x", c.terms), func(t *testing.T) {
			texts, record := map[string][]string{}, "v=spf1"
			for i := range c.includes {
				name := fmt.Sprintf("i%d.example.com", i)
				record += " include:" + name
				texts[name] = []string{"v=spf1" + strings.Repeat(" ip4:198.51.100.0/24", c.terms) +
					" -all"}
			}
			texts["example.com"] = []string{record + " -all"}
			checker := &spf.Checker{Resolver: dnstest.FromMap(texts)}
			got := checker.Check(t.Context(), spf.Identity{IP: netip.MustParseAddr("192.0.2.1"),
				MailFrom: "u@example.com", Helo: "example.com"})
			if got.Value != c.want {
				t.Errorf("got %s: %s, want %s", got.Value, got.Reason, c.want)
			}
		})
	}
}
