package report

import (
	"slices"
	"strings"
	"testing"
)

// TestNotAligned is each combination of what DKIM and SPF may come to: a mechanism that passes for
// another domain is not aligned.
func TestNotAligned(t *testing.T) {
	outcomes := []string{"aligned pass", "other pass", "fail", "absent"}
	for _, dkim := range outcomes {
		for _, spf := range outcomes {
			e := Evaluation{DKIM: dkim == "aligned pass", SPF: spf == "aligned pass"}
			if dkim == "other pass" {
				e.Signatures = []DKIMAuth{{Domain: "other.example", Result: "pass"}}
			}
			var want []string
			if dkim != "aligned pass" {
				want = append(want, "dkim")
			}
			if spf != "aligned pass" {
				want = append(want, "spf")
			}
			if len(want) == 0 {
				want = []string{"none"}
			}
			if got := e.NotAligned(); got != strings.Join(want, ",") {
				t.Errorf("dkim %s, spf %s: got %s", dkim, spf, got)
			}
		}
	}
}

// TestAsksFailure is the truth table of fo.
func TestAsksFailure(t *testing.T) {
	failed := []DKIMAuth{{Domain: "a.example", Result: "fail"}}
	spf := func(r string) *SPFAuth { return &SPFAuth{Domain: "a.example", Result: r} }
	for _, tc := range []struct {
		name string
		e    Evaluation
		want map[string]string // fo: what is asked for
	}{
		{"both pass", Evaluation{DKIM: true, SPF: true, SPFAuth: spf("pass")}, nil},
		{"DKIM fails", Evaluation{SPF: true, SPFAuth: spf("pass"), Signatures: failed},
			map[string]string{"1": "dmarc", "d": "dkim", "0:d": "dkim", "d:s": "dkim",
				"0:1:d:s": "dmarc"}},
		{"SPF fails", Evaluation{DKIM: true, SPFAuth: spf("fail")},
			map[string]string{"1": "dmarc", "s": "spf", "d:s": "spf", "0:1:d:s": "dmarc"}},
		{"both fail", Evaluation{SPFAuth: spf("softfail"), Signatures: failed},
			map[string]string{"0": "dmarc", "1": "dmarc", "d": "dkim", "s": "spf", "0:d": "dmarc",
				"d:s": "dkim", "0:1:d:s": "dmarc"}},
		{"an aligned signature passes, another fails", Evaluation{DKIM: true, SPF: true,
			SPFAuth: spf("pass"), Signatures: failed},
			map[string]string{"d": "dkim", "0:d": "dkim", "d:s": "dkim", "0:1:d:s": "dkim"}},
		{"the DNS was silent", Evaluation{SPFAuth: spf("temperror"), Signatures: failed}, nil},
	} {
		for _, fo := range []string{"", "0", "1", "d", "s", "0:d", "d:s", "0:1:d:s"} {
			tc.e.Policy.FO = fo
			if got := tc.e.AsksFailure(); got != tc.want[fo] {
				t.Errorf("%s: fo=%s: got %q, want %q", tc.name, fo, got, tc.want[fo])
			}
		}
	}
}

// FuzzRedact holds that no local part of an address is left, wherever it is.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{
		"From: Alice <needle77@a.example>\r\nMessage-ID: <needle77.1@a.example>\r\n",
		"To: needle77@a.example,\r\n \"x\" <b@c>\r\nSubject: needle77\r\nFrom: <needle77@b>",
		"From: needle77 <<needle77@@\r\nDKIM-Signature: i=needle77@a; z=From:needle77@a; v=1",
		"From: \"needle77@b\"@c.example, x y\r\nDKIM-Signature: v=1;\r\n\ti\t=\tneedle 77@a;\tz=needle77@",
		"Message-ID: needle77\r\nCc: needle77@",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		x := Failing{Header: []byte(header), MailFrom: "needle77@x.example"}
		Redactor{Key: []byte("k")}.Redact(&x)
		for field := range strings.SplitSeq(string(x.Header), "\r\n") {
			name, value, _ := strings.Cut(strings.ToLower(field), ": ")
			if field != "" && !slices.Contains(FailingFields(true), strings.TrimSpace(name)) &&
				!strings.HasPrefix(field, " <") {
				t.Errorf("a field that is not listed: %q of %q", field, header)
			}
			if strings.Contains(strings.ReplaceAll(value, " ", ""), "needle77@") {
				t.Errorf("%q of %q", field, header)
			}
			if name == "message-id" && !strings.Contains(value, "@") &&
				strings.Contains(value, "needle77") {
				t.Errorf("%q of %q", field, header)
			}
			if strings.ContainsAny(field, "\r\n\x00") {
				t.Errorf("a field that breaks: %q", field)
			}
		}
	})
}
