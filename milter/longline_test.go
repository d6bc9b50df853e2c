package milter

import (
	"bytes"
	"strings"
	"testing"

	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
)

// hasLong is what lineMeter must find, in plain words.
func hasLong(body string, limit int) bool {
	for line := range strings.SplitSeq(body, "\n") {
		if len(strings.TrimSuffix(line, "\r")) > limit {
			return true
		}
	}
	return false
}

func TestLineMeter(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name, body string
		want       bool
	}{
		{"empty", "", false},
		{"short", "a\r\nb\r\n", false},
		{"at the limit", x(998) + "\r\n", false},
		{"over the limit", x(999) + "\r\n", true},
		{"at the limit, no line end", x(998), false},
		{"over the limit, no line end", x(999), true},
		{"at the limit, twice", x(998) + "\r\n" + x(998) + "\r\n", false},
		{"short, then over", "ab\r\n" + x(999) + "\r\n", true},
		{"over, then short", x(999) + "\r\nab\r\n", true},
		{"short lines before one at the limit", strings.Repeat("abc\r\n", 700) + x(998) + "\r\n", false},
		{"short lines before one over", strings.Repeat("abc\r\n", 700) + x(999) + "\r\nend", true},
		{"70,000 octets", x(70000), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hasLong(c.body, postfixLine); got != c.want {
				t.Fatalf("the test's own reader says %v", got)
			}
			for _, size := range []int{1, 2, 3, 7, 997, 998, 999, 1000, 1001, 1 << 20} {
				l := lineMeter{limit: postfixLine}
				for p := range chunks(c.body, size) {
					l.write(p)
				}
				if l.end(); l.long != c.want {
					t.Errorf("in chunks of %d: got %v, want %v", size, l.long, c.want)
				}
			}
		})
	}
}

func chunks(s string, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(s) > 0 {
			n := min(size, len(s))
			if !yield([]byte(s[:n])) {
				return
			}
			s = s[n:]
		}
	}
}

func FuzzLineMeter(f *testing.F) {
	f.Add("xxxxx\r\nxxxx\r\nxx\r\n", uint8(3))
	f.Add("xxxx\r\n\r\nxxxxx", uint8(1))
	f.Fuzz(func(t *testing.T, body string, size uint8) {
		body = strings.ReplaceAll(strings.ReplaceAll(body, "\r", ""), "\n", "\r\n")
		l := lineMeter{limit: 4}
		for p := range chunks(body, int(size)+1) {
			l.write(p)
		}
		if l.end(); l.long != hasLong(body, 4) {
			t.Errorf("%q in chunks of %d: got %v, want %v", body, int(size)+1, l.long, !l.long)
		}
	})
}

func TestHasLongLine(t *testing.T) {
	x := strings.Repeat("x", 990)
	for _, c := range []struct {
		name   string
		header message.Header
		limit  int
		want   bool
	}{
		{"short", messagetest.Header("A: b"), sendmailLine, false},
		{"the name counts", messagetest.Header("A: " + x[3:]), sendmailLine, false},
		{"one more", messagetest.Header("A: " + x[2:]), sendmailLine, true},
		{"long, but folded", messagetest.Header("A: " + x[3:] + "\n " + x[1:]), sendmailLine, false},
		{"long in a fold", messagetest.Header("A: b\n " + x), sendmailLine, true},
		{"long for Sendmail only", messagetest.Header("A: " + x), postfixLine, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hasLongLine(c.header, c.limit); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestLineLimit(t *testing.T) {
	for mta, want := range map[string]int{"Postfix 3.7.11": 998,
		"8.17.1.9/8.17.1.9/Debian-2+deb12u2": 990, "": 990, "Other 1.0": 990} {
		if got := LineLimit(mta); got != want {
			t.Errorf("%q: got %d, want %d", mta, got, want)
		}
	}
}

func BenchmarkLineMeter(b *testing.B) {
	body := bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 840)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		l := lineMeter{limit: postfixLine}
		l.write(body)
	}
}
