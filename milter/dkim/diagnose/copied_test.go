package diagnose

import (
	"bufio"
	"strings"
	"testing"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// TestCopied names the first signed field that is not what the signature has a copy of.
func TestCopied(t *testing.T) {
	const own = "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=From:Subject;\r\n" +
		" z=From:=20Alice=20<a@example.com>|X-Other:=20x|Subject:=20Hello=20\r\n =7Cthere=7C; bh=; b=\r\n"
	for name, tt := range map[string]struct{ header, want string }{
		"changed": {"From: Alice <a@example.com>\r\nSubject: [list] Hello |there|\r\n",
			"it came as Subject: [list] Hello"},
		"removed":   {"From: Alice <a@example.com>\r\n", "it was removed"},
		"the first": {"From: Eve <e@example.com>\r\nSubject: other\r\n", "it was signed as From: Alice"},
		"intact":    {"From: Alice  <a@example.com>\r\nSubject: Hello |there|\r\n", ""},
	} {
		h, err := message.ReadHeader(bufio.NewReader(strings.NewReader(own+tt.header+"\r\n")),
			1<<20)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := newTrial(h, 0, dkim.Signature{Names: []string{"From", "Subject"}},
			dkim.Record{}).copied()
		if ok != (tt.want != "") || !strings.Contains(f.Cause, tt.want) {
			t.Errorf("%s: %v %q, want %q", name, ok, f.Cause, tt.want)
		}
	}
}
