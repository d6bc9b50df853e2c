package filter

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/arc"
	"mailseal/milter/dmarc"
	"mailseal/milter/message"
	"mailseal/milter/sign"
	"mailseal/milter/verify"
)

// TestSealChangesOnce holds that a field with a long line which a list's host both signs and seals
// is replaced once: an MTA that is told twice has it twice, or breaks the signature.
func TestSealChangesOnce(t *testing.T) {
	f, _ := newFilter(t, "good")
	now := func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }
	f.Signer.Table.Rules()[0].Resign = true
	f.Signer.Table.Rules()[0].Domain = "lists.example"
	f.Policy.DMARC.Reject = action.Accept
	f.Verifier.ARC = &arc.Validator{Resolver: f.Verifier.Resolver, Now: now}
	f.Sealer = &sign.Sealer{Keys: testKeys{}, Key: "good", Domain: "lists.example", Now: now}
	var to []string
	for i := range 60 {
		to = append(to, fmt.Sprintf("reader%d@readers.example", i))
	}
	raw := "To: " + strings.Join(to, ", ") + "\n" + plainText
	env := message.Envelope{Client: netip.MustParseAddr("198.51.100.1"), Sender: "a@example.com",
		Recipients: []string{"b@example.net"}, MTA: "Postfix 3.7"}
	o, h := decide(t, f, action.RoleTheirs, milter.ByDefault, env, raw)
	if len(o.Edits.Change) != 1 || !strings.Contains(names(h), "ARC-Seal") ||
		!strings.Contains(names(h), "DKIM-Signature") {
		t.Errorf("%d changes, header %s", len(o.Edits.Change), names(h))
	}
}

// TestSelfCheckOfNoBody holds that a message without a body is checked like any other.
func TestSelfCheckOfNoBody(t *testing.T) {
	f, counts := newFilter(t, "good")
	// the second implementation knows no other clock
	f.Signer.Keys, f.Signer.Now = mismatchedKeys{}, nil
	f.SelfCheck = SelfCheck{Share: 1, Action: action.Tempfail}
	head, _, _ := strings.Cut(plainText, "\n\n")
	o, _ := decideRaw(t, f, action.RoleOurs, milter.ByNetwork, local, head+"\n\n", nil)
	if o.Action != action.Tempfail || !strings.Contains(strings.Join(counts.words, " "),
		"self-check: disagree") {
		t.Errorf("got %s, counted %q", o.Action, counts.words)
	}
}

// TestTemporaryIsNoPass holds that a method which the DNS did not let end is not reported as one
// that passed, however its domain is aligned.
func TestTemporaryIsNoPass(t *testing.T) {
	f, _ := reportFilter(t)
	env := message.Envelope{Client: netip.MustParseAddr("198.51.100.7"), Sender: "x@asks.example"}
	aligned := func(method dmarc.Method, isTemporary bool) dmarc.Alignment {
		return dmarc.Alignment{Aligned: true,
			Identifier: dmarc.Identifier{Method: method, Domain: "asks.example",
				Temporary: isTemporary}}
	}
	for _, isTemporary := range []bool{false, true} {
		j := judgment{results: &verify.Results{DMARC: &dmarc.Result{
			Author: "asks.example", PolicyDomain: "asks.example", Record: &dmarc.Record{},
			Alignments: []dmarc.Alignment{aligned(dmarc.DKIM, isTemporary), aligned(dmarc.SPF, isTemporary)},
		}}}
		e := f.Reports.evaluation(mail{Mail: milter.Mail{Envelope: &env}}, j, false)
		if e.DKIM == isTemporary || e.SPF == isTemporary {
			t.Errorf("temporary %v: reported as dkim=%v spf=%v", isTemporary, e.DKIM, e.SPF)
		}
	}
}
