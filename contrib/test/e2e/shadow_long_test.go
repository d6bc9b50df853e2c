package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"mailseal/milter/miltertest"
)

// TestShadowDifferentialLong holds that the MTA gets from the shadow what OpenDKIM alone answers, to the byte, for every
// sample, from both MTAs, over configurations of OpenDKIM in which it signs, judges, refuses, defers, removes and adds, on
// sockets of every kind.
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
			t.Run(strings.Join(append([]string{mode, upstream}, changes...), ","), func(t *testing.T) {
				h := newOldHost(t, mode, changes...)
				direct, front := h.socket(t, upstream, "od"), h.socket(t, listen, "sh")
				h.opendkim(t, direct)
				p := h.shadow(t, front, direct)
				samples := h.samples(t)
				for _, s := range samples {
					for _, as := range []miltertest.MTA{miltertest.Postfix, miltertest.Sendmail} {
						a, b := sameThrough(t, direct, front, as, s)
						messages++
						if a.Reply != b.Reply || !bytes.Equal(a.Delivered(), b.Delivered()) {
							t.Errorf("%s, %v: through us %v\n%s\nfrom OpenDKIM alone %v\n%s", s.name, as, b.Reply, b.Delivered(), a.Reply, a.Delivered())
						}
					}
				}
				count := map[string]int{}
				for _, l := range p.lines(t) {
					count[l.Msg]++
				}
				if n := count["same"] + count["differs"] + count["not judged"]; n < 2*len(samples) {
					t.Errorf("%d lines for %d messages: %v", n, 2*len(samples), count)
				}
				t.Log(fmt.Sprint(count))
			})
		}
	}
	t.Logf("%d messages of %d scenarios, each to the byte as from OpenDKIM alone, unless reported", messages, scenarios)
}
