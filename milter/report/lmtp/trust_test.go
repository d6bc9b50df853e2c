package lmtp

import (
	"strings"
	"testing"
)

// IN-2, RI-7: for which author our daemon's verdict authenticates a mail.
func TestVerdict(t *testing.T) {
	trust := &Trust{IDs: []string{"mx.example.com", "mx-old.example.com"}}
	for _, tc := range []struct {
		name, from, fields string
		want               bool
	}{
		{"DMARC", "a@org.example", "mx.example.com; dmarc=pass header.from=org.example", true},
		{"another case", "a@ORG.example", "MX.example.com; dmarc=pass header.from=Org.Example", true},
		{"an id that is removed from strangers' mail", "a@org.example",
			"mx-old.example.com; dmarc=pass header.from=org.example", true},
		{"an id of somebody else", "a@org.example", "mx.evil.example; dmarc=pass header.from=org.example", false},
		{"another host above ours", "a@org.example",
			"spam.example; x=pass|mx.example.com; dmarc=pass header.from=org.example", true},
		{"a field below ours", "a@org.example", "mx.example.com; dmarc=none|mx.example.com; " +
			"dmarc=pass header.from=org.example", false},
		{"a field below ours, of another id of ours", "a@org.example",
			"mx.example.com; none|mx-old.example.com; dmarc=pass header.from=org.example", false},
		{"of another author", "a@org.example", "mx.example.com; dmarc=pass header.from=evil.example", false},
		{"SPF", "a@org.example", "mx.example.com; spf=pass smtp.mailfrom=org.example", false},
		{"DKIM of the author", "a@org.example", "mx.example.com; dmarc=none; dkim=pass header.d=org.example", true},
		{"DKIM of the organization", "a@dmarc.org.example", "mx.example.com; dkim=pass header.d=org.example", true},
		{"DKIM of a name between them", "a@a.b.org.example", "mx.example.com; dkim=pass header.d=b.org.example", false},
		{"DKIM of a customer", "a@org.example", "mx.example.com; dkim=pass header.d=customer.org.example", false},
		{"DKIM of a mailing service", "a@org.example", "mx.example.com; dkim=pass header.d=esp.example", false},
		{"DKIM of a public suffix", "a@org.co.uk", "mx.example.com; dkim=pass header.d=co.uk", false},
		{"DMARC fails although DKIM passes", "a@dmarc.org.example",
			"mx.example.com; dkim=pass header.d=org.example; dmarc=fail header.from=dmarc.org.example", false},
		{"several authors", "a@org.example, b@evil.example",
			"mx.example.com; dmarc=pass header.from=org.example", false},
		{"no author", "", "mx.example.com; dmarc=pass header.from=org.example", false},
	} {
		var text strings.Builder
		for f := range strings.SplitSeq(tc.fields, "|") {
			text.WriteString("Authentication-Results: " + f + "\r\n")
		}
		text.WriteString("From: " + tc.from + "\r\n\r\nx\r\n")
		if got := trust.Domain(t.Context(), []byte(text.String())); (got != "") != tc.want {
			t.Errorf("%s: authenticated for %q, want %v", tc.name, got, tc.want)
		}
	}
}
