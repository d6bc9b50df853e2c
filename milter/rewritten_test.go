package milter

import (
	"strings"
	"testing"
	"time"

	"mailseal/milter/message/messagetest"
)

// What Sendmail 8.17 does to each of these values was read from delivered mail.
func TestRewritten(t *testing.T) {
	for _, c := range []struct {
		value string
		want  bool
	}{
		{"a@x.test", false},
		{"a@x.test, b@x.test", false},
		{"a@x.test,\r\n\tb@x.test", false},
		{"a@x.test,\r\n        b@x.test,\r\n c@x.test", false},
		{"A <a@x.test>", false},
		{"A B <a@x.test>, C <c@x.test>", false},
		{`"A. B." <a@x.test>`, false},
		{`"A"<a@x.test>`, false},
		{`"A, B" <a@x.test>, "C (" <c@x.test>`, false},
		{"a@x.test (comment, with; all < of @ it)", false},
		{"(first) a@x.test", false},
		{"A (c) <a@x.test> (d)", false},
		{"=?utf-8?Q?f=C3=BCr?= <a@x.test>", false},
		{"für <a@x.test>", false},
		{"a@X.TEST", false},
		{"undisclosed-recipients:;", false},
		{"undisclosed-recipients: ;", false},
		{"grp: a@x.test, b@x.test;", false},
		{`"a b"@x.test`, false},
		{`"a\"b"@x.test`, false},
		{"a@[192.0.2.1]", false},
		{"a@[IPv6:::1]", false},
		{"", false},
		{" ", false},

		{"a@x.test,b@x.test", true},
		{"a@x.test , b@x.test", true},
		{"a@x.test\r\n , b@x.test", true},
		{"a@x.test,", true},
		{", a@x.test", true},
		{"a@x.test,, b@x.test", true},
		{"a@x.test, , b@x.test", true},
		{"bob", true},
		{"Bob <bob>", true},
		{"a@x.test, bob", true},
		{"root@localhost", true},
		{"Root <root@LOCALHOST>", true},
		{"a!b", true},
		{"A. B. <a@x.test>", true},
		{"A@B <a@x.test>", true},
		{"a @ x.test", true},
		{"a@ x.test", true},
		{"a@x.test; b@x.test", true},
		{"grp:a@x.test,b@x.test;", true},
		{`"A <a@x.test>`, true},
		{"a@x.test (open", true},
		{"<@r.test:a@x.test>", true},
		{"@r.test:a@x.test", true},
		{"A <a@x.test", true},
		{"A <a@x.test> B", true},
	} {
		t.Run(c.value, func(t *testing.T) {
			if got := isRewritten([]byte(" " + c.value)); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestRewrittenField(t *testing.T) {
	h := messagetest.Header("Subject: a,b", "From: a@x.test", "cc: a@x.test,b@x.test", "To: bob")
	if got := rewritten(h); got != "cc" {
		t.Errorf("got %q, want the first field, and only of those with addresses", got)
	}
}

func FuzzRewritten(f *testing.F) {
	for _, s := range []string{`"a\`, "a:b;,c", "(((", "<>", "a@b, c:<d@e>;", "\x01,\x01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		before := strings.Clone(s)
		value := []byte(s)
		isRewritten(value)
		if string(value) != before {
			t.Error("the value was changed")
		}
	})
}

// A quadratic reader would take hours for these.
func TestRewrittenIsLinear(t *testing.T) {
	for _, unit := range []string{"a@x.test, ", "(", "a:", ";", "<", "\"", "\\(", ", "} {
		start := time.Now()
		isRewritten([]byte(strings.Repeat(unit, (1<<20)/len(unit))))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("1 MiB of %q takes %v", unit, took)
		}
	}
}
