package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/milter/miltertest"
)

// TestShadowDifferentialLong holds that the MTA gets from the shadow what OpenDKIM alone answers,
// to the byte, for every sample, from both MTAs, over configurations of OpenDKIM in which it signs,
// judges, refuses, defers, removes and adds, on sockets of every kind.
func TestShadowDifferentialLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("it takes minutes: MAILSEAL_LONG=1 runs it")
	}
	scenarios, messages := 0, 0
	for _, mode := range []string{"s", "v", "sv"} {
		for _, changes := range [][]string{
			nil,
			{"Canonicalization simple/simple"},
			{"Canonicalization relaxed/relaxed"},
			{"RemoveOldSignatures yes"},
			{"AlwaysAddARHeader yes"},
			{"On-BadSignature reject"},
			{"On-NoSignature tempfail"},
			{"On-KeyNotFound reject"},
			{"SignatureTTL 3600"},
			{"OversignHeaders From,To,Subject,Date"},
			{"MacroList {auth_type}"},
			{"RemoveARAll yes"},
		} {
			upstream, listen := "inet", "unix"
			if scenarios%2 == 0 {
				upstream, listen = "unix", "inet"
			}
			scenarios++
			t.Run(strings.Join(append([]string{mode, upstream}, changes...), ","),
				func(t *testing.T) {
					h := newOldHost(t, mode, changes...)
					direct, front := h.socket(t, upstream, "od"), h.socket(t, listen, "sh")
					h.opendkim(t, direct)
					p := h.shadow(t, front, direct)
					samples := h.samples(t)
					for _, s := range samples {
						for _, as := range []miltertest.MTA{miltertest.Postfix,
							miltertest.Sendmail} {
							a, b := sameThrough(t, direct, front, as, s)
							messages++
							if a.Reply != b.Reply || !bytes.Equal(a.Delivered(), b.Delivered()) {
								t.Errorf("%s, %v: through us %v\n%s\nfrom OpenDKIM alone %v\n%s",
									s.name, as, b.Reply, b.Delivered(), a.Reply, a.Delivered())
							}
						}
					}
					count := map[string]int{}
					for _, l := range p.lines(t) {
						count[l.Msg]++
					}
					if n := count["same"] + count["differs"] +
						count["not judged"]; n < 2*len(samples) {
						t.Errorf("%d lines for %d messages: %v", n, 2*len(samples), count)
					}
					t.Log(fmt.Sprint(count))
				})
		}
	}
	t.Logf("%d messages of %d scenarios, each to the byte as from OpenDKIM alone, unless reported",
		messages, scenarios)
}

// TestShadowBeforeOpenDMARCLong does the same with OpenDMARC, which judges by what a milter before
// it has written.
func TestShadowBeforeOpenDMARCLong(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("it takes minutes: MAILSEAL_LONG=1 runs it")
	}
	messages := 0
	for i, changes := range [][]string{
		{"RejectFailures false"},
		{"RejectFailures true"},
		{"RejectFailures true", "HoldQuarantinedMessages true"},
		{"RejectFailures false", "SoftwareHeader true"},
		{"RejectFailures true", "RequiredHeaders true"},
		{"RejectFailures false", "SPFIgnoreResults true"},
	} {
		for _, policy := range []string{"none", "quarantine", "reject"} {
			t.Run(policy+","+strings.Join(changes, ","), func(t *testing.T) {
				h := newOldHost(t, "v")
				h.write(t, "records", "_dmarc.stranger.example v=DMARC1; p="+policy+"\n")
				h.write(t, "ignored", "192.0.2.1\n")
				upstream := []string{"unix", "inet"}[i%2]
				direct, front := h.socket(t, upstream, "od"), h.socket(t, "unix", "sh")
				rig.StartOpenDMARC(t, direct, append(changes, "AuthservID mx.home.example",
					"TrustedAuthservIDs mx.home.example",
					"IgnoreHosts "+h.path("ignored"), "TestDNSData "+h.path("records"))...)
				p := h.shadow(t, front, direct)
				for _, s := range h.judgedSamples(t) {
					for _, as := range []miltertest.MTA{miltertest.Postfix, miltertest.Sendmail} {
						a, b := playThrough(t, direct, as, s), playThrough(t, front, as, s)
						messages++
						if a.Reply != b.Reply || !bytes.Equal(a.Delivered(), b.Delivered()) {
							t.Errorf("%s, %v: through us %v\n%s\nfrom OpenDMARC alone %v\n%s",
								s.name, as, b.Reply, b.Delivered(), a.Reply, a.Delivered())
						}
					}
				}
				p.lines(t)
			})
		}
	}
	t.Logf("%d messages, each to the byte as from OpenDMARC alone, unless reported", messages)
}

// judgedSamples are messages of strangers with what a milter before has found of them, and some
// with nothing.
func (h *oldHost) judgedSamples(t *testing.T) []sample {
	t.Helper()
	out := h.samples(t)
	for _, found := range []string{
		"dkim=pass header.d=stranger.example",
		"dkim=fail header.d=stranger.example",
		"dkim=pass header.d=other.example; spf=fail smtp.mailfrom=stranger.example",
		"spf=pass smtp.mailfrom=stranger.example",
	} {
		theirs := mail("a@stranger.example", "bob@home.example").Message
		m := miltertest.Message{
			From:  "a@stranger.example",
			To:    []string{"bob@home.example"},
			Raw:   []byte("Authentication-Results: mx.home.example; " + found + "\n" + theirs),
			Queue: fmt.Sprintf("J%d", len(out)),
		}
		out = append(out, sample{name: found, client: stranger, Message: m})
	}
	return out
}
