package web

import (
	"strings"
	"testing"

	"mailseal/milter/report/advice"
)

// TestReportRows holds that the rows of a report can be limited to a result, and that the choice
// stands in the address and in the sum above the rows.
func TestReportRows(t *testing.T) {
	m := world()
	id := int64(0)
	for _, r := range m.RecordList {
		if r.Disposition == "quarantine" && r.Domain == "shop.example" {
			id = r.Report
			break
		}
	}
	var held int64
	for _, r := range m.RecordList {
		if r.Report == id && becameOf(&r) == "held" {
			held += r.Count
		}
	}
	s := newServer(t, m, nil)
	at := "/r/" + itoa(id)
	if body := get(s, at).Body.String(); !strings.Contains(body, `href="`+at+
		`?result=held#records">held</a>`) || !strings.Contains(body,
		`href="`+at+`#records" aria-current="true">all</a>`) {
		t.Error("there are no links to the rows of each result")
	}
	body := get(s, at+"?result=held").Body.String()
	if !strings.Contains(body, advice.Plural(held, "message", "messages")+". The number") ||
		strings.Contains(body, `<td class="good">pass</td>`) {
		t.Errorf("the rows are not those of %d messages that were held", held)
	}
}

// TestInWords holds how records are explained.
func TestInWords(t *testing.T) {
	foreign := advice.Signature{Domain: "esp.example", Selector: "e1", Result: "pass"}
	broken := advice.Signature{Domain: "shop.example", Selector: "s1", Result: "fail"}
	base := Record{Day: today - 2, Receiver: "google.com", Domain: "shop.example",
		From: "shop.example", Count: 12, SPF: "fail", DKIM: "fail", SPFResult: "none",
		Disposition: "none"}
	with := func(change func(*Record)) *Record {
		r := base
		change(&r)
		return &r
	}
	tests := []struct {
		name   string
		record *Record
		want   []string
	}{
		{"unsigned", &base, []string{"12 messages", "SPF did not pass", "had no DKIM signature",
			"DMARC failed", "The policy that the receiver saw is", "v=DMARC1; p=reject",
			"neither held nor refused"}},
		{"signed by another", with(func(r *Record) {
			r.Signatures = []advice.Signature{foreign}
			r.SPFResult, r.Envelope, r.Disposition = "pass", "bounce.esp.example", "quarantine"
		}), []string{"SPF passed for", "bounce.esp.example", "DKIM passed for",
			"esp.example</span>, which does not align", "held them"}},
		{"two signatures", with(func(r *Record) {
			r.DKIM = "pass"
			r.Signatures = []advice.Signature{foreign,
				{Domain: "shop.example", Selector: "s1", Result: "pass"}}
		}), []string{"aligned signature, of", "shop.example</span> with selector", "s1",
			"DMARC passed"}},
		{"broken", with(func(r *Record) {
			r.Signatures = []advice.Signature{broken}
			r.Disposition, r.Reasons = "reject", []Reason{{"local_policy", "listed"}}
		}), []string{"DKIM did not pass with an aligned domain", "refused them", "local_policy",
			"listed"}},
	}
	for _, tt := range tests {
		got := string(inWords(tt.record, "v=DMARC1; p=reject", today))
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q has no %q", tt.name, got, want)
			}
		}
		if tt.record.Pass() == strings.Contains(got, "policy that the receiver saw") {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}
