package opendkim_test

import (
	"mailseal/config/opendkim"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// statements are what was seen of OpenDKIM 2.11 when it ran, and where the importer shows that it
// knows: "folder: text" is a golden folder with a text in what is wanted there, anything else a
// test's name. The golden folders are also shown to OpenDKIM itself, by TestGoldenSignsAsOpenDKIM.
var statements = []struct {
	says  string
	shown []string
}{
	// What names a data set.
	{"a colon before any comma names a type; an unknown one is fatal, as in ::1,127.0.0.1",
		[]string{"20-colons: unknown database type"}},
	{"so is [::1]", []string{"37-brackets: unknown database type"}},
	{"a comma first makes a list, whose elements are trimmed: 127.0.0.1, ::1",
		[]string{`21-colons-in-a-list: networks = ["127.0.0.1", "::1"]`}},
	{"a name without / is a list of that one word", []string{"22-not-a-file: a list with this " +
		"one word, not as a file"}},
	{"what the command line says counts before the file", []string{"70-startup: mode = [\"sign\"]",
		"71-unit: relaxed/simple"}},
	{"a file that the unit does not use never took effect", []string{"71-unit: the unit does not use this file"}},
	{"a set that holds everybody is not taken over", []string{"72-everybody-is-internal: " +
		"0.0.0.0/0 matches every client"}},
	{"types that are not read here are refused with advice",
		[]string{"19-dsn: Mailseal has no Lua", "73-database: signing_query",
			"74-database-mysql: PASSWORD"}},
	{"elements of a list are key=value, of MacroList with several values",
		[]string{"13-inline: keys.\"k1\"", `21-colons-in-a-list: "login" = ["joe", "jim"]`}},
	{"a line of a file over 1022 octets is cut into several", []string{"30-long-line: OpenDKIM " +
		"splits such a line"}},
	{"the same key in a list is whole", []string{"40-long-in-a-list: private_key"}},
	{"CRLF does no harm", []string{`38-crlf: from = ["*@example.org"]`,
		`38-crlf: networks = ["127.0.0.1", "192.0.2.0/24"]`}},
	{"a value may hold blanks and colons", []string{"12-four-fields: with:colon and blank.pem"}},
	{"of several lines with one key in a file the first counts, with MultipleSignatures too",
		[]string{"02-duplicates: " +
			"only the first one counts", "04-multiple-file: " +
			"only the first one counts"}},
	{"in a refile all lines are seen in order", []string{"03-duplicates-refile: is never used",
		"05-multiple-refile: match = \"all\""}},
	{"a line of a refile that that begins with a blank", []string{"10-leading-blank: that " +
		"begins with a blank"}},
	{"all signs of regular expressions live in a refile",
		[]string{"11-regex: (a|b)@x.com is a regular expression",
			"11-regex: x?@x.com is a regular expression"}},
	{"* stands for any text in a refile, + and . for themselves",
		[]string{`45-globs: from = ["info*@example.com"]`, `11-regex: "n+1@x.com"`,
			`45-globs: "user+*@*"`}},
	{"names of keys keep their case", []string{`26-missing-key: "K1" is another name`}},
	{"senders do not", []string{"02-duplicates: EXAMPLE.com is already in line 1", "TestSigningTableAgainstModel"}},
	{"fields of a key are not trimmed", []string{`12-four-fields: the blanks around "s4" are removed`}},

	// The key table.
	{"a fourth field is taken for a part of the file's name", []string{"12-four-fields: the fourth field rsa-sha256"}},
	{"a missing field defers the mail", []string{"12-four-fields: it needs domain:selector:key"}},
	{"mail.% is not a domain, % no selector", []string{"06-percent: it signs as d=mail.%",
		"06-percent: it signs with s=%"}},
	{"% in an absolute name of a file is the domain of the key, or the author's",
		[]string{"06-percent: is the key's domain, not the author's: /k/example.com.pem",
			"06-percent: has a file for each author's domain"}},
	{"% in a relative one is not replaced", []string{"06-percent: this one names the file " +
		"/k/%.pem"}},
	{"keys/x.pem is taken for the key itself", []string{`12-four-fields: "keys/6.pem" is read as the key itself`}},
	{"keys in the table are PKCS#1 or PKCS#8 in base64",
		[]string{"13-inline: private_key = \"MIIEowIBAAKCAQEA\"",
			"13-inline: private_key = \"MIIEvQIBADANBg==\""}},
	{"PEM on one line and Ed25519 are not read there",
		[]string{`39-inline-forms: key "pem": OpenDKIM reads keys in a table only if they begin with MII`,
			`39-inline-forms: key "ed": OpenDKIM reads`}},
	{"a bad key shows when it signs: 451", []string{`12-four-fields: private_key = "keys/6.pem"`,
		"TestGoldenSignsAsOpenDKIM"}},
	{"unsafe permissions defer the mail", []string{"14-canonicalization: OpenDKIM would defer " +
		"all mail"}},
	{"SignatureAlgorithm defers the mail of keys of another kind", []string{"50-signing-options: " +
		"OpenDKIM defers all mail of keys of the other kind"}},

	// Mail with a From that is missing or wrong.
	{"RequiredHeaders of both programs refuses mail that shows no author",
		[]string{`56-required-headers: no_author = "reject"  # opendkim.conf:7`,
			"57-required-headers-signing: this configuration judges none"}},
	{"RejectFailures holds for a malformed From, too", []string{"56-required-headers: The same " +
		"applies if From is malformed or shows several domains"}},
	{"RejectMultiValueFrom rejects what is not judged",
		[]string{`56-required-headers: many_authors = "reject"  # opendmarc.conf:5`,
			"56-required-headers: each of up to four is judged by its own record"}},

	// The signing table.
	{"a domain alone matches no sender in a refile", []string{"11-regex: example.com matches no sender"}},
	{"the order of a file's lookups: address, domain, then up, user and all in turn, user@*, *",
		[]string{"01-five-steps: from = [\"u@*.com\"]", "TestSigningTableAgainstModel"}},
	{".example.com is not example.com, and any depth below",
		[]string{`01-five-steps: from = ["*@*.example.com"]`, "TestSigningTableAgainstModel"}},
	{"*@example.com matches no sender in a file", []string{"01-five-steps: *@example.com matches " +
		"no sender: * works only in a refile:"}},
	{"of several signatures up to 2.11 the first and the last are made",
		[]string{"04-multiple-file: " +
			"makes only the first and the last", "05-multiple-refile: the first and the last"}},
	{"k.% is a key of that name, % the author's domain",
		[]string{`06-percent: keys = ["k.percent"]`, `06-percent: keys = ["%"]`}},
	{"a signer without @ lets the mail go unsigned", []string{"06-percent: OpenDKIM sends this " +
		"mail unsigned"}},
	{"i= that is not within d= is left out", []string{"31-identifier: is left out for authors at " +
		"other domains"}},
	{"@% is the author's domain", []string{`31-identifier: identifier = "@%"`}},
	{"news.% is the label below the author's domain",
		[]string{`60-percent-label: identifier = "signer@news.%"`, "TestSigningTableAgainstModel"}},
	{"lines that differ in i= make signatures that differ in it",
		[]string{`47-multiple-identifiers: identifier = "news@example.com"`,
			"TestSigningTableAgainstModel"}},
	{"a missing key defers the mail, whatever other lines say",
		[]string{`26-missing-key: there is no key "k1" in KeyTable`,
			`41-multiple-missing: on_key_error = "tempfail"`}},
	{"a line with a signer whose key is missing keeps it from starting",
		[]string{`42-startup: OpenDKIM does not start with this line: it looks for a key named "nokey"`}},
	{"%:@% too", []string{`43-startup-author: a key named "%"`}},
	{"it does not look at lines behind one without a signer",
		[]string{`26-missing-key: "none" in KeyTable: OpenDKIM defers`}},
	{"a line of a refile without a key crashes it", []string{"44-no-key: OpenDKIM crashes", "TestOpenDKIMBreaksDown"}},
	{"a line of a file without a key defers the mail",
		[]string{"26-missing-key: names no key: OpenDKIM defers this mail"}},
	{"of several authors the first is signed for", []string{"01-five-steps: OpenDKIM signs it for the first"}},
	{"a DKIM-Signature that cannot be read keeps it from signing",
		[]string{"01-five-steps: OpenDKIM does not sign it"}},
	{"mail of ours that nothing signs is verified with Mode sv", []string{`48-sign-and-verify: unmatched = "judge"`}},
	{"* in Domain signs as the author's domain", []string{`17-everybody: domain = "%"`}},
	{"SubDomains signs as the domain, with i=@domain", []string{`16-subdomains: identifier = "@example.com"`}},
	{"*.example.com in Domain never matches", []string{"16-subdomains: *.example.org never matched"}},
	{"Domain, KeyFile and Selector do not count beside KeyTable", []string{"49-both-modes: " +
		"ignored, since KeyTable is set"}},

	// Whose mail is signed.
	{"unknown in InternalHosts trusts clients without a name", []string{"08-hosts: OpenDKIM trusts unknown"}},
	{"! before a name keeps out no address", []string{"08-hosts: does not exclude a client whose " +
		"address is listed, too"}},
	{"the longest network decides, ! first among equals", []string{"08-hosts: networks", "TestHostsAgainstModel"}},
	{"172.16/12 and host bits never match", []string{"08-hosts: 172.16/12 never matched",
		"08-hosts: the network is called 192.168.0.0/24"}},
	{"IPv4 in IPv6 is in no IPv4 network", []string{"08-hosts: to OpenDKIM it is in no IPv4 network"}},
	{"by default 127.0.0.1 and ::1 are trusted, no more", []string{"01-five-steps: mail from " +
		"127.0.0.1 and ::1, and from users who log in, is ours", "TestGoldenSignsAsOpenDKIM"}},
	{"the usual TrustedHosts: of *.example.com in a refile nobody is trusted",
		[]string{"07-trusted-hosts: " +
			"*.example.com never matched a client", `07-trusted-hosts: networks = ["127.0.0.1"]`}},
	{"* in a refile of hosts trusts nobody at all", []string{"35-hosts-star: so the set has no effect"}},
	{"names of daemons and values of macros keep their case",
		[]string{`21-colons-in-a-list: daemon_names = ["MSA", "msa"]`}},
	{"with MacroList {daemon_name} is asked for at the end of the header",
		[]string{"21-colons-in-a-list: " +
			"ignores master.cf", `55-daemons: daemon_names = ["MSA", "msa"]`}},
	{"ExemptDomains is the whole domain, with * in a refile",
		[]string{"24-lists: .example.net never matched",
			`25-lists-refile: author_domains = [".example.net"`}},
	{"DontSignMailTo is the whole address, with * in a refile", []string{"24-lists: example.org " +
		"never matched: OpenDKIM looks for the recipient's whole address",
		`25-lists-refile: "*@example.org"`}},

	{"fields with its own id are removed from mail that is verified, not from that of internal hosts",
		[]string{`61-keep-results: keep_results = ["127.0.0.0/8", "::1"]`, "61-keep-results: " +
			"10.0.0.0/8, 192.0.2.25, 2001:db8::/32, filter.example.com may not pass on"}},
	{"Mode v verifies the mail of 127.0.0.1 and of internal hosts",
		[]string{`27-verifier: role = "theirs"`, "57-verifier-hosts: OpenDKIM verifies the mail " +
			"of these clients as well", `58-verifier-dmarc: role = "theirs"`}},
	{"OpenDMARC leaves 127.0.0.1 alone, and users who log in if it is told to",
		[]string{`58-verifier-dmarc: networks = ["127.0.0.1"]`,
			`59-verifier-dmarc-users: networks = []`}},

	// The rest.
	{"one word of Canonicalization leaves the body simple",
		[]string{"14-canonicalization: relaxed alone means relaxed/simple"}},
	{"* in a list of fields changes the default", []string{"24-lists: X-Ticket"}},
	{"From in OmitHeaders signs nothing", []string{"24-lists: OpenDKIM signs no mail at all with " +
		"From in this list"}},
	{"names of options in any case, # anywhere, the last of several counts",
		[]string{"15-grammar: mode = [\"verify\"]", "15-grammar: is set again later"}},
	{"Include counts where it stands", []string{`15-grammar: hold`, "34-includes: more than 5 files"}},
	{"numbers as in C, booleans by their first letter", []string{"15-grammar: min_rsa_bits = 2048",
		"33-not-a-number: is not a number", "15-grammar: max_signatures = 8"}},
	{"an unknown option and a missing value are fatal",
		[]string{"18-unknown: OpenDKIM would not start with it", "32-no-value: has no value"}},
	{"options of old are named as such", []string{"18-unknown: OpenDKIM itself no longer knows it"}},
	{"Debian's start script hands its own socket over", []string{"23-debian: Debian's start " +
		"script passes it"}},
	{"OpenDKIM tries three signatures", []string{"15-grammar: max_signatures", "27-verifier: " +
		"OpenDKIM verifies 3"}},
	{"it writes no field when a key is missing", []string{"27-verifier: OpenDKIM writes none if " +
		"a key is missing"}},
	{"OpenDMARC believes a field that a stranger wrote",
		[]string{"28-both: strangers can write one with any of these ids"}},
}

// corpus is the least that an importer must know, in the order in which it was asked for, and where
// it is shown.
var corpus = []struct {
	says    string
	folders []string
}{
	{"the order of lookups in a file", []string{"01-five-steps"}},
	{"keys that stand twice, in a file and a refile", []string{"02-duplicates", "03-duplicates-refile"}},
	{"what is to be said of more than two signatures",
		[]string{"04-multiple-file", "05-multiple-refile", "47-multiple-identifiers"}},
	{"% in d=, s=, names of files, names of keys and signers", []string{"06-percent", "31-identifier"}},
	{"the usual TrustedHosts", []string{"07-trusted-hosts"}},
	{"host bits, ! and IPv4 in IPv6", []string{"08-hosts"}},
	{"a blank before a line of a refile", []string{"10-leading-blank"}},
	{"regular expressions", []string{"11-regex", "45-globs"}},
	{"four fields of a key", []string{"12-four-fields"}},
	{"keys in the table", []string{"13-inline", "39-inline-forms", "40-long-in-a-list"}},
	{"names of files with : and blanks", []string{"12-four-fields"}},
	{"Canonicalization of one word", []string{"14-canonicalization"}},
	{"options that stand twice, and Include", []string{"15-grammar", "34-includes"}},
	{"SubDomains and i=", []string{"16-subdomains"}},
	{"lists with =", []string{"13-inline", "21-colons-in-a-list"}},
	{"options that are unknown or of old", []string{"18-unknown"}},
	{"data sets that cannot be read here", []string{"19-dsn"}},
	{"Debian's own socket", []string{"23-debian"}},
}

// TestCorpus holds that the folders are there.
func TestCorpus(t *testing.T) {
	for _, c := range corpus {
		for _, f := range c.folders {
			if wanted(t, f) == "" {
				t.Errorf("%s: nothing in %s", c.says, f)
			}
		}
	}
}

// TestStatements holds that each has its proof, and each golden folder its reason.
func TestStatements(t *testing.T) {
	known := testNames(t, ".", "../tables", "../../contrib/test/e2e")
	named := map[string]bool{}
	for _, s := range statements {
		if len(s.shown) == 0 {
			t.Errorf("%s: shown nowhere", s.says)
		}
		for _, where := range s.shown {
			folder, text, golden := strings.Cut(where, ": ")
			if !golden {
				if !slices.Contains(known, where) {
					t.Errorf("%s: there is no test %s", s.says, where)
				}
				continue
			}
			named[folder] = true
			if got := wanted(t, folder); !strings.Contains(got, text) {
				t.Errorf("%s: %s does not say %q", s.says, folder, text)
			}
		}
	}
	folders, err := filepath.Glob("testdata/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if name := filepath.Base(f); !named[name] && !options[name] {
			t.Errorf("%s shows nothing that is stated", name)
		}
	}
}

// options are the folders that show the conversion of options.
var options = map[string]bool{"09-hosts-wild": true, "29-dmarc-alone": true,
	"36-hosts-nameless": true, "46-globs-multiple": true, "51-dmarc-all": true, "52-dmarc-beside": true,
	"53-dmarc-hostname": true, "54-dmarc-conflict": true}

// wanted is all that a golden folder wants.
func wanted(t *testing.T, folder string) string {
	t.Helper()
	out := ""
	if r, err := opendkim.Import(optionsOf(filepath.Join("testdata", folder))); err == nil {
		out = printed(t, r)
	}
	for _, name := range []string{"want.toml", "want-error"} {
		b, err := os.ReadFile(filepath.Join("testdata", folder, name))
		if err == nil {
			out += string(b)
		}
	}
	if out == "" {
		t.Errorf("no golden folder %s", folder)
	}
	return out
}

// printed is a report as people read it.
func printed(t *testing.T, r *opendkim.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

func testNames(t *testing.T, dirs ...string) (out []string) {
	t.Helper()
	for _, dir := range dirs {
		files, err := filepath.Glob(dir + "/*_test.go")
		if err != nil || len(files) == 0 {
			t.Fatal("no tests in", dir, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunc.FindAllSubmatch(b, -1) {
				out = append(out, string(m[1]))
			}
		}
	}
	return out
}
