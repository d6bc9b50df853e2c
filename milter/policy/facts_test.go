package policy

import (
	"testing"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/domain"
	"mailseal/milter/expression"
	"mailseal/milter/spf"
	"mailseal/milter/verify"
)

// TestAlignedByName holds which passing identifiers a rule sees as aligned: those that DMARC
// counted, and where it did not compare one, the author's own domain alone.
func TestAlignedByName(t *testing.T) {
	compared := dmarc.Alignment{Identifier: dmarc.Identifier{Method: dmarc.DKIM,
		Domain: "mail.example.com", Selector: "s"}}
	aligned := compared
	aligned.Aligned = true
	temporary := aligned
	temporary.Temporary = true
	for _, tc := range []struct {
		name, signer, selector string
		dmarc                  *dmarc.Result
		want                   bool
	}{
		{"DMARC was not evaluated", "example.com", "s", nil, false},
		{"the author's domain, not compared", "example.com", "s", &dmarc.Result{}, true},
		{"another domain, not compared", "mail.example.com", "s", &dmarc.Result{}, false},
		{"a signature without a domain", "", "s", &dmarc.Result{}, false},
		{"compared and aligned", "mail.example.com", "s",
			&dmarc.Result{Alignments: []dmarc.Alignment{aligned}}, true},
		{"compared and not aligned", "mail.example.com", "s",
			&dmarc.Result{Alignments: []dmarc.Alignment{compared}}, false},
		{"another selector was compared", "mail.example.com", "other",
			&dmarc.Result{Alignments: []dmarc.Alignment{aligned}}, false},
		{"the DNS did not answer", "mail.example.com", "s",
			&dmarc.Result{Alignments: []dmarc.Alignment{temporary}}, false},
	} {
		r := &verify.Results{DMARC: tc.dmarc,
			DKIM: []dkim.Result{{Value: dkim.Pass, Domain: tc.signer, Selector: tc.selector}}}
		if r.DMARC != nil {
			r.DMARC.Author = "example.com"
		}
		if got := Facts(expression.Known{}, 0, r).DKIM[0].Aligned; got != tc.want {
			t.Errorf("%s: aligned %v", tc.name, got)
		}
	}
}

// TestARCComment holds that an override names the newest three sealers of a chain.
func TestARCComment(t *testing.T) {
	for _, tc := range []struct {
		sealers []string
		want    string
	}{
		{nil, "arc=pass"},
		{[]string{"a.example"}, "arc=pass as[1].d=a.example"},
		{[]string{"a.example", "b.example", "c.example", "d.example", "e.example"},
			"arc=pass as[5].d=e.example as[4].d=d.example as[3].d=c.example"},
	} {
		chain := &arc.Result{Value: arc.Pass}
		for i, s := range tc.sealers {
			chain.Sets = append(chain.Sets, arc.Set{Instance: i + 1, Sealer: domain.Name(s)})
		}
		if got := arcComment(&verify.Results{ARC: chain}); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	if got := arcComment(&verify.Results{}); got != "arc=pass" {
		t.Errorf("without a chain: %q", got)
	}
}

// TestUnansweredByDMARC holds which name a deferred sender reads: DMARC's own, a key's, SPF's, and
// none where every name was answered.
func TestUnansweredByDMARC(t *testing.T) {
	key := func(value dkim.Value, d, s string) dkim.Result {
		return dkim.Result{Value: value, Domain: d, Selector: s}
	}
	asked := func(v spf.Value) *spf.Result {
		return &spf.Result{Value: v,
			Unanswered: "spf.example"}
	}
	for _, tc := range []struct {
		name, own string
		dkim      []dkim.Result
		spf       *spf.Result
		want      string
	}{
		{"its own", "_dmarc.example", []dkim.Result{key("temperror", "a.example", "s")},
			asked("temperror"), "_dmarc.example"},
		{"a key", "", []dkim.Result{key("fail", "b.example", "s"), key("temperror", "a.example", "s")},
			asked("temperror"), "s._domainkey.a.example"},
		{"a signature without a selector", "", []dkim.Result{key("temperror", "a.example", "")}, nil, ""},
		{"a signature without a domain", "", []dkim.Result{key("temperror", "", "s")}, nil, ""},
		{"SPF", "", nil, asked("temperror"), "spf.example"},
		{"SPF was answered", "", []dkim.Result{key("fail", "a.example", "s")}, asked("pass"), ""},
	} {
		r := &verify.Results{DMARC: &dmarc.Result{Unanswered: tc.own}, DKIM: tc.dkim, SPF: tc.spf}
		if got := unansweredByDMARC(r); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
