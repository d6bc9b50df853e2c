package milter_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// acceptance maps each acceptance check of the protocols to the tests that make it: the file's
// package, the function, and what names the case in a table of its own.
var acceptance = map[int][]proof{
	1: {{"milter/dmarc", "TestAcceptance", `"01 `}},
	2: {{"milter/dmarc", "TestAcceptance", `"02 `}, {"milter/policy", "TestDecide",
		`"factory: DMARC failure at p=reject marks"`}},
	3:  {{"milter/dmarc", "TestAcceptance", `"03 `}},
	4:  {{"milter/dmarc", "TestAcceptance", `"04 `}},
	5:  {{"milter/dmarc", "TestAcceptance", `"05 `}},
	6:  {{"milter/dmarc", "TestAcceptance", `"06 `}},
	7:  {{"milter/dmarc", "TestAcceptance", `"07 `}},
	8:  {{"milter/dmarc", "TestAcceptance", `"08 `}},
	9:  {{"milter/dmarc", "TestAcceptance", `"09 `}},
	10: {{"milter/dmarc", "TestAcceptance", `"10 `}},
	11: {{"milter/dmarc", "TestAcceptance", `"11 `}},
	12: {{"milter/dmarc", "TestAcceptance", `"12 `}},
	13: {{"milter/dmarc", "TestAcceptance", `"13 `}},
	14: {{"milter/dmarc", "TestAcceptance", `"14 `}, {"milter/policy", "TestAuthors", `"several"`}},
	15: {{"milter/dmarc", "TestAcceptance", `"15 `}},
	16: {{"milter/dmarc", "TestAcceptance", `"16 `}, {"milter/verify", "TestResults",
		`"null sender: HELO counts as MAIL FROM"`}},
	17: {{"milter/dmarc", "TestAcceptance", `"17 `},
		{"milter/policy", "TestDecide", `"DMARC temperror"`}},
	18: {{"milter/policy", "TestDecide", `"factory: DMARC failure at p=reject marks"`},
		{"milter/policy", "TestReplyTexts", "DMARC policy for example.com"}},
	32: {{"milter/dkim", "TestCheck32FromMustBeSigned", ""}},
	33: {{"milter/dkim", "TestCheck33RequiredTags", ""}},
	34: {{"milter/dkim", "TestCheck34WeakAlgorithms", ""}},
	35: {{"milter/dkim", "TestCheck35RFC8463", ""}},
	36: {{"milter/dkim", "TestCheck36KeyRecords", ""}},
	37: {{"milter/dkim", "TestCheck37OversignedFrom", ""}},
	38: {{"milter/dkim", "TestCheck38BodyLength", ""}},
	39: {{"milter/dkim", "TestCheck39Times", ""}},
	40: {{"milter/dkim", "TestCheck40Canonicalization", ""}},
	41: {{"milter/dkim", "TestCheck41PlainSubmission", ""}},
	42: {{"milter/dkim", "TestCheck42ListUnsubscribe", ""}},
	43: {{"milter/dkim", "TestCheck43TwoKeys", ""}},
	44: {{"milter/dkim", "TestCheck44BareLineFeeds", ""}},
	45: {{"milter/spf", "TestCheck45TenTermsThatAsk", ""}},
	46: {{"milter/spf", "TestCheck46TwoVoidLookUps", ""}},
	47: {{"milter/spf", "TestCheck47SelectingRecords", ""}},
	48: {{"milter/spf", "TestCheck48IncludeAndRedirect", ""}},
	49: {{"milter/spf", "TestCheck49NothingToAsk", ""}},
	50: {{"milter/spf", "TestSuite", ""}},
	51: {{"milter/authres", "TestCheck51ForgedFieldsAreClaimed", ""},
		{"milter/filter", "TestFilter", `"a relay's results are kept"`}},
	52: {{"milter/authres", "TestCheck52NothingChecked", ""},
		{"milter/filter", "TestFilter", `"theirs is marked"`}},
	53: {{"milter/authres", "TestCheck53ThreeSignaturesOfOneDomain", ""}},
	54: {{"milter/authres", "TestCheck54HostileEnvelope", ""}},
	55: {{"milter/arc", "TestCheck55BrokenChains", ""}, {"milter/arc", "TestCheck55Lookups", ""},
		{"milter/arc", "TestSuiteValidation", ""}},
	56: {{"milter/policy", "TestTrustedSealer", `"newest sealer trusted, saw a pass"`}},
	57: {{"milter/arc", "TestCheck57Sealing", ""}, {"milter/arc", "TestSealNeverCoversResults",
		""}},
	59: {{"milter/policy", "TestDecide", `"SPF and DKIM"`}},
	60: {{"milter/dns", "TestAcceptance60", ""}},
}

type proof struct{ pkg, function, holds string }

// TestAcceptanceIsTested holds that every check has its tests, and that they are still there.
func TestAcceptanceIsTested(t *testing.T) {
	for n := range 60 {
		n++
		isForLater := n >= 19 && n <= 31 || n == 58 // reports, and a checker of what others publish
		if len(acceptance[n]) == 0 && !isForLater {
			t.Errorf("check %d has no test", n)
		}
	}
	for n, proofs := range acceptance {
		for _, p := range proofs {
			if text := function(t, p.pkg, p.function); text == "" ||
				!strings.Contains(text, p.holds) {
				t.Errorf("check %d: %s of %s does not exist, or lacks %s", n, p.function, p.pkg,
					p.holds)
			}
		}
	}
}

// function returns the text of a test function of a package, "" when there is none.
func function(t *testing.T, pkg, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("func "+name+"(")) {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
				return string(text[set.Position(fn.Pos()).Offset:set.Position(fn.End()).Offset])
			}
		}
	}
	return ""
}
