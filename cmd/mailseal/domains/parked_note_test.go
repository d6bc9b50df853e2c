package domains

import (
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/publish"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
)

// TestNoteWithoutAnswer holds that a proposal stands whose note could not be made.
func TestNoteWithoutAnswer(t *testing.T) {
	z := dnstest.Must("")
	z.AddTXT("example.com", "v=spf1 -all")
	for _, isAnswered := range []bool{true, false} {
		var r dns.Resolver = z
		if !isAnswered {
			r = failing{z, question{"example.com", dns.TXT}}
		}
		p, err := ProposeDMARC(t.Context(), "example.com", DMARCWishes{Resolver: r})
		if err != nil || len(p.Records) != 1 {
			t.Fatalf("answered: %t: got %v and %v", isAnswered, p.Records, err)
		}
		if said := strings.Contains(strings.Join(p.Notes, " "), "--silent"); said != isAnswered {
			t.Errorf("answered: %t, the note: %t", isAnswered, said)
		}
	}
}

// TestLadderKeepsRecordsWhole holds that each record of the ladder, and the published one, is on
// one line at any width.
func TestLadderKeepsRecordsWhole(t *testing.T) {
	z := dnstest.Must("")
	text := "v=DMARC1; p=none; rua=mailto:reports-of-all-our-domains@mail.example.com; " +
		"ruf=mailto:failures-of-all-our-domains@mail.example.com; fo=1; adkim=s; aspf=s"
	z.AddTXT("_dmarc.example.com", text)
	p, err := ProposeDMARC(t.Context(), "example.com", DMARCWishes{Resolver: z})
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{60, 80, 120} {
		var lines []string
		for _, n := range p.Notes {
			lines = append(lines, strings.Split(publish.Note(n, width), "\n")...)
		}
		records := 0
		for _, line := range lines {
			if at := strings.Index(line, "v=DMARC1"); strings.HasPrefix(line, "  ") && at >= 0 {
				records++
				if !strings.HasSuffix(line, "aspf=s") {
					t.Errorf("width %d: a record is cut: %q", width, line)
				}
			}
		}
		if records < 3 || !slices.Contains(lines, "  "+text) {
			t.Errorf("width %d: %d records in %q", width, records, lines)
		}
	}
}
