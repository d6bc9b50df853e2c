package domains

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/spf"
)

// invention makes records at random, good ones and broken ones.
type invention struct{ *rand.Rand }

func (g invention) of(list ...string) string { return list[g.IntN(len(list))] }

// hosts are the names that invented records lead to. Each has an SPF record, addresses or MX hosts
// at random.
var hosts = []string{"a.example.net", "b.example.net", "c.example.net", "d.example.net",
	"gone.example.net"}

func (g invention) term() string {
	sign := g.of("", "", "", "", "+", "-", "~", "?")
	host := g.of(append(hosts, "example.com", "%{d}", "b.%{o}", "%{i}.example.net",
		"%{l}.example.net", "A.EXAMPLE.NET.",
		"a..example.net", "localhost", "\"a.example.net\"")...)
	switch g.IntN(16) {
	case 0, 1, 2, 3:
		return sign + "include:" + host
	case 4, 5, 6:
		return sign + fmt.Sprintf("ip4:192.0.2.%d", g.IntN(256)) + g.of("", "", "/32", "/31", "/28",
			"/24", "/33", "/")
	case 7:
		return sign + g.of("ip6:2001:db8::1", "ip6:2001:db8::/32", "ip6:192.0.2.1",
			"ip6:2001:db8::/129", "ip4:2001:db8::1")
	case 8, 9:
		return sign + g.of("a", "mx") + g.of("", ":"+host) + g.of("", "", "/30", "//64", "/30//64",
			"/99")
	case 10:
		return sign + "exists:" + host
	case 11:
		return g.of("redirect=", "redirect=", "redirect:", "exp=") + host
	case 12:
		return sign + g.of("ptr", "ptr:example.com")
	case 13:
		return g.of("foo=bar", "x=\"y\"", "v=spf1", "ip4=192.0.2.1", "ip4:", "192.0.2.1", "include",
			"a:", "mx/", "al")
	}
	return sign + "all"
}

func (g invention) spf() string {
	out := g.of("v=spf1", "v=spf1", "v=spf1", "v=spf1", "v=spf1", "V=SPF1", "v=spf1 ")
	for range g.IntN(7) {
		out += " " + g.term()
	}
	return out + g.of(" ~all", " -all", "", " ?all", " +all", " redirect="+g.of(hosts...))
}

func (g invention) dmarc() string {
	out := g.of("v=DMARC1", "v=DMARC1", "v=DMARC1", "v=DMARC1 ", "v=dmarc1", "V=DMARC1",
		" v=DMARC1", "v=DMARC2")
	policies := func() string {
		return g.of("none", "quarantine", "reject", "Reject", "block", "", "rejct", "\"none\"")
	}
	for range g.IntN(6) {
		out += g.of(";", "; ", ";", " ; ", ";;", " ", ",")
		switch g.IntN(9) {
		case 0, 1, 2:
			out += g.of("p", "p", "p", "P", "p ") + g.of("=", "=", "= ", ":", "") + policies()
		case 3:
			out += g.of("sp", "np") + g.of("=", "=", " ") + policies()
		case 4:
			out += g.of("adkim", "aspf") + "=" + g.of("r", "s", "S", "strict", "x", "")
		case 5:
			out += g.of("rua", "ruf") + "=" + g.of("mailto:a@example.com", "a@example.com",
				"mailto:a@example.com!10m",
				"https://example.com", "mailto:", "mailto:a@example.com, mailto:b@example.com",
				"mailto:x@reports.example")
		case 6:
			out += g.of("pct=100", "pct=x", "ri=86400", "rf=afrf", "fo=1", "fo=1:0", "fo=z", "t=y",
				"t=x", "psd=n", "psd=q")
		case 7:
			out += g.of("foo=bar", "foo", "=", "1=2", "x=\"y\"", "reject")
		}
	}
	return out
}

// keys are public keys of each kind, good ones and others.
var inventedKeys = []string{
	"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "", "nothing!", "AAAA",
	"-----BEGIN PUBLIC KEY-----",
	"11qYAYKxCrfVS/7TyWQHOg7hcvPap iMlrwIaaPcHURo=", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}

func (g invention) key(good []string) string {
	tags := []string{g.of("v=DKIM1", "v=DKIM1", "v=DKIM1", "v=DKIM1", "V=DKIM1", "v=DKIM2",
		"v=dkim1")}
	for range g.IntN(4) {
		tags = append(tags, g.of("k=rsa", "k=rsa", "k=ed25519", "k=RSA", "k=dsa", "k=", "t=y",
			"t=s", "t=y:s", "s=email", "s=*",
			"s=other", "h=sha256", "h=sha1", "h=sha1:sha256", "h=", "g=*", "g=", "n=a note",
			"n=\"x\"", "n=caf\u00e9", "x=y", "junk", "", "k"))
	}
	p := "p=" + g.of(append(inventedKeys, good...)...)
	at := len(tags)
	if g.IntN(4) == 0 {
		at = g.IntN(len(tags) + 1)
	}
	tags = slices.Insert(tags, at, p)
	return strings.Join(tags, g.of(";", "; ", "; ", " ; ", " ")) + g.of("", "", ";", ";;", "; ")
}

// odd are what a slip or a paste puts into a record.
var odd = []string{" ", ";", "=", ":", "\"", "\\", "\u00a0", "\u201c", "\t", "\r\n", "\x00", "\xff",
	"v", "1", "-", "~", "%", "/", ".", "%{z}", "\u00fc"}

// spoiled is a text with slips at random places, often none.
func (g invention) spoiled(text string) string {
	for g.IntN(3) == 0 && text != "" {
		at := g.IntN(len(text) + 1)
		to := min(len(text), at+g.IntN(3))
		text = text[:at] + g.of(append(odd, "", "", "")...) + text[to:]
	}
	return text
}

// zone is a zone with invented records.
func (g invention) zone(good []string) (text, dkimText string) {
	var b strings.Builder
	b.WriteString("example.com. NS ns.example.net.\nexample.com. MX 10 mx.example.com.\nmx.example.com. A 192.0.2.7\n")
	b.WriteString(txt("example.com._report._dmarc.reports.example.", "v=DMARC1"))
	for range 1 + max(0, g.IntN(12)-10) {
		b.WriteString(txt(root, g.spoiled(g.spf())))
	}
	for _, h := range hosts[:len(hosts)-1] {
		if g.IntN(8) > 0 {
			b.WriteString(txt(h+".", g.spoiled(g.spf())))
		}
		if g.IntN(2) > 0 {
			fmt.Fprintf(&b, "%s. A 192.0.2.%d\n", h, g.IntN(256))
		}
		if g.IntN(3) == 0 {
			fmt.Fprintf(&b, "%s. AAAA 2001:db8::%d\n", h, g.IntN(256))
		}
		if g.IntN(3) == 0 {
			for i := range g.IntN(13) {
				fmt.Fprintf(&b, "%s. MX 10 m%d.example.net.\nm%d.example.net. A 192.0.2.%d\n", h, i,
					i, i)
			}
		}
	}
	for range 1 + max(0, g.IntN(12)-10) {
		b.WriteString(txt(at, g.spoiled(g.dmarc())))
	}
	dkimText = g.spoiled(g.key(good))
	b.WriteString(txt(key, dkimText))
	for i := range 256 { // every client has a name, as ptr wants
		fmt.Fprintf(&b, "%d.2.0.192.in-addr.arpa. PTR h%d.example.org.\nh%d.example.org. A 192.0.2.%d\n", i, i, i, i)
	}
	for _, c := range clients6 {
		fmt.Fprintf(&b, "%s. PTR h6.example.org.\nh6.example.org. AAAA %s\n", dns.Reverse(c), c)
	}
	return b.String(), dkimText
}

var clients6 = []netip.Addr{netip.MustParseAddr("2001:db8::1"),
	netip.MustParseAddr("2620:0:2d0:200::7")}

// TestNeverDisagrees invents zones, and holds that the findings and the daemon's evaluators agree
// on each: on which records count, on what they allow, and on what is wrong.
func TestNeverDisagrees(t *testing.T) {
	n := 400
	if os.Getenv("MAILSEAL_LONG") != "" {
		n = 40_000
	}
	var good []string
	keys := publishedKeys(t)
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		good = append(good, publicPart(keys[name]))
	}
	for seed := range n {
		g := invention{rand.New(rand.NewPCG(uint64(seed), 18))}
		zone, keyText := g.zone(good)
		z, err := dnstest.Load(strings.NewReader(zone))
		if err != nil {
			t.Fatal(err)
		}
		r := Check(t.Context(), "example.com", Options{Resolver: z, Selectors: []string{"s1"}})
		var wrong []string
		wrong = append(wrong, spfDisagrees(t, z, r)...)
		wrong = append(wrong, dmarcDisagrees(t, z, r)...)
		wrong = append(wrong, keyDisagrees(r, keyText)...)
		for _, w := range wrong {
			t.Errorf("seed %d: %s", seed, w)
		}
		if len(wrong) > 0 {
			for _, f := range r.Findings {
				t.Logf("  %s %s: %q: %s", f.Code, f.Setting, f.Seen, f.Text)
			}
			for line := range strings.Lines(zone) {
				if !strings.Contains(line, "arpa.") && !strings.HasPrefix(line, "h") {
					t.Log("  " + strings.TrimSpace(line))
				}
			}
			return
		}
	}
}

// spfDisagrees asks the evaluator for every client of the invented network, and two others.
func spfDisagrees(t *testing.T, z *dnstest.Zone, r Result) (wrong []string) {
	checker := &spf.Checker{Resolver: z}
	ask := func(a netip.Addr) spf.Result {
		return checker.Check(t.Context(),
			spf.Identity{IP: a, Helo: "h.example.org", MailFrom: "u@example.com"})
	}
	v4, passing, perm4 := map[spf.Value]int{}, 0, ""
	stranger := ask(netip.MustParseAddr("198.51.100.1"))
	for i := range 256 {
		a := ask(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		v4[a.Value]++
		if a.Value == spf.Pass {
			passing++
		}
		if a.Value == spf.Permerror {
			perm4 = a.Reason
		}
	}
	perm6 := ""
	for _, c := range clients6 {
		if a := ask(c); a.Value == spf.Permerror {
			perm6 = a.Reason
		}
	}
	if r.SPF != nil && leadsByClient(r.SPF.Root) {
		return nil // where it leads to, and whether there is a record, nothing can say
	}
	isBroken, isBroken6 := has(r, breaks) || pastedSPF(r), has(r, []check.Code{spf.FlawVoids6})
	switch {
	case perm4 != "" && !isBroken:
		wrong = append(wrong, "a client gets permerror ("+perm4+"), and nothing says so")
	case perm6 != "" && !isBroken && !isBroken6:
		wrong = append(wrong, "a client by IPv6 gets permerror ("+perm6+"), and nothing says so")
	case isBroken && !pastedSPF(r) && (r.SPF == nil || !asksNames(r.SPF.Root)) && perm4 == "" &&
		perm6 == "" && stranger.Value != spf.Permerror:
		wrong = append(wrong, "the record is said to be broken, and no client gets permerror")
	case isBroken6 && perm6 == "":
		wrong = append(wrong, "the record is said to be broken by IPv6, and no client gets permerror")
	}
	isNone := has(r, []check.Code{spf.FlawNone, spf.FlawNearMiss, Misplaced}) ||
		has(r, []check.Code{spf.FlawPasted}) && !pastedSPF(r)
	if isNone != (stranger.Value == spf.None) && r.SPF == nil {
		wrong = append(wrong, fmt.Sprintf("the evaluator says %s, the findings say none: %v",
			stranger.Value, isNone))
	}
	if r.SPF == nil || isBroken || depends(r.SPF.Root) {
		return wrong
	}
	want := passing
	if stranger.Value == spf.Pass {
		want += 1<<32 - 256
	}
	if got := r.SPF.Addresses.Int64(); got != int64(want) {
		wrong = append(wrong, fmt.Sprintf("%d addresses pass, the survey says %d", want, got))
	}
	return wrong
}

// depends reports whether a record asks for something about the client that a survey cannot know,
// or lets in addresses that are not asked about.
func depends(n *spf.Node) bool {
	return slices.ContainsFunc(n.Terms, func(l spf.Leaf) bool {
		outside := slices.ContainsFunc(l.Networks, func(p netip.Prefix) bool {
			return p.Addr().Is4() && (p.Bits() < 24 ||
				!netip.MustParsePrefix("192.0.2.0/24").Contains(p.Addr()))
		})
		return outside || l.Kind == "ptr" || l.Note == "depends on the client" ||
			l.Nested != nil && depends(l.Nested)
	})
}

// leadsByClient reports whether an include names a domain that depends on the client.
func leadsByClient(n *spf.Node) bool {
	return slices.ContainsFunc(n.Terms, func(l spf.Leaf) bool {
		return l.Note == "depends on the client" || l.Nested != nil && leadsByClient(l.Nested)
	})
}

// asksNames reports whether a record matches clients by their names, of which the test knows few.
func asksNames(n *spf.Node) bool {
	return slices.ContainsFunc(n.Terms, func(l spf.Leaf) bool {
		return l.Kind == "ptr" || l.Nested != nil && asksNames(l.Nested)
	})
}

// pastedSPF reports whether a text is said to be pasted that receivers take for an SPF record.
func pastedSPF(r Result) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool {
		return f.Code == spf.FlawPasted && spf.IsRecord(f.Seen)
	})
}

// dmarcDisagrees compares the findings with what the evaluator and the parser say of the record.
func dmarcDisagrees(t *testing.T, z *dnstest.Zone, r Result) (wrong []string) {
	got := (&dmarc.Checker{Resolver: z}).Discover(t.Context(),
		[]dmarc.Author{{Domain: r.Domain}}).Weigh(t.Context(), nil)
	if r.Policy != string(got.Requested) {
		wrong = append(wrong, fmt.Sprintf("the evaluator asks for %q, the check says %q",
			got.Requested, r.Policy))
	}
	mistakes := slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool {
		return f.Severity == check.Note || f.Setting != strings.TrimSuffix(at, ".") &&
			f.Code != DMARCAtRoot && f.Code != Misplaced
	})
	if got.Record == nil {
		if len(mistakes) == 0 {
			wrong = append(wrong, "there is no policy, and nothing says so")
		}
		return wrong
	}
	if got.Record.Broken != "" && len(mistakes) == 0 {
		wrong = append(wrong, "the policy is broken ("+got.Record.Broken+"), and nothing says so")
	}
	for _, f := range r.Findings {
		if got.Record.Broken == "" && strings.Contains(f.Text, "for p=none") &&
			f.Setting == strings.TrimSuffix(at, ".") {
			wrong = append(wrong, "the policy counts, and a finding says that it does not: "+f.Text)
		}
	}
	for _, n := range got.Record.Notes {
		if !slices.ContainsFunc(r.Findings,
			func(f Finding) bool { return f.Setting == strings.TrimSuffix(at, ".") }) {
			wrong = append(wrong, "nothing says: "+n)
		}
	}
	if repaired, ok := dmarc.Repair(got.Record.Text); ok {
		after, err := dmarc.Parse(repaired)
		before := got.Record
		if err != nil || after.Broken != "" || len(after.Notes) > 0 {
			wrong = append(wrong, fmt.Sprintf("%q is proposed: %v %s %q", repaired, err,
				after.Broken, after.Notes))
		}
		differs := func(was, is dmarc.Policy) bool { return was != "" && was != is }
		if before.Broken == "" && (differs(before.Policy, after.Policy) ||
			differs(before.Subdomain, after.Subdomain) ||
			differs(before.NonExistent, after.NonExistent)) {
			wrong = append(wrong, fmt.Sprintf("%q is proposed, and asks for something else than %q",
				repaired, before.Text))
		}
	}
	return wrong
}

// keyDisagrees compares the findings with what the daemon says of the key.
func keyDisagrees(r Result, text string) (wrong []string) {
	var codes []string
	isRefused := false
	for _, f := range r.Findings {
		if f.Setting == strings.TrimSuffix(key, ".") {
			codes = append(codes, string(f.Code))
			isRefused = isRefused || slices.Contains(refused, f.Code)
		}
	}
	_, err := dkim.ParseRecord(text)
	if isRefused != (err != nil) {
		wrong = append(wrong, fmt.Sprintf("the daemon says %v of %q, the findings are %q", err,
			text, codes))
	}
	if repaired := dkim.Repair(text); repaired != "" {
		if _, err := dkim.ParseRecord(repaired); err != nil {
			wrong = append(wrong, fmt.Sprintf("%q is proposed: %v", repaired, err))
		}
	}
	return wrong
}
