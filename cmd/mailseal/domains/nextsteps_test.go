package domains

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/publish"
	"mailseal/contrib/test/rig"
	"mailseal/keys"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
)

// TestLadder holds which records are said to follow, and that the daemon's parser takes each.
func TestLadder(t *testing.T) {
	const at30, at14 = "after 30 days: ", "after 14 days: "
	for _, tc := range []struct {
		name, published string
		with            DMARCWishes
		want            []string // lines of the ladder
		last            string
	}{
		{"people from the start", "", DMARCWishes{People: true}, []string{
			at30 + "v=DMARC1; p=quarantine; t=y", at14 + "v=DMARC1; p=quarantine",
		}, "p=quarantine is the last step"},
		{"machines from the start", "", DMARCWishes{}, []string{
			at30 + "v=DMARC1; p=quarantine; t=y", at14 + "v=DMARC1; p=quarantine",
			at30 + "v=DMARC1; p=reject; t=y",
			at14 + "v=DMARC1; p=reject",
		}, "must not rest on SPF alone"},
		{"from a test step", "v=DMARC1; p=quarantine; t=y; adkim=s", DMARCWishes{People: true},
			[]string{
				at14 + "v=DMARC1; p=quarantine; adkim=s",
			}, "p=quarantine is the last step"},
		{"people at the end", "v=DMARC1; p=quarantine", DMARCWishes{People: true}, nil,
			"p=quarantine is the last step"},
		{"machines at quarantine", "v=DMARC1; p=quarantine", DMARCWishes{}, []string{
			at30 + "v=DMARC1; p=reject; t=y", at14 + "v=DMARC1; p=reject",
		}, "must not rest on SPF alone"},
		{"a step that is asked for", "v=DMARC1; p=none",
			DMARCWishes{Policy: "reject", Testing: true}, []string{
				at14 + "v=DMARC1; p=reject",
			}, "must not rest on SPF alone"},
		{"t=y goes", "v=DMARC1; p=quarantine; t=y", DMARCWishes{Policy: "quarantine"}, []string{
			at30 + "v=DMARC1; p=reject; t=y", at14 + "v=DMARC1; p=reject",
		}, "must not rest on SPF alone"},
	} {
		z := dnstest.Must("")
		if tc.published != "" {
			z.AddTXT("_dmarc.example.com", tc.published)
		}
		tc.with.Resolver = z
		p, err := ProposeDMARC(t.Context(), "example.com", tc.with)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		notes := strings.Join(p.Notes, "\n")
		var got []string
		for line := range strings.Lines(notes) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "after ") {
				continue
			}
			got = append(got, line)
			_, record, _ := strings.Cut(line, ": ")
			if parsed, err := dmarc.Parse(record); err != nil || len(parsed.Notes) > 0 {
				t.Errorf("%s: %q: %v %v", tc.name, record, err, parsed.Notes)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.want) || !strings.Contains(notes, tc.last) {
			t.Errorf("%s: got %q\nwant %q\nand %q in\n%s", tc.name, got, tc.want, tc.last, notes)
		}
		if strings.Contains(notes, "p=reject") && tc.with.People &&
			!strings.Contains(notes, "published") {
			t.Errorf("%s: p=reject is offered to people: %s", tc.name, notes)
		}
	}
	_, err := ProposeDMARC(t.Context(), "example.com",
		DMARCWishes{Resolver: dnstest.Must(""), Testing: true})
	if answer.Of(err) != answer.Usage {
		t.Errorf("t=y at none: %v", err)
	}
}

// TestEveryReaderMustAgree writes a record for each domain that reports go to, whatever of the
// record was published before.
func TestEveryReaderMustAgree(t *testing.T) {
	z := dnstest.Must("")
	z.AddTXT("_dmarc.example.com",
		"v=DMARC1; p=none; rua=mailto:a@one.example,mailto:b@two.example; ruf=mailto:c@three.example")
	z.AddTXT("example.com._report._dmarc.two.example", "v=DMARC1")
	p, err := ProposeDMARC(t.Context(), "example.com", DMARCWishes{Resolver: z})
	if err != nil {
		t.Fatal(err)
	}
	var who []string
	for _, r := range p.Records[1:] {
		who = append(who, r.Who)
	}
	if fmt.Sprint(who) != "[one.example three.example]" {
		t.Errorf("must publish: %q", who)
	}
}

// TestZoneFormLoads has BIND's named-checkzone read the zone form of proposals of every kind, and
// the records that findings say to publish.
func TestZoneFormLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("real programs are started: not with -short")
	}
	var all []publish.Record
	add := func(p publish.Proposal, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Records...)
	}
	random := rand.New(rand.NewPCG(9, 10))
	z := dnstest.Must("")
	for range 20 {
		q := SPFWishes{Resolver: z}
		for range 1 + random.IntN(30) { // long ones are cut into strings
			addr := netip.AddrFrom4([4]byte{198, byte(random.IntN(256)), byte(random.IntN(256)), 7})
			q.Addresses = append(q.Addresses, netip.PrefixFrom(addr, 32))
		}
		add(ProposeSPF(t.Context(), "example.com", q))
	}
	add(ProposeDMARC(t.Context(), "example.com", DMARCWishes{Resolver: z, Reports: "a@example.net",
		People: true}))
	add(ProposeDMARC(t.Context(), "example.com", DMARCWishes{Resolver: z, Silent: true}))
	add(ProposeDMARC(t.Context(), "xn--bcher-kva.example", DMARCWishes{Resolver: z, Silent: true}))
	for _, bits := range []int{0, 2048, 4096} {
		algorithm := keys.RSA
		if bits == 0 {
			algorithm = keys.Ed25519
		}
		signer, err := keys.Generate(algorithm, bits)
		if err != nil {
			t.Fatal(err)
		}
		k := keys.Key{Domain: "example.com", Selector: "s2026a", Signer: signer}
		record, err := k.Record(keys.RecordOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, publish.Record{Name: record.Name, Text: record.Text})
	}
	for _, c := range cases(t) {
		o := c.options(t)
		o.Resolver = zoneOf(t, c)
		for _, f := range Check(t.Context(), "example.com", o).Findings {
			if f.Severity == check.Error {
				all = append(all, f.Publish...)
			}
		}
	}
	var zone strings.Builder
	zone.WriteString("$TTL 3600\n. SOA ns. hostmaster. 1 3600 600 86400 300\n. NS ns.\nns. A 127.0.0.1\n")
	for _, r := range all {
		fmt.Fprintln(&zone, r.Zone())
	}
	if len(all) < 60 {
		t.Errorf("only %d records are tried", len(all))
	}
	if said, isGood := rig.NamedCheckZone(t, ".", zone.String()); !isGood {
		t.Errorf("named-checkzone: %s", said)
	}
	long := "example.com. TXT \"" + strings.Repeat("a", 300) + "\"\n"
	if _, isGood := rig.NamedCheckZone(t, ".", zone.String()+long); isGood {
		t.Error("named-checkzone takes a string of 300 bytes")
	}
}
