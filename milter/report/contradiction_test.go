package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A row whose evaluation its results contradict is noted.
func TestContradiction(t *testing.T) {
	for _, tc := range []struct {
		evaluated, policy, from, results string
		want                             bool
	}{
		{"<dkim>pass</dkim><spf>fail</spf>", "", "example.com", "", false},
		{"<dkim>pass</dkim>", "", "example.com",
			"<dkim><domain>example.com</domain><result>pass</result></dkim>", false},
		{"<dkim>pass</dkim>", "", "example.com",
			"<dkim><domain>example.com</domain><result>fail</result></dkim>", true},
		{"<dkim>pass</dkim>", "", "example.com",
			"<dkim><domain>esp.example</domain><result>pass</result></dkim>", true},
		{"<dkim>pass</dkim>", "", "sub.example.com",
			"<dkim><domain>mail.example.com</domain><result>pass</result></dkim>", false},
		{"<dkim>fail</dkim>", "", "example.com",
			"<dkim><domain>m.example.com</domain><result>pass</result></dkim>", true},
		{"<dkim>fail</dkim>", "<adkim>s</adkim>", "example.com",
			"<dkim><domain>m.example.com</domain><result>pass</result></dkim>", false},
		{"<dkim>fail</dkim>", "", "example.com",
			"<dkim><domain>esp.example</domain><result>pass</result></dkim>", false},
		{"<spf>pass</spf>", "", "example.com",
			"<spf><domain>example.com</domain><result>softfail</result></spf>", true},
		{"<spf>fail</spf>", "", "example.com", "<spf><domain>example.com</domain><result>pass</result></spf>", true},
		{"<spf>fail</spf>", "", "example.com",
			"<spf><domain>example.com</domain><scope>helo</scope><result>pass</result></spf>",
			false},
		{"<spf>pass</spf>", "", "example.com", "<spf><domain></domain><result>pass</result></spf>", false},
	} {
		text := fmt.Sprintf("<feedback><policy_published><domain>example.com</domain>"+
			"%s</policy_published><record><row>"+
			"<source_ip>192.0.2.1</source_ip><count>1</count><policy_evaluated>%s</policy_evaluated></row><identifiers>"+
			"<header_from>%s</header_from></identifiers><auth_results>%s</auth_results></record></feedback>",
			tc.policy, tc.evaluated, tc.from, tc.results)
		f, err := ReadXML(strings.NewReader(text), func(*Row) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(f.Notes,
			func(n Note) bool { return n.Code == "contradiction" }); got != tc.want {
			t.Errorf("%s with %s: %v, want %v", tc.evaluated, tc.results, got, tc.want)
		}
	}
}
