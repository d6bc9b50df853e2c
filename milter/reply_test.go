package milter

import (
	"strings"
	"testing"
)

func TestReply(t *testing.T) {
	long := strings.Repeat("word ", 150)
	for _, c := range []struct {
		name  string
		reply Reply
		want  string // as a refusal
	}{
		{"zero", Reply{}, "550 5.7.1 Message refused"},
		{"plain", Reply{550, "5.7.26", "No authentication"}, "550 5.7.26 No authentication"},
		{"percent", Reply{550, "5.7.1", "100% sure, 50%s"}, "550 5.7.1 100%% sure, 50%%s"},
		{"two lines", Reply{550, "5.7.1", "One\nTwo"}, "550-5.7.1 One\r\n550 5.7.1 Two"},
		{"CRLF", Reply{550, "5.7.1", "One\r\nTwo"}, "550-5.7.1 One\r\n550 5.7.1 Two"},
		{"control characters", Reply{550, "5.7.1", "a\x00b\x07\tc\x7f"}, "550 5.7.1 a?b? c?"},
		{"8-bit", Reply{550, "5.7.1", "für \xff"}, "550 5.7.1 f?r ?"},
		{"a code of the other class", Reply{451, "4.7.1", "Later"}, "550 5.7.1 Message refused"},
		{"codes at odds", Reply{550, "4.7.1", "Later"}, "550 5.7.1 Message refused"},
		{"no enhanced code", Reply{550, "", "No"}, "550 5.7.1 Message refused"},
		{"enhanced code of two parts", Reply{550, "5.7", "No"}, "550 5.7.1 Message refused"},
		{"enhanced code with a zero", Reply{550, "5.07.1", "No"}, "550 5.7.1 Message refused"},
		{"enhanced code, injected", Reply{550, "5.7.1\r", "No"}, "550 5.7.1 Message refused"},
		{"code too high", Reply{5500, "5.7.1", "No"}, "550 5.7.1 Message refused"},
		{"no text", Reply{550, "5.7.1", ""}, "550 5.7.1 Message refused"},
		{"long line", Reply{550, "5.7.1", long}, "550-5.7.1 " +
			strings.TrimSpace(strings.Repeat("word ", 96)) + "\r\n550 5.7.1 " +
			strings.TrimSpace(strings.Repeat("word ", 54))},
		{"long word", Reply{550, "5.7.1", strings.Repeat("x", 500)}, "550-5.7.1 " +
			strings.Repeat("x", 480) + "\r\n550 5.7.1 " + strings.Repeat("x", 20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.reply.reject()
			if got := string(a.Data); a.Code != 'y' || got != c.want+"\x00" {
				t.Errorf("got  %c %q\nwant y %q", a.Code, got, c.want)
			}
		})
	}
	if got := string((Reply{550, "5.7.1", "No"}).tempfail().Data); !strings.HasPrefix(got,
		"451 4.7.1 ") {
		t.Errorf("a refusal was given as a deferral: %q", got)
	}
	if n := strings.Count(string((Reply{550, "5.7.1", strings.Repeat("a\n", 1000)}).reject().Data),
		"\n"); n != maxReplyLines-1 {
		t.Errorf("a reply of %d lines", n+1)
	}
}
