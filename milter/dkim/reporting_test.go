package dkim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailseal/milter/message"
)

// TestReporting holds how the record of a signer that wants reports is read.
func TestReporting(t *testing.T) {
	for text, want := range map[string]string{
		"ra=dkim-errors":                   "dkim-errors 100 [all] <nil>",
		"ra=dkim=2Derrors; rp=5; rr=v : x": "dkim-errors 5 [v x] <nil>",
		"rs=call us":                       " 100 [all] <nil>",
		"ra=a=40b":                         " 100 [all] ra=a=40b is not the local part of an address",
		"ra=a..b":                          " 100 [all] ra=a..b is not the local part of an address",
		"ra=a; rp=101":                     "a 101 [all] rp=101 is not a number from 0 to 100",
	} {
		r, err := ParseReporting(text)
		if got := fmt.Sprint(r.Local, " ", r.Percent, " ", r.Reasons, " ", err); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for rs, want := range map[string]string{
		"call=20us=2C=20see=20https://a.example/": "call us, see https://a.example/",
		"a=0D=0A250=20ok=C3=BC":                   "a??250 ok?",
		strings.Repeat("x", 500):                  strings.Repeat("x", maxReply),
	} {
		if r, err := ParseReporting("ra=a; rs=" + rs); err != nil || r.Reply != want {
			t.Errorf("rs=%s: got %q, %v; want %q", rs, r.Reply, err, want)
		}
	}
	if _, err := ParseReporting("no tags"); err == nil {
		t.Error("a text without tags is taken")
	}
}

// FuzzReporting holds that what is taken for a local part adds nothing else to an address.
func FuzzReporting(f *testing.F) {
	f.Add("ra=dkim-errors; rp=5; rr=v:x")
	f.Add("ra=a=0D=0Ab@c")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseReporting(text)
		if strings.ContainsFunc(r.Reply, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("reply %q of %q", r.Reply, text)
		}
		if err == nil && strings.ContainsAny(r.Local, " \r\n\x00@<>,\"") {
			t.Errorf("%q of %q", r.Local, text)
		}
	})
}

// TestRequestReports holds that r=y is written where it is asked for, and that a verifier is
// content.
func TestRequestReports(t *testing.T) {
	for _, asks := range []bool{false, true} {
		h := message.Header{message.NewField("From", []byte(" a@example.com\r\n"))}
		s, err := Prepare(h, nil, SignOptions{RequestReports: asks, Time: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.tags("ed25519-sha256", [32]byte{}, Key{Domain: "example.com", Selector: "s"})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(f.text), "r=y;"); got != asks {
			t.Errorf("asks %v: %s", asks, f.text)
		}
	}
}
