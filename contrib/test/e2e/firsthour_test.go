package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// TestLongFirstHour does what README.md tells a new user, on fresh Debians with Postfix and with
// Sendmail that systemd boots: contrib/test/firsthour.sh.
func TestLongFirstHour(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("boots four containers; set MAILSEAL_LONG=1")
	}
	firstHour(t, 4)
}

// TestLongReportsUnits has DMARC reports made and sent under the shipped units, on the same
// Debians.
func TestLongReportsUnits(t *testing.T) {
	if os.Getenv("MAILSEAL_LONG") == "" {
		t.Skip("boots two containers; set MAILSEAL_LONG=1")
	}
	firstHour(t, 2, "WAYS=reports")
}

// firstHour runs the script, which has a number of trials.
func firstHour(t *testing.T, trials int, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "./contrib/test/firsthour.sh")
	cmd.Dir = filepath.Join("..", "..", "..")
	cmd.Env = append(append(os.Environ(), "MAILSEAL_BIN="+rig.Build(t)), env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skip(strings.TrimSpace(string(out)))
	}
	if err != nil || strings.Count(string(out), " 0 failed") != trials {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
