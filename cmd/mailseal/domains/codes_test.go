package domains

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
	"mailseal/milter/spf"
)

// The names whose records the cases replace.
const (
	root  = "example.com."
	spfIn = "_spf.example.net."
	key   = "s1._domainkey.example.com."
	at    = "_dmarc.example.com."
	sts   = "_mta-sts.example.com."
	tls   = "_smtp._tls.example.com."
	bimi  = "default._bimi.example.com."
)

// zoneCase is a change to the clean zone that has one mistake.
type zoneCase struct {
	code  check.Code
	drop  string // beginning of the lines that go, such as "example.com. TXT"
	add   string // lines that come
	with  Options
	other string // another domain to look at
	// a name whose name servers are signed, as a resolver says that validates
	signed string
	lie    string // a name of which the name servers say that it does not exist

	reports []reported // that came in; nil reads none
}

func txt(name, text string) string {
	return fmt.Sprintf("%s TXT %s\n", name, quoteAll(text))
}

func quoteAll(text string) string {
	var parts []string
	for ; len(text) > 255; text = text[255:] {
		parts = append(parts, escaped(text[:255]))
	}
	return strings.Join(append(parts, escaped(text)), " ")
}

func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&b, "\\%03d", c)
		} else {
			b.WriteByte(c)
		}
	}
	return `"` + b.String() + `"`
}

func withSPF(code check.Code, text string) zoneCase {
	return zoneCase{code: code, drop: root + " TXT", add: txt(root, text)}
}

func withDMARC(code check.Code, text string) zoneCase {
	return zoneCase{code: code, drop: at, add: txt(at, text)}
}

func withKey(code check.Code, text string) zoneCase {
	return zoneCase{code: code, drop: key, add: txt(key, text)}
}

const rua = "; rua=mailto:dmarc@example.com"

// many is n names with an SPF record each, and a record that includes them all.
func many(n int) string {
	var b strings.Builder
	all := "v=spf1"
	for i := range n {
		all += fmt.Sprintf(" include:n%d.example.net", i)
		b.WriteString(txt(fmt.Sprintf("n%d.example.net.", i),
			fmt.Sprintf("v=spf1 ip4:203.0.113.%d -all", i)))
	}
	return b.String() + txt(root, all+" ~all")
}

// exchanges are n MX hosts of a name, with addresses.
func exchanges(name string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s MX 10 m%d.example.net.\nm%d.example.net. A 203.0.113.%d\n", name, i, i,
			i)
	}
	return b.String()
}

// publishedKeys are key records by the size and the exponent of their keys.
func publishedKeys(t *testing.T) map[string]string {
	keys := map[string]string{}
	text, err := os.ReadFile("testdata/keys")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, record, _ := strings.Cut(strings.TrimSpace(line), " ")
		keys[name] = strings.ReplaceAll(strings.Trim(record, `"`), `" "`, "")
	}
	return keys
}

// cases has for each code a zone that triggers it, and nothing else.
func cases(t *testing.T) []zoneCase {
	keys := publishedKeys(t)
	good := keys["2048-65537"]
	ed := "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	long := strings.Repeat(" ip4:192.0.2.1/31 ip4:203.0.113.1/32", 1)
	for i := range 26 {
		long += fmt.Sprintf(" ip4:198.51.100.%d", i)
	}
	sub := "sub.example.com. MX 10 mx.example.com.\n" + txt("sub.example.com.", "v=spf1 mx ~all") +
		txt("s1._domainkey.sub.example.com.", good) + txt("_mta-sts.sub.example.com.",
		"v=STSv1; id=1") +
		txt("_smtp._tls.sub.example.com.", "v=TLSRPTv1; rua=mailto:a@example.com")
	selector := Options{Selectors: []string{"s1"}}
	out9 := "out.example.com. A 198.51.100.9\n9.100.51.198.in-addr.arpa. PTR out.example.com.\n"
	return append(reportCases(good), []zoneCase{
		{code: NoDomain, other: "nowhere.example"},
		{code: NoAnswer, drop: at, add: "$SERVFAIL " + at + "\n"},
		{code: NoAnswer, drop: root + " TXT", add: "$TIMEOUT " + root + " TXT\n"},
		{code: BigAnswer, add: txt(root, strings.Repeat("a", 600)) + txt(root, strings.Repeat("b", 600))},
		{code: Misplaced, drop: at, add: txt(at+root, "v=DMARC1; p=reject"+rua)},
		{code: Misplaced, drop: root + " TXT", add: txt(root+root, "v=spf1 mx ~all")},
		{code: Misplaced, drop: key, add: txt(key+root, good), with: selector},
		{code: Misspelled, drop: at, add: txt("_dmrac.example.com.", "v=DMARC1; p=reject"+rua)},
		{code: Misspelled, add: txt(root, good)},
		{code: Misspelled, drop: sts, add: txt("mta-sts.example.com.", "v=STSv1; id=1")},
		{code: Misspelled, drop: tls, add: txt("_tls.example.com.", "v=TLSRPTv1; rua=mailto:a@example.com")},
		{code: Misspelled, drop: key, add: txt("s1.example.com.", good) +
			txt("mail._domainkey.example.com.", good), with: selector},
		{code: OtherTree, other: "sub.example.com", drop: at, add: sub +
			txt("_dmarc.sub.example.com.", "v=DMARC1; p=reject; rua=mailto:a@sub.example.com")},
		{code: Dangling, drop: at, add: at + " CNAME gone.example.net.\n"},
		{code: ShortTTL, drop: at, add: at + " 60 IN TXT \"v=DMARC1; p=reject" + rua + "\"\n"},

		{code: spf.FlawNone, drop: root + " TXT"},
		{code: spf.FlawSeveral, add: txt(root, "v=spf1 mx ~all")},
		withSPF(spf.FlawNearMiss, "v=spf1,mx,~all"),
		withSPF(spf.FlawNearMiss, " v=spf1 mx ~all"),
		withSPF(spf.FlawNearMiss, "v=spf2 mx ~all"),
		withSPF(spf.FlawNearMiss, "spf1 mx ~all"),
		withSPF(spf.FlawJoined, "v=spf1 mx v=spf1 ~all"),
		withSPF(spf.FlawPasted, "\"v=spf1 mx ~all\""),
		withSPF(spf.FlawPasted, "v=spf1\u00a0mx ~all"),
		withSPF(spf.FlawPasted, "v=spf1 mx\u00a0~all"),
		withSPF(spf.FlawColon, "v=spf1 mx ip4=192.0.2.1 ~all"),
		withSPF(spf.FlawColon, "v=spf1 mx include=_spf.example.net ~all"),
		withSPF(spf.FlawSyntax, "v=spf1 mx ip4: ~all"),
		withSPF(spf.FlawSyntax, "v=spf1 mx 192.0.2.1 ~all"),
		withSPF(spf.FlawSyntax, "v=spf1 mx, ~all"),
		withSPF(spf.FlawSyntax, "v=spf1 redirect:_spf.example.net"),
		withSPF(spf.FlawSyntax, "v=spf1 ip4:192.0.2.1/33 ~all"),
		withSPF(spf.FlawTwice, "v=spf1 redirect=_spf.example.net redirect=_spf.example.net"),
		withSPF(spf.FlawAfterAll, "v=spf1 ~all mx"),
		withSPF(spf.FlawRedirect, "v=spf1 redirect=_spf.example.net mx ~all"),
		withSPF(spf.FlawPlusAll, "v=spf1 mx +all"),
		withSPF(spf.FlawPlusAll, "v=spf1 mx all"),
		withSPF(spf.FlawNeutral, "v=spf1 mx ?all"),
		withSPF(spf.FlawNoAll, "v=spf1 mx"),
		withSPF(spf.FlawPTR, "v=spf1 mx ptr ~all"),
		withSPF(spf.FlawMacro, "v=spf1 mx exists:%{l}._spf.example.net ~all"),
		withSPF(spf.FlawWide, "v=spf1 ip4:0.0.0.0/0 ~all"),
		withSPF(spf.FlawWide, "v=spf1 ip4:16.0.0.0/8 ~all"),
		withSPF(spf.FlawWide, "v=spf1 ip6:2001::/16 ~all"),
		withSPF(spf.FlawPrivate, "v=spf1 mx ip4:10.1.2.3 ~all"),
		withSPF(spf.FlawDuplicate, "v=spf1 mx ip4:192.0.2.1 ip4:192.0.2.1 ~all"),
		withSPF(spf.FlawContained, "v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.1 ~all"),
		withSPF(spf.FlawLong, "v=spf1"+long+" ~all"),
		{code: spf.FlawTooMany, drop: root + " TXT", add: many(11)},
		{code: spf.FlawNear, drop: root + " TXT", add: many(10)},
		{code: spf.FlawNear, drop: root + " TXT", add: many(9)},
		withSPF(spf.FlawVoids, "v=spf1 mx exists:a.example.net exists:b.example.net exists:c.example.net ~all"),
		withSPF(spf.FlawVoids6, "v=spf1 mx a:mx.example.com mx:example.com a:mx.example.com/31 ~all"),
		withSPF(spf.FlawWide, "v=spf1 mx/17 a:mx.example.com/15 ~all"),
		{code: spf.FlawIncludeAll, drop: spfIn, add: txt(spfIn, "v=spf1 ip4:64.0.0.0/9 -all")},
		{code: spf.FlawMany, drop: spfIn, add: txt(spfIn, "v=spf1 ip4:16.0.0.0/15 -all")},
		withSPF(spf.FlawExists, "v=spf1 exists:mx.example.com ~all"),
		{code: spf.FlawMXMany, drop: root + " TXT", add: txt(root, "v=spf1 mx:example.net ~all") +
			exchanges("example.net.", 11)},
		{code: spf.FlawLoop, drop: spfIn, add: txt(spfIn, "v=spf1 include:example.com -all")},
		{code: spf.FlawLoop, drop: root + " TXT", add: txt(root, "v=spf1 redirect=example.com")},
		{code: spf.FlawIncludeNone, drop: spfIn, add: txt(spfIn, "some other text")},
		{code: spf.FlawIncludeGone, drop: spfIn},
		{code: spf.FlawIncludeBad, drop: spfIn, add: txt(spfIn, "v=spf1 ip4:300.1.1.1 -all")},
		{code: spf.FlawIncludeBad, add: txt(spfIn, "v=spf1 -all")},
		{code: spf.FlawIncludeAll, drop: spfIn, add: txt(spfIn, "v=spf1 +all")},
		withSPF(spf.FlawEmpty, "v=spf1 mx a:nowhere.example.net ~all"),
		{code: spf.FlawTwiceBehind, drop: root + " TXT",
			add: txt(root, "v=spf1 include:_spf.example.net include:b.example.net ~all") +
				txt("b.example.net.", "v=spf1 include:_spf.example.net -all")},
		{code: SPFAtDMARC, add: txt(at, "v=spf1 -all")},
		{code: SPFType99, add: root + " SPF \"v=spf1 -all\"\n"},
		{code: SenderID, add: txt(root, "spf2.0/pra mx -all")},
		{code: SenderID, add: txt(root, "spf2.0/mfrom,pra -all")},
		withSPF(SPFHard, "v=spf1 mx -all"),
		{code: SPFAddress, add: "77.2.0.192.in-addr.arpa. PTR w.example.com.\nw.example.com. A 192.0.2.77\n",
			with: Options{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.77")}}},
		{code: SPFHelo, add: out9, with: Options{Helo: []string{"out.example.com"}}},
		{code: HeloAddress, add: txt("out.example.com.", "v=spf1 mx -all"),
			with: Options{Helo: []string{"out.example.com"}}},
		{code: HeloReverse, add: txt("www.example.com.", "v=spf1 a -all") + "www.example.com. A 198.51.100.25\n",
			with: Options{Helo: []string{"www.example.com"}}},
		{code: MXReverse, add: txt("www.example.com.", "v=spf1 a -all") + "www.example.com. A 198.51.100.26\n",
			with: Options{Helo: []string{"www.example.com"}}},
		{code: MXReverse, drop: root + " TXT", add: txt(root, "v=spf1 ip4:192.0.2.77 ~all"),
			with: Options{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.77")}}},
		{code: SharedService, drop: root + " TXT",
			add: txt(root, "v=spf1 mx include:SendGrid.net ~all") + txt("sendgrid.net.",
				"v=spf1 ip4:203.0.113.9 ~all")},
		withSPF(spf.FlawSyntax, "v=spf1 exists:%{y}.example.net ~all"),
		withSPF(spf.FlawSyntax, "v=spf1 a:%{d ~all"),

		{code: Wildcard, drop: key, add: txt("*._domainkey.example.com.", good)},
		{code: NoSelector, drop: key, add: "x.y._domainkey.example.com. A 192.0.2.1\n"},
		{code: KeyMissing, drop: key, add: txt("mail._domainkey.example.com.", good), with: selector},
		{code: KeySeveral, add: txt(key, good+" ")},
		{code: KeyMismatch, with: Options{Own: []OwnKey{{Name: "s1._domainkey.example.com",
			Text: keys["1024-65537"]}}}},
		{code: KeyMissing, with: Options{Own: []OwnKey{{Name: "s7._domainkey.example.com", Text: good}}}},
		{code: KeyShared, with: Options{known: keyring{"rsa-sha256" + publicPart(good): "other.example"}}},
		withKey(dkim.FlawWeak, keys["roca"]),
		{code: KeySame, add: txt("mail._domainkey.example.com.", good)},
		{code: KeyPrime, drop: key, add: txt(key, keys["common-1"]) +
			txt("mail._domainkey.example.com.", keys["common-2"])},
		withKey(OnlyEd25519, ed),
		withKey(dkim.FlawPasted, `"`+good+`"`),
		withKey(dkim.FlawPasted, strings.ReplaceAll(good, ";", `\;`)),
		withKey(dkim.FlawVersion, strings.Replace(good, "DKIM1", "DKIM2", 1)),
		withKey(dkim.FlawVersion, strings.TrimPrefix(good, "v=DKIM1; ")+"; v=DKIM1"),
		withKey(dkim.FlawMalformed, "v=DKIM1; k=rsa; p=nothing!"),
		withKey(dkim.FlawMalformed, "v=DKIM1; k=rsa; p=-----BEGIN PUBLIC KEY-----"),
		withKey(dkim.FlawRevoked, "v=DKIM1; p="),
		withKey(dkim.FlawShort, keys["768-65537"]),
		withKey(dkim.FlawModest, keys["1024-65537"]),
		withKey(dkim.FlawLarge, keys["5120-65537"]),
		withKey(dkim.FlawHash, good+"; h=sha1"),
		withKey(dkim.FlawKeyType, strings.Replace(good, "k=rsa", "k=dsa", 1)),
		withKey(dkim.FlawService, good+"; s=tlsrpt"),
		withKey(dkim.FlawTesting, good+"; t=y"),
		withKey(dkim.FlawTesting, good+"; t=s:y"),
		withKey(dkim.FlawGranularity, good+"; g=*"),
		withKey(dkim.FlawDomainKeys, strings.TrimPrefix(good, "v=DKIM1; ")),
		withKey(dkim.FlawExponent, keys["2048-3"]),
		{code: DomainKeys, add: txt("_domainkey.example.com.", "o=-")},
		{code: DomainKeys, add: txt("_domainkey.example.com.", "t=y; o=~; r=postmaster@example.com")},
		{code: ADSP, add: txt("_adsp._domainkey.example.com.", "dkim=all")},
		{code: ADSP, add: txt("_adsp._domiankey.example.com.", "dkim = discardable")},
		{code: SSP, add: txt("_policy._domainkey.example.com.", "o=~")},
		{code: SSP, add: txt("_ssp._domainkey.example.com.", "dkim=strict")},
		{code: EmptyNode, lie: "_domainkey.example.com"},

		{code: NoDMARC, drop: at},
		{code: DMARCSeveral, add: txt(at, "v=DMARC1; p=none")},
		{code: DMARCAtRoot, drop: at, add: txt(root, "v=DMARC1; p=reject")},
		{code: DMARCWild, add: txt("*.example.com.", "v=DMARC1; p=reject"), with: Options{Selectors: nil}},
		withDMARC(dmarc.FlawNearMiss, "v=DMARC1 p=reject"+rua),
		withDMARC(dmarc.FlawNearMiss, "v=dmarc1; p=reject"+rua),
		withDMARC(dmarc.FlawNearMiss, "DMARC1; p=reject"+rua),
		withDMARC(dmarc.FlawNearMiss, "p=reject"+rua),
		withDMARC(dmarc.FlawPasted, `"v=DMARC1; p=reject`+rua+`"`),
		withDMARC(dmarc.FlawPasted, `v=DMARC1\; p=reject`+rua),
		withDMARC(dmarc.FlawPasted, "v=DMARC1; p=\u201creject\u201d"+rua),
		withDMARC(dmarc.FlawSyntax, "v=DMARC1; p=reject; quarantine"+rua),
		withDMARC(dmarc.FlawTwice, "v=DMARC1; p=reject; p=none"+rua),
		withDMARC(dmarc.FlawValue, "v=DMARC1; p=reject; adkim=strict"+rua),
		withDMARC(dmarc.FlawValue, "v=DMARC1; p=block"+rua),
		withDMARC(dmarc.FlawNoPolicy, "v=DMARC1"+rua),
		withDMARC(dmarc.FlawOrder, "v=DMARC1"+rua+"; p=reject"),
		withDMARC(dmarc.FlawSubdomain, "v=DMARC1; p=reject; sp=none; np=reject"+rua),
		withDMARC(dmarc.FlawNonExist, "v=DMARC1; p=reject; np=none"+rua),
		withDMARC(dmarc.FlawNoNP, "v=DMARC1; p=quarantine"+rua),
		withDMARC(dmarc.FlawPercent, "v=DMARC1; p=reject; pct=50"+rua),
		withDMARC(dmarc.FlawFormat, "v=DMARC1; p=reject; rf=afrf"+rua),
		withDMARC(dmarc.FlawInterval, "v=DMARC1; p=reject; ri=86400"+rua),
		withDMARC(dmarc.FlawSized, "v=DMARC1; p=reject"+rua+"!10m"),
		withDMARC(dmarc.FlawTesting, "v=DMARC1; p=reject; t=y"+rua),
		withDMARC(dmarc.FlawNoReports, "v=DMARC1; p=reject"),
		withDMARC(dmarc.FlawAddress, "v=DMARC1; p=reject; rua=dmarc@example.com"),
		withDMARC(dmarc.FlawAddress, "v=DMARC1; p=reject; rua=https://example.com/dmarc"),
		withDMARC(dmarc.FlawAddresses,
			"v=DMARC1; p=reject; rua=mailto:a@example.com,mailto:b@example.com,mailto:c@example.com"),
		withDMARC(dmarc.FlawUnknownTag, "v=DMARC1; p=reject; policy=reject"+rua),
		withDMARC(dmarc.FlawFailure, "v=DMARC1; p=reject; fo=1"+rua),
		withDMARC(dmarc.FlawPSD, "v=DMARC1; p=reject; psd=y"+rua),
		withDMARC(dmarc.FlawLong, "v=DMARC1; p=reject; rua=mailto:"+strings.Repeat("a", 450)+
			"@example.com"),
		withDMARC(dmarc.FlawMonitoring, "v=DMARC1; p=none"+rua),
		{code: SPFSoft, other: "sub.example.com", drop: at, add: txt(at, "v=DMARC1; p=none"+rua) + sub},
		{code: NoEffect, other: "sub.example.com", add: sub + txt("_dmarc.sub.example.com.",
			"v=DMARC1; p=reject; sp=reject"+rua)},
		{code: NotAgreed, drop: at, add: txt(at,
			"v=DMARC1; p=reject; rua=mailto:r@reports.example") +
			"reports.example. MX 10 mx.example.com.\n"},
		{code: NotAgreed, drop: at, add: txt(at, "v=DMARC1; p=reject; ruf=mailto:r@reports.example"+
			rua) + "reports.example. MX 10 mx.example.com.\n" +
			txt("example.com._report._dmarc.reports.example.", "v=DMARC2")},
		{code: ReportHost, drop: at, add: txt(at, "v=DMARC1; p=reject; rua=mailto:r@nomail.example.com")},
		{code: Freemail, drop: at, add: txt(at, "v=DMARC1; p=reject; rua=mailto:r@gmail.com") +
			"gmail.com. MX 10 mx.example.com.\n" +
			txt("*._report._dmarc.gmail.com.", "v=DMARC1")},
		{code: TakesAll, add: txt("*._report._dmarc.example.com.", "v=DMARC1;")},
		{code: OlderPolicy, drop: at, add: txt(at, "v=DMARC1; p=quarantine; np=reject"+rua)},
		{code: OlderPolicy, other: "a.sub.example.com",
			add: strings.ReplaceAll(sub, "sub.example", "a.sub.example") +
				txt("_dmarc.sub.example.com.", "v=DMARC1; p=quarantine; psd=n"+rua)},
		withDMARC(OwnTree, "v=DMARC1; p=reject; psd=n"+rua),

		{code: Bogus, add: "$SERVFAIL _mta-sts.example.com.\n",
			with: Options{Unchecked: dnstest.Must(txt(sts, "v=STSv1; id=1"))}},
		{code: ServersDiffer, with: Options{Selectors: []string{"s1"}, Panel: panel{
			"ns1.example.net": dnstest.Must(txt(key, "one")), "ns2.example.net": dnstest.Must(txt(key, "two")),
		}}},
		{code: NotSigned, with: Options{Trusted: true}, signed: "com"},
		{code: ServersDiffer, with: Options{Panel: panel{
			"ns1.example.net": dnstest.Must("example.com. TXT \"one\"\n"),
			"ns2.example.net": dnstest.Must("example.com. TXT \"two\"\n"),
		}}},
		{code: ServersDiffer, with: Options{Panel: panel{
			"ns1.example.net": dnstest.Must("example.com. MX 10 mx.example.com.\n"),
			"ns2.example.net": dnstest.Must("example.com. TXT \"two\"\n"),
		}}},
		{code: ServerSilent, with: Options{Panel: panel{
			"ns1.example.net": dnstest.Must("$SERVFAIL example.com.\n"),
			"ns2.example.net": dnstest.Must("example.com. TXT \"two\"\n"),
		}}},

		{code: NoMX, drop: root + " MX", add: "@spf ip4:192.0.2.1 ~all"},
		{code: NullMixed, add: root + " MX 0 .\n"},
		{code: MXName, add: root + " MX 20 alias.example.com.\nalias.example.com. CNAME mx.example.com.\n"},
		{code: MXAddress, add: root + " MX 20 gone.example.com.\n"},
		{code: MXPrivate, add: root + " MX 20 inside.example.com.\ninside.example.com. A 10.0.0.1\n"},
		{code: MXTwice, add: root + " MX 20 mx.example.com.\n"},
		{code: MXReverse, drop: "25.100", add: "24.100.51.198.in-addr.arpa. PTR mx.example.com.\n"},
		{code: MXMismatch, drop: "25.100", add: "25.100.51.198.in-addr.arpa. PTR other.example.com.\n"},
		{code: MXGeneric, drop: "25.100",
			add: "25.100.51.198.in-addr.arpa. PTR h198-051-100-025.example.com.\n" +
				"h198-051-100-025.example.com. A 198.51.100.25\n"},
		{code: MXGeneric, drop: "25.100",
			add: "25.100.51.198.in-addr.arpa. PTR c7.dyn3.example.com.\nc7.dyn3.example.com. A 198.51.100.25\n"},
		{code: MXLeftover, add: root + " MX 32767 ms12345.msv1.invalid.\n"},
		{code: ParkedMX, drop: root + " TXT", add: txt(root, "v=spf1 -all")},
		{code: ParkedDMARC, drop: "example.com. MX", add: root + " MX 0 .\n@spf -all\n" +
			"@dmarc v=DMARC1; p=quarantine; np=reject; rua=mailto:a@mx.example.com"},
		{code: BIMISeveral, add: txt(bimi, "v=BIMI1; l=https://example.com/a.svg") + txt(bimi,
			"v=BIMI1; l=https://example.com/b.svg")},
		{code: BIMIBroken, add: txt(bimi, "v=BIMI1; l=http://example.com/logo.svg")},
		{code: BIMIBroken, add: txt(bimi, "v=bimi1; l=https://example.com/logo.svg")},
		{code: BIMIBroken, add: txt(bimi, "v=BIMI1; l=https://example.com/logo.png")},
		{code: BIMIBroken, add: txt(bimi, "v=BIMI1;")},
		{code: BIMIPolicy, other: "sub.example.com", drop: at,
			add: strings.Replace(sub, "~all", "-all", 1) +
				txt(at, "v=DMARC1; p=none"+rua) + txt("default._bimi.sub.example.com.",
				"v=BIMI1; l=https://example.com/a.svg; a=")},
		{code: Misspelled, add: txt("_bimi.example.com.", "v=BIMI1; l=https://example.com/logo.svg")},
		{code: SPFStray, add: txt(root, "\"v=spf1 mx ~all\"")},
		{code: SPFStray, add: txt(root, "spf1 mx ~all")},
		{code: BIMIStray, add: txt(bimi, "v=BIMI1; l=https://example.com/logo.svg") +
			txt(bimi, "v=bimi1; l=https://example.com/logo.svg")},
		{code: DMARCStray, add: txt(at, "v=DMARC1 p=none")},
		withDMARC(dmarc.FlawOptions, "v=DMARC1; p=reject; ruf=mailto:dmarc@example.com; fo=0:1"+
			rua),
		withSPF(spf.FlawContained, "v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.1/24 ~all"),
		{code: STSNone, drop: sts},
		{code: STSSeveral, add: txt(sts, "v=STSv1; id=2")},
		{code: STSBroken, drop: sts, add: txt(sts, "v=STSv1; id=2026-01-01")},
		{code: STSBroken, drop: sts, add: txt(sts, "v=STSv1;")},
		{code: TLSNone, drop: tls},
		{code: TLSSeveral, add: txt(tls, "v=TLSRPTv1; rua=mailto:a@example.com")},
		{code: TLSBroken, drop: tls, add: txt(tls, "v=TLSRPTv1; rua=tls@example.com")},
	}...)
}

// zoneOf applies a case to the clean zone. A line "@spf X" or "@dmarc X" in what is added replaces
// that record, too.
func zoneOf(t *testing.T, c zoneCase) *dnstest.Zone {
	t.Helper()
	clean, err := os.ReadFile("testdata/clean.zone")
	if err != nil {
		t.Fatal(err)
	}
	drops := []string{c.drop}
	var adds []string
	for line := range strings.Lines(c.add) {
		line = strings.TrimRight(line, "\n")
		if rest, ok := strings.CutPrefix(line, "@spf "); ok {
			drops, line = append(drops, root+" TXT"), txt(root, "v=spf1 "+rest)
		}
		if rest, ok := strings.CutPrefix(line, "@dmarc "); ok {
			drops, line = append(drops, at), txt(at, rest)
		}
		adds = append(adds, line)
	}
	var b strings.Builder
	for line := range strings.Lines(string(clean)) {
		if !slices.ContainsFunc(drops,
			func(d string) bool { return d != "" && strings.HasPrefix(line, d) }) {
			b.WriteString(line)
		}
	}
	b.WriteString(strings.Join(adds, "\n") + "\n")
	z, err := dnstest.Load(strings.NewReader(b.String()))
	if err != nil {
		t.Fatalf("%s: %v\n%s", c.code, err, &b)
	}
	return z
}

func codesOf(r Result) []string {
	var out []string
	for _, f := range r.Findings {
		if !slices.Contains(out, string(f.Code)) {
			out = append(out, string(f.Code))
		}
	}
	return out
}

// TestCodes holds that each code has a zone that triggers exactly it, and that the clean zone
// triggers none.
func TestCodes(t *testing.T) {
	seen := map[check.Code]bool{}
	run := func(c zoneCase) {
		o := c.options(t)
		o.Resolver, o.Random = liar{zoneOf(t, c), c.lie, c.signed}, "nosuchselector"
		name := domain.Name("example.com")
		if c.other != "" {
			name = domain.Name(c.other)
		}
		r := Check(t.Context(), name, o)
		want := []string{string(c.code)}
		if c.code == "" {
			want = nil
		}
		got := codesOf(r)
		if !slices.Equal(got, want) {
			t.Errorf("want %q, got %q from\n-%s\n+%s", want, got, c.drop, c.add)
			for _, f := range r.Findings {
				t.Logf("  %s %s: %s", f.Code, f.Setting, f.Text)
			}
		}
		seen[c.code] = true
		agrees(t, c, o.Resolver, r)
	}
	run(zoneCase{})
	for _, c := range cases(t) {
		run(c)
	}
	outside := Check(t.Context(), "example.com", Options{
		Resolver: InZone(dnstest.Must("example.com. SOA ns h 1 2 3 4 5\nexample.com. MX 10 mx.example.net.\n")),
	})
	seen[OutsideZone] = slices.Contains(codesOf(outside), string(OutsideZone))
	for _, row := range Codes() {
		// these have servers in the package reach
		if !seen[row.Code] && !slices.Contains(DeepCodes(), row.Code) {
			t.Errorf("no zone triggers %s", row.Code)
		}
	}
}
