package report

import (
	"strings"
	"testing"
)

func FuzzReadTLS(f *testing.F) {
	f.Add(`{"organization-name":"o","report-id":1,"policies":[{"policy":{"policy-domain":"a.example","mx-host":"x"},` +
		`"summary":{"total-failure-session-count":"2"},"failure-details":{"result-type":["a"]}}]}`)
	f.Add(`{"policies":[{},{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ReadTLS(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(r.Policies) == 0 || len(r.Policies) > maxMany {
			t.Fatalf("%d policies", len(r.Policies))
		}
		for _, p := range r.Policies {
			if p.Good < 0 || p.Bad < 0 || len(p.Failures) > maxMany {
				t.Fatalf("out of bounds: %+v", p)
			}
		}
	})
}

func FuzzReadFailure(f *testing.F) {
	f.Add([]byte("Feedback-Type: auth-failure\r\nSource-IP: 192.0.2.1\r\nIncidents: 3\r\n"),
		[]byte("From: <a@b.example>\r\n"))
	f.Fuzz(func(t *testing.T, part, original []byte) {
		r, err := ReadFailure(part, original)
		if err == nil && (r.Incidents < 1 || r.Type == "") {
			t.Fatalf("got %+v", r)
		}
	})
}

func FuzzReadHints(f *testing.F) {
	f.Add("org.example!example.com!1!2!id.xml.gz",
		"Report Domain: example.com Submitter: org.example Report-ID: <1>")
	f.Fuzz(func(t *testing.T, file, title string) {
		var fb Feedback
		fb.Policy.Domain = "example.com"
		fb.Supplement(ReadHints(file, title))
		if fb.Policy.Domain != "example.com" {
			t.Fatalf("the domain became %q", fb.Policy.Domain)
		}
	})
}
