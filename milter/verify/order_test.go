package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/authres"
)

// junk is signatures that no one can do anything with, each with names as long as they may be.
func junk(n int) string {
	var b strings.Builder
	for i := range n {
		long := strings.Repeat("x.", 110)
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=%sj%d.example; s=%s;\r\n h=From; bh=AAAA; b=AAA%d\r\n",
			long, i, strings.Repeat("s.", 60)+"s", i)
	}
	return b.String()
}

// Whatever signatures a stranger writes above and below the one that counts, the first field says
// what every method found, and of DKIM first what counts.
func TestJunkSignaturesHideNothing(t *testing.T) {
	good := signed(t, text, "example.com")
	for _, above := range []int{0, 1, 6, 30} {
		for _, below := range []int{0, 6} {
			t.Run(fmt.Sprintf("%d above, %d below", above, below), func(t *testing.T) {
				v, _ := newVerifier(t)
				own, rest, _ := strings.Cut(good, "From: ")
				raw := junk(above) + own + junk(below) + "From: " + rest
				r := judged(t, t.Context(), v,
					envelope("192.0.2.1", "mx.example.com", "alice@example.com"), false, raw)
				first, err := authres.Parse(r.Field("mx.example.net", "none").Fields()[0].Value())
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range first.Results {
					got = append(got, f.Method+"="+f.Value)
				}
				want := []string{"dmarc=pass", "spf=pass", "iprev=pass", "dkim=pass"}
				if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
					t.Errorf("the first field says %v, want %v first", got, want)
				}
				if !strings.HasPrefix(r.String(),
					"dmarc=pass spf=pass iprev=pass dkim=pass/example.com") {
					t.Errorf("the log says %s", r)
				}
			})
		}
	}
}

// Of several signatures the aligned one that passes comes first, then any that passes, then the
// author's own.
func TestOrderOfSignatures(t *testing.T) {
	raw := signed(t, signed(t, signed(t, text, "lost.example"), "example.net"), "news.example.com")
	broken := strings.Replace(signed(t, text, "example.com"), "b=", "b=AAAA", 1)
	raw = broken[:strings.Index(broken, "From: ")] + raw
	v, zone := newVerifier(t)
	if err := zone.Add("k._domainkey.example.net TXT \"" + keyRecord + "\""); err != nil {
		t.Fatal(err)
	}
	r := judged(t, t.Context(), v, envelope("198.51.100.1", "x", "a@other.example"), false, raw)
	var got []string
	for _, f := range r.Found() {
		if f.Method == "dkim" {
			got = append(got, f.Value+"/"+f.Signer)
		}
	}
	want := "pass/news.example.com pass/example.net fail/example.com temperror/lost.example"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if comment := r.Field("mx", "").Results; !strings.Contains(fmt.Sprint(comment),
		"256-bit ed25519 key") {
		t.Errorf("no key size in %v", comment)
	}
}
