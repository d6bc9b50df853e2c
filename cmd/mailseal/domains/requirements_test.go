package domains

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"mailseal/cmd/mailseal/check"
	"mailseal/milter/dkim"
	"mailseal/milter/dmarc"
	"mailseal/milter/spf"
)

// requirements are what checks and proposals of records must hold, by the ids of the project's
// reference, and the tests that hold it, each by its package below the top directory.
var requirements = map[string][][2]string{
	"DC-1": {{"cmd/mailseal/domains", "TestCodes"}},
	"DC-2": {
		{"cmd/mailseal/domains", "TestNotChecked"}, {"cmd/mailseal/domains", "TestFailuresOnTheWire"},
		{"cmd/mailseal/domains", "TestNoFailureAddsAFinding"}, {"contrib/test/e2e", "TestDomainBehindUnbound"},
		{"cmd/mailseal/domains", "TestCodes"},
	},
	"DC-3": {{"cmd/mailseal", "TestDomainCommands"}, {"cmd/mailseal", "TestJSON"},
		{"cmd/mailseal/domains", "TestPace"}},
	"DC-4": {{"cmd/mailseal/domains", "TestNeverDisagrees"}, {"milter/spf", "TestSuite"},
		{"milter/spf", "TestWords"}, {"cmd/mailseal/domains", "TestCodes"}},
	"DC-5": {{"cmd/mailseal/domains", "TestCodes"}, {"cmd/mailseal/domains", "TestNeverDisagrees"}},
	"DC-6": {{"cmd/mailseal/domains", "TestCodes"}, {"cmd/mailseal", "TestDomainCommands"}},
	"DC-7": {
		{"cmd/mailseal/domains", "TestCodes"}, {"milter/keydns", "TestInspect"}, {"milter/keydns", "TestInspectAlias"},
		{"milter/dkim", "TestWeakKeys"}, {"cmd/mailseal/domains", "TestManyKeys"},
		{"cmd/mailseal", "TestDomainConfig"},
	},
	"DC-8": {{"cmd/mailseal/domains", "TestNeverDisagrees"},
		{"milter/dmarc", "TestPolicyDiscovery"}, {"milter/dmarc", "TestWalkBound"},
		{"cmd/mailseal/domains", "TestCodes"}},
	"DC-9":  {{"cmd/mailseal/domains", "TestFoundInTheWild"}, {"milter/dmarc", "TestConsent"}},
	"DC-10": {{"cmd/mailseal/domains", "TestCodes"}, {"cmd/mailseal/domains", "TestFoundInTheWild"}},
	"DC-11": {{"cmd/mailseal/domains", "TestNearMisses"}, {"cmd/mailseal/domains", "TestRepairs"},
		{"milter/lint", "TestForeignLetters"}},
	"DC-12": {
		{"cmd/mailseal/domains", "TestProposeSPF"}, {"cmd/mailseal/domains", "TestProposeDMARC"},
		{"cmd/mailseal/domains", "TestZoneFormLoads"}, {"cmd/mailseal/publish", "TestLayout"},
	},
	"DC-13": {{"cmd/mailseal", "TestProposeDKIM"}, {"cmd/mailseal", "TestKeysServers"},
		{"cmd/mailseal/keyring", "TestOwner"}},
	"DC-14": {{"cmd/mailseal/reporting", "TestDNSHistory"}, {"cmd/mailseal/domains", "TestChanges"},
		{"cmd/mailseal/domains", "TestDiff"}},
	"DC-15": {{"cmd/mailseal/domains", "TestQueriesAreFew"}, {"cmd/mailseal/reach", "TestIsPublic"},
		{"cmd/mailseal/reach", "TestGuardKeepsOut"},
		{"cmd/mailseal/reach", "TestBounds"}, {"cmd/mailseal/domains", "TestPaceOfServers"},
		{"cmd/mailseal/domains", "TestPace"}, {"cmd/mailseal/domains", "TestPaceLong"},
		{"cmd/mailseal/reporting", "TestDNSPace"}, {"cmd/mailseal/reporting", "TestDNSPaceLong"},
		{"cmd/mailseal/reporting", "TestDNSPaceIsSaid"}},

	"CHK-1":  {{"cmd/mailseal/domains", "TestCodes"}, {"cmd/mailseal/domains", "TestReportsAnnounceThemselves"}},
	"CHK-2":  {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-3":  {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-4":  {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-5":  {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-6":  {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-7":  {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-8":  {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-9":  {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-10": {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-11": {{"cmd/mailseal/domains", "TestCodes"}},
	"CHK-13": {{"cmd/mailseal/domains", "TestCodes"}, {"cmd/mailseal/reach", "TestDeepCodes"}},

	"WIZ-1": {
		{"cmd/mailseal/domains", "TestProposeSPF"}, {"cmd/mailseal/domains", "TestProposeSPFRefuses"},
		{"cmd/mailseal/domains", "TestProposeSPFOfReports"}, {"milter/report/web", "TestCheckPage"},
		{"milter/report/web", "TestCheckOffersSources"},
	},
	"WIZ-2": {
		{"cmd/mailseal/domains", "TestProposeDMARC"}, {"cmd/mailseal/domains", "TestParkedSet"},
		{"cmd/mailseal/domains", "TestLadder"}, {"cmd/mailseal/domains", "TestEveryReaderMustAgree"},
	},
	"WIZ-3": {
		{"cmd/mailseal/domains", "TestProposeSPF"}, {"cmd/mailseal/domains", "TestProposeDMARC"},
		{"cmd/mailseal", "TestProposeDKIM"}, {"cmd/mailseal/domains", "TestZoneFormLoads"},
	},
	"WIZ-4": {{"cmd/mailseal", "TestDomainCommands"}},

	"TST-1": {{"cmd/mailseal/check", "TestAddressForTests"}, {"milter/filter", "TestTestMail"},
		{"contrib/test/e2e", "TestTestByMail"}},
	"TST-2": {{"milter/filter", "TestTestMail"}, {"contrib/test/e2e", "TestTestByMail"}},
	"TST-3": {{"milter/filter", "TestKept"}, {"milter/report/testmail", "TestAnswer"},
		{"contrib/test/e2e", "TestTestPages"}},
	"TST-4": {{"milter/filter", "TestKept"}, {"milter/report/testmail", "TestNoAnswer"}},
	"TST-5": {{"milter/report/testmail", "TestAnswersAreBounded"}, {"milter/report/evidence", "TestSpool"}},
	"TST-6": {
		{"milter/report/testmail", "TestHostilePage"}, {"milter/report/testmail", "TestAdvice"},
		{"milter/filter", "TestChangedFieldIsKept"}, {"milter/dkim/diagnose", "TestCopied"},
		{"contrib/test/e2e", "TestTestPages"},
	},
	"TST-8": {{"cmd/mailseal/examine", "TestTestSend"}, {"cmd/mailseal/examine", "TestTestSendRefuses"}},
	"TST-7": {
		{"milter/report/evidence", "TestTokens"}, {"milter/report/evidence", "TestBounds"},
		{"milter/report/testmail", "TestPages"},
	},
}

// zones are the codes whose zones in TestCodes hold a requirement: a zone that is gone fails.
var zones = map[string][]check.Code{
	"DC-2": {NoAnswer, Bogus},
	"DC-4": {spf.FlawTooMany, spf.FlawNear, spf.FlawVoids, spf.FlawMXMany, spf.FlawLoop},
	"DC-5": {spf.FlawExists, spf.FlawIncludeAll, spf.FlawMany, spf.FlawPlusAll, spf.FlawNeutral,
		spf.FlawNoAll, spf.FlawWide, spf.FlawPTR},
	"DC-6": {SPFAddress, SPFHelo},
	"DC-7": {dkim.FlawWeak, KeySame, KeyPrime, KeyShared, KeyMismatch, dkim.FlawRevoked,
		dkim.FlawShort, dkim.FlawModest, dkim.FlawLarge, dkim.FlawMalformed, KeySeveral, Dangling,
		dkim.FlawTesting, StrictIdentity, dkim.FlawHash, dkim.FlawService, dkim.FlawGranularity},
	"DC-8": {DMARCSeveral, DMARCAtRoot, dmarc.FlawTwice, dmarc.FlawNearMiss, dmarc.FlawNoPolicy,
		dmarc.FlawPSD, OwnTree, OtherTree, NoEffect},
	"DC-11": {spf.FlawPasted, spf.FlawJoined, dmarc.FlawPasted, dmarc.FlawNearMiss, Misplaced,
		dkim.FlawPasted, SPFStray, DMARCStray},
	"DC-10": {SPFType99, SenderID, dmarc.FlawPercent, dmarc.FlawFormat, dmarc.FlawInterval,
		dmarc.FlawSized, ADSP, DomainKeys, SSP, dkim.FlawDomainKeys},
	"CHK-1":  {RejectBySPF, RejectUnsigned},
	"CHK-2":  {SPFHard},
	"CHK-3":  {Wildcard},
	"CHK-4":  {EmptyNode},
	"CHK-5":  {BigAnswer},
	"CHK-6":  {spf.FlawContained, spf.FlawDuplicate, spf.FlawTwiceBehind},
	"CHK-7":  {spf.FlawMacro},
	"CHK-8":  {spf.FlawNearMiss},
	"CHK-9":  {ReportHost, TakesAll},
	"CHK-10": {Freemail},
	"CHK-11": {dmarc.FlawNoNP},
	"CHK-13": {HeloAddress, HeloReverse, MXReverse, SPFHelo},
}

// unmet are the requirements that are not built whole, and what is missing.
var unmet = map[string]string{
	"CHK-12": "the reference says to watch the drafts, and to warn of nothing yet",
}

// TestRequirements holds that each requirement has tests that are there, or a reason why not.
func TestRequirements(t *testing.T) {
	for _, group := range []struct {
		name string
		last int
	}{{"DC", 15}, {"CHK", 13}, {"WIZ", 4}, {"TST", 8}} {
		for n := 1; n <= group.last; n++ {
			id := fmt.Sprintf("%s-%d", group.name, n)
			_, isUnmet := unmet[id]
			if isMet := len(requirements[id]) > 0; isMet == isUnmet {
				t.Errorf("%s has tests: %v, a reason why not: %v", id, isMet, isUnmet)
			}
		}
	}
	all := cases(t)
	for id, codes := range zones {
		for _, code := range codes {
			if !slices.ContainsFunc(all, func(c zoneCase) bool { return c.code == code }) {
				t.Errorf("%s: the zone of %s is gone", id, code)
			}
		}
	}
	for id, tests := range requirements {
		isWhole := slices.Contains(tests, [2]string{"cmd/mailseal/domains", "TestCodes"})
		if isWhole && id != "DC-1" && len(zones[id]) == 0 {
			t.Errorf("%s is held by some zone of TestCodes: name its code in zones", id)
		}
		for _, test := range tests {
			if !exists(t, test[0], test[1]) {
				t.Errorf("%s: %s %s is gone", id, test[0], test[1])
			}
		}
	}
}

// exists reports whether a test is in a package.
func exists(t *testing.T, dir, name string) bool {
	t.Helper()
	pattern := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name) + `\(t \*testing\.T\)`)
	list, err := filepath.Glob(filepath.Join("..", "..", "..", filepath.FromSlash(dir),
		"*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if pattern.Match(text) {
			return true
		}
	}
	return false
}
