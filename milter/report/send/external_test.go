package send

import (
	"strings"
	"testing"

	"mailseal/milter/report"
)

// TestExternal holds which hosts take reports about a domain of others.
func TestExternal(t *testing.T) {
	const zone = `
_dmarc.a.example. IN TXT "v=DMARC1; p=none"
_dmarc.b.a.example. IN TXT "v=DMARC1; p=none"
a.example._report._dmarc.plain.example. IN TXT "v=DMARC1"
a.example._report._dmarc.semi.example. IN TXT "v=DMARC1; "
a.example._report._dmarc.many.example. IN TXT "junk"
a.example._report._dmarc.many.example. IN TXT "v=DMARC1;p=x"
*._report._dmarc.wild.example. IN TXT "v=DMARC1;"
a.example._report._dmarc.other.example. IN TXT "v=DMARC10"
a.example._report._dmarc.same.example. IN TXT "v=DMARC1; rua=mailto:elsewhere@same.example"
a.example._report._dmarc.moved.example. IN TXT "v=DMARC1; rua=mailto:x@victim.example"
nodata.example. IN A 192.0.2.1
a.example._report._dmarc.nodata.example. IN A 192.0.2.1
$SERVFAIL a.example._report._dmarc.broken.example
`
	s := newSite(t, zone)
	long := strings.TrimSuffix(strings.Repeat("a23456789.", 25), ".")
	for _, tc := range []struct {
		domain, to, want string
		refused, later   bool
	}{
		{"a.example", "x@a.example", "x@a.example", false, false},
		{"a.example", "x@below.a.example", "x@below.a.example", false, false},
		{"b.a.example", "x@a.example", "x@a.example", false, false},
		{"a.example", "x@plain.example", "x@plain.example", false, false},
		{"a.example", "x@semi.example", "x@semi.example", false, false},
		{"a.example", "x@many.example", "x@many.example", false, false},
		{"a.example", "x@wild.example", "x@wild.example", false, false},
		{"a.example", "x@other.example", "", true, false},
		{"a.example", "x@nothing.example", "", true, false},
		{"a.example", "x@nodata.example", "", true, false},
		{"a.example", "x@same.example", "elsewhere@same.example", false, false},
		{"a.example", "x@moved.example", "", true, false},
		{"a.example", "x@broken.example", "", false, true},
		{long, "x@plain.example", "", true, false},
	} {
		to := report.Addresses([]string{"mailto:" + tc.to})[0]
		got, refused, err := s.Authorizer.Authorize(t.Context(), tc.domain, to)
		if (refused != "") != tc.refused || (err != nil) != tc.later {
			t.Errorf("%s to %s: %q, %v", tc.domain, tc.to, refused, err)
			continue
		}
		if tc.want != "" && got.String() != tc.want {
			t.Errorf("%s to %s: got %s, want %s", tc.domain, tc.to, got, tc.want)
		}
	}
}
