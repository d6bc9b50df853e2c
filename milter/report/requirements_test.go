package report

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// requirements are what reports that go out must hold, by the ids of the project's reference, and
// the tests that hold it: the directory and the name of the test.
var requirements = map[string][]string{
	"RO-1": {"milter/report TestWriteHostile", "milter/report TestCheckVectors",
		"milter/report TestWriteGolden", "milter/report TestDmarcCat"},
	"RO-2": {"milter/report/store TestFoldOnce", "milter/report/store TestMerge",
		"cmd/mailseal/reporting TestFoldTwice", "milter/report/spool TestKilled",
		"milter/report/spool TestTornSegments"},
	"RO-3": {"milter/report/store TestPolicyChange", "milter/report/store TestPoliciesOfADay",
		"milter/report/send TestManyPolicies", "milter/filter TestRecorded"},
	"RO-4": {"milter/report/send TestOneReport", "milter/report/send TestLateRows", "milter/report/send TestClock"},
	"RO-5": {"milter/report/send TestOneReport", "cmd/mailseal/reporting TestCommands"},
	"RO-6": {"milter/report/send TestExternal"},
	"RO-7": {"milter/report TestAddresses"},
	"RO-8": {"cmd/mailseal/reporting TestTwoHostsReportToEachOther"},
	"RO-9": {"milter/report/send TestSpam"},
	"RO-10": {"cmd/mailseal/reporting TestKilledAtTransitions",
		"cmd/mailseal/reporting TestDeferredForADay", "milter/report/send TestStates",
		"milter/report/send TestAwayForADay",
		"milter/report/send TestInDoubt", "milter/report/store TestDoubt"},
	"RO-11": {
		"milter/report/send TestSuppressed", "milter/report/store TestSuppression",
		"contrib/test/e2e TestReportsByPostfix",
	},
	"RO-12": {"milter/report/spool TestFullRing", "milter/report/spool TestRecordAllocates",
		"milter/filter TestCaptureAllocates", "milter/report/store TestFoldLong"},
	"RO-13": {
		"milter/report TestAsksFailure", "milter/report TestNotAligned",
		"milter/report/send TestFailureReport",
		"milter/report/send TestFailureFlood", "milter/filter TestFailures",
	},
	"RO-14": {"milter/report/send TestGates", "milter/filter TestRecorded",
		"milter/report/store TestRelations", "cmd/mailseal/reporting TestForgetSpool"},
	"RO-15": {"cmd/mailseal/reporting TestCommands", "cmd/mailseal/reporting TestCheckFindings",
		"milter/report/send TestSlots"},

	"OUT-1": {"milter/policy TestReported", "milter/policy TestOverrideReasons", "milter/policy TestDryRunIsReported"},
	"OUT-2": {"milter/report TestCheckVectors", "milter/report TestWriteHostile"},
	"OUT-3": {"milter/report TestID", "milter/report/send TestAwayForADay"},
	"OUT-4": {
		"milter/report/store TestHostileRows", "milter/report/store TestHostileMillionLong",
		"milter/report/store TestForgedRowsLeaveRoom", "milter/report/store TestRowsOfManyClients",
		"milter/report/store TestLongRows", "milter/report/send TestLargeReports",
	},
	"OUT-5": {"milter/report TestPassedAsPass"},
	"OUT-6": {"milter/filter TestRecordedPolicy", "milter/report TestWriteGolden"},
	"OUT-7": {"milter/report TestWriteGolden"},
	"OUT-8": {"milter/filter TestRecorded", "milter/filter TestDeferredIsNotRecorded"},
	"OUT-9": {"milter/report/send TestRelation", "milter/report/send TestSpam",
		"milter/report/store TestRelations", "milter/filter TestWrote"},
	"OUT-10": {
		"cmd/mailseal/reporting TestCheckFindings", "cmd/mailseal/reporting TestSendWaitsForSetUp",
		"contrib/test/e2e TestReportsByPostfix",
	},
	"OUT-11": {"milter/filter TestRecorded", "cmd/mailseal/reporting TestTwoHostsReportToEachOther"},
	"OUT-12": {
		"milter/report TestAddresses", "milter/report/send TestPerHost",
		"milter/report/send TestOwnAddresses",
		"cmd/mailseal/reporting TestConfiguredAddresses",
	},
	"OUT-13": {
		"milter/report/send TestBounced", "milter/report/send TestParseVERP",
		"milter/report/send TestForgedBounces",
		"milter/report/send TestSuppressed", "milter/report/store TestSuppression",
		"cmd/mailseal TestBouncesByPipe",
		"milter/report/send TestFailureBounced",
	},
	"OUT-14": {"milter/report/send TestProgram", "contrib/test/e2e TestReportsBySendmailProgram",
		"milter/report/send TestAwayForADay", "milter/report/send TestStates"},
	"OUT-15": {"cmd/mailseal/reporting TestCommands"},
	"OUT-16": {"milter/report/send TestSlots", "milter/report/send TestPerHost"},

	"HST-1": {
		"milter/report/spool TestKilled", "milter/report/spool TestKilledLong",
		"milter/report/spool TestCloseDoesNotHold", "milter/report/spool TestFullRing",
		"milter/report/spool TestPlantedLinks",
		"contrib/test/e2e TestLongReportsUnits",
	},
	"HST-2": {"milter/report/store TestFoldOnce", "cmd/mailseal/reporting TestCommands"},
	"HST-3": {"contrib/bench/fold TestPlay", "milter/report/store TestFoldLong",
		"cmd/mailseal/reporting TestFoldWaits"},
	"HST-4": {
		"milter/report/store TestParts", "milter/report/store TestCollectDies",
		"milter/report/store TestPartsBounded", "milter/report/store TestHosts",
		"cmd/mailseal/reporting TestSharedDay", "cmd/mailseal/reporting TestSharedDayLong",
	},
	"HST-5": {
		"milter/report/store TestLease", "milter/report/store TestLeaseSilentLong",
		"milter/report/store TestOvertaken", "milter/report/store TestBuiltOnce",
		"cmd/mailseal/reporting TestLeaderKilled", "milter/report/testmail TestShared",
	},
	"HST-6": {
		"milter/report/spool TestNoSpool", "milter/report/spool TestLook",
		"cmd/mailseal/reporting TestSharedDay", "cmd/mailseal/reporting TestStoreAway",
		"cmd/mailseal/reporting TestSpoolExpires", "cmd/mailseal/daemon TestSpoolMetrics",
		"milter/report/web TestDatabaseAway", "cmd/mailseal/operate TestReportsProcess",
	},
	"HST-8": {"cmd/mailseal/reporting TestServe", "contrib/test/e2e TestLongReportsUnits"},

	"RUF-1": {"milter/filter TestFailures", "milter/report/send TestFailureGates"},
	"RUF-2": {"milter/report/send TestFailureReport", "milter/report FuzzRedact"},
	"RUF-3": {"milter/report TestNotAligned"},
	"RUF-4": {"milter/report/send TestFailureFlood", "milter/report/send TestFailureStrangers"},
	"RUF-5": {"milter/filter TestFailures", "milter/report/send TestFailureGates"},
	"RUF-7": {"milter/dkim TestRequestReports", "cmd/mailseal/check TestReportingRecords"},
	"RUF-6": {
		"milter/filter TestFailures", "milter/filter TestSignersText",
		"milter/report/send TestSignerReports",
		"milter/report/send TestSignerPercentage", "milter/dkim TestReporting",
	},
}

// unmet are the requirements that are not built, and why.
var unmet = map[string]string{
	"HST-7": "tenants are not wanted",
}

// TestRequirements holds that each requirement has a test that is there, or a reason.
func TestRequirements(t *testing.T) {
	for _, group := range []struct {
		name string
		last int
	}{{"RO", 15}, {"OUT", 16}, {"HST", 8}, {"RUF", 7}} {
		for n := 1; n <= group.last; n++ {
			id := group.name + "-" + strconv.Itoa(n)
			_, isMet := requirements[id]
			_, isUnmet := unmet[id]
			if isMet == isUnmet {
				t.Errorf("%s has tests: %v, a reason why not: %v", id, isMet, isUnmet)
			}
		}
	}
	for id, tests := range requirements {
		for _, test := range tests {
			dir, name, _ := strings.Cut(test, " ")
			if !hasTest(t, filepath.Join("..", "..", filepath.FromSlash(dir)), name) {
				t.Errorf("%s: %s is gone", id, test)
			}
		}
	}
}

// hasTest reports whether a test is in a directory.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	is := regexp.MustCompile(`(?m)^func ` + name + `\([tf] \*testing\.[TF]\)`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if is.Match(text) {
			return true
		}
	}
	return false
}
